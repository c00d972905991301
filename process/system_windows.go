package process

import (
	"syscall"
	"time"
)

type system struct {
	created, exited, kernel, user syscall.Filetime // on the stack they would escape to the heap
}

// cpu reads all times, and leaves that of creation to start.
func (s *system) cpu() (user, sys int64, ok bool) {
	self, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, 0, false
	}
	err = syscall.GetProcessTimes(self, &s.created, &s.exited, &s.kernel, &s.user)
	return duration(s.user), duration(s.kernel), err == nil
}

func (s *system) start() time.Time {
	if s.created == (syscall.Filetime{}) {
		return initialized
	}
	return time.Unix(0, s.created.Nanoseconds())
}

// duration returns nanoseconds. Filetime.Nanoseconds is for points in time.
func duration(t syscall.Filetime) int64 {
	return (int64(t.HighDateTime)<<32 + int64(t.LowDateTime)) * 100
}
