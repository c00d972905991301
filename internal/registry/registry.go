// Package registry lets packages of this module hand gauges to the root package
// that runtimemetrics.Register does not take: fractions, and names of which only
// a rule tells whether they are cumulative.
package registry

// Source adds its gauges to a tick by calling the two functions it is given, for
// whole numbers and for fractions.
type Source func(gauge func(name string, value int64), fraction func(name string, value float64))

// Register is like runtimemetrics.Register, which sets it. cumulative tells of
// a name whether it only ever grows.
var Register func(source Source, cumulative func(name string) bool) (unregister func())
