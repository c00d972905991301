package process

import (
	"bytes"
	"encoding/binary"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// reader reads what the catalogue lists. It keeps its files open: that is
// cheaper than opening them each time, allocates nothing, and works when the
// process has run out of descriptors, which is when proc.fds matters.
type reader struct {
	readings

	// Tests put other ones here.
	root      string // of the file system, empty for /
	now       func() time.Time
	sinceBoot func() (ns int64, err error)

	files   []*file
	sources []source
	buf     []byte

	cgroup  *file  // /proc/self/cgroup
	cgroups []byte // what it said when the cgroups were found
	checked time.Time
	stale   bool // a file failed that was there before, or no descriptor was left for it

	started int64 // Unix time in ns

	// On the stack they would escape to the heap.
	rusage   syscall.Rusage
	rlimit   syscall.Rlimit
	stat     syscall.Stat_t
	timespec syscall.Timespec
}

func newReader() *reader {
	r := &reader{now: time.Now}
	r.sinceBoot = r.bootClock
	return r
}

// A source is what is read together: one file mostly. Only it sets its gauges.
type source struct {
	gauges []int
	read   func()
	slow   int // how many times in a row it was
	skip   int // ticks until it is read again
}

const (
	slow       = time.Millisecond
	slowTicks  = 10
	checkEvery = time.Minute

	firstBuffer = 8 << 10
	maxFile     = 1 << 20
)

func (r *reader) read() {
	start := r.now()
	if r.checked.IsZero() || start.Sub(r.checked) >= checkEvery {
		if r.checked.IsZero() || r.stale || !bytes.Equal(r.contents(r.cgroup), r.cgroups) {
			r.find()
		}
		r.checked = start
		start = r.now()
	}
	for i := range r.sources {
		s := &r.sources[i]
		if s.skip > 0 {
			s.skip--
			continue
		}
		for _, g := range s.gauges {
			r.known[g] = false
		}
		s.read()
		end := r.now()
		// Being slow once may be the scheduler's doing.
		if end.Sub(start) > slow {
			s.slow++
		} else {
			s.slow = 0
		}
		if s.slow > 1 {
			s.skip = slowTicks - 1
		}
		start = end
	}
}

// find opens what there is to read. It allocates, so it runs at the first tick
// and again only when something has changed.
func (r *reader) find() {
	for _, f := range r.files {
		f.close()
	}
	r.files, r.sources, r.stale = nil, nil, false
	r.known = [len(catalogue)]bool{}
	if r.buf == nil {
		r.buf = make([]byte, firstBuffer)
	}
	r.findProcess()
	r.findCgroups()
}

func (r *reader) add(read func(), gauges ...int) {
	r.sources = append(r.sources, source{gauges: gauges, read: read})
}

func (r *reader) findProcess() {
	// VmRSS is the resident size of statm. Peak and threads have to be read
	// from this file anyway: /proc/self/stat, which has the threads too, visits
	// each of them to add up times.
	if f, err := r.open("/proc/self/status"); err == nil {
		r.add(func() {
			b := r.contents(f)
			v, ok := kilobytes(b, "VmRSS:")
			r.set(rss, v, ok)
			// The kernel keeps the peak from counters that are off by some
			// pages, so that it can be below what VmRSS was.
			v, ok = kilobytes(b, "VmHWM:")
			r.set(rssUpper, max(v, uint64(r.value[rss]), uint64(r.value[rssUpper])), ok)
			v, ok = field(b, "Threads:", 1)
			r.set(threads, v, ok)
		}, rss, rssUpper, threads)
	}
	r.add(func() {
		err := syscall.Getrusage(syscall.RUSAGE_SELF, &r.rusage)
		r.set(cpuUser, uint64(r.rusage.Utime.Nano()), err == nil)
		r.set(cpuSys, uint64(r.rusage.Stime.Nano()), err == nil)
		r.set(majorFaults, uint64(r.rusage.Majflt), err == nil)
	}, cpuUser, cpuSys, majorFaults)
	if dir, err := r.openAny("/proc/self/fd"); err == nil {
		// Since Linux 6.2 the directory's size is the number of descriptors.
		// Before, and on what only looks like Linux, it has to be listed, which
		// takes milliseconds if they are many. While this is found out, others
		// may be opened and closed.
		count := r.entries
		listed, err1 := r.entries(dir)
		if size, err2 := r.size(dir); err1 == nil && err2 == nil && size > listed/2 && size < listed*2 {
			count = r.size
		}
		r.add(func() {
			n, err := count(dir)
			r.set(fds, n, err == nil)
		}, fds)
	}
	r.add(func() {
		err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r.rlimit)
		r.setLimit(fdsLimit, r.rlimit.Cur, err == nil)
	}, fdsLimit)
	b, _ := os.ReadFile(r.root + "/proc/self/stat")
	if ticks, ok := startTicks(b); ok {
		r.add(func() { r.age(ticks) }, startTime, uptime)
	}
}

