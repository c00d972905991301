// Linked tells what it costs a service to have a library linked in: bytes of the
// binary, what its initialisation takes, goroutines, and CPU time while the
// service has nothing to do. Each program of ../programs is the same idle
// service and one library; "base" is that service alone.
//
//	go run ./linked            sizes and initialisation
//	go run ./linked -for 60s   and a minute of idling, all programs at once
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/drain"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

// program is one of ../programs.
type program struct {
	name, what string
	args       []string // %statsd and %http are replaced by addresses
	scraped    bool     // its %http is asked for metrics every service.Interval

	size, stripped        int64 // bytes of the binary
	initTime              time.Duration
	initBytes, initAllocs int
	goroutines            int
	cpu, sleeps           float64 // in each service.Interval; cpu in ns
}

var programs = []*program{
	{name: "base", what: "flag, log, go-statsd-client"},
	{name: "floor", what: "the least that sends the same gauges"},
	{name: "runtimemetrics", what: "this library", args: []string{"--statsd=%statsd"}},
	{name: "process", what: "this library with package process", args: []string{"--statsd=%statsd"}},
	{name: "go-runtime-metrics", what: "bmhatfield/go-runtime-metrics", args: []string{"--statsd=%statsd"}},
	{name: "statsd", what: "by hand, go-statsd-client buffered"},
	{name: "smira", what: "by hand, smira/go-statsd"},
	{name: "rcrowley", what: "rcrowley/go-metrics, go-statsd-client"},
	{name: "hashicorp", what: "hashicorp/go-metrics"},
	{name: "datadog", what: "datadog-go, go-runtime-metrics-internal"},
	{name: "http", what: "net/http, for comparison with the next two", args: []string{"%http"}},
	{name: "prometheus", what: "client_golang, scraped", args: []string{"%http"}, scraped: true},
	{name: "otel", what: "OpenTelemetry runtime, OTLP over HTTP", args: []string{"%otlp"}},
}

func main() {
	drain.Main()
	log.SetFlags(0)
	wait := flag.Duration("for", 0, "how long to idle")
	flag.Parse()
	dir, err := os.MkdirTemp("", "linked")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, p := range programs {
		if err := p.measure(dir); err != nil {
			log.Fatalf("%s: %v", p.name, err)
		}
	}
	if *wait > 0 {
		if err := idle(dir, *wait); err != nil {
			log.Fatal(err)
		}
	}
	print(*wait)
}

// measure builds the program and takes its size and the cost of its
// initialisation.
func (p *program) measure(dir string) error {
	binary := filepath.Join(dir, p.name)
	for flags, size := range map[string]*int64{"": &p.size, "-s -w": &p.stripped} {
		os.Remove(binary)
		build := exec.Command("go", "build", "-trimpath", "-ldflags="+flags, "-o", binary, "./programs/"+p.name)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		info, err := os.Stat(binary)
		if err != nil {
			return err
		}
		*size = info.Size()
	}

	var times []time.Duration
	for range 15 {
		run := exec.Command(binary)
		run.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		trace, err := run.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, trace)
		}
		var t time.Duration
		t, p.initBytes, p.initAllocs = sumInit(trace)
		times = append(times, t)
	}
	slices.Sort(times)
	p.initTime = times[len(times)/2]
	return nil
}

// initLine is what GODEBUG=inittrace=1 writes for each package.
var initLine = regexp.MustCompile(`(?m)^init .* ([0-9.]+) ms clock, ([0-9]+) bytes, ([0-9]+) allocs$`)

// sumInit adds up the initialisation of all packages.
func sumInit(trace []byte) (total time.Duration, size, allocs int) {
	for _, match := range initLine.FindAllSubmatch(trace, -1) {
		ms, _ := strconv.ParseFloat(string(match[1]), 64)
		b, _ := strconv.Atoi(string(match[2]))
		a, _ := strconv.Atoi(string(match[3]))
		total, size, allocs = total+time.Duration(ms*float64(time.Millisecond)), size+b, allocs+a
	}
	return total, size, allocs
}

// idle lets all programs idle at the same time, so that they share whatever
// else the machine does.
func idle(dir string, wait time.Duration) error {
	sink, err := drain.Start()
	if err != nil {
		return err
	}
	defer sink.Stop()
	otlp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // an empty answer is a success
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer otlp.Close()

	var wg sync.WaitGroup
	errs := make([]error, len(programs))
	for i, p := range programs {
		free := httptest.NewServer(nil)
		listen := free.Listener.Addr().String()
		free.Close()
		addresses := strings.NewReplacer("%statsd", sink.Addr, "%http", listen, "%otlp", otlp.Listener.Addr().String())
		args := []string{"-server=" + sink.Addr, "-for=" + wait.String()}
		for _, arg := range p.args {
			args = append(args, addresses.Replace(arg))
		}
		run := exec.Command(filepath.Join(dir, p.name), args...)
		var out, logged bytes.Buffer
		run.Stdout, run.Stderr = &out, &logged
		if err := run.Start(); err != nil {
			return err
		}
		ended := make(chan struct{})
		if p.scraped {
			go scrape("http://"+listen, ended)
		}
		wg.Go(func() {
			defer close(ended)
			errs[i] = run.Wait()
			if errs[i] == nil {
				var cpu, sleeps float64
				_, errs[i] = fmt.Sscan(out.String(), &p.goroutines, &cpu, &sleeps)
				intervals := wait.Seconds() / service.Interval.Seconds()
				p.cpu, p.sleeps = cpu/intervals, sleeps/intervals
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w\n%s%s", p.name, errs[i], &out, &logged)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// scrape asks for metrics as Prometheus would.
func scrape(url string, ended <-chan struct{}) {
	tick := time.NewTicker(service.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if answer, err := http.Get(url); err == nil {
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}
}

// print prints the table. What stands in the lines after base's is what comes on
// top of base.
func print(wait time.Duration) {
	header, rule := "| program | binary | stripped | init | init allocates |", "|---|--:|--:|--:|--:|"
	if wait > 0 {
		header, rule = header+" goroutines | CPU in 10 s | wake-ups in 10 s |", rule+"--:|--:|--:|"
	}
	fmt.Println(header)
	fmt.Println(rule)
	for i, p := range programs {
		base, plus := *programs[0], "+"
		if i == 0 {
			base, plus = program{}, ""
		}
		// Each % of a format becomes %+ where the number is a difference.
		cell := func(format string, values ...any) {
			fmt.Printf(" "+strings.ReplaceAll(format, "%", "%"+plus)+" |", values...)
		}
		fmt.Printf("| %s: %s |", p.name, p.what)
		cell("%.0f KiB", float64(p.size-base.size)/1024)
		cell("%.0f KiB", float64(p.stripped-base.stripped)/1024)
		cell("%.2f ms", (p.initTime-base.initTime).Seconds()*1e3)
		cell("%.1f kB, %d", float64(p.initBytes-base.initBytes)/1e3, p.initAllocs-base.initAllocs)
		if wait > 0 {
			cell("%d", p.goroutines-base.goroutines)
			cell("%.2f ms", (p.cpu-base.cpu)/1e6)
			cell("%.0f", p.sleeps-base.sleeps)
		}
		fmt.Println()
	}
}
