//go:build unix

package link

import (
	"net"
	"os"
	"syscall"
)

// atOnce returns a function that writes a datagram to conn, or fails with a
// timeout if that would mean to wait. A UDP socket takes a tick's datagrams at
// once, as a rule, and a deadline costs more than all else of a write but the
// system call; so only what fails is written again, with one. It returns nil if
// conn is not a socket of the system's.
func atOnce(conn net.Conn) func(datagram []byte) error {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	var next []byte
	var failed error
	write := func(fd uintptr) bool {
		for {
			if _, failed = syscall.Write(int(fd), next); failed != syscall.EINTR {
				return true // rather than false, which waits
			}
		}
	}
	return func(datagram []byte) error {
		next = datagram
		err := raw.Write(write)
		if err == nil && failed != nil {
			err = &net.OpError{Op: "write", Net: "udp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: os.NewSyscallError("write", failed)}
		}
		return err
	}
}
