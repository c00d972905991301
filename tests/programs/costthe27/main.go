// Costthe27 counts what a thousand whole ticks of the 27 gauges cost.
package main

import (
	_ "github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/ticks"
)

func main() {
	ticks.Count(1000, map[string]string{"RUNTIMEMETRICS_METRIC_PREFIX": "go.cost"})
}
