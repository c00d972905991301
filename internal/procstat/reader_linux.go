package procstat

import (
	"bytes"
	"encoding/binary"
	"os"
	"syscall"
	"time"
)

// system keeps files open: that is cheaper than opening them each time,
// allocates nothing, and works when the process has run out of descriptors,
// which is when proc.fds matters. But it keeps few compared to how many the
// process may have.
type system struct {
	// Tests put other ones here.
	root      string // of the file system, empty for /
	sinceBoot func() (time.Duration, error)

	files []*file
	kept  int // how many of them are open
	keep  int // how many may be
	buf   []byte

	watched []watched // what says where the cgroups are, and what they have
	checked time.Time
	stale   bool // a file failed that was there before, or no descriptor was left for it

	started time.Time
	sums
	answers
}

// sums go on when the cgroups are found anew.
type sums struct {
	throttle throttling
	slowed   slowing
}

// answers are where the system puts its answers: on the stack they would escape to
// the heap.
type answers struct {
	rusage syscall.Rusage
	rlimit syscall.Rlimit
	stat   syscall.Stat_t
	info   syscall.Sysinfo_t
}

func (s *system) init() { s.sinceBoot = s.bootClock }

const (
	checkEvery = time.Minute

	firstBuffer = 8 << 10
	maxFile     = 1 << 20
)

// find opens what there is to read, at the first tick and again when something
// has changed, at which it looks once a minute. Only then does it allocate.
func (r *Reader) find() {
	now := r.now()
	if !r.checked.IsZero() && now.Sub(r.checked) < checkEvery {
		return
	}
	keep := r.keepable()
	if r.checked.IsZero() || keep != r.keep || r.changed() || r.stale {
		r.keep = keep
		r.open()
	}
	r.checked = now
}

// A watched is a file and what it said when the cgroups were found.
type watched struct {
	*file
	said []byte
}

// watch returns what a file says now. When that changes, the cgroups are found anew.
func (r *Reader) watch(path string) []byte {
	for _, w := range r.watched {
		if w.path == r.root+path {
			return w.said
		}
	}
	f := r.file(path)
	if f == nil {
		return nil
	}
	said := bytes.Clone(r.contents(f))
	r.close(f) // what is read at each tick stays open first
	r.watched = append(r.watched, watched{f, said})
	return said
}

func (r *Reader) changed() bool {
	for _, w := range r.watched {
		// One that cannot be read is stale, or there is no descriptor for it.
		if b := r.contents(w.file); b != nil && !bytes.Equal(b, w.said) {
			return true
		}
	}
	return false
}

// keepable returns how many files may stay open: a sixteenth of what the process
// may have, but for the first 64. With 1,024 that is 60, with 64 and fewer none:
// the service needs them. Those that find no room are opened at each tick.
func (r *Reader) keepable() int {
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r.rlimit) != nil {
		return 0
	}
	return int(min(uint64(r.rlimit.Cur), 1<<20)/16) - 4
}

func (r *Reader) open() {
	for _, f := range r.files {
		r.close(f)
	}
	r.files, r.sources, r.watched, r.stale = nil, nil, nil, false
	r.known = [len(catalogue)]bool{}
	if r.buf == nil {
		r.buf = make([]byte, firstBuffer)
	}
	r.findProcess()
	r.findCgroups()
}

// findProcess begins with what matters most, since the first ones stay open.
func (r *Reader) findProcess() {
	r.findDescriptors()
	r.add(func() {
		err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r.rlimit)
		r.setLimit(fdsLimit, r.rlimit.Cur, err == nil)
	}, fdsLimit)
	r.add(func() {
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &r.rusage)
		r.set(cpuUser, uint64(r.rusage.Utime.Nano()), err == nil)
		r.set(cpuSys, uint64(r.rusage.Stime.Nano()), err == nil)
		r.set(majorFaults, uint64(r.rusage.Majflt), err == nil)
	}, cpuUser, cpuSys, majorFaults)
	// VmRSS is the resident size of statm. Peak and threads have to be read
	// from this file anyway: /proc/self/stat, which has the threads too, visits
	// each of them to add up times.
	if f := r.file("/proc/self/status"); f != nil {
		r.add(func() { r.status(r.contents(f)) }, rss, rssUpper, rssAnon, rssFile, swap, threads)
	}
	b, err := r.once("/proc/self/stat")
	if ticks, ok := startTicks(b); ok {
		r.add(func() { r.age(ticks) }, startTime, uptime)
	} else if err == syscall.ENOENT { // no /proc
		r.add(r.setInitialized, startTime, uptime)
	}
}

