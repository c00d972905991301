// Ownflags has flags of the names that the library has, in a package that is
// initialised before the library.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/runtimemetrics/runtimemetrics/tests/programs/ownflags/settings"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	fmt.Println("cpu", *settings.CPU, "statsd", *settings.StatsD)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
