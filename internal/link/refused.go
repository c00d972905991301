//go:build !plan9

package link

import (
	"errors"
	"syscall"
)

// isRefused reports whether the system was told that nobody listens. Windows
// never is: package net turns these reports off there.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
