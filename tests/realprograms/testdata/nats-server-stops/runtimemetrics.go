package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/env"
)

// serve takes the place of the call of WaitForShutdown in main, which sets
// Options.NoSigs: the server's own signal handler calls os.Exit.
func serve(s *server.Server) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	runtimemetrics.Stop()
}
