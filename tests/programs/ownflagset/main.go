// Ownflagset parses a FlagSet of its own, which the library's flags are put into.
package main

import (
	"flag"
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flags := flag.NewFlagSet("ownflagset", flag.ExitOnError)
	flags.Bool("verbose", false, "a flag of the FlagSet's own")
	flag.VisitAll(func(f *flag.Flag) {
		flags.Var(f.Value, f.Name, f.Usage)
	})
	flags.Parse(os.Args[1:])
	flag.CommandLine.Parse(nil)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
