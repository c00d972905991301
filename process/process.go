// Package process adds gauges of the process and of the container that it runs
// in to those that package runtimemetrics publishes. Importing it registers one
// source of gauges there, and package runtimemetrics with its flags comes along:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/process"
//
// There is nothing to configure, and nothing to call but for a description of
// the gauges. What the machine does not tell is left out: no cgroup, no cgroup
// gauges.
//
// # Gauges
//
// Those marked + only ever grow, so look at their rate. Those marked * exist
// on every system, all others on Linux.
//
//	proc.rss.bytes                     memory in RAM (resident set size)
//	proc.rss.bytes.upper               the most it ever was: what a memory limit has to hold
//	proc.cpu.user.ns                +* CPU time spent in the program's own code
//	proc.cpu.sys.ns                 +* CPU time that the kernel spent on its behalf
//	proc.threads                       threads of the operating system: cgo and blocking system calls add them
//	proc.fds                           open files, sockets and pipes: growing without end is a leak
//	proc.fds_limit                     at this number of descriptors open and accept fail
//	proc.faults.major               +  page faults that waited for a disk: memory is short
//	proc.start_time.seconds          * Unix time at which it started: a step is a restart
//	proc.uptime.seconds              * time since then
//	cgroup.memory.usage.bytes          memory charged to the container, page cache included
//	cgroup.memory.working_set.bytes    usage without the page cache that is first to go: compare this one to the limit
//	cgroup.memory.limit.bytes          above this the kernel kills: the tightest limit of the container and what it is nested in
//	cgroup.memory.oom_kills         +  processes of the container killed for want of memory
//	cgroup.cpu.quota_millicores        CPU time it may use, 1000 being one core: the tightest quota, as for memory
//	cgroup.cpu.periods              +  periods, mostly of 100 ms, in which it ran under that quota
//	cgroup.cpu.throttled_periods    +  those in which the quota ran out and requests stood still: alert on their share
//	cgroup.cpu.throttled.ns         +  for how long, added up over CPUs, so that it can exceed the time on the wall
//	cgroup.pids                        threads of all processes in the container
//	cgroup.pids_limit                  at this number no thread can start, and a Go program that needs one dies
//	cgroup.pressure.cpu.some.ns     +  time in which some thread of the container had to wait for a CPU
//	cgroup.pressure.memory.some.ns  +  the same for memory: reclaim, swap, thrashing
//	cgroup.pressure.io.some.ns      +  the same for a disk
//
// A limit or quota of 0 means that there is none.
//
// # What it reads
//
// On Linux the files of /proc/self, and of cgroup v1, v2 or both. They are
// opened at the first tick and stay open (some 10 to 30 descriptors, which
// proc.fds counts, as it should), so that a tick costs one system call a file
// and no heap allocation, and descriptors that run out cannot hide their own
// leak. Each read is timed: what took more than 1 ms twice in a row is read on
// every tenth tick only, its last values repeated in between, until it is quick
// again. Once a minute a look at /proc/self/cgroup tells whether the process
// was moved.
//
// In a container the numbers are those of its own cgroup as far as they are
// visible. On a machine without containers a process may sit in the root
// cgroup: that is the machine itself, which has no limits, so only the pressure
// is told. If a cgroup namespace hides where the process is (the host's cgroups
// mounted into a container that has a namespace of its own), the gauges are
// left out.
//
// Elsewhere CPU times come from getrusage or GetProcessTimes. The start is that
// of the process on Windows; on other systems it is when this package was
// initialized, a moment later.
package process

import (
	"sync"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/collector"
)

func init() {
	r := newReader()
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { r.publish(t.Gauge, t.Cumulative) })
}

type kind bool

const (
	level      kind = false // goes up and down
	cumulative kind = true  // only grows
)

// The gauges, in the order in which they are published.
const (
	rss = iota
	rssUpper
	cpuUser
	cpuSys
	threads
	fds
	fdsLimit
	majorFaults
	startTime
	uptime

	memoryUsage
	memoryWorkingSet
	memoryLimit
	oomKills
	cpuQuota
	cpuPeriods
	cpuThrottledPeriods
	cpuThrottled
	pids
	pidsLimit
	cpuPressure
	memoryPressure
	ioPressure
)

