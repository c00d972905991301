// Package leaks counts the goroutines that can never run again. Go 1.27 can
// prove it: its garbage collector finds goroutines that wait for something that
// nothing reachable can ever signal. Importing this package registers one source
// of gauges with package runtimemetrics, which comes along with its flags:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/leaks"
//
// # Mind first: a check can end the program
//
// Go takes a goroutine for leaked if what it waits for is reached by a
// weak.Pointer alone, or only by memory that the garbage collector does not
// see: by the kernel, which has been given a uintptr, or by C. If such a
// goroutine is woken after a check, the program ends with "fatal error: bad
// g->status in ready". That was seen with Go 1.27.4, and a test of this package
// fails once a release has mended it. A runtime.Pinner protects what the kernel
// or C holds.
//
// So the import alone does nothing: checks are made if an interval is set. Set
// it for one instance of many, a canary, before a fleet has it, and not for
// programs that are known to use weak pointers in that way. There are no checks
// on Windows, where libraries for asynchronous input and output leave pointers
// to the kernel.
package leaks

import (
	"log"
	"os"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

func init() {
	text := os.Getenv("RUNTIMEMETRICS_METRIC_LEAKS")
	interval, err := parseInterval(text)
	if err != nil {
		log.Printf("runtimemetrics: invalid value %q for environment variable RUNTIMEMETRICS_METRIC_LEAKS: %v; using off", text, err)
	}
	s := newSource(func() time.Duration { return interval }, func(format string, args ...any) {
		log.Printf("runtimemetrics: "+format, args...)
	})
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { s.collect(t) })
}
