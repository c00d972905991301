package main

import (
	"runtime/metrics"
	"slices"
	"strings"
)

// section is a group of charts on the page.
type section struct {
	Title  string  `json:"title"`
	Charts []chart `json:"charts"`
}

// chart is one chart.
type chart struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Help  string `json:"help"`           // one line for who looks at it
	Zero  bool   `json:"zero,omitempty"` // the axis begins at 0
	Views []view `json:"views"`          // what can be chosen; the first is shown
}

// view is one way to look at the gauges of a chart.
type view struct {
	Label  string  `json:"label,omitempty"` // of the button that chooses it
	Unit   string  `json:"unit"`            // "", "bytes", "ns", "s", "cores" or "share"; with "/s" or "/min" for a rate
	Curves []curve `json:"curves"`
}

// curve is one line of a chart.
type curve struct {
	Key    string `json:"key"` // names its values in an answer
	Label  string `json:"label"`
	Dashed bool   `json:"dashed,omitempty"` // a goal or a limit, nothing that is used

	gauge  string
	derive derivation
}

func newCurve(gauge string, how derivation, label string) curve {
	return curve{Key: gauge + "|" + string(how), Label: label, gauge: gauge, derive: how}
}

func dashed(c curve) curve {
	c.Dashed = true
	return c
}

