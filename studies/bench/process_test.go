//go:build process

package bench

import _ "github.com/runtimemetrics/runtimemetrics/process"

// Importing package process adds its gauges to all ticks of this library, so
// that it takes a binary of its own to compare them.
func init() {
	subjects = append(subjects, subject{"runtimemetrics-process", startOurs(nil), 0})
}
