// Package defaults lists what the pattern "default" of --metric-runtime stands
// for. It is a package of its own so that package collector, which collects it,
// and the tool that writes it into the documentation have one list without its
// being part of the API.
package defaults

// A Metric of package runtime/metrics, or one that package collector derives
// from two of them.
type Metric struct {
	Path string // its name without the unit
	Help string // what it means to the person on call
}

// Metrics are those of "default". What the running Go does not have is left out
// of what is collected.
var Metrics = []Metric{
	{"/sched/latencies", "how long runnable goroutines waited for a processor: the first sign of too little CPU"},
	{"/sched/pauses/total/gc", "every stop-the-world of the garbage collector: what a collection costs the requests under way"},
	{"/sched/pauses/total/other", "every other stop-the-world: a profiler, GOMAXPROCS changes, runtime.ReadMemStats"},
	{"/sched/gomaxprocs", "how many processors Go uses at once: compare it with the container's CPU quota"},
	{"/sched/goroutines/running", "goroutines running right now (Go 1.26)"},
	{"/sched/goroutines/runnable", "goroutines waiting for a processor right now (Go 1.26)"},
	{"/sched/goroutines/waiting", "goroutines waiting for I/O, a lock, a channel or a timer, leaked ones included (Go 1.26)"},
	{"/sched/goroutines/not-in-go", "goroutines in a system call or in C right now (Go 1.26)"},
	{"/sched/goroutines-created", "goroutines started so far: its rate is the churn (Go 1.26)"},
	{"/sched/threads/total", "threads of the process: grows with blocking system calls and calls to C (Go 1.26)"},
	{"/sync/mutex/wait/total", "time goroutines have spent waiting for a lock: its rate is how many wait at a time"},
	{"/cpu/classes/total", "available CPU time, of which the other classes are shares; moves when a collection ends"},
	{"/cpu/classes/idle", "CPU time that Go did not use: near 0 means saturated"},
	{"/cpu/classes/gc/total", "CPU time of garbage collection: its share is the price of allocating"},
	{"/cpu/classes/gc/mark/assist", "CPU time that allocating goroutines spent helping the collector: felt as latency"},
	{"/cpu/classes/gc/mark/idle", "CPU time of garbage collection on otherwise idle processors: subtract it from the total"},
	{"/cpu/classes/scavenge/assist", "CPU time that allocating goroutines spent returning memory: the memory limit is too near"},
	{"/gc/heap/live", "heap found in use by the last collection: something leaks if it grows for hours"},
	{"/gc/gomemlimit", "current GOMEMLIMIT; 0 if there is none"},
	{"/gc/limiter/last-enabled", "last collection that was cut short because collecting took half of the CPU; bad if it keeps rising under a memory limit, while a busy machine alone can cause one"},
	{"/gc/cycles/forced", "collections forced by runtime.GC: usually a mistake"},
	{"/gc/gogc", "current GOGC, percent; 0 if it is off"},
	{"/gc/finalizers/backlog", "finalizers that are due and have not run: if it grows, one blocks, and the others keep their memory (Go 1.26)"},
	{"/gc/cleanups/backlog", "cleanups of runtime.AddCleanup that are due and have not run (Go 1.26)"},
}