// chartedSections are the charts of the gauges that an operator looks at first:
// the 27, but for mem.alloc, which equals mem.heap.alloc, and mem.lookups, which
// is always 0; then those of package process and of --metric-runtime.
var chartedSections = []section{
	{"Go runtime", []chart{
		{"goroutines", "Goroutines", "Follow the load. If they only ever climb, they leak.", true, []view{
			{"", "", []curve{newCurve("cpu.goroutines", level, "goroutines")}}}},
		{"leaks", "Leaked goroutines", "Nobody can wake them any more: the log names the line.", true, []view{
			{"", "", []curve{newCurve("leaks.goroutines", level, "leaked")}}}},
		{"heap", "Heap", "Alloc saws up to next GC. A floor that rises for hours is a leak.", true, []view{
			{"", "bytes", []curve{
				newCurve("mem.heap.alloc", level, "alloc"),
				newCurve("mem.heap.inuse", level, "in use"),
				newCurve("mem.heap.idle", level, "idle"),
				newCurve("mem.heap.released", level, "released"),
				dashed(newCurve("mem.gc.next", limit, "next GC")),
				newCurve("runtime.gc.heap.live.bytes", level, "live")}}}},
		{"allocation", "Allocation rate", "What the garbage collector has to keep up with.", true, []view{
			{"", "bytes/s", []curve{newCurve("mem.total", perSecond, "allocated")}}}},
		{"pause", "GC pause", "How long the last cycle stopped all goroutines, its phases added.", true, []view{
			{"", "ns", []curve{newCurve("mem.gc.pause", level, "pause")}}}},
		{"rate", "GC rate", "Cycles, over 30 s. Many on a small heap: GOGC could be higher.", true, []view{
			{"", "/min", []curve{newCurve("mem.gc.count", perMinute, "cycles")}}}},
		{"since", "Time since last GC", "Drops at each cycle. The runtime waits two minutes at most.", true, []view{
			{"", "ns", []curve{newCurve("mem.gc.last", age, "since last GC")}}}},
	}},
	{"Process and container", []chart{
		{"cpu", "CPU used", "1 is one processor, busy all the time.", true, []view{
			{"", "cores", []curve{
				newCurve("proc.cpu.user.ns", share, "user"),
				newCurve("proc.cpu.sys.ns", share, "kernel"),
				dashed(newCurve("cgroup.cpu.quota_millicores", thousandths, "quota"))}}}},
		{"memory", "Memory", "Of this process. What is anonymous, only swap could take.", true, []view{
			{"", "bytes", []curve{
				newCurve("proc.rss.bytes", level, "resident"),
				newCurve("proc.rss.anon.bytes", level, "anonymous"),
				newCurve("proc.rss.file.bytes", level, "files"),
				newCurve("proc.swap.bytes", level, "swapped out"),
				dashed(newCurve("proc.rss.bytes.upper", level, "peak")),
				dashed(newCurve("runtime.gc.gomemlimit.bytes", limit, "GOMEMLIMIT"))}}}},
		{"container", "Container's memory", "All processes in it. At the limit, the kernel kills.", true, []view{
			{"", "bytes", []curve{
				newCurve("cgroup.memory.working_set.bytes", level, "working set"),
				newCurve("cgroup.memory.usage.bytes", level, "with cache"),
				dashed(newCurve("cgroup.memory.limit.bytes", limit, "limit"))}}}},
		{"tightest", "Tightest memory limit", "Of the container or what it is in: all of that fill it.", true, []view{
			{"", "bytes", []curve{
				newCurve("cgroup.memory.tightest.used.bytes", limit, "used"),
				dashed(newCurve("cgroup.memory.tightest.limit.bytes", limit, "limit"))}}}},
		{"throttling", "Throttling", "Periods in which the CPU quota ran out, of those it was under.", true, []view{
			{"", "/s", []curve{
				newCurve("cgroup.cpu.throttled_periods", perSecond, "throttled"),
				dashed(newCurve("cgroup.cpu.periods", perSecond, "periods"))}}}},
		{"pressure", "Pressure", "Part of the time in which some thread had to wait for it.", true, []view{
			{"", "share", []curve{
				newCurve("cgroup.pressure.cpu.some.ns", share, "CPU"),
				newCurve("cgroup.pressure.memory.some.ns", share, "memory"),
				newCurve("cgroup.pressure.io.some.ns", share, "disk")}}}},
		{"fds", "Open files", "Sockets and pipes too. If they only ever climb, they leak.", true, []view{
			{"", "", []curve{newCurve("proc.fds", level, "open")}}}},
		{"threads", "Threads", "Blocking system calls and calls to C add them.", true, []view{
			{"", "", []curve{newCurve("proc.threads", level, "threads")}}}},
	}},
	{"Scheduler", []chart{
		{"latency", "Scheduler latency", "How long goroutines that could run waited for a processor.", true, []view{
			{"", "ns", []curve{
				newCurve("runtime.sched.latencies.ns.p99", level, "99 of 100"),
				newCurve("runtime.sched.latencies.ns.upper", level, "longest")}}}},
		{"waits", "Waits over 10 ms", "Of these, the ones that somebody may have noticed.", true, []view{
			{"", "/s", []curve{newCurve("runtime.sched.latencies.over_10ms", perSecond, "waits")}}}},
		{"stops", "Longest stop-the-world", "Each stop alone, where GC pause adds up those of a cycle.", true, []view{
			{"", "ns", []curve{
				newCurve("runtime.sched.pauses.total.gc.ns.upper", level, "by the GC"),
				newCurve("runtime.sched.pauses.total.other.ns.upper", level, "by others")}}}},
		{"runnable", "Goroutines that wait", "For a processor, or for a system call to return.", true, []view{
			{"", "", []curve{
				newCurve("runtime.sched.goroutines.runnable", level, "for a processor"),
				newCurve("runtime.sched.goroutines.not-in-go", level, "in calls")}}}},
		{"locks", "Goroutines at locks", "How many wait for a lock at a time, on average.", true, []view{
			{"", "", []curve{newCurve("runtime.sync.mutex.wait.total.ns", share, "waiting")}}}},
		{"late", "Lateness", "Of the library's own tick: a stall of the process or the machine.", true, []view{
			{"", "ns", []curve{newCurve("runtimemetrics.late.ns", level, "late")}}}},
	}},
	{"In detail", []chart{
		{"stw", "Stop-the-world share", "Part of the time in which the GC let nothing else run.", true, []view{
			{"", "share", []curve{newCurve("mem.gc.pause_total", share, "stopped")}}}},
		{"objects", "Heap objects", "Live, or dead and not swept yet. The more, the longer a GC marks.", true, []view{
			{"", "", []curve{newCurve("mem.heap.objects", level, "objects")}}}},
		{"churn", "Object churn", "Made and freed. If they part for long, the heap grows.", true, []view{
			{"", "/s", []curve{
				newCurve("mem.malloc", perSecond, "allocated"),
				newCurve("mem.frees", perSecond, "freed")}}}},
		{"system", "Memory from the system", "Address space by purpose; what was released still counts here.", true, []view{
			{"", "bytes", []curve{
				newCurve("mem.sys", level, "all"),
				newCurve("mem.heap.sys", level, "heap"),
				newCurve("mem.stack.sys", level, "stacks"),
				newCurve("mem.gc.sys", level, "GC"),
				newCurve("mem.othersys", level, "other")}}}},
		{"stacks", "Stacks", "Grow with the number of goroutines and how deep they call.", true, []view{
			{"", "bytes", []curve{newCurve("mem.stack.inuse", level, "in use")}}}},
		{"allocator", "The allocator's own", "Descriptors of spans, and the caches of each P.", true, []view{
			{"", "bytes", []curve{
				newCurve("mem.stack.mspan_inuse", level, "spans"),
				dashed(newCurve("mem.stack.mspan_sys", level, "spans, from system")),
				newCurve("mem.stack.mcache_inuse", level, "caches"),
				dashed(newCurve("mem.stack.mcache_sys", level, "caches, from system"))}}}},
		{"cgo", "Calls to C", "Each holds a thread for as long as it takes.", true, []view{
			{"", "/s", []curve{newCurve("cpu.cgo_calls", perSecond, "calls")}}}},
	}},
}

