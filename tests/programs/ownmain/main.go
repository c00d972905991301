// Ownmain defines flags of the names that the library has after the library has
// been initialised. It is to be built with the tag runtimemetrics_noflags.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	cpu := flag.String("cpu", "", "write a CPU profile to this `file`")
	statsd := flag.Int("statsd", 0, "number of something else")
	flag.Parse()
	fmt.Println("cpu", *cpu, "statsd", *statsd)
	flag.VisitAll(func(f *flag.Flag) { fmt.Println("flag", f.Name) })
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
