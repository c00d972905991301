//go:build asan

package procstat

// The address sanitizer allocates for itself.
func init() { sanitized = true }
