// Package mode holds what package env decides before the root package is
// initialised. It imports nothing, so that it can be initialised first.
package mode

// EnvOnly says that no flag is to be defined: the environment alone configures.
var EnvOnly bool
