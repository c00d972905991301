// Usesff takes each flag of package flag from the environment too, under the
// flag's bare name.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/peterbourgon/ff/v3"

	_ "github.com/runtimemetrics/runtimemetrics/env"
)

func main() {
	listen := flag.String("listen-addr", "localhost:8080", "where to listen")
	if err := ff.Parse(flag.CommandLine, os.Args[1:], ff.WithEnvVars()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("listen-addr", *listen)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
