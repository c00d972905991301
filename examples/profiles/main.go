// Command profiles is a service that can be looked into: it pushes its gauges,
// and on an address of its own, on loopback, it has profiles, traces, expvars
// and switches for three faults (see faults.go).
package main

import (
	"errors"
	_ "expvar" // /debug/vars
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // /debug/pprof/
	"os"
	"os/signal"
	"runtime/trace"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
	_ "github.com/runtimemetrics/runtimemetrics/leaks" // --metric-leaks
)

func main() {
	log.SetFlags(0)
	names := flag.String("host", "", "`names` that the admin address answers to, separated by commas, besides any IP address, localhost and the machine's name")
	addr := flag.String("addr", "127.0.0.1:8000", "`address` for everybody")
	admin := flag.String("admin", "127.0.0.1:6060", "`address` of /debug/ and /faults/: keep it on loopback")
	flag.DurationVar(&longest, "longest", longest, "how long a fault lasts that nobody switches off")
	server := flag.String("pyroscope", "", "`URL` of a Pyroscope server to push profiles to, such as http://localhost:4040")
	every := flag.Duration("pyroscope-every", 15*time.Second, "how often to push them")
	flag.Parse()
	if *server != "" {
		profiler, err := profileAlways(*server, *every)
		if err != nil {
			log.Fatalf("--pyroscope: %v", err)
		}
		defer profiler.Stop()
	}
	err := run(*addr, *admin, *names)
	runtimemetrics.Stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(addr, admin, names string) error {
	// What happened in the last seconds, for whoever comes too late to trace it.
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 2 * time.Second, MaxBytes: 8 << 20})
	if err := recorder.Start(); err != nil {
		return err
	}
	http.HandleFunc("GET /debug/flight", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		recorder.WriteTo(w)
	})
	http.HandleFunc("POST /faults/{name}", switchOn)
	http.HandleFunc("DELETE /faults/{name}", switchOff)

	// Packages expvar and net/http/pprof add themselves to the default mux, so
	// that one is for the admin address, and the public has one of its own.
	public := http.NewServeMux()
	public.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	public.HandleFunc("GET /search", search)

	// Loopback is within reach of every page in a browser on this machine: none
	// may read a profile by a name of its own, or switch a fault.
	guarded := hostcheck.Handler(http.NewCrossOriginProtection().Handler(http.DefaultServeMux), names)

	// Before anybody can know that it runs, and end it.
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	failed := make(chan error, 2)
	for _, s := range []struct {
		flag, addr string
		handler    http.Handler
	}{{"addr", addr, public}, {"admin", admin, guarded}} {
		l, err := net.Listen("tcp", s.addr)
		if err != nil {
			return fmt.Errorf("--%s: %w", s.flag, err)
		}
		log.Printf("%s: http://%s", s.flag, l.Addr())
		go func() { failed <- http.Serve(l, s.handler) }()
	}
	select {
	case err := <-failed:
		return errors.Join(errors.New("the server has ended"), err)
	case <-end:
		return nil
	}
}
