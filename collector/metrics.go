package collector

import (
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"strings"
)

// Words that stand for patterns in Collector.Runtime.
const (
	defaultMetrics = "default"
	allMetrics     = "all"
)

// longPause is what counts as long for the gauges that end in .over_10ms, in
// seconds: a stall that a person notices when a few of them add up.
const longPause = 0.010

// RuntimeDefault describes one of the metrics that the pattern "default" of
// Collector.Runtime stands for.
type RuntimeDefault struct {
	Metric string // of package runtime/metrics, without its unit
	Help   string // what it tells the person on call
}

// RuntimeDefaults returns the metrics that the pattern "default" of
// Collector.Runtime stands for. Those that the running Go does not have are
// left out of what is collected.
func RuntimeDefaults() []RuntimeDefault {
	return append([]RuntimeDefault(nil), runtimeDefaults...)
}

var runtimeDefaults = []RuntimeDefault{
	{"/sched/latencies", "how long goroutines that could run waited for a processor: the first sign of too little CPU"},
	{"/sched/pauses/total/gc", "every stop-the-world of the garbage collector: what its cycles cost each request"},
	{"/sched/pauses/total/other", "every other stop-the-world: a profiler, GOMAXPROCS changes, runtime.ReadMemStats"},
	{"/sched/gomaxprocs", "how many processors Go uses at once; compare it with the container's CPU quota"},
	{"/sched/goroutines/runnable", "goroutines that wait for a processor right now (Go 1.26)"},
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
}

// ParsePatterns splits a comma-separated list of patterns for
// Collector.Runtime and checks them. The error says what is wrong and what would
// be right. An empty text means no patterns.
func ParsePatterns(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	const right = `use patterns such as /sched/*,/gc/heap/live:bytes, or "default", or "all"`
	patterns := strings.Split(text, ",")
	for _, p := range patterns {
		switch {
		case p == defaultMetrics || p == allMetrics:
			continue
		case p == "":
			return nil, fmt.Errorf("has an empty pattern; %s", right)
		case p[0] != '/' && p[0] != '*':
			return nil, fmt.Errorf("pattern %q does not begin with '/'; %s", p, right)
		}
		for _, c := range p {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("/:*-_.", c)) {
				return nil, fmt.Errorf("pattern %q holds %q, which no metric does; %s", p, c, right)
			}
		}
	}
	return patterns, nil
}

// Unmatched returns those of the patterns that match no metric of the running
// Go: a typing error, or a metric of another release.
func Unmatched(patterns []string) []string {
	var unmatched []string
	for _, p := range patterns {
		found := false
		for _, d := range metrics.All() {
			found = found || matches(p, d.Name)
		}
		if !found {
			unmatched = append(unmatched, p)
		}
	}
	return unmatched
}

// matches tells whether a pattern selects the metric, whose name has the form
// "/path:unit". A pattern without a unit selects any.
func matches(pattern, metric string) bool {
	path, _, _ := strings.Cut(metric, ":")
	switch pattern {
	case allMetrics:
		// What GODEBUG settings have changed is dozens of counters that stay 0.
		return !strings.HasPrefix(metric, "/godebug/")
	case defaultMetrics:
		for _, d := range runtimeDefaults {
			if d.Metric == path {
				return true
			}
		}
		return false
	}
	if !strings.Contains(pattern, ":") && glob(pattern, path) {
		return true
	}
	return glob(pattern, metric)
}

// glob tells whether name matches pattern, in which '*' stands for any text,
// slashes included. What stands between two stars is looked for from the left,
// once, so that many stars cost no more than a few.
func glob(pattern, name string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return name == pattern
	}
	name, ok := strings.CutPrefix(name, head)
	for ok {
		middle, more, star := strings.Cut(rest, "*")
		if !star {
			return strings.HasSuffix(name, rest)
		}
		_, name, ok = strings.Cut(name, middle)
		rest = more
	}
	return false
}

// runtimeMetric is a metric of package runtime/metrics that is collected.
type runtimeMetric struct {
	sample     int // its place in the samples
	name       string
	scale      float64 // from the metric's unit to the gauge's
	cumulative bool

	// Of a histogram. Events are a plain count, whatever is counted, so their
	// names lack its unit.
	histogram                                *histogram
	nameP99, nameUpper, nameEvents, nameOver string // nameOver is empty for what is not a time
}

