// Smira is the service with the same gauges, pushed by hand through
// smira/go-statsd.
package main

import (
	"time"

	"github.com/smira/go-statsd"

	"github.com/runtimemetrics/runtimemetrics/studies/bench/floor"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		client := statsd.NewClient(server, statsd.MetricPrefix("go.service."))
		reader := floor.NewReader()
		go func() {
			for range time.Tick(service.Interval) {
				for i, v := range reader.Read() {
					client.Gauge(floor.Names[i], int64(v))
				}
			}
		}()
	})
}
