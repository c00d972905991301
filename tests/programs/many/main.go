// Many is a service with as many custom gauges as its argument says.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	n, err := strconv.Atoi(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("shard.%04d.queue.length.of.it", i)
	}
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		for i, name := range names {
			t.Gauge(name, int64(i))
		}
	})
	io.Copy(io.Discard, os.Stdin)
	runtimemetrics.Stop()
}