// selectMetrics returns the metrics that the patterns select, in the order of
// metrics.All, and the samples with those added that are not there yet.
func selectMetrics(patterns []string, samples []metrics.Sample) ([]runtimeMetric, []metrics.Sample) {
	var selected []runtimeMetric
	taken := map[string]bool{}
	for _, d := range metrics.All() {
		for _, p := range patterns {
			if !matches(p, d.Name) {
				continue
			}
			m := runtimeMetric{scale: 1, cumulative: d.Cumulative}
			m.sample = slices.IndexFunc(samples, func(s metrics.Sample) bool { return s.Name == d.Name })
			if m.sample < 0 {
				m.sample = len(samples)
				samples = append(samples, metrics.Sample{Name: d.Name})
			}
			base, unit := gaugeName(d.Name)
			m.name = unique(base+unit, d.Name, taken)
			isTime := strings.HasSuffix(d.Name, "seconds")
			if isTime {
				m.scale = 1e9
			}
			if d.Kind == metrics.KindFloat64Histogram {
				m.histogram = new(histogram)
				m.nameP99, m.nameUpper = m.name+".p99", m.name+".upper"
				m.nameEvents = unique(base+".events", d.Name, taken)
				if isTime {
					m.nameOver = unique(base+".over_10ms", d.Name, taken)
				}
			}
			selected = append(selected, m)
			break
		}
	}
	return selected, samples
}

// gaugeName returns the name under which a metric is output, in two parts: its
// path with dots for slashes, and its unit with a dot before it, empty for a
// plain count. Times, which the runtime gives in seconds, are output in
// nanoseconds.
func gaugeName(metric string) (base, unit string) {
	path, unit, _ := strings.Cut(metric, ":")
	base = "runtime" + strings.ReplaceAll(path, "/", ".")
	switch unit {
	case "seconds", "cpu-seconds":
		return base, ".ns"
	case "bytes", "percent":
		return base, "." + unit
	}
	return base, ""
}

// unique returns the name of a gauge, with the unit of its metric behind it if
// another gauge has that name, or if Graphite, which adds up what ends in .count
// or .sum when it rolls up, would mistake it.
func unique(name, metric string, taken map[string]bool) string {
	if taken[name] || strings.HasSuffix(name, ".count") || strings.HasSuffix(name, ".sum") {
		_, unit, _ := strings.Cut(metric, ":")
		name += "." + unit
	}
	taken[name] = true
	return name
}

// output hands the metric's gauges to gauge.
func (m *runtimeMetric) output(v metrics.Value, gauge GaugeFunc) {
	switch v.Kind() {
	case metrics.KindUint64:
		gauge(m.name, sane(v.Uint64()))
	case metrics.KindFloat64:
		gauge(m.name, whole(v.Float64()*m.scale))
	case metrics.KindFloat64Histogram:
		h := m.histogram
		h.update(v.Float64Histogram())
		gauge(m.nameP99, whole(h.quantile(0.99)*m.scale))
		gauge(m.nameUpper, whole(h.upper()*m.scale))
		gauge(m.nameEvents, sane(h.events))
		if m.nameOver != "" {
			gauge(m.nameOver, sane(h.over(longPause)))
		}
	}
	// A kind that a newer Go may add is left out.
}

// zero sets the metric's levels to 0, and with all set its cumulative gauges too.
func (m *runtimeMetric) zero(all bool, gauge GaugeFunc) {
	if m.histogram == nil {
		if all || !m.cumulative {
			gauge(m.name, 0)
		}
		return
	}
	gauge(m.nameP99, 0)
	gauge(m.nameUpper, 0)
	if all {
		gauge(m.nameEvents, 0)
		if m.nameOver != "" {
			gauge(m.nameOver, 0)
		}
	}
}

// whole returns v as a whole number, or 0 where it is none that could be sent:
// NaN, infinite, negative, or too large.
func whole(v float64) uint64 {
	if v = math.Round(v); v > 0 && v < 1<<62 {
		return uint64(v)
	}
	return 0
}
