// Command service can be watched by Metricbeat both ways: it pushes its gauges
// by StatsD, and it has its expvars at /debug/vars.
//
// With --ticks, it publishes that many times only, and has at /debug/tick its
// memstats as they were at the last of them. No service needs that: it is there
// so that both ways can be compared to the byte.
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
	kept    [][]byte
)

func main() {
	admin := flag.String("admin", "127.0.0.1:6060", "`address` of /debug/vars: on loopback, since it tells the command line")

	ticks := flag.Int("ticks", 0, "`number` of ticks to publish; 0: no end")

	// Sources of gauges are called after the runtime was read, in the same tick.
	var memstats runtime.MemStats
	var tick int
	last := make(chan struct{})
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		tick++
		switch {
		case *ticks == 0:
		case tick == *ticks-1: // so that there is something to see at the last one
			work(1)
		case tick == *ticks:
			runtime.ReadMemStats(&memstats)
			close(last)
		case tick > *ticks:
			select {} // which holds up the ticks, but neither the service nor Stop
		}
		t.Gauge("own.negative", -5)
	})
	http.HandleFunc("/debug/tick", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-last:
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
			kept = append(kept, make([]byte, 1000))
		}
		kept = kept[len(kept)/2:]
		runtime.GC()
	}
	for n := range 500 {
		kept = append(kept, make([]byte, n%200+1))
	}
}
