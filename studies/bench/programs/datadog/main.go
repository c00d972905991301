// Datadog is the service with Datadog's client and its runtime metrics.
package main

import (
	"log"
	"log/slog"

	"github.com/DataDog/datadog-go/v5/statsd"
	metrics "github.com/DataDog/go-runtime-metrics-internal/pkg/runtimemetrics"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		client, err := statsd.NewDirect(server)
		if err != nil {
			log.Fatal(err)
		}
		if err := metrics.Start(client, slog.Default()); err != nil { // every 10 s
			log.Fatal(err)
		}
	})
}
