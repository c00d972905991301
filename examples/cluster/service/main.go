// Command service has some garbage to collect, so that its gauges move, and does
// nothing else.
package main

import (
	"flag"
	"runtime"
	"time"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	for {
		garbage := make([][]byte, 100)
		for i := range garbage {
			garbage[i] = make([]byte, 1000)
		}
		// mem.gc.count and mem.gc.last thus grow from second to second: an
		// old value among newer ones shows.
		runtime.GC()
		time.Sleep(time.Second)
	}
}
