// Package registry lets benchmarks and tests of this module make ticks by hand.
package registry

// NewTick makes a publisher with the settings of an environment alone and with
// the sources that are registered. It returns a function that makes one of its
// ticks at once and one that ends it. The root package sets it.
var NewTick func(lookupEnv func(name string) (string, bool)) (tick, end func())
