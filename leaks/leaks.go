// Package leaks counts the goroutines that can never run again. Go 1.27 can
// prove it: its garbage collector finds goroutines that wait for something that
// nothing reachable can ever signal. Importing this package registers one source
// of gauges with package runtimemetrics, imports that package with its flags, and
// adds the flag --metric-leaks, which turns the checks on:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/leaks"
//
// # Warning: a check can end the program
//
// Go considers a goroutine leaked if only a weak.Pointer reaches what it waits for,
// or only memory that the garbage collector does not see: the kernel's, which was
// given a uintptr, or C's. If somebody wakes such
// a goroutine after a check, the program ends with "fatal error: bad g->status in
// ready". That was seen with Go 1.27.4 and 1.26.11; a test of this package fails
// once a release has mended it. A runtime.Pinner protects what the kernel or C
// holds.
//
// So the import alone does nothing: checks run only if an interval is set. Set it
// in a canary, one instance of many, before a fleet has it. There are no checks
// on Windows, where libraries for asynchronous input and output leave pointers to
// the kernel.
//
// # Setting
//
//	--metric-leaks    interval between two checks: whole seconds or a duration, at
//	                  least 1s; 10m suits most; default off
//
// or the environment variable RUNTIMEMETRICS_METRIC_LEAKS. The first check comes
// one interval after the first tick, and there is at most one a tick. A check is
// skipped while the last one took more than a hundredth of the time since it, and
// while there are more than 100,000 goroutines; the log says so once.
//
// # Gauges
//
//	leaks.checks     + checks so far: while it stands still, leaks.goroutines is old
//	leaks.goroutines   goroutines that can never run again, as of the last check: 0 in a healthy service
//	leaks.check.ns     duration of the last check, mostly a garbage collection
//
// The one marked + only grows. The others come with the first check. Package
// leaks/catalogue describes them for programs.
//
// For each new place where goroutines have leaked there is one log line, for
// twenty places at most: how many, what they wait for, the function and line of
// the program's own code, and in which function the goroutine began.
//
// # What it costs
//
// A check takes about as long as runtime.GC, because it is a garbage collection:
// up to half as long again with 100,000 goroutines, and three times as long if that
// many have leaked. It stops the world four times where a collection does twice, for
// 15 ms with 100,000 goroutines. It has a goroutine of its own: no tick waits for
// it. runtime/pprof, which this package links, turns the sampling of allocations
// on (runtime.MemProfileRate) where nothing else does, and adds some 480 KiB to a
// binary that has no net/http/pprof, and 55 KiB to one that has. docs/leaks.md has
// the tables.
//
// # What it does not find
//
// A goroutine that waits for something that is reachable, though nobody will ever
// use it: through a global variable, a map that is never cleaned, a finalizer, a
// timer that has not fired, another goroutine that can run. So a select with a
// live ticker is not found. Three more, with Go 1.27.4: a goroutine that sends a
// variable that its function literal has captured (ch <- x), since what is to be
// sent lies beside the channel; a lone Mutex, Once or other thing of less than 16
// bytes, if it shares its place in memory with one that lives; and now and then
// one that the check before did find, so that an alert should want two checks.
//
// The main goroutine is not counted: it waits for ever in many a service, by
// design. Another goroutine that does so by design, such as one at select {}, is.
//
// Before Go 1.27 the package builds and publishes nothing, and the log says so;
// Go 1.26 built with GOEXPERIMENT=goroutineleakprofile will do.
package leaks

import (
	"fmt"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

func init() {
	text := registry.AddSetting(registry.Setting{
		Name:  "metric-leaks",
		Help:  "count goroutines that have leaked at this `interval`: whole seconds, or a duration such as 10m; read go doc of package leaks first",
		Check: func(text string) error { _, err := parseInterval(text); return err },
	})
	s := newSource(
		func() time.Duration {
			interval, _ := parseInterval(text()) // it was checked
			return interval
		},
		func(format string, args ...any) { registry.Log(fmt.Sprintf(format, args...)) },
	)
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { s.collect(t) })
}
