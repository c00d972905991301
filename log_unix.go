//go:build unix

package runtimemetrics

import "syscall"

// rawStderr writes to descriptor 2, and fails if nobody reads there any more.
type rawStderr struct{}

func (rawStderr) Write(line []byte) (written int, err error) {
	for written < len(line) {
		n, err := syscall.Write(2, line[written:])
		if err != nil && err != syscall.EINTR {
			return written, err
		}
		written += max(0, n)
	}
	return written, nil
}
