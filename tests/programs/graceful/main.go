// Graceful shuts down when it is told to by a signal.
package main

import (
	"context"
	"flag"
	"os/signal"
	"syscall"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	flag.Parse()
	defer runtimemetrics.Stop()
	<-ctx.Done()
}
