// Collectoronly uses the collector with its own metrics client, and has its own
// flags of the names that the library has.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

func main() {
	cpu := flag.String("cpu", "", "write a CPU profile to this `file`")
	statsd := flag.Int("statsd", 0, "number of something else")
	flag.Parse()
	fmt.Println("cpu", *cpu, "statsd", *statsd)
	flag.VisitAll(func(f *flag.Flag) { fmt.Println("flag", f.Name) })

	collector.New(func(key string, val uint64) { fmt.Println("gauge", key, val) }).Collect()
	io.Copy(io.Discard, os.Stdin)
}
