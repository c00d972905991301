// Usespflag parses the flags of package flag by way of pflag.
package main

import (
	"flag"
	"io"
	"os"

	"github.com/spf13/pflag"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	pflag.Bool("verbose", false, "a flag of pflag's own")
	pflag.CommandLine.AddGoFlagSet(flag.CommandLine)
	pflag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
