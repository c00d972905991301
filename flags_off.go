//go:build runtimemetrics_noflags

package runtimemetrics

const defineFlags = false
