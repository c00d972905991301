// Hashicorp is the service with hashicorp/go-metrics, its nine runtime gauges
// and its StatsD sink.
package main

import (
	"log"

	"github.com/hashicorp/go-metrics"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		sink, err := metrics.NewStatsdSink(server)
		if err != nil {
			log.Fatal(err)
		}
		config := metrics.DefaultConfig("service")
		config.ProfileInterval = service.Interval
		if _, err := metrics.NewGlobal(config, sink); err != nil {
			log.Fatal(err)
		}
	})
}
