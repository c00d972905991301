// Globals is a program whose main begins by replacing a variable that other
// packages read: the environment variable REPLACE says which one. Built with the
// tag "environment", it has package env in place of flags. It builds with Go 1.21.
// PARSE says that flags are parsed, unless it is never, and INIT how long it takes
// to initialise packages. If WITHIN has passed by then, it writes that it is late and
// replaces nothing.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"os"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

// What is initialised after the library may take its time.
func init() {
	d, _ := time.ParseDuration(os.Getenv("INIT"))
	time.Sleep(d)
}

// begun is just after the library's packages were initialised.
var begun = time.Now()

func late() bool {
	within, err := time.ParseDuration(os.Getenv("WITHIN"))
	return err == nil && time.Since(begun) > within
}

func main() {
	replace := os.Getenv("REPLACE")
	if late() {
		replace = "nothing"
	}
	switch replace {
	case "nothing":
		os.Stdout.WriteString("late\n")
	case "time.Local":
		time.Local = time.UTC
	case "net.DefaultResolver":
		net.DefaultResolver = &net.Resolver{PreferGo: true}
	case "log.SetOutput":
		log.SetOutput(struct{ io.Writer }{os.Stderr})
	case "os.Stderr":
		os.Stderr = os.Stdout
	case "flag.CommandLine by nil":
		flag.CommandLine = nil
	case "flag.CommandLine":
		flag.CommandLine = flag.NewFlagSet("globals", flag.ExitOnError)
	default:
		log.Fatal("REPLACE names nothing")
	}
	if flag.CommandLine != nil && os.Getenv("PARSE") != "never" {
		flag.Parse()
	}
	io.Copy(io.Discard, os.Stdin)
	runtimemetrics.Stop()
}
