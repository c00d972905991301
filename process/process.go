// Package process adds gauges of the process, and of the container that it runs
// in, to those that package runtimemetrics publishes. Importing it registers one
// source of gauges there, and imports package runtimemetrics with its flags:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/process"
//
// There is nothing to configure and nothing to call. Gauges that the machine cannot
// provide are left out: without a cgroup there are no cgroup gauges. Package process/catalogue
// describes the gauges to programs, without registering anything.
//
// # Gauges
//
// Those marked + only grow, so graph their rate. Those marked * exist
// on other systems than Linux too, as described below.
//
//	proc.rss.bytes                     * memory in RAM (resident set size)
//	proc.rss.bytes.upper               * peak RSS: what a memory limit has to hold
//	proc.rss.anon.bytes                  anonymous part of RSS, Go's heap and stacks included: only swap can free it
//	proc.rss.file.bytes                  file-backed part of RSS, the executable included: the kernel may drop it and read it again
//	proc.swap.bytes                      memory swapped out: a garbage collection has to wait for it
//	proc.cpu.user.ns                  +* CPU time spent in the program's own code
//	proc.cpu.sys.ns                   +* CPU time spent in the kernel on the program's behalf
//	proc.threads                         operating system threads: cgo and blocking system calls add them
//	proc.fds                           * open files, sockets and pipes: endless growth is a leak
//	proc.fds_limit                     * limit of open descriptors: open and accept fail there
//	proc.faults.major                 +* page faults that waited for a disk: memory is short
//	proc.start_time.seconds            * Unix time of the process start: a step is a restart, or a clock that was set
//	proc.uptime.seconds                * time since the process started
//	cgroup.memory.usage.bytes            memory charged to the container, page cache included
//	cgroup.memory.working_set.bytes      usage without inactive page cache, which the kernel drops first
//	cgroup.memory.limit.bytes            the kernel kills above this: the lowest limit of the container and its parents
//	cgroup.memory.tightest.used.bytes    working set of the level with the least left below its limit, which everything in that level shares
//	cgroup.memory.tightest.limit.bytes   limit of that level: alert on used/limit
//	cgroup.memory.high.bytes             the kernel slows allocations down above this, for hours if need be: the lowest of all levels
//	cgroup.memory.high_events         +  how often usage exceeded memory.high, at all levels that have such a limit
//	cgroup.memory.swap.bytes             the container's memory that is swapped out
//	cgroup.memory.oom_kills           +  processes in the container killed because memory ran out
//	cgroup.cpu.quota_millicores          CPU quota, 1000 being one core: the lowest of the container and its parents
//	cgroup.cpu.periods                +  quota periods, usually of 100 ms, in which something ran, at the level that is throttled most
//	cgroup.cpu.throttled_periods      +  quota periods in which the quota ran out and requests stood still: alert on their share
//	cgroup.cpu.throttled.ns           +  throttled time, summed over CPUs, so it can exceed wall time
//	cgroup.pids                          threads of all processes in the container
//	cgroup.pids_limit                    limit of threads: a Go program that needs one more dies; the lowest of the container and its parents
//	cgroup.pids.tightest.used            threads in the level with the fewest left below its limit
//	cgroup.pids.tightest.limit           limit of that level: alert on used/limit
//	cgroup.pressure.cpu.some.ns       +  time in which some thread in the container waited for a CPU
//	cgroup.pressure.cpu.full.ns       +  time in which no thread got a CPU: the container was throttled
//	cgroup.pressure.memory.some.ns    +  time in which some thread waited for memory: reclaim, swap, thrashing
//	cgroup.pressure.memory.full.ns    +  time in which all threads waited for memory, and no work was done
//	cgroup.pressure.io.some.ns        +  time in which some thread waited for a disk
//	cgroup.pressure.io.full.ns        +  time in which all threads waited for a disk, and no work was done
//
// A limit or quota of 0 means that there is none.
//
// # What belongs together
//
// Everything in a group shares the group's limit. If a container is nested in
// others, as in systemd's slices, pods and CI runners, its own usage says
// nothing about the limit of its parent, which a sibling may have filled. So
// each of cgroup.memory.tightest and cgroup.pids.tightest is a pair of one
// level: the one with the least left. Of memory, used is the working set, since
// the kernel drops page cache before it kills. Both are 0 where nothing limits.
// cgroup.cpu.* count what happened at the level that was throttled most in each
// tick. Levels that the container cannot see are not reported; of cgroup v1
// the lowest limit of all levels is known, and the container's own working set
// stands beside it then.
//
// # What it reads
//
// On Linux, package process reads the files of /proc/self, and of cgroup v1, v2 or both. They are
// opened at the first tick and stay open (some 10 to 40 descriptors, which
// proc.fds counts, as it should), so that a tick costs one system call a file
// and no heap allocation, and descriptors that run out cannot hide their own
// leak. But no more than a sixteenth of RLIMIT_NOFILE less 4 stay open, which is
// none with a limit of 64, and 60 with 1,024: the others are opened and closed at
// each tick. Each read is timed: what took more than 1 ms twice in a row is read
// on every tenth tick only, its last values repeated in between, until it is quick
// again. Once a minute it reads /proc/self/cgroup to see whether the process
// was moved, and cgroup.controllers of the levels in which a controller was missing.
//
// In a container the numbers are those of its own cgroup as far as they are
// visible. On a machine without containers a process may sit in the root
// cgroup: that is the machine itself, which has no limits, so only the pressure
// is reported. If a cgroup namespace hides where the process is (the host's cgroups
// mounted into a container that has a namespace of its own), the gauges are
// left out.
//
// On Windows there are CPU times, RSS and its peak, the number of open handles
// as proc.fds, and the start; on macOS and the BSDs CPU times, the peak of RSS,
// the limit of descriptors and major page faults, on macOS also the number of
// descriptors: RSS itself cannot be had there without cgo. Other systems have
// CPU times. Where the system does not report the start of the process, which is everywhere
// but on Linux with /proc and on Windows, it is the moment at which this package was
// initialized, slightly later.
package process

import (
	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/procstat"
)

func init() {
	r := procstat.New()
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { r.Publish(t) })
}
