//go:build !runtimemetrics_noflags

package runtimemetrics

// defineFlags tells whether init defines the flags; the build tag
// runtimemetrics_noflags turns it off.
const defineFlags = true
