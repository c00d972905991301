// Command service can be watched by Metricbeat both ways: it pushes its gauges
// by StatsD, and it has its expvars at /debug/vars.
//
// With --tick, it has at /debug/tick its memstats as they were at that tick. No
// service needs that: it is there so that both ways can be compared to the byte.
package main

import (
	"encoding/json"
	"expvar"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/expvar"
	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

var (
	orders  = expvar.NewInt("orders")
	balance = expvar.NewFloat("balance")
	garbage [][]byte
)

func main() {
	admin := flag.String("admin", "127.0.0.1:6060", "`address` of /debug/vars: on loopback, since it tells the command line")

	keep := flag.Int("tick", 0, "`number` of the tick whose memstats to keep; 0: none")

	// Sources of gauges are called after the runtime was read, in the same tick.
	var memstats runtime.MemStats
	var tick int
	kept := make(chan struct{})
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		tick++
		switch {
		case *keep == 0:
		case tick == *keep-1: // so that there is something to see at the next one
			work(1)
		case tick == *keep:
			runtime.ReadMemStats(&memstats)
			close(kept)
		}
		t.Gauge("own.negative", -5)
	})
	http.HandleFunc("/debug/tick", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-kept:
			json.NewEncoder(w).Encode(map[string]any{"cmdline": os.Args, "memstats": &memstats})
		case <-r.Context().Done():
		}
	})
	orders.Set(3)
	balance.Set(-2.25)
	work(5)

	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	flag.Parse()
	l, err := net.Listen("tcp", *admin)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("expvars at http://%s/debug/vars", l.Addr())
	go http.Serve(l, hostcheck.Handler(http.DefaultServeMux, ""))
	<-end
	runtimemetrics.Stop()
}

// work allocates, and has the heap collected several times. After the last time
// it allocates small objects, which sit in allocation caches of the runtime.
func work(times int) {
	for range times {
		for range 1000 {
			garbage = append(garbage, make([]byte, 1000))
		}
		garbage = garbage[len(garbage)/2:]
		runtime.GC()
	}
	for n := range 500 {
		garbage = append(garbage, make([]byte, n%200+1))
	}
}
