package main

// A panel is one graph of all dashboards.
type panel struct {
	title   string
	help    string // one line: what it tells, and what is wrong
	unit    unit
	right   unit // of the targets that have the right-hand axis, if there are any
	targets []target

	// From warn and from bad on, the Grafana panel is marked; 0 is not.
	warn, bad float64
	width     int // of Grafana's 24 columns
}

// A target is one query.
type target struct {
	label string // what the legend says beside the service
	query query
	style style
}

type style int

const (
	line  style = iota
	area        // stacked on the areas before it
	limit       // dashed: what the others must stay below
	right       // against the right-hand axis
	event       // a vertical line wherever it is not 0
)

// A unit is how Graphite and Grafana write the numbers of an axis.
type unit struct {
	label   string // of the axis
	grafana string // an identifier of Grafana
	system  string // Graphite's yUnitSystem: si counts by 1000, binary by 1024
}

var (
	count   = unit{"", "short", "si"}
	cores   = unit{"cores", "short", "si"}
	hours   = unit{"hours", "h", "none"}
	ms      = unit{"ms", "ms", "si"}
	inBytes = unit{"bytes", "bytes", "binary"}
	bytesPS = unit{"bytes/s", "binBps", "binary"}
	objects = unit{"objects/s", "short", "si"}
	percent = unit{"%", "percent", "none"}
	perMin  = unit{"a minute", "short", "si"}
)

