package collector

import (
	"fmt"
	"math"
	"runtime/metrics"
	"slices"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/internal/defaults"
)

// Words that stand for patterns in Collector.Runtime.
const (
	defaultMetrics = "default"
	allMetrics     = "all"
)

// longPause is what counts as long for the gauges that end in .over_10ms, in
// seconds: a stall that a person notices when a few of them add up.
const longPause = 0.010

// derived are gauges made of two cumulative metrics that only mean something
// together. They are selected as if the runtime had them.
var derived = []difference{
	{"/gc/finalizers/backlog:finalizers", "/gc/finalizers/queued:finalizers", "/gc/finalizers/executed:finalizers"},
	{"/gc/cleanups/backlog:cleanups", "/gc/cleanups/queued:cleanups", "/gc/cleanups/executed:cleanups"},
}

type difference struct{ name, whole, less string }

// available returns the metrics of the running Go, sorted by name, and behind
// them those of derived that it has the parts of.
func available() []metrics.Description {
	all := slices.Clip(metrics.All()) // the whole program shares what it returns
	for _, made := range derived {
		if slices.ContainsFunc(all, func(d metrics.Description) bool { return d.Name == made.whole }) {
			all = append(all, metrics.Description{Name: made.name, Kind: metrics.KindUint64})
		}
	}
	return all
}

// parts returns the metric that is to be read for the one called name, and the one
// to be subtracted from it, empty if there is none.
func parts(name string) (whole, less string) {
	for _, made := range derived {
		if made.name == name {
			return made.whole, made.less
		}
	}
	return name, ""
}

// place returns the place of the metric called name in the samples, to which it is
// added if it is not there yet.
func place(name string, samples *[]metrics.Sample) int {
	for i, s := range *samples {
		if s.Name == name {
			return i
		}
	}
	*samples = append(*samples, metrics.Sample{Name: name})
	return len(*samples) - 1
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
		if !slices.ContainsFunc(available(), func(d metrics.Description) bool { return matches(p, d.Name) }) {
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
		return slices.ContainsFunc(defaults.Metrics, func(d defaults.Metric) bool { return d.Path == path })
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
	less       int // that of the one to be subtracted, or -1
	name       string
	scale      float64 // from the metric's unit to the gauge's
	cumulative bool

	// Of a histogram. Events are a plain count, whatever is counted, so their
	// names lack its unit.
	histogram                                *histogram
	nameP99, nameUpper, nameEvents, nameOver string // nameOver is empty for what is not a time
}

// selectMetrics returns the metrics that the patterns select, in the order of
// available, and the samples with those added that are not there yet.
func selectMetrics(patterns []string, samples []metrics.Sample) ([]runtimeMetric, []metrics.Sample) {
	var selected []runtimeMetric
	taken := map[string]bool{}
	for _, d := range available() {
		for _, p := range patterns {
			if !matches(p, d.Name) {
				continue
			}
			whole, less := parts(d.Name)
			m := runtimeMetric{sample: place(whole, &samples), less: -1, scale: 1, cumulative: d.Cumulative}
			if less != "" {
				m.less = place(less, &samples)
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
func (m *runtimeMetric) output(samples []metrics.Sample, gauge GaugeFunc) {
	switch v := samples[m.sample].Value; v.Kind() {
	case metrics.KindUint64:
		n := v.Uint64()
		if m.less >= 0 {
			// The two are not read at the same instant, so this can go below
			// zero, of which sane makes 0.
			n -= valueOf(samples, m.less)
		}
		gauge(m.name, sane(n))
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