// age tells the start and the time since then from the start in ticks after
// boot. /proc/stat and /proc/uptime would tell the boot, but are often made up
// in containers (lxcfs).
func (r *reader) age(ticks uint64) {
	const tick = int64(time.Second / 100) // USER_HZ is 100 wherever Go runs
	up, err := r.sinceBoot()
	if err != nil || ticks > uint64(up/tick) {
		return
	}
	age := up - int64(ticks)*tick
	start := r.now().UnixNano() - age
	// It follows when the clock is set, but does not jitter between two seconds.
	if d := start - r.started; d > int64(time.Second) || d < -int64(time.Second) {
		r.started = start
	}
	r.set(startTime, uint64(r.started/int64(time.Second)), true)
	r.set(uptime, uint64(age/int64(time.Second)), true)
}

// bootClock reads CLOCK_BOOTTIME, the one in which the kernel counts the start.
func (r *reader) bootClock() (ns int64, err error) {
	const bootTime = 7
	if _, _, e := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, bootTime, uintptr(unsafe.Pointer(&r.timespec)), 0); e != 0 {
		return 0, e
	}
	return r.timespec.Nano(), nil
}

type file struct {
	path string
	fd   int // -1 when it is closed
}

func (f *file) close() {
	if f.fd >= 0 {
		syscall.Close(f.fd)
		f.fd = -1
	}
}

// openAny opens a file or a directory.
func (r *reader) openAny(path string) (*file, error) {
	fd, err := syscall.Open(r.root+path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		// All other errors will be the same next time.
		r.stale = r.stale || err == syscall.EMFILE || err == syscall.ENFILE
		return nil, err
	}
	f := &file{r.root + path, fd}
	r.files = append(r.files, f)
	return f, nil
}

// open opens a file that can be read: pressure files can be there and refuse.
func (r *reader) open(path string) (*file, error) {
	f, err := r.openAny(path)
	if err != nil {
		return nil, err
	}
	if _, err := r.pread(f); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// contents returns what is in the file now, valid until the next call, and nil
// if it cannot be read. A descriptor can go stale when its cgroup is removed.
func (r *reader) contents(f *file) []byte {
	if f == nil || f.fd < 0 {
		return nil
	}
	b, err := r.pread(f)
	if err != nil {
		f.close()
		if f.fd, err = syscall.Open(f.path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0); err == nil {
			b, err = r.pread(f)
		}
	}
	if err != nil {
		f.close()
		r.stale = true
		return nil
	}
	return b
}

// pread reads the whole file in one call: the kernel makes these files up at
// each call, so that the pieces would not belong together.
func (r *reader) pread(f *file) ([]byte, error) {
	for {
		n, err := syscall.Pread(f.fd, r.buf, 0)
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

func (r *reader) size(dir *file) (uint64, error) {
	err := syscall.Fstat(dir.fd, &r.stat)
	return uint64(r.stat.Size), err
}

// entries counts what is in a directory of numbers.
func (r *reader) entries(dir *file) (uint64, error) {
	if _, err := syscall.Seek(dir.fd, 0, 0); err != nil {
		return 0, err
	}
	var count uint64
	for {
		n, err := syscall.ReadDirent(dir.fd, r.buf)
		if n <= 0 || err != nil {
			return count, err
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
