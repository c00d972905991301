// Otel is the service with OpenTelemetry's runtime instrumentation, which sends
// OTLP over HTTP to the address that is its argument.
package main

import (
	"context"
	"flag"
	"log"

	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(string) {
		exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpoint(flag.Arg(0)), otlpmetrichttp.WithInsecure())
		if err != nil {
			log.Fatal(err)
		}
		provider := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(exporter, metric.WithInterval(service.Interval))))
		if err := runtime.Start(runtime.WithMeterProvider(provider)); err != nil {
			log.Fatal(err)
		}
	})
}
