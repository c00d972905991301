//go:build asan

package collector

// The address sanitizer allocates for itself.
func init() { sanitized = true }
