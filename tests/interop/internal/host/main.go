// Command host is a service whose gauges are known: it publishes as its flags
// say, writes to standard output, as one JSON object, the gauges whose values
// do not change any more, and runs until its standard input ends.
package main

import (
	"encoding/json"
	"expvar"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/collector"
	_ "github.com/runtimemetrics/runtimemetrics/expvar"
)

func main() {
	more := flag.Int("more", 0, "how many gauges with long names to add")
	moreLength := flag.Int("more-length", 60, "how long these are, in bytes")
	flag.Parse()

	// What is compared to the digit: custom gauges, expvars, and those of the
	// runtime that stand still when no goroutine runs and nothing is collected.
	values := map[string]float64{
		"own.negative":      -5,
		"own.positive":      42,
		"own.large":         1<<53 - 1,
		"expvar.fraction":   0.25,
		"expvar.below_zero": -2.5,
	}
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		t.Gauge("own.negative", -5)
		t.Gauge("own.positive", 42)
		t.Gauge("own.large", 1<<53-1)
	})
	expvar.NewFloat("fraction").Set(values["expvar.fraction"])
	expvar.NewFloat("below_zero").Set(values["expvar.below_zero"])

	names := make([]string, *more)
	for i := range names {
		name := fmt.Sprintf("more.%04d.", i)
		names[i] = name + strings.Repeat("x", *moreLength-len(name))
		values[names[i]] = float64(i)
	}
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		for i, name := range names {
			t.Gauge(name, int64(i))
		}
	})

	debug.SetGCPercent(-1) // no collection but these
	for range 7 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	values["mem.lookups"] = 0
	values["mem.gc.next"] = 0 // no limit
	values["mem.gc.last"] = float64(m.LastGC)
	values["mem.gc.pause_total"] = float64(m.PauseTotalNs)
	values["mem.gc.pause"] = float64(m.PauseNs[(m.NumGC+255)%256])
	values["mem.gc.count"] = float64(m.NumGC)
	if err := json.NewEncoder(os.Stdout).Encode(struct {
		Names  []string
		Values map[string]float64
	}{published(values), values}); err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, os.Stdin)
}

// published returns the names of all gauges: those of the runtime, what the
// library says of itself, and the program's own among values.
func published(values map[string]float64) []string {
	names := []string{"runtimemetrics.ticks", "runtimemetrics.lost", "runtimemetrics.late.ns"}
	for name := range values {
		names = append(names, name)
	}
	c := collector.New(func(name string, _ uint64) { names = append(names, name) })
	var err error
	if c.Runtime, err = collector.ParsePatterns(flag.Lookup("metric-runtime").Value.String()); err != nil {
		log.Fatal(err)
	}
	c.Collect()
	slices.Sort(names)
	return slices.Compact(names)
}
