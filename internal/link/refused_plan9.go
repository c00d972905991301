package link

import "strings"

// isRefused reports whether the system was told that nobody listens.
func isRefused(err error) bool { return strings.Contains(err.Error(), "refused") }
