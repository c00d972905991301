// Command cost measures a check for leaked goroutines beside a plain garbage
// collection, in a heap and with goroutines of a given number. It prints medians.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"time"
)

// node is what the heap is full of: small objects with pointers, as in trees, maps
// and decoded JSON.
type node struct {
	left, right *node
	_           [48]byte
}

var heap []*node

func main() {
	megabytes := flag.Int("heap", 1, "`megabytes` that are live")
	goroutines := flag.Int("goroutines", 10, "`number` of goroutines that wait")
	leaked := flag.Int("leaked", 0, "`number` of goroutines that leak")
	rounds := flag.Int("rounds", 11, "`number` of checks, and of collections")
	flag.Parse()
	debug.SetGCPercent(-1) // only ours are measured, and the heap grows to its size and no further
	const deep = 10
	for n := (*megabytes << 20 / 64) >> deep; n > 0; n-- {
		heap = append(heap, tree(deep))
	}
	end := make(chan int)
	for range *goroutines {
		go func() { <-end }()
	}
	for range *leaked {
		go func() { <-make(chan int) }()
	}
	for range 3 { // the first ones sweep, and stacks shrink
		runtime.GC()
		time.Sleep(50 * time.Millisecond)
	}
	profile := pprof.Lookup("goroutineleak")
	var checks, gcs []measured
	for range *rounds {
		gcs = append(gcs, measure(runtime.GC))
		checks = append(checks, measure(func() { profile.WriteTo(io.Discard, 1) }))
	}
	runtime.KeepAlive(heap)
	c, g := median(checks), median(gcs)
	fmt.Printf("| %d MB | %d | %d | %.1f | %.2f | %.0f | %.0f | %.2f | %.2f |\n", *megabytes, *goroutines, *leaked,
		ms(g.took), float64(c.took)/float64(g.took), g.stops, c.stops, ms(g.longest), ms(c.longest))
	if n := profile.Count(); n != *leaked {
		fmt.Println("found:", n)
	}
	close(end)
}

func tree(deep int) *node {
	if deep == 0 {
		return nil
	}
	return &node{left: tree(deep - 1), right: tree(deep - 1)}
}

type measured struct {
	took    time.Duration
	stops   float64       // of the world
	longest time.Duration // of them, to within the width of the histogram's buckets
}

func measure(f func()) measured {
	before := pauses()
	begun := time.Now()
	f()
	m := measured{took: time.Since(begun)}
	for bound, n := range pauses() {
		if n -= before[bound]; n > 0 {
			m.stops += float64(n)
			m.longest = max(m.longest, bound)
		}
	}
	return m
}

// pauses returns how many stop-the-worlds there were so far, by how long they
// lasted at most.
func pauses() map[time.Duration]uint64 {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(sample)
	all := map[time.Duration]uint64{}
	for _, s := range sample {
		h := s.Value.Float64Histogram()
		for i, n := range h.Counts {
			if bound := h.Buckets[i+1]; n > 0 && !math.IsInf(bound, 0) {
				all[time.Duration(bound*1e9)] += n
			}
		}
	}
	return all
}

func median(all []measured) measured {
	by := func(value func(measured) float64) float64 {
		values := make([]float64, len(all))
		for i, m := range all {
			values[i] = value(m)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return measured{
		took:    time.Duration(by(func(m measured) float64 { return float64(m.took) })),
		stops:   by(func(m measured) float64 { return m.stops }),
		longest: time.Duration(by(func(m measured) float64 { return float64(m.longest) })),
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
