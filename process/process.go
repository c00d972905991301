// Package process adds gauges of the process and of the container that it runs
// in to those that package runtimemetrics publishes. Importing it registers one
// source of gauges there, and package runtimemetrics with its flags comes along:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/process"
//
// There is nothing to configure and nothing to call. What the machine does not
// tell is left out: no cgroup, no cgroup gauges. Package process/catalogue
// describes the gauges to programs, without registering anything.
//
// # Gauges
//
// Those marked + only ever grow, so look at their rate. Those marked * exist
// on other systems than Linux too, as told below.
//
//	proc.rss.bytes                     * memory in RAM (resident set size)
//	proc.rss.bytes.upper               * the most it ever was: what a memory limit has to hold
//	proc.rss.anon.bytes                  the part of it that Go's heap and stacks are in: only swap could take it
//	proc.rss.file.bytes                  the part of it that is files, the program's own included: the kernel may drop and read it again
//	proc.swap.bytes                      memory that was swapped out: a garbage collection has to wait for it
//	proc.cpu.user.ns                  +* CPU time spent in the program's own code
//	proc.cpu.sys.ns                   +* CPU time that the kernel spent on its behalf
//	proc.threads                         threads of the operating system: cgo and blocking system calls add them
//	proc.fds                           * open files, sockets and pipes: growing without end is a leak
//	proc.fds_limit                     * at this number of descriptors open and accept fail
//	proc.faults.major                 +* page faults that waited for a disk: memory is short
//	proc.start_time.seconds            * Unix time at which it started: a step is a restart, or a clock that was set
//	proc.uptime.seconds                * time since then
//	cgroup.memory.usage.bytes            memory charged to the container, page cache included
//	cgroup.memory.working_set.bytes      usage without the page cache that is first to go
//	cgroup.memory.limit.bytes            above this the kernel kills: the lowest limit of the container and what it is nested in
//	cgroup.memory.tightest.used.bytes    working set of the level that has the least left below its limit: all in that level can fill it
//	cgroup.memory.tightest.limit.bytes   limit of that level: alert on used/limit
//	cgroup.memory.high.bytes             above this the kernel slows each allocation down, for hours if need be: the lowest of all levels
//	cgroup.memory.high_events         +  how often that happened, at all levels that have such a limit
//	cgroup.memory.swap.bytes             memory of the container that was swapped out
//	cgroup.memory.oom_kills           +  processes of the container killed for want of memory
//	cgroup.cpu.quota_millicores          CPU time it may use, 1000 being one core: the lowest quota, as for memory
//	cgroup.cpu.periods                +  periods, mostly of 100 ms, in which something ran under a quota, at the level that is throttled most
//	cgroup.cpu.throttled_periods      +  those in which the quota ran out and requests stood still: alert on their share
//	cgroup.cpu.throttled.ns           +  for how long, added up over CPUs, so that it can exceed the time on the wall
//	cgroup.pids                          threads of all processes in the container
//	cgroup.pids_limit                    at this number no thread can start, and a Go program that needs one dies: the lowest limit, as for memory
//	cgroup.pids.tightest.used            threads in the level that has the fewest left below its limit
//	cgroup.pids.tightest.limit           limit of that level: alert on used/limit
//	cgroup.pressure.cpu.some.ns       +  time in which some thread of the container had to wait for a CPU
//	cgroup.pressure.cpu.full.ns       +  time in which none of them got one: it was throttled
//	cgroup.pressure.memory.some.ns    +  time in which some thread waited for memory: reclaim, swap, thrashing
//	cgroup.pressure.memory.full.ns    +  time in which all waited for it, and nothing was done
//	cgroup.pressure.io.some.ns        +  time in which some thread waited for a disk
//	cgroup.pressure.io.full.ns        +  time in which all waited for it, and nothing was done
//
// A limit or quota of 0 means that there is none.
//
// # What belongs together
//
// A limit of a group is used up by all that is in it. Where a container is nested
// in others, which systemd's slices, pods and CI runners are, its own usage says
// nothing about the limit of its parent, which a sibling may have filled. So
// each of cgroup.memory.tightest and cgroup.pids.tightest is a pair of one
// level: that which has the least left. Of memory, used is the working set, since
// the kernel drops page cache before it kills. Both are 0 where nothing limits.
// cgroup.cpu.* count what happened at the level that was throttled most in each
// tick. Levels that the container does not show cannot be told of; of cgroup v1
// the lowest limit of all levels is known, and the container's own working set
// stands beside it then.
//
// # What it reads
//
// On Linux the files of /proc/self, and of cgroup v1, v2 or both. They are
// opened at the first tick and stay open (some 10 to 40 descriptors, which
// proc.fds counts, as it should), so that a tick costs one system call a file
// and no heap allocation, and descriptors that run out cannot hide their own
// leak. But no more than a sixteenth of RLIMIT_NOFILE less 4 stay open, which is
// none with a limit of 64, and 60 with 1,024: the others are opened and closed at
// each tick. Each read is timed: what took more than 1 ms twice in a row is read
// on every tenth tick only, its last values repeated in between, until it is quick
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
// On Windows there are CPU times, RSS and its peak, the number of open handles
// as proc.fds, and the start; on macOS and the BSDs CPU times, the peak of RSS,
// the limit of descriptors and major page faults, on macOS also the number of
// descriptors: RSS itself cannot be had there without cgo. Other systems have
// CPU times. Where the system does not tell the start, which are all but Linux
// with /proc and Windows, it is when this package was initialized, a moment
// later.
package process

import (
	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/procstat"
)

func init() {
	r := procstat.New()
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { r.Publish(t) })
}
