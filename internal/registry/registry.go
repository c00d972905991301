// Package registry is the way to what the root package does not export: for
// packages of this module, gauges that runtimemetrics.Register does not take,
// which are fractions, and names of which only a rule tells whether they are
// cumulative; for benchmarks and tests, ticks by hand.
package registry

// Source adds its gauges to a tick by calling the two functions it is given, for
// whole numbers and for fractions.
type Source func(gauge func(name string, value int64), fraction func(name string, value float64))

// Register is like runtimemetrics.Register, which sets it. cumulative tells of
// a name whether it only ever grows.
var Register func(source Source, cumulative func(name string) bool) (unregister func())

// NewTick makes a publisher with the settings of an environment alone and with
// the sources that are registered. It returns a function that makes one of its
// ticks at once and one that ends it. The root package sets it.
var NewTick func(lookupEnv func(name string) (string, bool)) (tick, end func())
