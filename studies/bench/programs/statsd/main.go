// Statsd is the service with the same gauges, pushed by hand through
// go-statsd-client's buffered client.
package main

import (
	"log"
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"

	"github.com/runtimemetrics/runtimemetrics/studies/bench/floor"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		client, err := statsd.NewClientWithConfig(&statsd.ClientConfig{Address: server, Prefix: "go.service", UseBuffered: true})
		if err != nil {
			log.Fatal(err)
		}
		reader := floor.NewReader()
		go func() {
			for range time.Tick(service.Interval) {
				for i, v := range reader.Read() {
					client.Gauge(floor.Names[i], int64(v), 1)
				}
			}
		}()
	})
}
