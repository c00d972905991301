// Package envonly, imported, turns the library's flags off.
//
// Go initialises packages sorted by import path, each as soon as all that it
// imports is initialised. This one imports nothing but a package without imports,
// and its path sorts before net and time, which the root package imports. So it
// comes before the root package, whoever imports the two and in whatever order.
package envonly

import "github.com/runtimemetrics/runtimemetrics/internal/mode"

func init() { mode.EnvOnly = true }
