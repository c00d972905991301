// Plain is a service as its author writes it. The environment variable PARSE
// says how it comes to parse its flags: first of all, unless it is late, twice
// or never.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	switch os.Getenv("PARSE") {
	case "late": // goes on defining flags while the library waits
		begun := time.Now()
		for i := 0; time.Since(begun) < time.Second; i++ {
			flag.Int(fmt.Sprintf("shard-%d", i), i, "one of many")
			time.Sleep(100 * time.Microsecond)
		}
		flag.Parse()
	case "twice": // then those of a file that one of them might name
		flag.Parse()
		flag.CommandLine.Parse([]string{"--metric-prefix=go.second"})
	case "never":
	default:
		flag.Parse()
	}
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