func (r *Reader) status(b []byte) {
	v, ok := kilobytes(b, "VmRSS:")
	r.set(rss, v, ok)
	peak, ok2 := kilobytes(b, "VmHWM:")
	if !ok2 && ok && valueOf(b, "VmHWM:") == nil {
		// gVisor does not have it. On Linux this one may be of the program that
		// became this one by exec.
		ok2 = syscall.Getrusage(syscall.RUSAGE_SELF, &r.rusage) == nil
		peak = uint64(r.rusage.Maxrss) * 1024
	}
	// The kernel keeps the peak from counters that are off by some pages, so
	// that it can be below what VmRSS was.
	r.set(rssUpper, max(peak, uint64(r.value[rss]), uint64(r.value[rssUpper])), ok2)
	v, ok = kilobytes(b, "RssAnon:")
	r.set(rssAnon, v, ok)
	v, ok = kilobytes(b, "RssFile:")
	r.set(rssFile, v, ok)
	v, ok = kilobytes(b, "VmSwap:")
	r.set(swap, v, ok)
	v, ok = field(b, "Threads:", 1)
	r.set(threads, v, ok)
}

// findDescriptors finds out how to count descriptors. Since Linux 6.2 the size
// of the directory is their number. Before, and on what only looks like Linux,
// it has to be listed, which takes milliseconds if they are many. While this is
// found out, others may be opened and closed.
func (r *Reader) findDescriptors() {
	dir := &file{path: r.root + "/proc/self/fd", fd: -1}
	listed, err := r.entries(dir)
	if err != nil {
		r.stale = r.stale || noDescriptor(err)
		return
	}
	r.files = append(r.files, dir)
	if r.kept < r.keep {
		if dir.fd, err = openPath(dir.path); err == nil {
			r.kept++
		}
	}
	count := r.entries
	if size, err := r.size(dir); err == nil && size > listed/2 && size < listed*2 {
		count = r.size
	}
	r.add(func() {
		n, err := count(dir)
		r.set(fds, n, err == nil)
	}, fds)
}

// size takes no descriptor, so that it works when there are none.
func (r *Reader) size(dir *file) (uint64, error) {
	var err error
	if dir.fd >= 0 {
		err = syscall.Fstat(dir.fd, &r.stat) // does not allocate, but for loong64
	} else {
		err = syscall.Stat(dir.path, &r.stat)
	}
	return uint64(r.stat.Size), err
}

// entries counts what is in a directory of descriptors, less the one that it
// takes to look.
func (r *Reader) entries(dir *file) (uint64, error) {
	fd, own := dir.fd, uint64(0)
	if fd < 0 {
		var err error
		if fd, err = openPath(dir.path); err != nil {
			return 0, err
		}
		defer syscall.Close(fd)
		own = 1
	} else if _, err := syscall.Seek(fd, 0, 0); err != nil {
		return 0, err
	}
	var count uint64
	for {
		n, err := syscall.ReadDirent(fd, r.buf)
		if n <= 0 || err != nil {
			return count - min(count, own), err
		}
		// struct linux_dirent64: inode 8, offset 8, length of the entry 2, type 1, name
		const length, name = 16, 19
		for b := r.buf[:n]; len(b) > name; b = b[binary.NativeEndian.Uint16(b[length:]):] {
			if b[name] != '.' {
				count++
			}
		}
	}
}

