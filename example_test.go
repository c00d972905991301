package runtimemetrics_test

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

// A service with a graceful shutdown: its levels go to 0 instead of standing
// in the graphs for ever.
func ExampleStop() {
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()

	server := &http.Server{Addr: "localhost:8000"}
	go func() {
		<-ctx.Done()
		shutdown, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Shutdown(shutdown); err != nil {
			log.Print(err)
		}
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Print(err)
	}
	runtimemetrics.Stop() // within a second, whatever StatsD does
}

// A program with a configuration of its own.
func ExampleStart() {
	err := runtimemetrics.Start(runtimemetrics.Config{
		StatsD: "stats.example.com:8125",
		Prefix: "go.{host}.{exe}",
		Pause:  5 * time.Second,
	})
	if err != nil {
		log.Fatal(err) // a field is not valid
	}
	defer runtimemetrics.Stop()
}

// Custom gauges beside the runtime's.
func ExampleRegister() {
	var queued, served atomic.Int64

	unregister := runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		t.Gauge("queue.depth", queued.Load())
		t.Cumulative("requests.served", served.Load())
	})
	defer unregister()
}
