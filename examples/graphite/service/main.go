// Command service is the file server of ../../fileserver as one would run it for
// real: it also reports its process and its container, and when it is told to
// end it finishes what it has begun and sets its levels to 0.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

func main() {
	addr := flag.String("addr", ":8000", "`address` to serve HTTP on")
	names := flag.String("host", "", "`names` to answer to, separated by commas, besides any address, localhost and the machine's name")
	flag.Parse()

	// Not to every page that is open in a browser on this network.
	files := hostcheck.Handler(http.FileServer(http.Dir(".")), *names)
	server := &http.Server{Addr: *addr, Handler: files}
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
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
	<-drained
	runtimemetrics.Stop()
}
