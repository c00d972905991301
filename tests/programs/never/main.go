// Never is configured by its environment and parses no flags.
package main

import (
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
