//go:build unix && !linux

package process

import (
	"syscall"
	"time"
)

type system struct {
	rusage syscall.Rusage // on the stack it would escape to the heap
}

func (s *system) cpu() (user, sys int64, ok bool) {
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &s.rusage)
	return s.rusage.Utime.Nano(), s.rusage.Stime.Nano(), err == nil
}

func (s *system) start() time.Time { return initialized }
