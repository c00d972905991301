// Command go-runtime-metrics is the service with the library that this one succeeds.
package main

import (
	"time"

	_ "github.com/bmhatfield/go-runtime-metrics"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	// At its first look it must not find flags that are half parsed: it would go on with
	// those, and send to port 8125. The second look comes a second later.
	time.Sleep(100 * time.Millisecond)
	service.Run(nil)
}
