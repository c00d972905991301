// Package env publishes Go runtime metrics as package runtimemetrics does, but takes
// its configuration from environment variables alone. It is imported for its side
// effects:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/env"
//
// No flag is defined, even if package runtimemetrics is also imported elsewhere in
// the program. That suits programs that use another flag library, that have a flag
// -cpu of their own, or whose help text must not change.
//
// If RUNTIMEMETRICS_STATSD is set, publishing starts by itself, and the first tick
// comes a second after the program's start. If it is not set, nothing happens: no
// goroutine is started and nothing is logged. If it is not valid, one line is
// logged and nothing is published. All other variables are as package
// runtimemetrics documents them.
//
// The environment is read while packages are initialised. A program that sets
// variables in main, from a file for instance, calls runtimemetrics.Start.
//
// This rests on the order in which Go initialises packages, which is by import
// path. A fork whose import path sorts after "net" would define the flags after
// all.
package env

import (
	_ "github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/internal/envonly" // before the one above, see there
)
