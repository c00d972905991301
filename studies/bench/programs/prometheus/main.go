// Prometheus is the service with client_golang's default collectors, to be
// scraped at the address that is its argument.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(string) {
		go func() { log.Fatal(http.ListenAndServe(flag.Arg(0), promhttp.Handler())) }()
	})
}
