// Costroot counts what whole ticks cost, in a process that does nothing else:
// stop-the-world events and heap allocations.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/ticks"
)

func main() {
	what := flag.String("count", "stops", "what to count: `stops` or allocations")
	between := flag.Int("between", 0, "garbage collections between two ticks")
	rounds := flag.Int("ticks", 20, "number of ticks to count")
	flag.Parse()
	debug.SetGCPercent(-1)
	count := map[string]func() uint64{"stops": ticks.Stops, "allocations": allocations}[*what]

	// The library calls this once a tick, after it has collected its own gauges
	// and before it sends them. What there is to count between two calls is thus
	// one tick: its end, the wait, the beginning of the next.
	const warmUp = 5
	counts := make([]uint64, *rounds+warmUp)
	var n atomic.Int64
	runtimemetrics.Register(func(*runtimemetrics.Tick) {
		if i := n.Load(); int(i) < len(counts) {
			counts[i] = count()
			n.Add(1)
		}
	})
	if err := runtimemetrics.Start(runtimemetrics.Config{}); err != nil {
		fmt.Println(err)
		return
	}
	for seen := int64(0); seen < int64(len(counts)); {
		time.Sleep(10 * time.Millisecond)
		if i := n.Load(); i > seen {
			seen = i
			for range *between {
				runtime.GC()
			}
		}
	}
	runtimemetrics.Stop()
	for i := warmUp; i < len(counts); i++ {
		fmt.Println(counts[i] - counts[i-1])
	}
}

var memory runtime.MemStats

// allocations returns how many heap objects were allocated. It stops the world
// itself, so stops are counted in another run.
func allocations() uint64 {
	runtime.ReadMemStats(&memory)
	return memory.Mallocs
}
