// Package procstat reads the gauges that package process publishes, and
// describes them. It has no side effect: package process is what registers it.
package procstat

import "github.com/runtimemetrics/runtimemetrics/collector"

// The gauges, in the order in which they are published.
const (
	rss = iota
	rssUpper
	rssAnon
	rssFile
	swap
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
	memoryTightestUsed
	memoryTightestLimit
	memoryHigh
	memoryHighEvents
	memorySwap
	oomKills
	cpuQuota
	cpuPeriods
	cpuThrottledPeriods
	cpuThrottled
	pids
	pidsLimit
	pidsTightestUsed
	pidsTightestLimit
	cpuPressure
	cpuPressureFull
	memoryPressure
	memoryPressureFull
	ioPressure
	ioPressureFull
)

// entry is a collector.Gauge whose source is that on Linux; of cgroups v2 first,
// v1 after the semicolon.
type entry struct {
	name         string
	kind         collector.Kind
	unit         string
	help, source string
	elsewhere    string // where it comes from on other systems, which it names unless it is all; empty if there is nothing
}

const (
	level      = collector.Level
	cumulative = collector.Cumulative
)

// catalogue describes each gauge. The lists in the comment of package process
// and in docs/gauges.md are made from it.
var catalogue = [...]entry{
	rss: {"proc.rss.bytes", level, "bytes",
		"memory in RAM (resident set size)",
		"/proc/self/status VmRSS", "Windows K32GetProcessMemoryInfo WorkingSetSize"},
	rssUpper: {"proc.rss.bytes.upper", level, "bytes",
		"peak RSS: what a memory limit has to hold",
		"/proc/self/status VmHWM, else getrusage ru_maxrss", "macOS and BSD getrusage ru_maxrss; Windows PeakWorkingSetSize"},
	rssAnon: {"proc.rss.anon.bytes", level, "bytes",
		"anonymous part of RSS, Go's heap and stacks included: only swap can free it",
		"/proc/self/status RssAnon", ""},
	rssFile: {"proc.rss.file.bytes", level, "bytes",
		"file-backed part of RSS, the executable included: the kernel may drop it and read it again",
		"/proc/self/status RssFile", ""},
	swap: {"proc.swap.bytes", level, "bytes",
		"memory swapped out: a garbage collection has to wait for it",
		"/proc/self/status VmSwap", ""},
	cpuUser: {"proc.cpu.user.ns", cumulative, "ns",
		"CPU time spent in the program's own code",
		"getrusage ru_utime", "getrusage; Windows GetProcessTimes"},
	cpuSys: {"proc.cpu.sys.ns", cumulative, "ns",
		"CPU time spent in the kernel on the program's behalf",
		"getrusage ru_stime", "getrusage; Windows GetProcessTimes"},
	threads: {"proc.threads", level, "",
		"operating system threads: cgo and blocking system calls add them",
		"/proc/self/status Threads", ""},
	fds: {"proc.fds", level, "",
		"open files, sockets and pipes: endless growth is a leak",
		"/proc/self/fd", "macOS /dev/fd; Windows GetProcessHandleCount, which counts all handles"},
	fdsLimit: {"proc.fds_limit", level, "",
		"limit of open descriptors: open and accept fail there",
		"getrlimit RLIMIT_NOFILE", "macOS and BSD getrlimit"},
	majorFaults: {"proc.faults.major", cumulative, "",
		"page faults that waited for a disk: memory is short",
		"getrusage ru_majflt", "macOS and BSD getrusage"},
	startTime: {"proc.start_time.seconds", level, "seconds",
		"Unix time of the process start: a step is a restart, or a clock that was set",
		"/proc/self/stat starttime, else initialization of the package", "initialization of the package; Windows GetProcessTimes"},
	uptime: {"proc.uptime.seconds", level, "seconds",
		"time since the process started",
		"sysinfo and /proc/self/stat starttime, else initialization of the package", "initialization of the package; Windows GetProcessTimes"},

	memoryUsage: {"cgroup.memory.usage.bytes", level, "bytes",
		"memory charged to the container, page cache included",
		"memory.current; memory.usage_in_bytes", ""},
	memoryWorkingSet: {"cgroup.memory.working_set.bytes", level, "bytes",
		"usage without inactive page cache, which the kernel drops first",
		"usage less memory.stat inactive_file; total_inactive_file; usage where there is no memory.stat", ""},
	memoryLimit: {"cgroup.memory.limit.bytes", level, "bytes",
		"the kernel kills above this: the lowest limit of the container and its parents",
		"memory.max; memory.stat hierarchical_memory_limit, else memory.limit_in_bytes", ""},
	memoryTightestUsed: {"cgroup.memory.tightest.used.bytes", level, "bytes",
		"working set of the level with the least left below its limit, which everything in that level shares",
		"as the working set, of the container or a parent", ""},
	memoryTightestLimit: {"cgroup.memory.tightest.limit.bytes", level, "bytes",
		"limit of that level: alert on used/limit",
		"as the limit, of the container or a parent", ""},
	memoryHigh: {"cgroup.memory.high.bytes", level, "bytes",
		"the kernel slows allocations down above this, for hours if need be: the lowest of all levels",
		"memory.high, v2 only", ""},
	memoryHighEvents: {"cgroup.memory.high_events", cumulative, "",
		"how often usage exceeded memory.high, at all levels that have such a limit",
		"memory.events.local high, v2 only", ""},
	memorySwap: {"cgroup.memory.swap.bytes", level, "bytes",
		"the container's memory that is swapped out",
		"memory.swap.current; memory.stat total_swap", ""},
	oomKills: {"cgroup.memory.oom_kills", cumulative, "",
		"processes in the container killed because memory ran out",
		"memory.events oom_kill; memory.oom_control oom_kill", ""},
	cpuQuota: {"cgroup.cpu.quota_millicores", level, "millicores",
		"CPU quota, 1000 being one core: the lowest of the container and its parents",
		"cpu.max; cpu.cfs_quota_us and cpu.cfs_period_us", ""},
	cpuPeriods: {"cgroup.cpu.periods", cumulative, "",
		"quota periods, usually of 100 ms, in which something ran, at the level that is throttled most",
		"cpu.stat nr_periods", ""},
	cpuThrottledPeriods: {"cgroup.cpu.throttled_periods", cumulative, "",
		"quota periods in which the quota ran out and requests stood still: alert on their share",
		"cpu.stat nr_throttled", ""},
	cpuThrottled: {"cgroup.cpu.throttled.ns", cumulative, "ns",
		"throttled time, summed over CPUs, so it can exceed wall time",
		"cpu.stat throttled_usec; throttled_time", ""},
	pids: {"cgroup.pids", level, "",
		"threads of all processes in the container",
		"pids.current", ""},
	pidsLimit: {"cgroup.pids_limit", level, "",
		"limit of threads: a Go program that needs one more dies; the lowest of the container and its parents",
		"pids.max", ""},
	pidsTightestUsed: {"cgroup.pids.tightest.used", level, "",
		"threads in the level with the fewest left below its limit",
		"pids.current, of the container or a parent", ""},
	pidsTightestLimit: {"cgroup.pids.tightest.limit", level, "",
		"limit of that level: alert on used/limit",
		"pids.max, of the container or a parent", ""},
	cpuPressure: {"cgroup.pressure.cpu.some.ns", cumulative, "ns",
		"time in which some thread in the container waited for a CPU",
		"cpu.pressure, v2 only", ""},
	cpuPressureFull: {"cgroup.pressure.cpu.full.ns", cumulative, "ns",
		"time in which no thread got a CPU: the container was throttled",
		"cpu.pressure, v2 only", ""},
	memoryPressure: {"cgroup.pressure.memory.some.ns", cumulative, "ns",
		"time in which some thread waited for memory: reclaim, swap, thrashing",
		"memory.pressure, v2 only", ""},
	memoryPressureFull: {"cgroup.pressure.memory.full.ns", cumulative, "ns",
		"time in which all threads waited for memory, and no work was done",
		"memory.pressure, v2 only", ""},
	ioPressure: {"cgroup.pressure.io.some.ns", cumulative, "ns",
		"time in which some thread waited for a disk",
		"io.pressure, v2 only", ""},
	ioPressureFull: {"cgroup.pressure.io.full.ns", cumulative, "ns",
		"time in which all threads waited for a disk, and no work was done",
		"io.pressure, v2 only", ""},
}

// Gauges describes the gauges, in the order in which they are published.
func Gauges() []collector.Gauge {
	gauges := make([]collector.Gauge, len(catalogue))
	for i, g := range catalogue {
		gauges[i] = collector.Gauge{Name: g.name, Kind: g.kind, Unit: g.unit, Help: g.help, Source: g.source}
	}
	return gauges
}

// OnLinuxOnly reports whether no system but Linux has a gauge of the catalogue.
func OnLinuxOnly(gauge int) bool { return catalogue[gauge].elsewhere == "" }
