// Command go-runtime-metrics is the service with the library that this one succeeds.
package main

import (
	_ "github.com/bmhatfield/go-runtime-metrics"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() { service.Run(nil) }
