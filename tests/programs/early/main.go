// Early is a service as its author writes it: it parses its flags first.
package main

import (
	"flag"
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
