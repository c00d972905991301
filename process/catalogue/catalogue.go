// Package catalogue describes the gauges of package process, for programs that
// make dashboards, alerts or mappings of them. Importing it has no effect, as
// importing package process does.
package catalogue

import (
	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/procstat"
)

// Gauges describes the gauges of package process, in the order in which they are
// published. Not all of them exist on every machine. Their sources are those on
// Linux; of cgroups v2 first, v1 after the semicolon. The slice is the caller's.
func Gauges() []collector.Gauge { return procstat.Gauges() }