// notDrawn are gauges that have no chart although they are known.
var notDrawn = map[string]bool{"mem.alloc": true, "mem.lookups": true}

// layout returns the charts for a service's gauges: those of the runtime, then
// all others, grouped by the first part of their names.
func layout(gauges []string) []section {
	has := make(map[string]bool, len(gauges))
	for _, g := range gauges {
		has[g] = true
	}
	var sections []section
	drawn := make(map[string]bool)
	for _, s := range chartedSections {
		charts := present(s.Charts, has, drawn)
		if len(charts) > 0 {
			sections = append(sections, section{s.Title, charts})
		}
	}
	var further []string
	for _, g := range gauges {
		if !drawn[g] && !notDrawn[g] {
			further = append(further, g)
		}
	}
	return append(sections, furtherSections(further)...)
}

// present returns the charts with those of their curves whose gauges there
// are, and notes them as drawn.
func present(charts []chart, has, drawn map[string]bool) []chart {
	var out []chart
	for _, c := range charts {
		views := make([]view, 0, len(c.Views))
		for _, v := range c.Views {
			v.Curves = slices.DeleteFunc(slices.Clone(v.Curves), func(l curve) bool { return !has[l.gauge] })
			for _, l := range v.Curves {
				drawn[l.gauge] = true
			}
			if len(v.Curves) > 0 {
				views = append(views, v)
			}
		}
		if len(views) > 0 {
			c.Views = views
			out = append(out, c)
		}
	}
	return out
}

// A chart of further gauges has at most this many curves, one for each colour.
const maxCurves = 6

// further is what the name of a gauge says of it.
type further struct {
	name       string // in full
	section    string
	topic      string // gauges of one topic, unit and kind share a chart
	label      string // in that chart
	unit       string
	derive     derivation
	cumulative bool
}

func describe(name string) further {
	base, tags, _ := strings.Cut(name, "{")
	head, _, dotted := strings.Cut(base, ".")
	if !dotted {
		head = "Further gauges"
	}
	unit, stem := unitOf(base)
	f := further{name: name, section: head, topic: stem, unit: unit, cumulative: isCumulative(base)}
	if unit == "time" {
		f.unit, f.derive = "ns", ageOfSec
	}
	// Two parts in common are a topic, one is only a house: proc.cpu.user and
	// proc.cpu.sys belong on one axis, proc.fds and proc.threads do not.
	last := strings.LastIndexByte(stem, '.')
	if strings.Count(stem, ".") >= 2 {
		f.topic = stem[:last]
	}
	f.label = stem[last+1:]
	if i := strings.LastIndexByte(base, '.'); i > len(stem) {
		f.label += base[i:] // such as .p99 after the unit
	}
	if tags != "" {
		f.label += " {" + tags
	}
	return f
}

// furtherSections groups gauges that the page knows nothing of but their names,
// by the first part into sections.
func furtherSections(gauges []string) []section {
	// What shares a chart can be looked at in the same ways.
	type key struct{ section, topic, ways string }
	slices.Sort(gauges)
	var sections []section
	charts := make(map[key]int) // index into the section's charts
	for _, g := range gauges {
		f := describe(g)
		i := slices.IndexFunc(sections, func(s section) bool { return s.Title == f.section })
		if i < 0 {
			i = len(sections)
			sections = append(sections, section{Title: f.section})
		}
		s := &sections[i]
		views := furtherViews(f)
		k := key{section: f.section, topic: f.topic}
		for _, v := range views {
			k.ways += v.Label + "=" + v.Unit + ";"
		}
		at, ok := charts[k]
		if !ok || len(s.Charts[at].Views[0].Curves) == maxCurves {
			at = len(s.Charts)
			charts[k] = at
			title, _, _ := strings.Cut(g, "{")
			s.Charts = append(s.Charts, chart{ID: g, Title: title, Help: furtherHelp(title), Views: views})
			continue
		}
		c := &s.Charts[at]
		c.Title = f.topic
		for v, more := range views {
			c.Views[v].Curves = append(c.Views[v].Curves, more.Curves...)
		}
	}
	return sections
}

// furtherViews are the value and its growth: whether a gauge is a level or only
// ever grows cannot be seen from most names, so the reader may choose.
func furtherViews(f further) []view {
	views := []view{{Label: "value", Unit: f.unit, Curves: []curve{newCurve(f.name, f.derive, f.label)}}}
	if f.derive != level {
		return views
	}
	views = append(views, view{Label: "per second", Unit: f.unit + "/s", Curves: []curve{newCurve(f.name, perSecond, f.label)}})
	if f.cumulative {
		slices.Reverse(views)
	}
	return views
}

