// Runtimemetrics is the service with this library.
package main

import (
	_ "github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() { service.Run(nil) }
