// Process is the service with this library and its package process.
package main

import (
	_ "github.com/runtimemetrics/runtimemetrics/process"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() { service.Run(nil) }
