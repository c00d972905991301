//go:build !race

package runtimemetrics

// afterMain does something in builds for the race detector only.
func afterMain() {}
