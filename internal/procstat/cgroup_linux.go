package procstat

import (
	"math"
	"os"
	"strings"
	"syscall"
)

// findCgroups finds where each controller counts this process. On a hybrid
// machine some controllers are in cgroup v1 and some in v2.
func (r *Reader) findCgroups() {
	cgroups := r.watch("/proc/self/cgroup")
	mountinfo, _ := r.once("/proc/self/mountinfo")

	if dirs, v1 := r.home(cgroups, mountinfo, "memory", "memory.usage_in_bytes", "memory.current"); dirs != nil {
		r.findMemory(dirs, v1)
		if v1 {
			r.findOOMKills(dirs[0] + "/memory.oom_control")
		} else {
			r.findOOMKills(dirs[0] + "/memory.events")
			r.findHigh(dirs)
			r.findNumber(dirs[0]+"/memory.swap.current", memorySwap)
		}
	}
	if dirs, v1 := r.home(cgroups, mountinfo, "cpu", "cpu.cfs_quota_us", "cpu.max"); dirs != nil {
		r.findCPU(dirs, v1)
	}
	if dirs, _ := r.home(cgroups, mountinfo, "pids", "pids.current", "pids.current"); dirs != nil {
		r.findPids(dirs)
	}
	if dirs, _ := r.home(cgroups, mountinfo, "", "", "cgroup.procs"); dirs != nil {
		r.findPressure(dirs[0]+"/cpu.pressure", cpuPressure, cpuPressureFull)
		r.findPressure(dirs[0]+"/memory.pressure", memoryPressure, memoryPressureFull)
		r.findPressure(dirs[0]+"/io.pressure", ioPressure, ioPressureFull)
	}
}

// home returns the cgroup in which a controller (empty: v2 itself) counts this
// process, and those that it is nested in, up to the last that is visible; nil
// if there is none. Each controller is known by a file.
func (r *Reader) home(cgroups, mountinfo []byte, controller, fileV1, fileV2 string) (dirs []string, v1 bool) {
	path, v1, ok := cgroupOf(cgroups, controller)
	if !ok {
		return nil, false
	}
	name := fileV1
	if !v1 {
		controller, name = "", fileV2
	}
	for _, p := range placesOf(mountinfo, controller, path) {
		if !r.exists(p.mount + p.dir) {
			continue
		}
		for dir := p.dir; ; dir = dir[:strings.LastIndexByte(dir, '/')] {
			// The root of v1, known by its release agent, is not a container but
			// the machine, and it can take seconds to tell its memory; the root of
			// v2 has none of these files.
			if !r.exists(p.mount + dir + "/release_agent") {
				dirs = append(dirs, p.mount+dir)
			}
			if dir == "" {
				break
			}
		}
		break
	}
	// Where v2 has not enabled a controller, the next cgroup above that has it
	// counts. It may be enabled while the process runs: systemd does so when a
	// service gets its first limit.
	for len(dirs) > 0 && !r.exists(dirs[0]+"/"+name) {
		r.watch(dirs[0] + "/cgroup.controllers")
		dirs = dirs[1:]
	}
	if len(dirs) == 0 {
		return nil, false
	}
	return dirs, v1
}

func (r *Reader) findNumber(path string, gauge int) {
	if f := r.file(path); f != nil {
		r.add(func() {
			v, ok := number(r.contents(f))
			r.set(gauge, v, ok)
		}, gauge)
	}
}

func (r *Reader) findOOMKills(path string) {
	if f := r.file(path); f != nil {
		r.add(func() {
			v, ok := field(r.contents(f), "oom_kill", 1)
			r.set(oomKills, v, ok)
		}, oomKills)
	}
}

func (r *Reader) findPressure(path string, some, full int) {
	if f := r.file(path); f != nil {
		r.add(func() {
			b := r.contents(f)
			v, ok := pressure(b, "some")
			r.set(some, v, ok)
			v, ok = pressure(b, "full")
			r.set(full, v, ok)
		}, some, full)
	}
}

// A limited is a cgroup that may have a limit.
type limited struct {
	limit *file // nil if it has none
	used  *file
	stat  *file // memory.stat, nil if there is none, as of other controllers
}

// findLimited opens the limits of the cgroup of the process, which is the first,
// and of those that it is nested in. One that is there and cannot be read might
// be the lowest: then not all are known.
func (r *Reader) findLimited(dirs []string, limit, used string) (levels []limited, all bool) {
	all = true
	for i, dir := range dirs {
		f, err := r.try(dir + limit)
		all = all && (err == nil || err == syscall.ENOENT)
		if f != nil || i == 0 {
			levels = append(levels, limited{f, r.later(dir + used), r.later(dir + "/memory.stat")})
		}
	}
	return levels, all
}

// limitOf returns noLimit where there is none.
func (r *Reader) limitOf(l limited) (uint64, bool) {
	if l.limit == nil {
		return noLimit, true
	}
	v, ok := limit(r.contents(l.limit))
	return min(v, noLimit), ok
}

