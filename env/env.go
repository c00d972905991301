// Package env publishes the Go runtime's statistics as package runtimemetrics
// does, and is configured by environment variables alone. It is imported for its
// side effects:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/env"
//
// No flag is defined, wherever package runtimemetrics is imported in the program
// besides. That suits programs that use another flag library, that have a flag
// -cpu of their own, or whose help text is not to change.
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
// That no flag is defined rests on the order in which Go initialises packages,
// which is by import path. A fork whose import path sorts after "net" would define
// the flags after all.
package env

import (
	_ "github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/internal/envonly" // before the one above, see there
)
