// Package collector reads the Go runtime's statistics of the running program and
// passes them to a function, one gauge at a time. It knows what is measured and
// what each gauge is called. It knows nothing of StatsD, registers no flag and
// starts no goroutine, so a program with its own configuration and its own metrics
// client can use it alone:
//
//	c := collector.New(func(key string, val uint64) { client.Gauge(key, int64(val)) })
//	go c.Run()
//
// The API is source-compatible with that of
// github.com/bmhatfield/go-runtime-metrics/collector.
//
// # Gauges
//
// There are 27, published in this order. Those marked + only grow while the process
// lives, so graph their derivative; the others are levels, which go up and down. A
// gauge without a unit is a plain count.
//
// CPU (EnableCPU):
//
//	cpu.goroutines                   existing goroutines: grows for ever if they leak
//	cpu.cgo_calls           +        calls from Go to C so far; on Windows, system calls too, which Go makes in the same way
//
// Memory (EnableMem):
//
//	mem.alloc                 bytes  heap objects, live or not yet swept; same as mem.heap.alloc
//	mem.total               + bytes  heap bytes allocated so far, freed ones included: the rate is the pressure on the garbage collector
//	mem.sys                   bytes  all address space obtained from the system
//	mem.lookups             +        always 0: the runtime no longer counts pointer lookups
//	mem.malloc              +        heap objects allocated so far
//	mem.frees               +        heap objects freed so far
//	mem.heap.alloc            bytes  heap objects, live or not yet swept
//	mem.heap.sys              bytes  heap address space: idle + inuse
//	mem.heap.idle             bytes  spans without objects, released or ready for reuse
//	mem.heap.inuse            bytes  spans with at least one object: far above alloc means fragmentation
//	mem.heap.released         bytes  idle spans given back to the system
//	mem.heap.objects                 heap objects, live or not yet swept
//	mem.stack.inuse           bytes  spans of goroutine stacks
//	mem.stack.sys             bytes  stacks, those of system threads included
//	mem.stack.mspan_inuse     bytes  span descriptors in use (not stack, despite the name)
//	mem.stack.mspan_sys       bytes  obtained for span descriptors
//	mem.stack.mcache_inuse    bytes  per-P allocation caches in use
//	mem.stack.mcache_sys      bytes  obtained for per-P allocation caches
//	mem.othersys              bytes  miscellaneous runtime allocations
//
// Garbage collection (EnableMem and EnableGC):
//
//	mem.gc.sys                bytes  garbage collection metadata
//	mem.gc.next               bytes  heap size at which the next cycle is to end; 0 if there is no limit
//	mem.gc.last             + ns     when the last cycle ended, since 1970; old means an idle heap
//	mem.gc.pause_total      + ns     stop-the-world of all cycles so far
//	mem.gc.pause              ns     stop-the-world of the last cycle, all its phases added
//	mem.gc.count            +        cycles completed so far
//
// # Further gauges
//
// [Collector.Runtime] adds any metric of package runtime/metrics. Its gauge's name
// is derived from the metric's: /gc/heap/live:bytes becomes
// runtime.gc.heap.live.bytes. The unit is part of the name unless it is a plain
// count; seconds and cpu-seconds become nanoseconds, as in
// runtime.sync.mutex.wait.total.ns. A histogram such as /sched/latencies:seconds
// becomes
//
//	runtime.sched.latencies.ns.p99        99 of 100 events since the last tick took at most this long
//	runtime.sched.latencies.ns.upper      no event since the last tick took longer
//	runtime.sched.latencies.events     +  events so far
//	runtime.sched.latencies.over_10ms  +  those of them that took longer than 10 ms or so; of times only
//
// The first two are 0 when nothing happened, and exact to the width of a bucket.
// The last two lose nothing, however rarely they are read. "Or so" is the
// first edge of a bucket at or above 10 ms.
//
// The pattern "default" stands for these, so far as the running Go has them:
//
//	/sched/latencies              how long runnable goroutines waited for a processor: the first sign of too little CPU
//	/sched/pauses/total/gc        every stop-the-world of the garbage collector: what a collection costs the requests under way
//	/sched/pauses/total/other     every other stop-the-world: a profiler, GOMAXPROCS changes, runtime.ReadMemStats
//	/sched/gomaxprocs             how many processors Go uses at once: compare it with the container's CPU quota
//	/sched/goroutines/running     goroutines running right now (Go 1.26)
//	/sched/goroutines/runnable    goroutines waiting for a processor right now (Go 1.26)
//	/sched/goroutines/waiting     goroutines waiting for I/O, a lock, a channel or a timer, leaked ones included (Go 1.26)
//	/sched/goroutines/not-in-go   goroutines in a system call or in C right now (Go 1.26)
//	/sched/goroutines-created     goroutines started so far: its rate is the churn (Go 1.26)
//	/sched/threads/total          threads of the process: grows with blocking system calls and calls to C (Go 1.26)
//	/sync/mutex/wait/total        time goroutines have spent waiting for a lock: its rate is how many wait at a time
//	/cpu/classes/total            available CPU time, of which the other classes are shares; moves when a collection ends
//	/cpu/classes/idle             CPU time that Go did not use: near 0 means saturated
//	/cpu/classes/gc/total         CPU time of garbage collection: its share is the price of allocating
//	/cpu/classes/gc/mark/assist   CPU time that allocating goroutines spent helping the collector: felt as latency
//	/cpu/classes/gc/mark/idle     CPU time of garbage collection on otherwise idle processors: subtract it from the total
//	/cpu/classes/scavenge/assist  CPU time that allocating goroutines spent returning memory: the memory limit is too near
//	/gc/heap/live                 heap found in use by the last collection: something leaks if it grows for hours
//	/gc/gomemlimit                current GOMEMLIMIT; 0 if there is none
//	/gc/limiter/last-enabled      last collection that was cut short because collecting took half of the CPU; bad if it keeps rising under a memory limit, while a busy machine alone can cause one
//	/gc/cycles/forced             collections forced by runtime.GC: usually a mistake
//	/gc/gogc                      current GOGC, percent; 0 if it is off
//	/gc/finalizers/backlog        finalizers that are due and have not run: if it grows, one blocks, and the others keep their memory (Go 1.26)
//	/gc/cleanups/backlog          cleanups of runtime.AddCleanup that are due and have not run (Go 1.26)
//
// The runtime has no metric for the last two. Each is what it has queued less what
// it has executed.
//
// # Accuracy
//
// Unless [Collector.Exact] is set, the world is never stopped. In exchange, alloc,
// total, malloc, frees, heap.alloc and heap.objects (and gc.next, where a memory
// limit decides it) lag: they are low by what each P has allocated from its cache
// since the cache was last flushed. Every garbage collection flushes it. See [Collector.Exact].
package collector

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// DefaultPause is the time between two ticks unless PauseDur says otherwise.
const DefaultPause = 10 * time.Second