// A tightest is the level that has the least left below its limit.
type tightest struct{ limit, used, left uint64 }

func (t *tightest) add(limit, used uint64) {
	if left := less(limit, used); limit < noLimit && left <= t.left {
		*t = tightest{limit, used, left}
	}
}

func (r *Reader) findMemory(dirs []string, v1 bool) {
	limitFile, usedFile, cacheKey := "/memory.max", "/memory.current", "inactive_file"
	if v1 {
		limitFile, usedFile, cacheKey = "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"
	}
	// A 32-bit kernel has another number for no limit in v1.
	none32 := math.MaxInt32 * uint64(os.Getpagesize())
	levels, all := r.findLimited(dirs, limitFile, usedFile)
	gauges := []int{memoryUsage, memoryWorkingSet, memoryLimit, memoryTightestUsed, memoryTightestLimit}
	if v1 {
		gauges = append(gauges, memorySwap) // v2 has a file of its own for it
	}
	r.add(func() {
		known, tight, t := all, all, tightest{left: noLimit}
		least, inForce := uint64(noLimit), uint64(0)
		var own uint64 // working set
		var ownKnown bool
		for i, l := range levels {
			limit, ok := r.limitOf(l)
			if v1 && limit == none32 {
				limit = noLimit
			}
			known, tight = known && ok, tight && ok
			// In v1, the limit of a level need not hold for what is nested in it.
			// memory.stat is costly to read, so only where it is needed.
			if i > 0 && (limit == noLimit || limit < inForce) {
				continue
			}
			usage, ok := number(r.contents(l.used))
			stat := r.contents(l.stat)
			cache, ok2 := field(stat, cacheKey, 1)
			ok2 = ok && (ok2 || l.stat == nil) // gVisor has none
			set := less(usage, cache)
			if i == 0 {
				own, ownKnown = set, ok2
				r.set(memoryUsage, usage, ok)
				r.set(memoryWorkingSet, set, ok2)
				if v1 && l.stat != nil {
					swapped, ok := field(stat, "total_swap", 1)
					r.set(memorySwap, swapped, ok)
					inForce, ok = field(stat, "hierarchical_memory_limit", 1)
					if inForce == none32 {
						inForce = noLimit
					}
					known, tight = known && ok, tight && ok
				}
			}
			tight = tight && (ok2 || limit == noLimit)
			least = min(least, limit)
			t.add(limit, set)
		}
		if inForce > 0 && inForce < least { // that of a level that is not visible
			least, tight = inForce, tight && ownKnown
			t.add(inForce, own)
		}
		r.setLimit(memoryLimit, least, known)
		r.setTightest(t, tight, memoryTightestUsed, memoryTightestLimit)
	}, gauges...)
}

func (r *Reader) findPids(dirs []string) {
	levels, all := r.findLimited(dirs, "/pids.max", "/pids.current")
	r.add(func() {
		known, tight, t := all, all, tightest{left: noLimit}
		least := uint64(noLimit)
		for i, l := range levels {
			limit, ok := r.limitOf(l)
			known, tight = known && ok, tight && ok
			if i > 0 && limit == noLimit {
				continue
			}
			n, ok := number(r.contents(l.used))
			if i == 0 {
				r.set(pids, n, ok)
			}
			tight = tight && (ok || limit == noLimit)
			least = min(least, limit)
			t.add(limit, n)
		}
		r.setLimit(pidsLimit, least, known)
		r.setTightest(t, tight, pidsTightestUsed, pidsTightestLimit)
	}, pids, pidsLimit, pidsTightestUsed, pidsTightestLimit)
}

// setTightest sets both gauges, or none: they are compared with each other.
func (r *Reader) setTightest(t tightest, known bool, used, limit int) {
	if t.left == noLimit {
		t.limit = noLimit // which is sent as 0, as what is used is
	}
	r.setLimit(limit, t.limit, known)
	r.set(used, t.used, r.known[limit])
}

// A high is a level that the kernel may slow down.
type high struct {
	limit, events *file
	counts        bool // it has, or had, such a limit
	now, last     uint64
	read          bool // last is of an earlier tick
}

// findHigh finds the limits above which the kernel slows a cgroup down. Each
// level counts how often that happened to it and to all that is in it, others
// included, but in a file of its own only what happened to itself.
func (r *Reader) findHigh(dirs []string) {
	var levels []high
	for i, dir := range dirs {
		f, err := r.try(dir + "/memory.high")
		if err == syscall.ENOENT {
			continue // a root
		} else if err != nil {
			return
		}
		events := r.later(dir + "/memory.events.local")
		if events == nil && i == 0 { // before Linux 5.2
			events = r.later(dir + "/memory.events")
		}
		l := high{limit: f, events: events, counts: i == 0}
		if v, ok := limit(r.contents(f)); i > 0 && (!ok || v >= noLimit) {
			b, _ := r.once(dir + "/memory.events.local")
			l.now, _ = field(b, "high", 1)
			l.last = l.now // which is no news when it gets a limit
		}
		levels = append(levels, l)
	}
	if levels == nil {
		return
	}
	r.add(func() {
		least, known, counted := uint64(noLimit), true, true
		for i := range levels {
			l := &levels[i]
			v, ok := limit(r.contents(l.limit))
			known, counted, least = known && ok, counted && ok, min(least, v)
			l.counts = l.counts || v < noLimit
			if l.counts && l.events != nil {
				l.now, ok = field(r.contents(l.events), "high", 1)
				counted = counted && ok
			}
		}
		r.setLimit(memoryHigh, least, known)
		if counted {
			r.slowed.add(levels)
		}
		r.set(memoryHighEvents, r.slowed.events, counted)
	}, memoryHigh, memoryHighEvents)
}

