// Package defaults lists what the pattern "default" of --metric-runtime stands
// for. It is a package of its own so that package collector, which collects it,
// and the tool that writes it into the documentation have one list without its
// being part of the API.
package defaults

// A Metric of package runtime/metrics, or one that package collector derives
// from two of them.
type Metric struct {
	Path string // its name without the unit
	Help string // what it tells the person on call
}

// Metrics are those of "default". What the running Go does not have is left out
// of what is collected.
var Metrics = []Metric{
	{"/sched/latencies", "how long goroutines that could run waited for a processor: the first sign of too little CPU"},
	{"/sched/pauses/total/gc", "every stop-the-world of the garbage collector: what its cycles cost each request"},
	{"/sched/pauses/total/other", "every other stop-the-world: a profiler, GOMAXPROCS changes, runtime.ReadMemStats"},
	{"/sched/gomaxprocs", "how many processors Go uses at once; compare it with the container's CPU quota"},
	{"/sched/goroutines/running", "goroutines that run right now (Go 1.26)"},
	{"/sched/goroutines/runnable", "goroutines that wait for a processor right now (Go 1.26)"},
	{"/sched/goroutines/waiting", "goroutines that wait for I/O, a lock, a channel, a timer: where the leaked ones are (Go 1.26)"},
	{"/sched/goroutines/not-in-go", "goroutines in a system call or in C right now (Go 1.26)"},
	{"/sched/goroutines-created", "goroutines started so far: its rate is the churn (Go 1.26)"},
	{"/sched/threads/total", "threads of the process: grows with blocking system calls and calls to C (Go 1.26)"},
	{"/sync/mutex/wait/total", "time goroutines have spent waiting for a lock: its rate is how many wait at a time"},
	{"/cpu/classes/total", "CPU time there was to use: what the other classes are a share of; moves at a cycle's end"},
	{"/cpu/classes/idle", "CPU time that Go did not use: near 0 means saturated"},
	{"/cpu/classes/gc/total", "CPU time of garbage collection: its share is the price of allocating"},
	{"/cpu/classes/gc/mark/assist", "CPU time that allocating goroutines had to help: felt as latency"},
	{"/cpu/classes/gc/mark/idle", "CPU time of garbage collection that nothing else wanted: subtract it from the total"},
	{"/cpu/classes/scavenge/assist", "CPU time of allocating goroutines giving memory back: a memory limit is too near"},
	{"/gc/heap/live", "heap that the last cycle found in use: where it grows for hours, something leaks"},
	{"/gc/gomemlimit", "the limit of GOMEMLIMIT; 0 if there is none"},
	{"/gc/limiter/last-enabled", "cycle in which garbage collection was last cut short for taking half the CPU; not 0 is bad"},
	{"/gc/cycles/forced", "cycles that the program asked for by runtime.GC: somebody's mistake, as a rule"},
	{"/gc/gogc", "GOGC in force, percent; 0 if it is off"},
	{"/gc/finalizers/backlog", "finalizers that are due and have not run: where it grows, one blocks and the others keep their memory (Go 1.26)"},
	{"/gc/cleanups/backlog", "the same for cleanups of runtime.AddCleanup (Go 1.26)"},
}
