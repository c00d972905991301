//go:build !linux

package process

import "time"

// initialized stands for the start of the process where the system does not
// tell it: packages are initialized within milliseconds of it.
var initialized = time.Now()

type reader struct {
	readings
	system
}

func newReader() *reader {
	return new(reader)
}

func (r *reader) read() {
	user, sys, ok := r.cpu()
	r.set(cpuUser, uint64(user), ok)
	r.set(cpuSys, uint64(sys), ok)
	start := r.start()
	r.set(startTime, uint64(start.Unix()), true)
	r.set(uptime, uint64(time.Since(start)/time.Second), true)
}