// slowing adds up what happened at all levels. It begins with what the kernel has
// counted, and goes on from there when the levels are found anew.
type slowing struct {
	events uint64
	begun  bool
}

func (s *slowing) add(levels []high) {
	for i := range levels {
		l := &levels[i]
		if s.begun && !l.read {
			l.last = l.now // it is not known when that happened
		}
		s.events += less(l.now, l.last)
		l.last, l.read = l.now, true
	}
	s.begun = true
}

// A quota is what a cgroup may use of the CPUs, and how that went.
type quota struct {
	max, period, stat *file  // v2 has no period file
	millicores        uint64 // noLimit if there is none
	now, last         cpuCounts
	read              bool // last is of an earlier tick
}

// cpuCounts are of cpu.stat.
type cpuCounts struct{ periods, throttled, ns uint64 }

func (r *Reader) findCPU(dirs []string, v1 bool) {
	quotaFile, key, unit := "/cpu.max", "throttled_usec", uint64(1000)
	if v1 {
		quotaFile, key, unit = "/cpu.cfs_quota_us", "throttled_time", 1
	}
	counts := func(b []byte) (c cpuCounts, ok bool) {
		periods, ok1 := field(b, "nr_periods", 1)
		throttled, ok2 := field(b, "nr_throttled", 1)
		ns, ok3 := field(b, key, unit)
		return cpuCounts{periods, throttled, ns}, ok1 && ok2 && ok3
	}
	var levels []quota
	for i, dir := range dirs {
		var q quota
		var err error
		if q.max, err = r.try(dir + quotaFile); err == syscall.ENOENT {
			continue // a root
		}
		if v1 && err == nil {
			q.period, err = r.try(dir + "/cpu.cfs_period_us")
		}
		if err != nil {
			return
		}
		q.stat = r.later(dir + "/cpu.stat") // gVisor has none
		if v, ok := r.millicores(&q); i > 0 && (!ok || v >= noLimit) {
			b, _ := r.once(dir + "/cpu.stat")
			q.now, _ = counts(b)
			q.last = q.now // which is no news when it gets a quota
		}
		levels = append(levels, q)
	}
	if levels == nil {
		return
	}
	r.add(func() {
		least, counted := uint64(noLimit), true
		for i := range levels {
			q := &levels[i]
			var ok bool
			if q.millicores, ok = r.millicores(q); !ok {
				return
			}
			least = min(least, q.millicores)
			if i == 0 || q.millicores < noLimit {
				q.now, ok = counts(r.contents(q.stat))
				counted = counted && ok
			}
		}
		r.setLimit(cpuQuota, least, true)
		if counted {
			r.throttle.add(levels)
		}
		r.set(cpuPeriods, r.throttle.periods, counted)
		r.set(cpuThrottledPeriods, r.throttle.throttled, counted)
		r.set(cpuThrottled, r.throttle.ns, counted)
	}, cpuQuota, cpuPeriods, cpuThrottledPeriods, cpuThrottled)
}

func (r *Reader) millicores(q *quota) (uint64, bool) {
	if q.period == nil {
		return cpuMax(r.contents(q.max))
	}
	v, ok1 := limit(r.contents(q.max))
	p, ok2 := number(r.contents(q.period))
	return millicores(v, p, ok1 && ok2)
}

// throttling adds up what happened at the level that was throttled most in each
// tick. A quota of any level holds up all that is in it, and only that level
// counts it. It begins with what the kernel has counted, and where there is only
// one level it stays equal to that.
type throttling struct {
	cpuCounts
	begun bool
}

func (t *throttling) add(levels []quota) {
	var most cpuCounts
	by := uint64(math.MaxUint64)
	for i := range levels {
		q := &levels[i]
		if t.begun && !q.read {
			q.last = q.now // it is not known when that happened
		}
		d := cpuCounts{less(q.now.periods, q.last.periods), less(q.now.throttled, q.last.throttled), less(q.now.ns, q.last.ns)}
		q.last, q.read = q.now, true
		if d.throttled > most.throttled || d.throttled == most.throttled && q.millicores < by {
			most, by = d, q.millicores
		}
	}
	t.begun = true
	t.periods += most.periods
	t.throttled += most.throttled
	t.ns += most.ns
}

func less(a, b uint64) uint64 { return a - min(a, b) }