// catalogue is what there is to know about each gauge. The list in the package
// comment is made from it.
var catalogue = [...]struct {
	name, unit string
	kind       kind
	help       string // what it tells an operator
	linux      string // where it comes from; cgroup v2 first, v1 after the semicolon
	elsewhere  string // the same on other systems, empty if there is nothing
}{
	rss: {"proc.rss.bytes", "bytes", level,
		"memory in RAM (resident set size)",
		"/proc/self/status VmRSS", ""},
	rssUpper: {"proc.rss.bytes.upper", "bytes", level,
		"the most it ever was: what a memory limit has to hold",
		"/proc/self/status VmHWM", ""},
	cpuUser: {"proc.cpu.user.ns", "nanoseconds", cumulative,
		"CPU time spent in the program's own code",
		"getrusage ru_utime", "getrusage; Windows GetProcessTimes"},
	cpuSys: {"proc.cpu.sys.ns", "nanoseconds", cumulative,
		"CPU time that the kernel spent on its behalf",
		"getrusage ru_stime", "getrusage; Windows GetProcessTimes"},
	threads: {"proc.threads", "threads", level,
		"threads of the operating system: cgo and blocking system calls add them",
		"/proc/self/status Threads", ""},
	fds: {"proc.fds", "descriptors", level,
		"open files, sockets and pipes: growing without end is a leak",
		"/proc/self/fd", ""},
	fdsLimit: {"proc.fds_limit", "descriptors", level,
		"at this number of descriptors open and accept fail",
		"getrlimit RLIMIT_NOFILE", ""},
	majorFaults: {"proc.faults.major", "faults", cumulative,
		"page faults that waited for a disk: memory is short",
		"getrusage ru_majflt", ""},
	startTime: {"proc.start_time.seconds", "seconds", level,
		"Unix time at which it started: a step is a restart",
		"/proc/self/stat starttime", "initialization of the package; Windows GetProcessTimes"},
	uptime: {"proc.uptime.seconds", "seconds", level,
		"time since then",
		"CLOCK_BOOTTIME and /proc/self/stat starttime", "initialization of the package; Windows GetProcessTimes"},

	memoryUsage: {"cgroup.memory.usage.bytes", "bytes", level,
		"memory charged to the container, page cache included",
		"memory.current; memory.usage_in_bytes", ""},
	memoryWorkingSet: {"cgroup.memory.working_set.bytes", "bytes", level,
		"usage without the page cache that is first to go: compare this one to the limit",
		"usage less memory.stat inactive_file; total_inactive_file", ""},
	memoryLimit: {"cgroup.memory.limit.bytes", "bytes", level,
		"above this the kernel kills: the tightest limit of the container and what it is nested in",
		"memory.max; memory.stat hierarchical_memory_limit", ""},
	oomKills: {"cgroup.memory.oom_kills", "processes", cumulative,
		"processes of the container killed for want of memory",
		"memory.events oom_kill; memory.oom_control oom_kill", ""},
	cpuQuota: {"cgroup.cpu.quota_millicores", "thousandths of a core", level,
		"CPU time it may use, 1000 being one core: the tightest quota, as for memory",
		"cpu.max; cpu.cfs_quota_us and cpu.cfs_period_us", ""},
	cpuPeriods: {"cgroup.cpu.periods", "periods", cumulative,
		"periods, mostly of 100 ms, in which it ran under that quota",
		"cpu.stat nr_periods", ""},
	cpuThrottledPeriods: {"cgroup.cpu.throttled_periods", "periods", cumulative,
		"those in which the quota ran out and requests stood still: alert on their share",
		"cpu.stat nr_throttled", ""},
	cpuThrottled: {"cgroup.cpu.throttled.ns", "nanoseconds", cumulative,
		"for how long, added up over CPUs, so that it can exceed the time on the wall",
		"cpu.stat throttled_usec; throttled_time", ""},
	pids: {"cgroup.pids", "threads", level,
		"threads of all processes in the container",
		"pids.current", ""},
	pidsLimit: {"cgroup.pids_limit", "threads", level,
		"at this number no thread can start, and a Go program that needs one dies",
		"pids.max", ""},
	cpuPressure: {"cgroup.pressure.cpu.some.ns", "nanoseconds", cumulative,
		"time in which some thread of the container had to wait for a CPU",
		"cpu.pressure, v2 only", ""},
	memoryPressure: {"cgroup.pressure.memory.some.ns", "nanoseconds", cumulative,
		"the same for memory: reclaim, swap, thrashing",
		"memory.pressure, v2 only", ""},
	ioPressure: {"cgroup.pressure.io.some.ns", "nanoseconds", cumulative,
		"the same for a disk",
		"io.pressure, v2 only", ""},
}

// Gauges describes the gauges, in the order in which they are published. Not all
// of them exist on every machine.
func Gauges() []collector.Gauge {
	gauges := make([]collector.Gauge, len(catalogue))
	for i, g := range catalogue {
		gauges[i] = collector.Gauge{Name: g.name, Unit: g.unit, Source: g.linux, Help: g.help}
		if g.kind == cumulative {
			gauges[i].Kind = collector.Cumulative
		}
	}
	return gauges
}

// readings holds the last value of each gauge of the catalogue.
type readings struct {
	mu    sync.Mutex // a tick that hangs in a read may still do so when the publisher is started anew
	value [len(catalogue)]int64
	known [len(catalogue)]bool
}

// set takes what a parser returned. From 2^62 on, nothing that is counted here
// is a count: the kernel had no number to tell, or a subtraction wrapped.
func (r *readings) set(gauge int, value uint64, ok bool) {
	if r.known[gauge] = ok && value < noLimit; r.known[gauge] {
		r.value[gauge] = int64(value)
	}
}

// setLimit is set for limits, of which 0 says that there is none. A limit that
// really is 0 (a cgroup that may start no thread) is therefore left out.
func (r *readings) setLimit(gauge int, value uint64, ok bool) {
	if value >= noLimit {
		r.set(gauge, 0, ok)
	} else {
		r.set(gauge, value, ok && value > 0)
	}
}

// publish is the source of gauges that package runtimemetrics calls at each tick.
func (r *reader) publish(level, grow func(name string, value int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read()
	for i := range catalogue {
		switch g := &catalogue[i]; {
		case !r.known[i]:
		case g.kind == cumulative:
			grow(g.name, r.value[i])
		default:
			level(g.name, r.value[i])
		}
	}
}
