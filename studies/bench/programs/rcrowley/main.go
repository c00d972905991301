// Rcrowley is the service with rcrowley/go-metrics and its runtime gauges, which
// go to StatsD one by one: the registry has no client of its own.
package main

import (
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"
	"github.com/rcrowley/go-metrics"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		client, err := statsd.NewClientWithConfig(&statsd.ClientConfig{Address: server, Prefix: "go.service"})
		if err != nil {
			panic(err)
		}
		metrics.RegisterRuntimeMemStats(metrics.DefaultRegistry)
		go metrics.CaptureRuntimeMemStats(metrics.DefaultRegistry, service.Interval)
		go func() {
			for range time.Tick(service.Interval) {
				metrics.DefaultRegistry.Each(func(name string, metric any) {
					if gauge, ok := metric.(metrics.Gauge); ok {
						client.Gauge(name, gauge.Value(), 1)
					}
				})
			}
		}()
	})
}
