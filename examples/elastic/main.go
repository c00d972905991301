//go:build linux

// Command elastic shows what Metricbeat has of one process both ways, by its
// modules golang and statsd: each field of the metricset golang/heap, with the
// gauge that is its counterpart, and both values of the same moment.
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.Print("building Metricbeat, which takes two minutes or so the first time")
	r, err := newRig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	err = show(r)
	r.close()
	if err != nil {
		log.Fatal(err)
	}
}

func show(r *rig) error {
	exact, err := r.sidesThatAgree(true)
	if err != nil {
		return err
	}
	lagging, err := r.sidesThatAgree(false)
	if err != nil {
		return err
	}
	printTable(os.Stdout, exact, lagging)
	return nil
}
