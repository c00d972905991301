// Command job publishes, works when its standard input ends, and ends: with Stop,
// or without.
package main

import (
	"flag"
	"io"
	"log"
	"os"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	stop := flag.Bool("stop", false, "call Stop at the end")
	flag.Parse()
	if err := runtimemetrics.Start(runtimemetrics.Config{}); err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, os.Stdin)
	for range 64 {
		io.Discard.Write(make([]byte, 1<<20))
	}
	if *stop {
		runtimemetrics.Stop()
	}
}
