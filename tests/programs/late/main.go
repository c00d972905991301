// Late goes on defining flags while the library waits for them to be parsed.
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
	begun := time.Now()
	for i := 0; time.Since(begun) < time.Second; i++ {
		flag.Int(fmt.Sprintf("shard-%d", i), i, "one of many")
		time.Sleep(100 * time.Microsecond)
	}
	flag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
