package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A panel is one graph of both dashboards.
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

// A target is one query. In expr, P stands for the path of a service: the root
// of StatsD's gauges and the service's prefix.
type target struct {
	label string // what the legend says beside the service's prefix
	expr  string
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

// A unit is how each of the two writes the numbers of an axis.
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

// perMinute and the like are the arithmetic that most targets share. What only
// grows is read by perSecond: it fits each archive, and leaves a restart out.

func perMinute(gauge string) string { return "scale(perSecond(P." + gauge + "),60)" }

// seconds is the rate of a time in nanoseconds: how many at a time.
func seconds(gauge string) string { return "scale(perSecond(P." + gauge + "),0.000000001)" }

// peak survives the consolidation of many points into one pixel, which
// otherwise averages.
func peak(expr string) string { return "consolidateBy(" + expr + ",'max')" }

// millis makes milliseconds of a time in nanoseconds.
func millis(gauge string) string { return peak("scale(P." + gauge + ",0.000001)") }

// set leaves a limit of 0 out, which says that there is none.
func set(expr string) string { return "removeEmptySeries(removeBelowValue(" + expr + ",0.001))" }

// overTenMinutes is how much a gauge grew in the last ten minutes.
func overTenMinutes(expr string) string {
	return "movingSum(nonNegativeDerivative(" + expr + "),'10min')"
}

func share(part, whole string) string { return "asPercent(" + part + "," + whole + ")" }

// less subtracts service by service. The lists are paired by position.
func less(a, b string) string {
	return "diffSeriesLists(sortByName(P." + a + "),sortByName(P." + b + "))"
}

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
		targets: []target{{"", "P.cpu.goroutines", line}},
	},
	{
		title: "GC count", unit: count, width: 6,
		help:    "Garbage collections since the process started. A fall to 0 is a restart.",
		targets: []target{{"", "P.mem.gc.count", line}},
	},
	{
		title: "Allocations", unit: objects, width: 6,
		help: "Heap objects allocated and freed a second. Where the first stays above the second, the heap grows.",
		targets: []target{
			{"allocated", "perSecond(P.mem.malloc)", line},
			{"freed", "perSecond(P.mem.frees)", line},
		},
	},
	{
		title: "Alive", unit: perMin,
		help: "Ticks a minute: 6 at the default pause. Where it ends or is 0, the process is gone or hangs. Lost ones reached no server.",
		targets: []target{
			{"ticks", perMinute("runtimemetrics.ticks"), line},
			{"lost", perMinute("runtimemetrics.lost"), line},
		},
	},
	{
		title: "Uptime and restarts", unit: hours,
		help: "Uptime in hours: a saw-tooth is a crash loop. A vertical line is a process that started.",
		targets: []target{
			{"up", "scale(P.proc.uptime.seconds,0.00027777778)", line},
			{"start", restarts, event},
		},
	},
	{
		title: "CPU", unit: cores,
		help: "Cores in use, by the program and by the kernel for it. At the quota the container is throttled, at GOMAXPROCS Go has no more.",
		targets: []target{
			{"user", seconds("proc.cpu.user.ns"), area},
			{"system", seconds("proc.cpu.sys.ns"), area},
			{"quota", set("scale(P.cgroup.cpu.quota_millicores,0.001)"), limit},
			{"GOMAXPROCS", "P.runtime.sched.gomaxprocs", limit},
		},
	},
	{
		title: "Throttling and pressure", unit: percent, warn: 5, bad: 25,
		help: "Periods in which the CPU quota ran out and requests stood still; time in which some thread waited for CPU, memory or disk.",
		targets: []target{
			{"throttled", share("nonNegativeDerivative(P.cgroup.cpu.throttled_periods)", "nonNegativeDerivative(P.cgroup.cpu.periods)"), line},
			{"CPU", pressure("cpu"), line},
			{"memory", pressure("memory"), line},
			{"disk", pressure("io"), line},
		},
	},
	{
		title: "Scheduler latency", unit: ms, warn: 10, bad: 100,
		help: "How long goroutines that could run waited for a processor: 99 of 100, and the longest. The first sign of too little CPU.",
		targets: []target{
			{"p99", millis("runtime.sched.latencies.ns.p99"), line},
			{"upper", millis("runtime.sched.latencies.ns.upper"), line},
		},
	},
	{
		title: "Goroutines: the five highest of all", unit: count,
		help: "This service among those that have the most goroutines, whatever is chosen above.",
		targets: []target{
			{"", "highestMax(" + root + ".**.cpu.goroutines,5)", line},
			{"chosen:", "P.cpu.goroutines", limit},
		},
	},
	{
		title: "Memory and its limits", unit: inBytes,
		help: "At the container's limit the kernel kills; near GOMEMLIMIT, Go spends its CPU on collecting. Working set is what the kernel counts.",
		targets: []target{
			{"working set", "P.cgroup.memory.working_set.bytes", line},
			{"RSS", "P.proc.rss.bytes", line},
			{"container limit", set("P.cgroup.memory.limit.bytes"), limit},
			{"GOMEMLIMIT", set("P.runtime.gc.gomemlimit.bytes"), limit},
		},
	},
	{
		title: "Live heap", unit: inBytes,
		help: "What the last collection found in use, the heap now, and the size at which the next ends. Live heap that grows for hours is a leak.",
		targets: []target{
			{"live", "P.runtime.gc.heap.live.bytes", line},
			{"heap", "P.mem.heap.alloc", line},
			{"next GC", set("P.mem.gc.next"), limit},
		},
	},
	{
		title: "Allocation rate", unit: bytesPS,
		help:    "Bytes of heap allocated a second: what drives the garbage collector.",
		targets: []target{{"", "perSecond(P.mem.total)", line}},
	},
	{
		title: "GC's share of CPU, over 10 minutes", unit: percent, warn: 10, bad: 25,
		help: "Garbage collection, idle time that nothing else wanted left out, and what allocating goroutines had to help: felt as latency.",
		targets: []target{
			{"GC", share(overTenMinutes(less("runtime.cpu.classes.gc.total.ns", "runtime.cpu.classes.gc.mark.idle.ns")), cpuTotal), line},
			{"assist", share(overTenMinutes("P.runtime.cpu.classes.gc.mark.assist.ns"), cpuTotal), line},
		},
	},
	{
		title: "Garbage collections", unit: perMin, right: ms,
		help: "Collections a minute, and the longest stop-the-world of any. Many a minute: raise GOGC or GOMEMLIMIT, or allocate less.",
		targets: []target{
			{"GCs", perMinute("mem.gc.count"), line},
			{"longest pause", millis("runtime.sched.pauses.total.gc.ns.upper"), right},
		},
	},
	{
		title: "Descriptors", unit: percent, warn: 70, bad: 90,
		help:    "Open files, sockets and pipes, of as many as may be. At 100 % open and accept fail.",
		targets: []target{{"", share("P.proc.fds", "P.proc.fds_limit"), line}},
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
			{"objects", "P.mem.heap.alloc", area},
			{"between", less("mem.heap.inuse", "mem.heap.alloc"), area},
			{"kept", less("mem.heap.idle", "mem.heap.released"), area},
			{"released", "P.mem.heap.released", area},
		},
	},
}

