//go:build unix && !linux

package procstat

import (
	"os"
	"runtime"
	"syscall"
)

type system struct {
	// On the stack they would escape to the heap.
	rusage syscall.Rusage
	rlimit syscall.Rlimit
}

func (system) init() {}

func (r *Reader) findSystem() {
	r.add(func() {
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &r.rusage)
		r.set(cpuUser, uint64(r.rusage.Utime.Nano()), err == nil)
		r.set(cpuSys, uint64(r.rusage.Stime.Nano()), err == nil)
		unit := maxrssUnit()
		r.set(rssUpper, uint64(r.rusage.Maxrss)*unit, err == nil && unit > 0)
		r.set(majorFaults, uint64(r.rusage.Majflt), err == nil && unit > 0)
	}, cpuUser, cpuSys, rssUpper, majorFaults)
	if maxrssUnit() > 0 {
		r.add(func() {
			err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r.rlimit)
			r.setLimit(fdsLimit, uint64(r.rlimit.Cur), err == nil)
		}, fdsLimit)
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		r.add(func() {
			n, err := countListed("/dev/fd")
			r.set(fds, n, err == nil)
		}, fds)
	}
	r.add(r.setInitialized, startTime, uptime)
}

// maxrssUnit returns in how many bytes ru_maxrss counts, 0 where it is not
// filled in, as most of the structure is not then.
func maxrssUnit() uint64 {
	switch runtime.GOOS {
	case "darwin", "ios":
		return 1
	case "freebsd", "netbsd", "openbsd", "dragonfly":
		return 1024
	}
	return 0
}

// countListed counts the descriptors that a directory of them lists, less the one
// that it takes to look.
func countListed(dir string) (uint64, error) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	// Not ReadDir, which looks at each file and fails at some.
	names, err := d.Readdirnames(-1)
	return uint64(max(len(names)-1, 0)), err
}
