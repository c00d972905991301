//go:build unix

package runtimemetrics

import (
	"os"
	"syscall"
)

// raw is a file whose Write fails if nobody reads there any more. That of package
// os ends the program by SIGPIPE then, if the file is standard output or error. It
// fails as well if the program has closed the file: something else may have its
// descriptor by now.
type raw struct{ file *os.File }

func (f raw) Write(line []byte) (written int, err error) {
	conn, err := f.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := conn.Write(func(fd uintptr) (done bool) {
		for written < len(line) {
			var n int
			if n, err = syscall.Write(int(fd), line[written:]); err == syscall.EAGAIN {
				return false // until there is room
			} else if err != nil && err != syscall.EINTR {
				break
			}
			written += max(0, n)
		}
		return true
	})
	if failed != nil {
		err = failed
	}
	return written, err
}
