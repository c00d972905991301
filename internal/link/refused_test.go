//go:build !plan9

package link

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
)

// refusal is how the system says that nobody listens.
var refusal error = &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("write", syscall.ECONNREFUSED)}

func TestOnlyARefusalIsARefusal(t *testing.T) {
	for err, want := range map[error]bool{
		refusal:                         true,
		fmt.Errorf("send: %w", refusal): true,
		syscall.EHOSTUNREACH:            true,
		syscall.EACCES:                  true,
		syscall.ENETUNREACH:             false,
		os.ErrDeadlineExceeded:          false,
		net.ErrClosed:                   false,
	} {
		if isRefused(err) != want {
			t.Errorf("isRefused(%v) = %v", err, !want)
		}
	}
}
