// Probe is the same binary as a service, started to look whether the service is
// well: it parses its flags, asks for a tenth of a second, and ends. It prints how
// long it lived. With the tag "environment", it has package env.
package main

import (
	"flag"
	"fmt"
	"time"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	begun := time.Now()
	flag.Parse()
	time.Sleep(120 * time.Millisecond)
	fmt.Println(time.Since(begun))
}
