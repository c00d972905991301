package collector

// Group is a set of gauges that is turned on and off as one.
type Group int

// The groups of the 27 gauges, each with the field of Collector that enables it.
const (
	CPU Group = iota // EnableCPU
	Mem              // EnableMem
	GC               // EnableMem and EnableGC
)

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

// Gauge describes one gauge.
type Gauge struct {
	Name   string // as handed to GaugeFunc, such as "mem.heap.alloc"
	Group  Group  // what turns it on
	Kind   Kind   // level or cumulative
	Unit   string // "bytes", "ns" (nanoseconds) or "" for a plain count
	Source string // where the value comes from
	Help   string // what it tells an operator

	value func(*snapshot) uint64
}

// Gauges returns the description of the 27 gauges, in the order in which
// Collect outputs them. The slice is the caller's.
func Gauges() []Gauge {
	return append([]Gauge(nil), catalogue...)
}

// snapshot is what one tick reads.
type snapshot struct {
	goroutines, cgoCalls uint64
	mem                  memStats
}

// catalogue holds the gauges in the order of the ancestor, which dashboards and
// packet captures are used to.
var catalogue = []Gauge{
	{"cpu.goroutines", CPU, Level, "", "runtime.NumGoroutine", "goroutines that exist; grows for ever when they leak", func(s *snapshot) uint64 { return s.goroutines }},
	{"cpu.cgo_calls", CPU, Cumulative, "", "runtime.NumCgoCall", "calls from Go to C so far", func(s *snapshot) uint64 { return s.cgoCalls }},

	// General
	{"mem.alloc", Mem, Level, "bytes", "MemStats.Alloc", "heap objects, live or not yet swept; same as mem.heap.alloc", func(s *snapshot) uint64 { return s.mem.Alloc }},
	{"mem.total", Mem, Cumulative, "bytes", "MemStats.TotalAlloc", "allocated so far, freed ones included; its rate is the pressure on the garbage collector", func(s *snapshot) uint64 { return s.mem.TotalAlloc }},
	{"mem.sys", Mem, Level, "bytes", "MemStats.Sys", "address space obtained from the system", func(s *snapshot) uint64 { return s.mem.Sys }},
	{"mem.lookups", Mem, Cumulative, "", "MemStats.Lookups", "always 0: the runtime no longer counts pointer lookups", func(s *snapshot) uint64 { return s.mem.Lookups }},
	{"mem.malloc", Mem, Cumulative, "", "MemStats.Mallocs", "heap objects allocated so far", func(s *snapshot) uint64 { return s.mem.Mallocs }},
	{"mem.frees", Mem, Cumulative, "", "MemStats.Frees", "heap objects freed so far", func(s *snapshot) uint64 { return s.mem.Frees }},

	// Heap
	{"mem.heap.alloc", Mem, Level, "bytes", "MemStats.HeapAlloc", "heap objects, live or not yet swept", func(s *snapshot) uint64 { return s.mem.HeapAlloc }},
	{"mem.heap.sys", Mem, Level, "bytes", "MemStats.HeapSys", "heap address space: idle + inuse", func(s *snapshot) uint64 { return s.mem.HeapSys }},
	{"mem.heap.idle", Mem, Level, "bytes", "MemStats.HeapIdle", "spans that hold no object; released or ready for reuse", func(s *snapshot) uint64 { return s.mem.HeapIdle }},
	{"mem.heap.inuse", Mem, Level, "bytes", "MemStats.HeapInuse", "spans that hold at least one object; far above alloc means fragmentation", func(s *snapshot) uint64 { return s.mem.HeapInuse }},
	{"mem.heap.released", Mem, Level, "bytes", "MemStats.HeapReleased", "idle spans given back to the system", func(s *snapshot) uint64 { return s.mem.HeapReleased }},
	{"mem.heap.objects", Mem, Level, "", "MemStats.HeapObjects", "heap objects, live or not yet swept", func(s *snapshot) uint64 { return s.mem.HeapObjects }},

	// Stack
	{"mem.stack.inuse", Mem, Level, "bytes", "MemStats.StackInuse", "spans of goroutine stacks", func(s *snapshot) uint64 { return s.mem.StackInuse }},
	{"mem.stack.sys", Mem, Level, "bytes", "MemStats.StackSys", "stacks, those of system threads included", func(s *snapshot) uint64 { return s.mem.StackSys }},
	{"mem.stack.mspan_inuse", Mem, Level, "bytes", "MemStats.MSpanInuse", "span descriptors in use", func(s *snapshot) uint64 { return s.mem.MSpanInuse }},
	{"mem.stack.mspan_sys", Mem, Level, "bytes", "MemStats.MSpanSys", "obtained for span descriptors", func(s *snapshot) uint64 { return s.mem.MSpanSys }},
	{"mem.stack.mcache_inuse", Mem, Level, "bytes", "MemStats.MCacheInuse", "per-P allocation caches in use", func(s *snapshot) uint64 { return s.mem.MCacheInuse }},
	{"mem.stack.mcache_sys", Mem, Level, "bytes", "MemStats.MCacheSys", "obtained for per-P allocation caches", func(s *snapshot) uint64 { return s.mem.MCacheSys }},

	{"mem.othersys", Mem, Level, "bytes", "MemStats.OtherSys", "miscellaneous runtime allocations", func(s *snapshot) uint64 { return s.mem.OtherSys }},

	// Garbage collection
	{"mem.gc.sys", GC, Level, "bytes", "MemStats.GCSys", "garbage collection metadata", func(s *snapshot) uint64 { return s.mem.GCSys }},
	{"mem.gc.next", GC, Level, "bytes", "MemStats.NextGC", "heap size at which the next cycle is to end; 0 if there is no limit", func(s *snapshot) uint64 { return s.mem.NextGC }},
	{"mem.gc.last", GC, Cumulative, "ns", "MemStats.LastGC", "when the last cycle ended, since 1970; old means an idle heap", func(s *snapshot) uint64 { return s.mem.LastGC }},
	{"mem.gc.pause_total", GC, Cumulative, "ns", "MemStats.PauseTotalNs", "stop-the-world of all cycles so far", func(s *snapshot) uint64 { return s.mem.PauseTotalNs }},
	{"mem.gc.pause", GC, Level, "ns", "MemStats.PauseNs", "stop-the-world of the last cycle, all its phases added", func(s *snapshot) uint64 { return s.mem.lastPause() }},
	{"mem.gc.count", GC, Cumulative, "", "MemStats.NumGC", "cycles completed so far", func(s *snapshot) uint64 { return uint64(s.mem.NumGC) }},
}
