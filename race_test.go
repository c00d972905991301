//go:build race

package runtimemetrics

// raceEnabled tells whether this is a build with -race.
const raceEnabled = true
