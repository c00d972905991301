// Base is the service alone.
package main

import "github.com/runtimemetrics/runtimemetrics/bench/internal/service"

func main() { service.Run(nil) }
