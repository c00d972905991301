// Moving is a service that has yet to move here: it imports go-runtime-metrics.
package main

import (
	"flag"
	"io"
	"os"

	_ "github.com/bmhatfield/go-runtime-metrics"
)

func main() {
	flag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
