// Useskingpin makes the library's flags kingpin's.
package main

import (
	"flag"
	"io"
	"os"

	"github.com/alecthomas/kingpin/v2"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	kingpin.Flag("verbose", "a flag of kingpin's own").Bool()
	flag.VisitAll(func(f *flag.Flag) {
		kingpin.Flag("metrics."+f.Name, f.Usage).SetValue(f.Value)
	})
	kingpin.Parse()
	flag.CommandLine.Parse(nil)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
