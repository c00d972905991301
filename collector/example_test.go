package collector_test

import (
	"fmt"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// A program with a metrics client of its own.
func ExampleCollector_Collect() {
	c := collector.New(func(key string, val uint64) {
		if strings.HasPrefix(key, "cpu.") {
			fmt.Println(key, val > 0 || key == "cpu.cgo_calls")
		}
	})
	c.EnableMem = false
	c.Collect()
	// Output:
	// cpu.goroutines true
	// cpu.cgo_calls true
}
