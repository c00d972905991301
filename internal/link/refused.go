//go:build !plan9

package link

import (
	"errors"
	"syscall"
)

// isRefused reports whether the system was told that a datagram did not arrive:
// nobody listens, or a firewall turned it away, which is "no route to host" with
// IPv4 and "permission denied" with IPv6. Windows never is: package net turns these
// reports off there.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.EACCES)
}