// GaugeFunc sets the gauge named key, whose parts are separated by dots as in
// "mem.heap.alloc", to val. It is called from the goroutine that collects.
type GaugeFunc func(key string, val uint64)

// Collector reads the runtime's statistics and outputs them to a GaugeFunc,
// either every PauseDur (Run) or on demand (Collect). Make one with New. Its
// fields may be changed until it is first used; it may be used by one
// goroutine at a time.
type Collector struct {
	// PauseDur is the time between two ticks of Run. What is not positive
	// means DefaultPause. New sets it to DefaultPause.
	PauseDur time.Duration

	// EnableCPU turns the gauges cpu.* on. New sets it.
	EnableCPU bool

	// EnableMem turns the gauges mem.* on. New sets it.
	EnableMem bool

	// EnableGC turns the gauges mem.gc.* on; it needs EnableMem too. New sets it.
	EnableGC bool

	// Exact reads memory by runtime.ReadMemStats, which stops the world once a
	// tick. Without it, the six figures of heap objects and allocations lag by
	// what sits in the allocation caches of the Ps. Off by default.
	Exact bool

	// Runtime are patterns of further metrics, of package runtime/metrics, to be
	// output: names such as "/gc/heap/live:bytes" or without the unit, in which
	// '*' stands for any text, or the words "default" (listed there too)
	// and "all" (all but /godebug). They are named as in "Further gauges" of the
	// package documentation. A pattern that matches nothing is no error; see
	// ParsePatterns and Unmatched. None by default.
	Runtime []string

	// Done ends Run when it is closed: Run sets all gauges to 0 and returns.
	// With a nil Done, Run never returns.
	Done <-chan struct{}

	gaugeFunc GaugeFunc
	snapshot  snapshot

	// What a tick reads of package runtime/metrics, in one call: those of
	// memSampleNames, then what further has beside them.
	samples []metrics.Sample
	further []runtimeMetric
}

