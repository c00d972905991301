package process

import (
	"bytes"
	"math"
	"os"
	"strings"
	"syscall"
)

// findCgroups finds where each controller counts this process. On a hybrid
// machine some controllers are in cgroup v1 and some in v2.
func (r *reader) findCgroups() {
	r.cgroup, _ = r.open("/proc/self/cgroup")
	r.cgroups = bytes.Clone(r.contents(r.cgroup))
	mountinfo, _ := os.ReadFile(r.root + "/proc/self/mountinfo")

	if dirs, v1 := r.home(mountinfo, "memory", "memory.usage_in_bytes", "memory.current"); v1 {
		r.findMemoryV1(dirs[0])
	} else if dirs != nil {
		r.findMemory(dirs)
	}
	if dirs, v1 := r.home(mountinfo, "cpu", "cpu.cfs_quota_us", "cpu.max"); dirs != nil {
		r.findCPU(dirs, v1)
	}
	if dirs, _ := r.home(mountinfo, "pids", "pids.current", "pids.current"); dirs != nil {
		r.addNumber(dirs[0]+"/pids.current", number, pids)
		r.addLimit(dirs, "pids.max", pidsLimit)
	}
	if dirs, _ := r.home(mountinfo, "", "", "cgroup.procs"); dirs != nil {
		r.addNumber(dirs[0]+"/cpu.pressure", pressure, cpuPressure)
		r.addNumber(dirs[0]+"/memory.pressure", pressure, memoryPressure)
		r.addNumber(dirs[0]+"/io.pressure", pressure, ioPressure)
	}
}

// home returns the cgroup in which a controller (empty: v2 itself) counts this
// process, and those that it is nested in, up to the last that is visible; nil
// if there is none. Each controller is known by a file.
func (r *reader) home(mountinfo []byte, controller, fileV1, fileV2 string) (dirs []string, v1 bool) {
	path, v1, ok := cgroupOf(r.cgroups, controller)
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
			dirs = append(dirs, p.mount+dir)
			if dir == "" {
				break
			}
		}
		break
	}
	// Where v2 has not enabled a controller, the next cgroup above that has it
	// counts. The root of v1, known by its release agent, is not a container but
	// the machine, and it can take seconds to tell its memory; the root of v2
	// has none of these files.
	for len(dirs) > 0 && (!r.exists(dirs[0]+"/"+name) || r.exists(dirs[0]+"/release_agent")) {
		dirs = dirs[1:]
	}
	if len(dirs) == 0 {
		return nil, false
	}
	return dirs, v1
}

func (r *reader) exists(path string) bool {
	_, err := os.Stat(r.root + path)
	return err == nil
}

// addNumber adds a gauge that is one number of one file, and returns the file,
// or nil if there is none.
func (r *reader) addNumber(path string, parse func([]byte) (uint64, bool), gauge int) *file {
	f, err := r.open(path)
	if err != nil {
		return nil
	}
	r.add(func() {
		v, ok := parse(r.contents(f))
		r.set(gauge, v, ok)
	}, gauge)
	return f
}

// addLimit adds a limit that is the least of those of a cgroup and of what it
// is nested in. One that is there and cannot be read might be the least.
func (r *reader) addLimit(dirs []string, name string, gauge int) {
	var files []*file
	for _, dir := range dirs {
		switch f, err := r.open(dir + "/" + name); err {
		case nil:
			files = append(files, f)
		case syscall.ENOENT: // a root
		default:
			return
		}
	}
	if files == nil {
		return
	}
	r.add(func() {
		least := uint64(noLimit)
		for _, f := range files {
			v, ok := limit(r.contents(f))
			if !ok {
				return
			}
			least = min(least, v)
		}
		r.setLimit(gauge, least, true)
	}, gauge)
}

func (r *reader) findMemory(dirs []string) {
	usage := r.addNumber(dirs[0]+"/memory.current", number, memoryUsage)
	r.addNumber(dirs[0]+"/memory.events", oomKill, oomKills)
	r.addLimit(dirs, "memory.max", memoryLimit)
	if stat, err := r.open(dirs[0] + "/memory.stat"); err == nil {
		r.add(func() {
			u, ok1 := number(r.contents(usage))
			cache, ok2 := field(r.contents(stat), "inactive_file", 1)
			r.set(memoryWorkingSet, u-min(u, cache), ok1 && ok2)
		}, memoryWorkingSet)
	}
}

func (r *reader) findMemoryV1(dir string) {
	usage := r.addNumber(dir+"/memory.usage_in_bytes", number, memoryUsage)
	r.addNumber(dir+"/memory.oom_control", oomKill, oomKills)
	// A 32-bit kernel has another number for no limit.
	none32 := math.MaxInt32 * uint64(os.Getpagesize())
	if stat, err := r.open(dir + "/memory.stat"); err == nil {
		r.add(func() {
			u, ok1 := number(r.contents(usage))
			b := r.contents(stat)
			cache, ok2 := field(b, "total_inactive_file", 1)
			r.set(memoryWorkingSet, u-min(u, cache), ok1 && ok2)
			v, ok := field(b, "hierarchical_memory_limit", 1)
			if v == none32 {
				v = noLimit
			}
			r.setLimit(memoryLimit, v, ok)
		}, memoryWorkingSet, memoryLimit)
	}
}

// findCPU takes the throttling from the cgroup that has the tightest quota:
// neither those above it nor those in it count it.
func (r *reader) findCPU(dirs []string, v1 bool) {
	quotaFile, throttled, unit := "/cpu.max", "throttled_usec", uint64(1000)
	if v1 {
		quotaFile, throttled, unit = "/cpu.cfs_quota_us", "throttled_time", 1
	}
	var levels []cpuLevel
	for _, dir := range dirs {
		var l cpuLevel
		var err error
		if l.quota, err = r.open(dir + quotaFile); err == syscall.ENOENT {
			continue // a root
		}
		if v1 && err == nil {
			l.period, err = r.open(dir + "/cpu.cfs_period_us")
		}
		if err != nil {
			return
		}
		l.stat, _ = r.open(dir + "/cpu.stat")
		levels = append(levels, l)
	}
	if levels == nil {
		return
	}
	r.add(func() {
		least, stat := uint64(noLimit), levels[0].stat
		for _, l := range levels {
			m, ok := r.millicores(l)
			if !ok {
				return
			}
			if m < least {
				least, stat = m, l.stat
			}
		}
		r.setLimit(cpuQuota, least, true)
		b := r.contents(stat)
		v, ok := field(b, "nr_periods", 1)
		r.set(cpuPeriods, v, ok)
		v, ok = field(b, "nr_throttled", 1)
		r.set(cpuThrottledPeriods, v, ok)
		v, ok = field(b, throttled, unit)
		r.set(cpuThrottled, v, ok)
	}, cpuQuota, cpuPeriods, cpuThrottledPeriods, cpuThrottled)
}

type cpuLevel struct {
	quota, period, stat *file // v2 has no period file
}

func (r *reader) millicores(l cpuLevel) (uint64, bool) {
	if l.period == nil {
		return cpuMax(r.contents(l.quota))
	}
	q, ok1 := limit(r.contents(l.quota))
	p, ok2 := number(r.contents(l.period))
	return millicores(q, p, ok1 && ok2)
}

func oomKill(b []byte) (uint64, bool) { return field(b, "oom_kill", 1) }
