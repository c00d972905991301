// Command service is a small HTTP service as one would run it with Prometheus: it
// reports its runtime, its process and container and its expvars, and has a
// gauge of its own. With --leak one request of five leaves a goroutine behind,
// which waits to send what nobody receives any more, until there are 800 of them.
package main

import (
	"context"
	"expvar"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/expvar"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

var (
	addr = flag.String("addr", ":8002", "`address` to serve HTTP on")
	load = flag.Duration("load", 0, "ask itself once in this `interval`")
	leak = flag.Bool("leak", false, "leave a goroutine behind at one request of five")

	requests = expvar.NewInt("requests") // sent as expvar.requests
	inFlight atomic.Int64                // sent as orders.in_flight
)

func main() {
	flag.Parse()
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		t.Gauge("orders.in_flight", inFlight.Load())
	})
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	if *load > 0 {
		go ask(fmt.Sprintf("http://127.0.0.1:%d/", listener.Addr().(*net.TCPAddr).Port))
	}

	server := &http.Server{Handler: http.HandlerFunc(order)}
	ended, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-ended.Done()
		within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(within); err != nil {
			log.Print(err)
		}
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-drained
	runtimemetrics.Stop()
}

// mostLeaks ends the leak, so that the end of its alert can be seen as well.
const mostLeaks = 800

var leaking sync.Once

func order(w http.ResponseWriter, _ *http.Request) {
	inFlight.Add(1)
	defer inFlight.Add(-1)
	requests.Add(1)
	answer := make(chan string)
	go price(answer)
	if n := requests.Value(); *leak && n%5 == 0 && n/5 <= mostLeaks {
		// Nobody will receive: price waits for ever.
		leaking.Do(func() { log.Print("the first goroutine is left behind") })
		http.Error(w, "no price in time", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, <-answer)
}

// price makes some garbage, for the collector to have something to do.
func price(answer chan<- string) {
	answer <- strings.Repeat("9", 100_000)[:2] + ".90"
}

// ask is the load: as even as a clock, so that what rises in the curves is not it.
func ask(url string) {
	for range time.Tick(*load) {
		response, err := http.Get(url)
		if err != nil {
			continue // it is shutting down
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
