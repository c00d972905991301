// Package service is a small service that does nothing: it parses flags, logs,
// counts its start in StatsD, and then waits. Each of the programs beside it is
// this and one thing more.
package service

import (
	"flag"
	"fmt"
	"log"
	"runtime"
	"syscall"
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"
)

// Interval is how often all of them publish.
const Interval = 10 * time.Second

// settled is after what is done once, such as the first tick.
const settled = 3 * time.Second

// Run is the service. It calls start, if that is not nil, with the address of
// the StatsD server when the flags are parsed. It prints the number of
// goroutines, the CPU time in nanoseconds and the times that a thread went to
// sleep, while it waited for as long as its flag says.
func Run(start func(server string)) {
	server := flag.String("server", "localhost:8125", "StatsD server")
	wait := flag.Duration("for", 0, "how long to wait")
	flag.Parse()
	client, err := statsd.NewClientWithConfig(&statsd.ClientConfig{Address: *server, Prefix: "go.service"})
	if err != nil {
		log.Fatal(err)
	}
	if err := client.Inc("starts", 1, 1); err != nil {
		log.Print(err)
	}
	if start != nil {
		start(*server)
	}
	if *wait == 0 {
		return
	}
	time.Sleep(settled)
	cpu, sleeps := usage()
	time.Sleep(*wait)
	cpu1, sleeps1 := usage()
	fmt.Println(runtime.NumGoroutine(), cpu1-cpu, sleeps1-sleeps)
}

func usage() (cpu, sleeps int64) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		log.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano(), u.Nvcsw
}