// age tells the start and the time since then from the start in ticks after
// boot. /proc/stat and /proc/uptime would tell the boot, but are often made up
// in containers (lxcfs).
func (r *Reader) age(ticks uint64) {
	const tick = time.Second / 100 // USER_HZ is 100 wherever Go runs
	up, err := r.sinceBoot()
	if err != nil || ticks > uint64((up+time.Second)/tick) {
		return
	}
	// It follows when the clock is set, for which it must not have a monotonic
	// reading, but does not jitter with what the system rounds: up to a second
	// either way.
	ago := max(up-time.Duration(ticks)*tick, 0)
	start := r.now().Round(0).Add(-ago)
	if d := start.Sub(r.started); d > 2*time.Second || d < -2*time.Second {
		r.started = start
	}
	r.setStart(r.started, ago)
}

// bootClock tells the time since the boot, in the clock in which the kernel counts
// the start of a process. Linux rounds it up to a second, gVisor down.
func (s *system) bootClock() (time.Duration, error) {
	err := syscall.Sysinfo(&s.info)
	return time.Duration(s.info.Uptime) * time.Second, err
}

type file struct {
	path string
	fd   int // -1 while it is closed
}

func openPath(path string) (int, error) {
	return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
}

func noDescriptor(err error) bool { return err == syscall.EMFILE || err == syscall.ENFILE }

// file returns a file that can be read, or nil: pressure files can be there and
// refuse.
func (r *Reader) file(path string) *file {
	f, _ := r.try(path)
	return f
}

// try is file with the reason.
func (r *Reader) try(path string) (*file, error) {
	f := &file{path: r.root + path, fd: -1}
	if _, err := r.load(f); err != nil {
		// All others will be the same next time.
		r.stale = r.stale || noDescriptor(err)
		return nil, err
	}
	r.files = append(r.files, f)
	return f, nil
}

// once returns what is in a file that is read this time only, and not through
// package os, which would take two more descriptors for its poller. It reads on
// until the end: of mountinfo, the kernel hands out a page at a time.
func (r *Reader) once(path string) ([]byte, error) {
	fd, err := openPath(r.root + path)
	if err != nil {
		r.stale = r.stale || noDescriptor(err)
		return nil, err
	}
	defer syscall.Close(fd)
	var all []byte
	for {
		n, err := syscall.Read(fd, r.buf)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case n == 0:
			return all, nil
		default:
			all = append(all, r.buf[:n]...)
		}
	}
}

// later is file for what is read in some circumstances only: it is opened when
// it is read for the first time.
func (r *Reader) later(path string) *file {
	if !r.exists(path) {
		return nil
	}
	f := &file{path: r.root + path, fd: -1}
	r.files = append(r.files, f)
	return f
}

func (r *Reader) exists(path string) bool {
	_, err := os.Stat(r.root + path)
	return err == nil
}

// contents returns what is in the file now, valid until the next call, and nil
// if it cannot be read. A descriptor can go stale when its cgroup is removed.
func (r *Reader) contents(f *file) []byte {
	if f == nil {
		return nil
	}
	if f.fd >= 0 {
		if b, err := r.pread(f.fd); err == nil {
			return b
		}
		r.close(f)
	}
	b, err := r.load(f)
	if err != nil {
		r.stale = r.stale || !noDescriptor(err)
		return nil
	}
	return b
}

// load opens a file, reads it, and leaves it open if there is room.
func (r *Reader) load(f *file) ([]byte, error) {
	fd, err := openPath(f.path)
	if err != nil {
		return nil, err
	}
	b, err := r.pread(fd)
	if err == nil && r.kept < r.keep {
		f.fd = fd
		r.kept++
	} else {
		syscall.Close(fd)
	}
	return b, err
}

func (r *Reader) close(f *file) {
	if f.fd >= 0 {
		syscall.Close(f.fd)
		f.fd = -1
		r.kept--
	}
}

// pread reads the whole file in one call: the kernel makes these files up at
// each call, so that the pieces would not belong together.
func (r *Reader) pread(fd int) ([]byte, error) {
	for {
		n, err := syscall.Pread(fd, r.buf, 0)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return nil, err
		case n < len(r.buf):
			return r.buf[:n], nil
		case n >= maxFile:
			return nil, syscall.EFBIG
		default:
			r.buf = make([]byte, 2*len(r.buf))
		}
	}
}
