//go:build linux

// Package telegraf_test pushes gauges to Telegraf's input statsd. It is a module
// of its own for the sake of what that requires.
package telegraf_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/influxdata/telegraf"
	"github.com/influxdata/telegraf/logger"
	"github.com/influxdata/telegraf/plugins/inputs"
	"github.com/influxdata/telegraf/plugins/inputs/statsd"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestMain(m *testing.M) {
	// It has a line for each line that it does not take.
	logger.RedirectLogging(io.Discard)
	os.Exit(harness.Run(m))
}

func TestTelegraf(t *testing.T) {
	for _, test := range []struct {
		name       string
		extensions bool
		datadog    harness.Outcome
	}{
		{"Telegraf", false, harness.Untagged}, // each with an error in its log,
		{"Telegraf with datadog_extensions", true, harness.Arrives},
	} {
		t.Run(test.name, func(t *testing.T) {
			harness.Test(t, harness.Server{
				Name: test.name,
				Start: func(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
					return startInput(t, test.extensions)
				},
				Outcomes: map[string]harness.Outcome{
					"plain":    harness.Arrives,
					"datadog":  test.datadog,
					"influx":   harness.Arrives,
					"graphite": harness.Mangled, // the tags become part of the name
				},
				Largest: 65507,
				Spell:   func(name string) string { return strings.ReplaceAll(name, ".", "_") },
			})
		})
	}
}

// interval is how often gauges are gathered, which the input forgets then. More
// than one of the host's ticks lies in it, so that a negative gauge which adds up
// would show.
const interval = 600 * time.Millisecond

// startInput starts the input in this process, as it comes but for its address
// and datadog_extensions.
func startInput(t *testing.T, extensions bool) (string, func(string) ([]harness.Gauge, error)) {
	acc := &accumulator{latest: map[string]harness.Gauge{}}
	var addr string
	var input *statsd.Statsd
	harness.Attempt(t, func() (again bool, err error) {
		addr = fmt.Sprintf("127.0.0.1:%d", harness.UDPPort(t))
		input = inputs.Inputs["statsd"]().(*statsd.Statsd)
		input.ServiceAddress = addr
		input.DataDogExtensions = extensions
		input.Log = logger.New("inputs", "statsd", "")
		if err := input.Start(acc); err != nil {
			return strings.Contains(err.Error(), "in use"), err
		}
		harness.AtEnd(t, input.Stop)
		return false, nil
	})
	gathered := time.Now()
	return addr, func(prefix string) ([]harness.Gauge, error) {
		if time.Since(gathered) >= interval {
			gathered = time.Now()
			if err := input.Gather(acc); err != nil {
				return nil, err
			}
		}
		var gauges []harness.Gauge
		for _, g := range acc.latest {
			if strings.HasPrefix(g.Name, prefix) {
				gauges = append(gauges, g)
			}
		}
		return gauges, nil
	}
}

// accumulator takes what the input gathers; gauges are all there is. The input
// forgets them each time, so the last ones are kept.
type accumulator struct {
	telegraf.Accumulator
	latest map[string]harness.Gauge
}

func (a *accumulator) AddGauge(name string, fields map[string]any, tags map[string]string, _ ...time.Time) {
	g := harness.Gauge{Name: name}
	for tag, value := range tags {
		if tag == "metric_type" { // the input's own
			continue
		}
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		g.Tags[tag] = value
	}
	for field, value := range fields {
		number, ok := value.(float64)
		if field != "value" || !ok {
			g.Name += fmt.Sprintf(" %s=%v", field, value)
		}
		g.Value = number
		a.latest[fmt.Sprint(g.Name, g.Tags)] = g
	}
}
