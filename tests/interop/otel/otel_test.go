//go:build linux

// Package otel_test pushes gauges to the OpenTelemetry Collector's statsdreceiver.
// It is a module of its own for the sake of what that requires.
package otel_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

func TestStatsDReceiver(t *testing.T) {
	harness.Test(t, harness.Server{
		Name:  "OpenTelemetry statsdreceiver",
		Start: startReceiver,
		Outcomes: map[string]harness.Outcome{
			"plain":    harness.Arrives,
			"datadog":  harness.Arrives,
			"influx":   harness.Mangled, // the tags become part of the name
			"graphite": harness.Mangled,
		},
		Largest: 65507,
	})
}

// interval is how long the receiver gathers. Each has more than one of the
// host's ticks in it, so that a negative gauge which adds up would show.
const interval = 600 * time.Millisecond

// startReceiver starts the receiver in this process, as it comes but for its
// address and its interval.
func startReceiver(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
	sink := new(consumertest.MetricsSink)
	var addr string
	harness.Attempt(t, func() (again bool, err error) {
		addr = fmt.Sprintf("127.0.0.1:%d", harness.UDPPort(t))
		factory := statsdreceiver.NewFactory()
		config := factory.CreateDefaultConfig().(*statsdreceiver.Config)
		config.NetAddr.Endpoint = addr
		config.AggregationInterval = interval
		ctx := context.Background()
		receiver, err := factory.CreateMetrics(ctx, receivertest.NewNopSettings(factory.Type()), config, sink)
		if err != nil {
			return false, err
		}
		if err := receiver.Start(ctx, componenttest.NewNopHost()); err != nil {
			return strings.Contains(err.Error(), "in use"), err
		}
		harness.AtEnd(t, func() {
			if err := receiver.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		})
		return false, nil
	})

	// It forgets its gauges after each interval; these are the last ones.
	latest := map[string]harness.Gauge{}
	return addr, func(prefix string) ([]harness.Gauge, error) {
		batches := sink.AllMetrics()
		sink.Reset()
		for _, batch := range batches {
			take(batch, latest)
		}
		var gauges []harness.Gauge
		for _, g := range latest {
			if strings.HasPrefix(g.Name, prefix) {
				gauges = append(gauges, g)
			}
		}
		return gauges, nil
	}
}

// take adds the gauges of one interval to the latest ones.
func take(batch pmetric.Metrics, latest map[string]harness.Gauge) {
	for _, resource := range batch.ResourceMetrics().All() {
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				if metric.Type() != pmetric.MetricTypeGauge {
					continue
				}
				for _, point := range metric.Gauge().DataPoints().All() {
					g := harness.Gauge{Name: metric.Name(), Value: point.DoubleValue()}
					for tag, value := range point.Attributes().All() {
						if g.Tags == nil {
							g.Tags = map[string]string{}
						}
						g.Tags[tag] = value.AsString()
					}
					latest[fmt.Sprint(g.Name, g.Tags)] = g
				}
			}
		}
	}
}