// furtherHelp says what is known of a further gauge: of those of --metric-runtime,
// what Go itself says.
func furtherHelp(gauge string) string {
	if help, ok := helps[gauge]; ok {
		return help
	}
	_, stem := unitOf(strings.TrimSuffix(strings.TrimSuffix(gauge, ".events"), ".over_10ms"))
	if help, ok := runtimeHelps[stem]; ok {
		return help
	}
	return "Sent by the service itself."
}

// helps are for the gauges of the library that are not charted above.
var helps = map[string]string{
	"proc.fds_limit":             "Limit of open descriptors: open and accept fail there.",
	"proc.faults.major":          "Page faults that waited for a disk: memory is short.",
	"proc.start_time.seconds":    "How long ago the process was started.",
	"proc.uptime.seconds":        "How long ago the process was started.",
	"cgroup.memory.oom_kills":    "Processes in the container killed because memory ran out.",
	"cgroup.memory.high.bytes":   "The kernel slows allocations down above this.",
	"cgroup.memory.high_events":  "How often usage exceeded memory.high.",
	"cgroup.memory.swap.bytes":   "The container's memory that is swapped out.",
	"cgroup.pids.tightest.used":  "Threads in the level with the fewest left below its limit.",
	"cgroup.pids.tightest.limit": "The limit of that level.",
	"leaks.checks":               "Checks for goroutines that nobody can wake any more.",
	"leaks.check.ns":             "How long the last check for leaked goroutines took.",
	"cgroup.cpu.throttled.ns":    "Throttled time, summed over CPUs.",
	"cgroup.pids":                "Threads of all processes in the container.",
	"cgroup.pids_limit":          "Limit of threads: at this number no other one can start.",
	"runtimemetrics.ticks":       "Ticks of the library: moves as long as the process lives.",
	"runtimemetrics.lost":        "Ticks that did not reach the server, as far as the system reports it.",
}

// runtimeHelps are the first sentences of what Go says of its metrics, by the
// name that the library derives, without the unit.
var runtimeHelps = func() map[string]string {
	m := make(map[string]string)
	for _, d := range metrics.All() {
		path, _, _ := strings.Cut(d.Name, ":")
		first, _, _ := strings.Cut(strings.Join(strings.Fields(d.Description), " ")+" ", ". ")
		m["runtime"+strings.ReplaceAll(path, "/", ".")] = strings.TrimSuffix(first, ". ") + "."
	}
	return m
}()

// isCumulative tells whether it is known of a further gauge that it only grows.
func isCumulative(gauge string) bool {
	return cumulative[gauge] || strings.HasSuffix(gauge, ".events") || strings.HasSuffix(gauge, ".over_10ms")
}

// cumulative are the further gauges of the library of which it is known.
var cumulative = func() map[string]bool {
	m := map[string]bool{
		"proc.cpu.user.ns": true, "proc.cpu.sys.ns": true, "proc.faults.major": true,
		"cgroup.memory.oom_kills": true, "cgroup.cpu.throttled.ns": true,
		"cgroup.cpu.periods": true, "cgroup.cpu.throttled_periods": true,
		"cgroup.pressure.cpu.some.ns": true, "cgroup.pressure.memory.some.ns": true, "cgroup.pressure.io.some.ns": true,
		"cgroup.pressure.cpu.full.ns": true, "cgroup.pressure.memory.full.ns": true, "cgroup.pressure.io.full.ns": true,
		"cgroup.memory.high_events": true, "leaks.checks": true,
		"runtimemetrics.ticks": true, "runtimemetrics.lost": true,
	}
	// The library derives these names from those of package runtime/metrics.
	for _, d := range metrics.All() {
		if !d.Cumulative {
			continue
		}
		path, unit, _ := strings.Cut(d.Name, ":")
		name := "runtime" + strings.ReplaceAll(path, "/", ".")
		switch unit {
		case "bytes":
			name += ".bytes"
		case "seconds", "cpu-seconds":
			name += ".ns"
		}
		m[name] = true
	}
	return m
}()

// unitOf guesses a gauge's unit from its name, whose last or last but one part
// is the unit unless it is a plain count, and returns the name without it.
// "time" is a point in time in seconds since 1970.
func unitOf(name string) (unit, stem string) {
	parts := strings.Split(name, ".")
	for i := len(parts) - 1; i > 0 && i >= len(parts)-2; i-- {
		switch parts[i] {
		case "events", "over_10ms":
			return "", name // of a histogram, whatever its unit
		case "bytes", "ns":
			unit = parts[i]
		case "seconds":
			unit = "s"
			if strings.HasSuffix(parts[i-1], "start_time") {
				unit = "time"
			}
		default:
			continue
		}
		return unit, strings.Join(parts[:i], ".")
	}
	return "", name
}
