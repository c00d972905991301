// Costcollector counts what ticks of the collector cost, in a process that does
// nothing else: stop-the-world events and heap allocations.
package main

import (
	"flag"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/ticks"
)

func main() {
	exact := flag.Bool("exact", false, "read memory exactly")
	collections := flag.Int("collections", 0, "garbage collections before the first tick")
	rounds := flag.Int("ticks", 1000, "number of ticks")
	flag.Parse()

	for range *collections {
		runtime.GC()
	}
	debug.SetGCPercent(-1)
	gauges := 0
	c := collector.New(func(string, uint64) { gauges++ })
	c.Exact = *exact
	c.Collect() // the first one sets up what the others use

	before := ticks.Stops()
	for range *rounds {
		c.Collect()
	}
	stopped := ticks.Stops() - before

	// Apart from the stops, since ReadMemStats is one itself. The runtime
	// allocates for itself now and then, for a new thread for instance: what is
	// ours is there each time, so the least of a few counts is it.
	allocations := uint64(math.MaxUint64)
	for range 3 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before := m.Mallocs
		for range *rounds {
			c.Collect()
		}
		runtime.ReadMemStats(&m)
		allocations = min(allocations, m.Mallocs-before)
	}
	fmt.Println("gauges", gauges, "stops", stopped, "allocations", allocations)
}
