// Exithandler ends in its signal handler, by os.Exit, which runs no deferred call.
// The environment variable STOP says where Stop is called: in the handler, or
// deferred, which does not help.
package main

import (
	"flag"
	"os"
	"os/signal"
	"syscall"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	if os.Getenv("STOP") == "deferred" {
		defer runtimemetrics.Stop()
		go exitOn(func() {})
	} else {
		go exitOn(runtimemetrics.Stop)
	}
	select {}
}

func exitOn(cleanUp func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	cleanUp()
	os.Exit(0)
}
