// Twice parses its flags, then those of a file that one of them might name.
package main

import (
	"flag"
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	flag.CommandLine.Parse([]string{"--metric-prefix=go.second"})
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
