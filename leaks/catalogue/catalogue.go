// Package catalogue describes the gauges of package leaks, for programs that make
// dashboards, alerts or mappings of them. Importing it has no effect, as importing
// package leaks does.
package catalogue

import "github.com/runtimemetrics/runtimemetrics/collector"

// The names of the gauges.
const (
	Checks     = "leaks.checks"     // a count, cumulative
	Goroutines = "leaks.goroutines" // a count, a level
	Took       = "leaks.check.ns"   // nanoseconds, a level
)

// Gauges describes the gauges of package leaks, in the order in which they are
// published. The slice is the caller's.
func Gauges() []collector.Gauge {
	const source = "runtime/pprof, profile goroutineleak"
	return []collector.Gauge{
		{Name: Checks, Kind: collector.Cumulative, Source: source,
			Help: "checks so far: while it stands still, leaks.goroutines is old"},
		{Name: Goroutines, Kind: collector.Level, Source: source,
			Help: "goroutines that can never run again, as of the last check: 0 in a healthy service"},
		{Name: Took, Kind: collector.Level, Unit: "ns", Source: source,
			Help: "duration of the last check, mostly a garbage collection"},
	}
}
