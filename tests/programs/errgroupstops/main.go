// Errgroupstops is a server whose parts end together, when a signal comes or when
// one of them fails.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	fail := flag.Bool("fail", false, "let a part fail when standard input ends")
	flag.Parse()

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	server := &http.Server{Addr: "127.0.0.1:0"}
	group.Go(func() error {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		return server.Shutdown(context.Background())
	})
	if *fail {
		group.Go(func() error {
			os.Stdin.Read(make([]byte, 1))
			return errors.New("a part has failed")
		})
	}
	err := group.Wait()
	runtimemetrics.Stop()
	if err != nil {
		log.Fatal(err)
	}
}
