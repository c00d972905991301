// Moving is a service that has yet to move here: it imports go-runtime-metrics.
package main

import (
	"flag"
	"io"
	"os"
	"time"

	_ "github.com/bmhatfield/go-runtime-metrics"
)

func main() {
	// At its first look go-runtime-metrics must not find flags that are half parsed: it
	// would go on with those. The second look comes a second later.
	time.Sleep(100 * time.Millisecond)
	flag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
