//go:build asan

package runtimemetrics

// The address sanitizer allocates for itself.
func init() { sanitized = true }