// panels are in the order in which they stand: those that everybody knows from
// the articles, then what the person on call asks, one after the other.
var panels = []panel{
	{
		title: "GC pause", unit: ms, width: 6,
		help:    "Stop-the-world of the last garbage collection, all its phases added. Above 1 ms means a machine short of CPU.",
		targets: []target{{"", millis("mem.gc.pause"), line}},
	},
	{
		title: "Goroutines", unit: count, width: 6,
		help:    "Goroutines that exist. A line that climbs and never comes down is a leak.",
		targets: []target{{"", value("cpu.goroutines"), line}},
	},
	{
		title: "GC count", unit: count, width: 6,
		help:    "Garbage collections since the process started. A fall to 0 is a restart.",
		targets: []target{{"", value("mem.gc.count"), line}},
	},
	{
		title: "Allocations", unit: objects, width: 6,
		help: "Heap objects allocated and freed a second. If the first stays above the second, the heap grows.",
		targets: []target{
			{"allocated", perSecond("mem.malloc"), line},
			{"freed", perSecond("mem.frees"), line},
		},
	},
	{
		title: "Alive", unit: perMin,
		help: "Ticks a minute: 6 at the default pause. If the line ends or is 0, the process is gone or hangs. Lost ticks reached no server.",
		targets: []target{
			{"ticks", perMinute("runtimemetrics.ticks"), line},
			{"lost", perMinute("runtimemetrics.lost"), line},
		},
	},
	{
		title: "Uptime and restarts", unit: hours,
		help: "Uptime in hours: a saw-tooth is a crash loop, a vertical line a process that started.",
		targets: []target{
			{"up", scaled(value("proc.uptime.seconds"), "0.00027777778", "/ 3600"), line},
			{"start", starts, event},
		},
	},
	{
		title: "CPU", unit: cores,
		help: "Cores used by the program and by the kernel on its behalf. At the quota the container is throttled; at GOMAXPROCS Go can use no more.",
		targets: []target{
			{"user", seconds("proc.cpu.user.ns"), area},
			{"system", seconds("proc.cpu.sys.ns"), area},
			{"quota", set(scaled(value("cgroup.cpu.quota_millicores"), "0.001", "/ 1000")), limit},
			{"GOMAXPROCS", value("runtime.sched.gomaxprocs"), limit},
		},
	},
	{
		title: "Throttling and pressure", unit: percent, warn: 5, bad: 25,
		help: "Periods in which the CPU quota ran out and requests stood still; time in which some thread, or all, waited for CPU, memory or disk.",
		targets: []target{
			{"throttled", share(growth("cgroup.cpu.throttled_periods"), growth("cgroup.cpu.periods")), line},
			{"CPU", pressure("cpu", "some"), line},
			{"memory", pressure("memory", "some"), line},
			{"disk", pressure("io", "some"), line},
			{"memory, all", pressure("memory", "full"), line},
			{"disk, all", pressure("io", "full"), line},
		},
	},
	{
		title: "Scheduler latency", unit: ms, warn: 10, bad: 100,
		help: "How long runnable goroutines waited for a processor: 99 of 100 at most this long, and the longest wait. The first sign of too little CPU.",
		targets: []target{
			{"p99", millis("runtime.sched.latencies.ns.p99"), line},
			{"upper", millis("runtime.sched.latencies.ns.upper"), line},
		},
	},
	{
		title: "Goroutines: the five highest of all", unit: count,
		help: "The services with the most goroutines, whatever is chosen above.",
		targets: []target{
			{"", highest("cpu.goroutines"), line},
			{"chosen:", value("cpu.goroutines"), limit},
		},
	},
	{
		title: "Memory and its limits", unit: inBytes,
		help: "At the container's limit the kernel kills; near GOMEMLIMIT, Go spends its CPU on collecting. Working set is what the kernel counts.",
		targets: []target{
			{"working set", value("cgroup.memory.working_set.bytes"), line},
			{"RSS", value("proc.rss.bytes"), line},
			{"container limit", set(value("cgroup.memory.limit.bytes")), limit},
			{"memory.high", set(value("cgroup.memory.high.bytes")), limit},
			{"GOMEMLIMIT", set(value("runtime.gc.gomemlimit.bytes")), limit},
		},
	},
	{
		title: "Tightest limits", unit: percent, warn: 90, bad: 95,
		help: "Use of the tightest limit, at whichever level of groups, siblings included: memory without page cache, and threads.",
		targets: []target{
			{"memory", share(value("cgroup.memory.tightest.used.bytes"), value("cgroup.memory.tightest.limit.bytes")), line},
			{"threads", share(value("cgroup.pids.tightest.used"), value("cgroup.pids.tightest.limit")), line},
		},
	},
	{
		title: "OOM kills and memory.high", unit: perMin,
		help: "Processes killed because memory ran out, and how often the kernel slowed the service down at memory.high. Both should stay at 0.",
		targets: []target{
			{"OOM kills", perMinute("cgroup.memory.oom_kills"), line},
			{"memory.high", perMinute("cgroup.memory.high_events"), line},
		},
	},
	{
		title: "Live heap", unit: inBytes,
		help: "Heap found in use by the last collection, the heap now, and the size at which the next collection ends. Live heap that grows for hours is a leak.",
		targets: []target{
			{"live", value("runtime.gc.heap.live.bytes"), line},
			{"heap", value("mem.heap.alloc"), line},
			{"next GC", set(value("mem.gc.next")), limit},
		},
	},
	{
		title: "Allocation rate", unit: bytesPS,
		help:    "Bytes of heap allocated a second: what drives the garbage collector.",
		targets: []target{{"", perSecond("mem.total"), line}},
	},
	{
		title: "GC's share of CPU, over 10 minutes", unit: percent, warn: 10, bad: 25,
		help: "CPU share of garbage collection, without marking on idle processors, and of allocating goroutines that must help: felt as latency.",
		targets: []target{
			{"GC", ofCPU("runtime.cpu.classes.gc.total.ns", "runtime.cpu.classes.gc.mark.idle.ns"), line},
			{"assist", ofCPU("runtime.cpu.classes.gc.mark.assist.ns"), line},
		},
	},
	{
		title: "Garbage collections", unit: perMin, right: ms,
		help: "Collections a minute, and the longest stop-the-world. If there are many a minute, raise GOGC or GOMEMLIMIT, or allocate less.",
		targets: []target{
			{"GCs", perMinute("mem.gc.count"), line},
			{"longest pause", millis("runtime.sched.pauses.total.gc.ns.upper"), right},
		},
	},
	{
		title: "Descriptors", unit: percent, warn: 70, bad: 90,
		help:    "Open files, sockets and pipes, as a share of the limit. At 100 % open and accept fail.",
		targets: []target{{"", share(value("proc.fds"), value("proc.fds_limit")), line}},
	},
	{
		title: "Threads", unit: count,
		help: "Threads of the process, and of its container. At the limit none can start, and a Go program that needs one ends.",
		targets: []target{
			{"process", value("proc.threads"), line},
			{"container", value("cgroup.pids"), line},
			{"limit", set(value("cgroup.pids_limit")), limit},
		},
	},
	{
		title: "Leaked goroutines", unit: count,
		help:    "Goroutines that Go has proven can never run again, as of the last check: 0 in a healthy service. Needs package leaks and its interval.",
		targets: []target{{"", value("leaks.goroutines"), line}},
	},
	{
		title: "Lock waiters", unit: count,
		help:    "Goroutines that wait for a mutex, on average: seconds waited a second.",
		targets: []target{{"", seconds("runtime.sync.mutex.wait.total.ns"), line}},
	},
	{
		title: "Heap by state", unit: inBytes,
		help: "Objects; room between them (fragmentation); kept for reuse; given back to the system, which still counts as address space.",
		targets: []target{
			{"objects", value("mem.heap.alloc"), area},
			{"between", less("mem.heap.inuse", "mem.heap.alloc"), area},
			{"kept", less("mem.heap.idle", "mem.heap.released"), area},
			{"released", value("mem.heap.released"), area},
		},
	},
}