// root is where StatsD puts gauges.
const root = "stats.gauges"

// restarts is not 0 where the process's start time steps. It keeps the last
// value, since a process that comes back after a minute leaves a hole.
const restarts = "nonNegativeDerivative(keepLastValue(P.proc.start_time.seconds))"

var cpuTotal = overTenMinutes("P.runtime.cpu.classes.total.ns")

// pressure is a share of time in percent.
func pressure(of string) string {
	return "scale(perSecond(P.cgroup.pressure." + of + ".some.ns),0.0000001)"
}

var (
	path  = regexp.MustCompile(`\bP\.`)
	gauge = regexp.MustCompile(`(?:\bP|\*\*)\.([A-Za-z0-9_.-]+)`)
)

// query is the target for the services that prefix stands for: a prefix, a
// pattern, or whatever will be replaced by one. The series are called by the
// label and the prefix.
func (t target) query(prefix string) string {
	name := regexp.QuoteMeta(gauge.FindStringSubmatch(t.expr)[1])
	return fmt.Sprintf(`aliasSub(%s,'.*?%s\.(.+?)\.%s.*','%s')`,
		path.ReplaceAllLiteralString(t.expr, root+"."+prefix+"."),
		regexp.QuoteMeta(root), name, strings.TrimSpace(t.label+` \1`))
}
