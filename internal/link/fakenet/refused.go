//go:build !plan9

package fakenet

import "syscall"

// ErrRefused is what a write says when nobody listens.
var ErrRefused error = syscall.ECONNREFUSED