// New returns a Collector that outputs all groups to gaugeFunc, every
// DefaultPause if it is started by Run.
func New(gaugeFunc GaugeFunc) *Collector {
	return &Collector{
		PauseDur:  DefaultPause,
		EnableCPU: true,
		EnableMem: true,
		EnableGC:  true,
		gaugeFunc: gaugeFunc,
	}
}

// Run collects at once and then every PauseDur, until Done is closed; then it
// sets all gauges to 0, so that no stale value stays behind, and returns.
func (c *Collector) Run() {
	defer c.zero(true)
	c.Collect()

	pause := c.PauseDur
	if pause <= 0 {
		pause = DefaultPause
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-c.Done:
			return
		case <-tick.C:
			c.Collect()
		}
	}
}

// Collect reads the statistics of the enabled groups once and outputs them, in
// the order in which the package documentation lists them. It allocates
// nothing after the first call.
func (c *Collector) Collect() {
	if c.EnableCPU {
		c.snapshot.goroutines = uint64(runtime.NumGoroutine())
		c.snapshot.cgoCalls = uint64(runtime.NumCgoCall())
	}
	c.read()
	for i, value := range c.snapshot.values() {
		if g := &catalogue[i]; c.enabled(g.group) {
			c.gaugeFunc(g.Name, sane(value))
		}
	}
	for i := range c.further {
		c.further[i].output(c.samples, c.gaugeFunc)
	}
}

// prepare finds what Runtime selects, when c is used for the first time.
func (c *Collector) prepare() {
	if c.samples == nil {
		c.further, c.samples = selectMetrics(c.Runtime, newMemSamples())
	}
}

// read reads the metrics and the statistics of memory.
func (c *Collector) read() {
	c.prepare()
	if c.EnableMem && !c.Exact || len(c.further) > 0 {
		metrics.Read(c.samples)
	}
	if c.EnableMem && c.Exact {
		runtime.ReadMemStats(&c.snapshot.mem.MemStats)
	} else if c.EnableMem {
		c.snapshot.mem.fill(c.samples)
	}
}

// ZeroLevels outputs 0 for each level of the enabled groups and of Runtime, whether
// or not Collect was called before: for a program that ends and whose metrics server
// would go on repeating the last value. It leaves cumulative gauges alone, since a 0
// between two large values shows as a spike in every derivative.
func (c *Collector) ZeroLevels() {
	c.zero(false)
}

// zero outputs 0 for the levels, and with all set for cumulative gauges too.
func (c *Collector) zero(all bool) {
	c.prepare()
	for i := range catalogue {
		if g := &catalogue[i]; c.enabled(g.group) && (all || g.Kind == Level) {
			c.gaugeFunc(g.Name, 0)
		}
	}
	for i := range c.further {
		c.further[i].zero(all, c.gaugeFunc)
	}
}

func (c *Collector) enabled(g group) bool {
	switch g {
	case cpu:
		return c.EnableCPU
	case mem:
		return c.EnableMem
	default:
		return c.EnableMem && c.EnableGC
	}
}

// sane returns v, or 0 where v stands for "no limit" or for a difference that
// went below zero in the runtime. Both are 2^62 and above: NextGC with GOGC=off
// is about 8.9e18. No real figure comes near: the largest, nanoseconds since
// 1970, stay below 2^61 until the year 2043 and below 2^62 until 2116.
func sane(v uint64) uint64 {
	if v >= 1<<62 {
		return 0
	}
	return v
}
