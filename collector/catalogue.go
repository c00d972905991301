package collector

// Kind tells how the values of a gauge follow each other.
type Kind int

const (
	// Level is a gauge that goes up and down.
	Level Kind = iota
	// Cumulative is a gauge that only grows while the process lives.
	Cumulative
)

// String returns "level" or "cumulative".
func (k Kind) String() string {
	if k == Cumulative {
		return "cumulative"
	}
	return "level"
}

// Gauge describes one gauge, be it of this package, of package process or of
// package leaks.
type Gauge struct {
	Name   string // as it is sent, below the prefix, such as "mem.heap.alloc"
	Kind   Kind   // level or cumulative
	Unit   string // "bytes", "ns" (nanoseconds), "seconds", "millicores" (1000 are one core), or "" for a plain count
	Help   string // what it means to an operator
	Source string // where the value comes from
}

// Gauges returns the description of the 27 gauges, in the order in which
// Collect outputs them. The slice is the caller's.
func Gauges() []Gauge {
	gauges := make([]Gauge, len(catalogue))
	for i := range catalogue {
		gauges[i] = catalogue[i].Gauge
	}
	return gauges
}

// group is a set of gauges that is turned on and off as one.
type group int

const (
	cpu group = iota // EnableCPU
	mem              // EnableMem
	gc               // EnableMem and EnableGC
)

// entry is a gauge of the catalogue and what turns it on.
type entry struct {
	Gauge
	group group
}

// snapshot is what one tick reads.
type snapshot struct {
	goroutines, cgoCalls uint64
	mem                  memStats
}

// catalogue holds the gauges in the order of go-runtime-metrics, which dashboards
// and packet captures are used to. The lists in the package comment are made
// from it.
var catalogue = [...]entry{
	{Gauge{"cpu.goroutines", Level, "", "existing goroutines: grows for ever if they leak", "runtime.NumGoroutine"}, cpu},
	{Gauge{"cpu.cgo_calls", Cumulative, "", "calls from Go to C so far; on Windows, system calls too, which Go makes in the same way", "runtime.NumCgoCall"}, cpu},

	// General
	{Gauge{"mem.alloc", Level, "bytes", "heap objects, live or not yet swept; same as mem.heap.alloc", "MemStats.Alloc"}, mem},
	{Gauge{"mem.total", Cumulative, "bytes", "heap bytes allocated so far, freed ones included: the rate is the pressure on the garbage collector", "MemStats.TotalAlloc"}, mem},
	{Gauge{"mem.sys", Level, "bytes", "all address space obtained from the system", "MemStats.Sys"}, mem},
	{Gauge{"mem.lookups", Cumulative, "", "always 0: the runtime no longer counts pointer lookups", "MemStats.Lookups"}, mem},
	{Gauge{"mem.malloc", Cumulative, "", "heap objects allocated so far", "MemStats.Mallocs"}, mem},
	{Gauge{"mem.frees", Cumulative, "", "heap objects freed so far", "MemStats.Frees"}, mem},

	// Heap
	{Gauge{"mem.heap.alloc", Level, "bytes", "heap objects, live or not yet swept", "MemStats.HeapAlloc"}, mem},
	{Gauge{"mem.heap.sys", Level, "bytes", "heap address space: idle + inuse", "MemStats.HeapSys"}, mem},
	{Gauge{"mem.heap.idle", Level, "bytes", "spans without objects, released or ready for reuse", "MemStats.HeapIdle"}, mem},
	{Gauge{"mem.heap.inuse", Level, "bytes", "spans with at least one object: far above alloc means fragmentation", "MemStats.HeapInuse"}, mem},
	{Gauge{"mem.heap.released", Level, "bytes", "idle spans given back to the system", "MemStats.HeapReleased"}, mem},
	{Gauge{"mem.heap.objects", Level, "", "heap objects, live or not yet swept", "MemStats.HeapObjects"}, mem},

	// Stack
	{Gauge{"mem.stack.inuse", Level, "bytes", "spans of goroutine stacks", "MemStats.StackInuse"}, mem},
	{Gauge{"mem.stack.sys", Level, "bytes", "stacks, those of system threads included", "MemStats.StackSys"}, mem},
	{Gauge{"mem.stack.mspan_inuse", Level, "bytes", "span descriptors in use (not stack, despite the name)", "MemStats.MSpanInuse"}, mem},
	{Gauge{"mem.stack.mspan_sys", Level, "bytes", "obtained for span descriptors", "MemStats.MSpanSys"}, mem},
	{Gauge{"mem.stack.mcache_inuse", Level, "bytes", "per-P allocation caches in use", "MemStats.MCacheInuse"}, mem},
	{Gauge{"mem.stack.mcache_sys", Level, "bytes", "obtained for per-P allocation caches", "MemStats.MCacheSys"}, mem},

	{Gauge{"mem.othersys", Level, "bytes", "miscellaneous runtime allocations", "MemStats.OtherSys"}, mem},

	// Garbage collection
	{Gauge{"mem.gc.sys", Level, "bytes", "garbage collection metadata", "MemStats.GCSys"}, gc},
	{Gauge{"mem.gc.next", Level, "bytes", "heap size at which the next cycle is to end; 0 if there is no limit", "MemStats.NextGC"}, gc},
	{Gauge{"mem.gc.last", Cumulative, "ns", "when the last cycle ended, since 1970; old means an idle heap", "MemStats.LastGC"}, gc},
	{Gauge{"mem.gc.pause_total", Cumulative, "ns", "stop-the-world of all cycles so far", "MemStats.PauseTotalNs"}, gc},
	{Gauge{"mem.gc.pause", Level, "ns", "stop-the-world of the last cycle, all its phases added", "MemStats.PauseNs"}, gc},
	{Gauge{"mem.gc.count", Cumulative, "", "cycles completed so far", "MemStats.NumGC"}, gc},
}

// values returns what was read for each gauge of the catalogue, in its order.
func (s *snapshot) values() [len(catalogue)]uint64 {
	m := &s.mem
	return [...]uint64{
		s.goroutines, s.cgoCalls,
		m.Alloc, m.TotalAlloc, m.Sys, m.Lookups, m.Mallocs, m.Frees,
		m.HeapAlloc, m.HeapSys, m.HeapIdle, m.HeapInuse, m.HeapReleased, m.HeapObjects,
		m.StackInuse, m.StackSys, m.MSpanInuse, m.MSpanSys, m.MCacheInuse, m.MCacheSys,
		m.OtherSys,
		m.GCSys, m.NextGC, m.LastGC, m.PauseTotalNs, m.lastPause(), uint64(m.NumGC),
	}
}
