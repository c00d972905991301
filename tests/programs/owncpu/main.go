// Owncpu defines a flag -cpu in main, as Caddy 1 did, after the library has been
// initialised.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/env"
)

func main() {
	cpu := flag.String("cpu", "100%", "how much CPU to use")
	flag.Parse()
	fmt.Println("cpu", *cpu)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
