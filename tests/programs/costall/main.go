// Costall counts what a thousand whole ticks cost with all there is: every
// metric of the runtime, the process, expvars, custom gauges and tags.
package main

import (
	stdexpvar "expvar"
	"fmt"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/expvar"
	_ "github.com/runtimemetrics/runtimemetrics/process"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/ticks"
)

func main() {
	stdexpvar.NewInt("requests").Set(17)
	stdexpvar.NewFloat("load").Set(0.5)
	stdexpvar.NewMap("hits").Add("cache", 3)
	var names [10]string
	for i := range names {
		names[i] = fmt.Sprintf("own.gauge%d", i)
	}
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		for i, name := range names {
			t.Gauge(name, int64(i))
		}
	})
	ticks.Count(1000, map[string]string{
		"RUNTIMEMETRICS_METRIC_PREFIX":  "go.cost",
		"RUNTIMEMETRICS_METRIC_RUNTIME": "all",
		"RUNTIMEMETRICS_METRIC_TAGS":    "env:prod,service:cost",
	})
}
