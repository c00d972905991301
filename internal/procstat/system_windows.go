package procstat

import (
	"syscall"
	"time"
	"unsafe"
)

type system struct {
	// On the stack they would escape to the heap.
	created, exited, kernel, user syscall.Filetime
	memory                        memoryCounters
	handles                       uint32
}

// memoryCounters is PROCESS_MEMORY_COUNTERS of psapi.h.
type memoryCounters struct {
	size              uint32
	pageFaults        uint32
	peakWorkingSet    uintptr
	workingSet        uintptr
	quotaPeakPaged    uintptr
	quotaPaged        uintptr
	quotaPeakNonPaged uintptr
	quotaNonPaged     uintptr
	pagefileUsage     uintptr
	peakPagefileUsage uintptr
}

// Of a library that is loaded in every process; both are there since Windows 7.
var (
	kernel32             = syscall.NewLazyDLL("kernel32.dll")
	getProcessMemoryInfo = kernel32.NewProc("K32GetProcessMemoryInfo")
	getProcessHandles    = kernel32.NewProc("GetProcessHandleCount")
)

func (system) init() {}

func (r *Reader) findSystem() {
	self, err := syscall.GetCurrentProcess() // the same pseudo handle always
	if err != nil {
		return
	}
	r.add(func() {
		err := syscall.GetProcessTimes(self, &r.created, &r.exited, &r.kernel, &r.user)
		r.set(cpuUser, uint64(duration(r.user)), err == nil)
		r.set(cpuSys, uint64(duration(r.kernel)), err == nil)
		if err != nil {
			r.setInitialized()
		} else {
			start := time.Unix(0, r.created.Nanoseconds())
			r.setStart(start, r.now().Sub(start))
		}
	}, cpuUser, cpuSys, startTime, uptime)
	// Package syscall does not have these two calls, and an address is all that
	// they take: hence the one use of unsafe in the library.
	if getProcessMemoryInfo.Find() == nil {
		r.add(func() {
			r.memory.size = uint32(unsafe.Sizeof(r.memory))
			done, _, _ := syscall.SyscallN(getProcessMemoryInfo.Addr(), uintptr(self), uintptr(unsafe.Pointer(&r.memory)), uintptr(r.memory.size))
			r.set(rss, uint64(r.memory.workingSet), done != 0)
			r.set(rssUpper, uint64(r.memory.peakWorkingSet), done != 0)
		}, rss, rssUpper)
	}
	if getProcessHandles.Find() == nil {
		r.add(func() {
			done, _, _ := syscall.SyscallN(getProcessHandles.Addr(), uintptr(self), uintptr(unsafe.Pointer(&r.handles)))
			r.set(fds, uint64(r.handles), done != 0 && r.handles > 0) // wine says 0
		}, fds)
	}
}

// duration returns nanoseconds. Filetime.Nanoseconds is for points in time.
func duration(t syscall.Filetime) int64 {
	return (int64(t.HighDateTime)<<32 + int64(t.LowDateTime)) * 100
}
