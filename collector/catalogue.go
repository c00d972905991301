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

// entry is a gauge of the catalogue, what turns it on and how it is read.
type entry struct {
	Gauge
	group group
	value func(*snapshot) uint64
}

// snapshot is what one tick reads.
type snapshot struct {
	goroutines, cgoCalls uint64
	mem                  memStats
}

// catalogue holds the gauges in the order of go-runtime-metrics, which dashboards
// and packet captures are used to. The lists in the package comment are made
// from it.
var catalogue = []entry{
	{Gauge{"cpu.goroutines", Level, "", "existing goroutines: grows for ever if they leak", "runtime.NumGoroutine"}, cpu, func(s *snapshot) uint64 { return s.goroutines }},
	{Gauge{"cpu.cgo_calls", Cumulative, "", "calls from Go to C so far; on Windows, system calls too, which Go makes in the same way", "runtime.NumCgoCall"}, cpu, func(s *snapshot) uint64 { return s.cgoCalls }},

	// General
	{Gauge{"mem.alloc", Level, "bytes", "heap objects, live or not yet swept; same as mem.heap.alloc", "MemStats.Alloc"}, mem, func(s *snapshot) uint64 { return s.mem.Alloc }},
	{Gauge{"mem.total", Cumulative, "bytes", "heap bytes allocated so far, freed ones included: the rate is the pressure on the garbage collector", "MemStats.TotalAlloc"}, mem, func(s *snapshot) uint64 { return s.mem.TotalAlloc }},
	{Gauge{"mem.sys", Level, "bytes", "all address space obtained from the system", "MemStats.Sys"}, mem, func(s *snapshot) uint64 { return s.mem.Sys }},
	{Gauge{"mem.lookups", Cumulative, "", "always 0: the runtime no longer counts pointer lookups", "MemStats.Lookups"}, mem, func(s *snapshot) uint64 { return s.mem.Lookups }},
	{Gauge{"mem.malloc", Cumulative, "", "heap objects allocated so far", "MemStats.Mallocs"}, mem, func(s *snapshot) uint64 { return s.mem.Mallocs }},
	{Gauge{"mem.frees", Cumulative, "", "heap objects freed so far", "MemStats.Frees"}, mem, func(s *snapshot) uint64 { return s.mem.Frees }},

	// Heap
	{Gauge{"mem.heap.alloc", Level, "bytes", "heap objects, live or not yet swept", "MemStats.HeapAlloc"}, mem, func(s *snapshot) uint64 { return s.mem.HeapAlloc }},
	{Gauge{"mem.heap.sys", Level, "bytes", "heap address space: idle + inuse", "MemStats.HeapSys"}, mem, func(s *snapshot) uint64 { return s.mem.HeapSys }},
	{Gauge{"mem.heap.idle", Level, "bytes", "spans without objects, released or ready for reuse", "MemStats.HeapIdle"}, mem, func(s *snapshot) uint64 { return s.mem.HeapIdle }},
	{Gauge{"mem.heap.inuse", Level, "bytes", "spans with at least one object: far above alloc means fragmentation", "MemStats.HeapInuse"}, mem, func(s *snapshot) uint64 { return s.mem.HeapInuse }},
	{Gauge{"mem.heap.released", Level, "bytes", "idle spans given back to the system", "MemStats.HeapReleased"}, mem, func(s *snapshot) uint64 { return s.mem.HeapReleased }},
	{Gauge{"mem.heap.objects", Level, "", "heap objects, live or not yet swept", "MemStats.HeapObjects"}, mem, func(s *snapshot) uint64 { return s.mem.HeapObjects }},

	// Stack
	{Gauge{"mem.stack.inuse", Level, "bytes", "spans of goroutine stacks", "MemStats.StackInuse"}, mem, func(s *snapshot) uint64 { return s.mem.StackInuse }},
	{Gauge{"mem.stack.sys", Level, "bytes", "stacks, those of system threads included", "MemStats.StackSys"}, mem, func(s *snapshot) uint64 { return s.mem.StackSys }},
	{Gauge{"mem.stack.mspan_inuse", Level, "bytes", "span descriptors in use (not stack, despite the name)", "MemStats.MSpanInuse"}, mem, func(s *snapshot) uint64 { return s.mem.MSpanInuse }},
	{Gauge{"mem.stack.mspan_sys", Level, "bytes", "obtained for span descriptors", "MemStats.MSpanSys"}, mem, func(s *snapshot) uint64 { return s.mem.MSpanSys }},
	{Gauge{"mem.stack.mcache_inuse", Level, "bytes", "per-P allocation caches in use", "MemStats.MCacheInuse"}, mem, func(s *snapshot) uint64 { return s.mem.MCacheInuse }},
	{Gauge{"mem.stack.mcache_sys", Level, "bytes", "obtained for per-P allocation caches", "MemStats.MCacheSys"}, mem, func(s *snapshot) uint64 { return s.mem.MCacheSys }},

	{Gauge{"mem.othersys", Level, "bytes", "miscellaneous runtime allocations", "MemStats.OtherSys"}, mem, func(s *snapshot) uint64 { return s.mem.OtherSys }},

	// Garbage collection
	{Gauge{"mem.gc.sys", Level, "bytes", "garbage collection metadata", "MemStats.GCSys"}, gc, func(s *snapshot) uint64 { return s.mem.GCSys }},
	{Gauge{"mem.gc.next", Level, "bytes", "heap size at which the next cycle is to end; 0 if there is no limit", "MemStats.NextGC"}, gc, func(s *snapshot) uint64 { return s.mem.NextGC }},
	{Gauge{"mem.gc.last", Cumulative, "ns", "when the last cycle ended, since 1970; old means an idle heap", "MemStats.LastGC"}, gc, func(s *snapshot) uint64 { return s.mem.LastGC }},
	{Gauge{"mem.gc.pause_total", Cumulative, "ns", "stop-the-world of all cycles so far", "MemStats.PauseTotalNs"}, gc, func(s *snapshot) uint64 { return s.mem.PauseTotalNs }},
	{Gauge{"mem.gc.pause", Level, "ns", "stop-the-world of the last cycle, all its phases added", "MemStats.PauseNs"}, gc, func(s *snapshot) uint64 { return s.mem.lastPause() }},
	{Gauge{"mem.gc.count", Cumulative, "", "cycles completed so far", "MemStats.NumGC"}, gc, func(s *snapshot) uint64 { return uint64(s.mem.NumGC) }},
}
