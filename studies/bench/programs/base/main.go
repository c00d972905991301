// Base is the service alone.
package main

import "github.com/runtimemetrics/runtimemetrics/studies/internal/service"

func main() { service.Run(nil) }
