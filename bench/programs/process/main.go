// Process is the service with this library and its package process.
package main

import (
	"github.com/runtimemetrics/runtimemetrics/bench/internal/service"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

func main() { service.Run(nil) }
