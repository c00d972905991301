package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// finding is something that is wrong with a service.
type finding struct {
	ID      string `json:"id"`   // the alert's name in docs/alerts.md
	Text    string `json:"text"` // what is wrong
	Next    string `json:"next"` // what to do
	Command string `json:"command,omitempty"`
	Chart   string `json:"chart"` // id of the chart that shows it
	Link    string `json:"link"`  // to what the alert means
}

const runbook = "https://github.com/runtimemetrics/runtimemetrics/blob/main/docs/alerts.md#"

// rule is one way in which something can be wrong. The conditions are those of
// docs/alerts.md. Those are for nights and weeks, so they look back for hours and
// wait; this page is looked at, so it looks back for minutes, and says at once
// what holds.
type rule struct {
	alert   string // its name in docs/alerts.md
	chart   string
	next    string
	command string
	judge   func(*past) string // what is wrong, or nothing
}

const (
	onCPU      = `go tool pprof -top 'http://localhost:6060/debug/pprof/profile?seconds=30'`
	onHeap     = `go tool pprof -sample_index=inuse_space -top http://localhost:6060/debug/pprof/heap`
	onGarbage  = `go tool pprof -sample_index=alloc_space -top 'http://localhost:6060/debug/pprof/allocs?seconds=30'`
	onRoutines = `curl -s 'http://localhost:6060/debug/pprof/goroutine?debug=1' | head -40`
	onFiles    = `ls -l /proc/PID/fd | awk '{print $NF}' | sed 's/[0-9][0-9]*/N/g' | sort | uniq -c | sort -rn | head`
)

// rules are in the order in which the findings are shown: what kills comes first.
var rules = []rule{
	{"RuntimemetricsCrashLoop", "since", "Read the end of its log, of the process before.", "", func(p *past) string {
		if n := p.crashes(15 * time.Minute); n >= 3 {
			return fmt.Sprintf("It has been restarted %d times within 15 minutes.", n)
		}
		if n := p.crashes(time.Hour); n >= 5 {
			return fmt.Sprintf("It has been restarted %d times within an hour.", n)
		}
		return ""
	}},
	{"RuntimemetricsOOMKilled", "container", "Look who was killed, then raise the limit or find what fills it.", "dmesg | grep -i 'killed process'", func(p *past) string {
		if n := p.moves("cgroup.memory.oom_kills", 15*time.Minute); n > 0 {
			return fmt.Sprintf("The kernel has killed a process in its container because memory ran out, %s within 15 minutes.", times(n))
		}
		return ""
	}},
	{"RuntimemetricsContainerNearOOM", "tightest", "Take the heap's profile now, it is gone with the process. Then raise the limit, or take load off.", onHeap, func(p *past) string {
		used, limit := p.least("cgroup.memory.tightest.used.bytes", halfAMinute), p.last("cgroup.memory.tightest.limit.bytes")
		if math.IsNaN(limit) {
			used, limit = p.least("cgroup.memory.working_set.bytes", halfAMinute), p.last("cgroup.memory.limit.bytes")
		}
		if limit > 0 && used > 0.95*limit {
			return fmt.Sprintf("The working set is %s of the memory limit of %s, where the kernel kills.", percent(used/limit), size(limit))
		}
		return ""
	}},
	{"RuntimemetricsMemoryStall", "pressure", "Find what fills the memory, then raise the limit or take load off.", onHeap, func(p *past) string {
		if stall := p.share("cgroup.pressure.memory.some.ns", 2*time.Minute); stall > 0.4 {
			return fmt.Sprintf("Threads wait for memory %s of the time.", percent(stall))
		}
		return ""
	}},
	{"RuntimemetricsMemoryThrottled", "container", "Raise memory.high, or find what fills it.", onHeap, func(p *past) string {
		high := p.last("cgroup.memory.high.bytes")
		full := high > 0 && p.least("cgroup.memory.working_set.bytes", halfAMinute) > 0.95*high
		if p.growth("cgroup.memory.high_events", 2*time.Minute) > 0 && (full || p.share("cgroup.pressure.memory.some.ns", 2*time.Minute) > 0.2) {
			return "memory.high is used up: the kernel slows each allocation down."
		}
		return ""
	}},
	{"RuntimemetricsPidsNearLimit", "threads", "Look what the threads do: blocking system calls and calls to C add them.", onRoutines, func(p *past) string {
		used, limit := p.least("cgroup.pids.tightest.used", halfAMinute), p.last("cgroup.pids.tightest.limit")
		if math.IsNaN(limit) {
			used, limit = p.least("cgroup.pids", halfAMinute), p.last("cgroup.pids_limit")
		}
		if limit > 0 && used > 0.9*limit {
			return fmt.Sprintf("%s of %s threads and processes are there: a Go program that cannot start a thread ends.", count(used), count(limit))
		}
		return ""
	}},
	{"RuntimemetricsDescriptorsNearLimit", "fds", "Look what is open, then restart. If it is load, raise ulimit -n.", onFiles, func(p *past) string {
		open, limit := p.least("proc.fds", halfAMinute), p.last("proc.fds_limit")
		if limit > 0 && open > 0.9*limit {
			return fmt.Sprintf("%s of %s descriptors are open: soon accept and open fail.", count(open), count(limit))
		}
		return ""
	}},
	{"RuntimemetricsGCLimiterEngaged", "heap", "Raise GOMEMLIMIT, or find what fills the heap.", onHeap, func(p *past) string {
		// On a busy machine Go limits collections without any memory limit as well.
		n := p.moves("runtime.gc.limiter.last-enabled", 10*time.Minute)
		if n >= 3 && p.last("runtime.gc.heap.live.bytes") > p.heapLimit()/2 {
			return fmt.Sprintf("Go has cut garbage collection short, %s within 10 minutes: memory grows, whatever GOMEMLIMIT says.", times(n))
		}
		return ""
	}},
	{"RuntimemetricsGCDeathSpiral", "heap", "Raise GOMEMLIMIT, or find what fills the heap.", onHeap, func(p *past) string {
		spent := p.growth("runtime.cpu.classes.gc.total.ns", aWhile) - p.growth("runtime.cpu.classes.gc.mark.idle.ns", aWhile)
		busy := spent / p.growth("runtime.cpu.classes.total.ns", aWhile)
		live, room := p.last("runtime.gc.heap.live.bytes"), p.heapLimit()
		if busy > 0.1 && live > 0.9*room {
			return fmt.Sprintf("GC takes %s of the CPU, the live heap fills GOMEMLIMIT (%s of %s).", percent(busy), size(live), size(room))
		}
		return ""
	}},
	{"RuntimemetricsGoroutinesLeaked", "leaks", "Its log names the lines of code. The profile has the stacks.", "curl -s 'http://localhost:6060/debug/pprof/goroutineleak?debug=1' | head -40", func(p *past) string {
		switch n := p.last("leaks.goroutines"); {
		case n == 1:
			return "1 goroutine leaked: nobody can wake it any more (see the log)."
		case n > 1:
			return fmt.Sprintf("%s goroutines leaked: nobody can wake them any more (see the log).", count(n))
		}
		return ""
	}},
	{"RuntimemetricsGoroutineLeak", "goroutines", "Look where most of them wait.", onRoutines, func(p *past) string {
		r, ok := p.rise("cpu.goroutines", 1.05, 1.3, 100)
		if !ok {
			return ""
		}
		return fmt.Sprintf("The least number of goroutines has risen for %s, %s a minute, and the work has not.", r.minutes(), count(r.perMinute()))
	}},
	{"RuntimemetricsHeapLeak", "heap", "Take two profiles some minutes apart and compare them.", `curl -so 1.pb.gz http://localhost:6060/debug/pprof/heap; sleep 300; go tool pprof -sample_index=inuse_space -top -diff_base=1.pb.gz http://localhost:6060/debug/pprof/heap`, func(p *past) string {
		// What a collection leaves. Who does not send that has the floor of the
		// saw-tooth, which is the same.
		const live, alloc = "runtime.gc.heap.live.bytes", "mem.heap.alloc"
		gauge := live
		if math.IsNaN(p.last(live)) {
			gauge = alloc
		}
		if r, ok := p.rise(gauge, 1.05, 1.3, 8<<20); ok {
			text := fmt.Sprintf("The heap's floor has risen for %s, %s a minute, and the work has not.", r.minutes(), size(r.perMinute()))
			if left := (p.heapLimit() - r.to) / r.perMinute(); left < 120 {
				text += fmt.Sprintf(" At this pace GOMEMLIMIT is %.0f minutes away.", max(0, left))
			}
			return text
		}
		// A small part of a large heap counts if it leads to the limit.
		if r, ok := p.rise(gauge, 1.02, 1.1, 8<<20); ok {
			if left := (p.heapLimit() - r.to) / r.perMinute(); left < 120 {
				return fmt.Sprintf("The heap's floor has risen for %s, %s a minute. At this pace GOMEMLIMIT is %.0f minutes away.", r.minutes(), size(r.perMinute()), max(0, left))
			}
		}
		return ""
	}},
	{"RuntimemetricsDescriptorLeak", "fds", "Look what is open.", onFiles, func(p *past) string {
		r, ok := p.rise("proc.fds", 1.05, 1.3, 50)
		if !ok {
			return ""
		}
		return fmt.Sprintf("The least number of open files has risen for %s, %s a minute, and the work has not.", r.minutes(), count(r.perMinute()))
	}},
	{"RuntimemetricsCPUThrottled", "throttling", "Raise the quota, or see what uses the CPU. Compare GOMAXPROCS with the quota.", onCPU, func(p *past) string {
		if used, wait := p.throttled(); used > 0.1 && wait > 10e6 {
			return fmt.Sprintf("Goroutines wait %s for a processor, the CPU quota is used up in %s of the periods.", duration(wait), percent(used))
		}
		return ""
	}},
	{"RuntimemetricsSchedulerSaturation", "latency", "See what uses the CPU: this service, or others on the machine.", onCPU, func(p *past) string {
		used, wait := p.throttled()
		if wait > 50e6 && !(used > 0.1) { // else the quota is why
			return fmt.Sprintf("Goroutines wait %s for a processor: there is more to run than there are processors.", duration(wait))
		}
		return ""
	}},
	{"RuntimemetricsAssistPressure", "allocation", "See who allocates, or give the heap more room (GOGC, GOMEMLIMIT).", onGarbage, func(p *past) string {
		assist := p.growth("runtime.cpu.classes.gc.mark.assist.ns", 3*time.Minute) / p.growth("runtime.cpu.classes.total.ns", 3*time.Minute)
		if assist > 0.1 {
			return fmt.Sprintf("Goroutines that allocate spend %s of the CPU on helping the garbage collector.", percent(assist))
		}
		return ""
	}},
}

const (
	warmUp      = 6 * time.Minute
	halfAMinute = 30 * time.Second
	aWhile      = 2 * time.Minute
)

// judge returns what is wrong with a service. It is asked each second by each page,
// and looks again once a second.
func (svc *service) judge(now moment) []finding {
	if now.run-svc.foundAt < 900 {
		return svc.found
	}
	svc.found, svc.foundAt = []finding{}, now.run
	if svc.other || len(svc.times) == 0 || svc.isGone(now) {
		return svc.found
	}
	p := &past{svc, now}
	for _, r := range rules {
		if text := r.judge(p); text != "" {
			svc.found = append(svc.found, finding{r.alert, text, r.next, r.command, r.chart, runbook + anchor(r.alert)})
		}
	}
	return svc.found
}

// past is what a service has sent, as rules ask for it. Where it is not known, the
// answer is NaN, for which no condition holds.
type past struct {
	svc *service
	now moment
}

// since returns the index of the first frame that is no older than d, and whether
// the service has ticked all that time.
func (p *past) since(d time.Duration) (first int, whole bool) {
	begin := p.now.run - d.Milliseconds()
	first, _ = slices.BinarySearch(p.svc.times, begin)
	return first, len(p.svc.times) > 0 && p.svc.times[0] <= begin
}

// age is for how long something is known of the service.
func (p *past) age() time.Duration {
	return time.Duration(p.now.run-p.svc.times[0]) * time.Millisecond
}

// at returns the value of a gauge in a frame.
func at(svc *service, g *series, frame int) float64 {
	if i := svc.first + int64(frame) - g.first; i >= 0 {
		return g.values[i]
	}
	return math.NaN()
}

// last returns a gauge's value, if it still comes.
func (p *past) last(gauge string) float64 {
	if g := p.svc.series[gauge]; g != nil && p.now.run-g.at <= max(p.svc.gap(), goneAtLeast) {
		return g.value
	}
	return math.NaN()
}

// fold calls f with the values of a gauge in the time from some while ago until
// another, if all of that time is known.
func (p *past) fold(gauge string, from, to time.Duration, f func(v float64)) bool {
	g := p.svc.series[gauge]
	first, whole := p.since(from)
	if g == nil || !whole || math.IsNaN(p.last(gauge)) || g.first > p.svc.first+int64(first) {
		return false
	}
	end := p.now.run - to.Milliseconds()
	for i := first; i < len(p.svc.times) && p.svc.times[i] <= end; i++ {
		if v := at(p.svc, g, i); !math.IsNaN(v) {
			f(v)
		}
	}
	return true
}

// least returns the least value of the last time d.
func (p *past) least(gauge string, d time.Duration) float64 { return p.leastOf(gauge, d, 0) }

func (p *past) leastOf(gauge string, from, to time.Duration) float64 {
	least := math.NaN()
	ok := p.fold(gauge, from, to, func(v float64) {
		if !(v >= least) {
			least = v
		}
	})
	if !ok {
		return math.NaN()
	}
	return least
}

// median returns the median of the last time d.
func (p *past) median(gauge string, d time.Duration) float64 {
	var all []float64
	if !p.fold(gauge, d, 0, func(v float64) { all = append(all, v) }) || len(all) < 5 {
		return math.NaN()
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// growth returns by how much a cumulative gauge has grown in the last time d.
func (p *past) growth(gauge string, d time.Duration) float64 { return p.growthOf(gauge, d, 0) }

func (p *past) growthOf(gauge string, from, to time.Duration) float64 {
	last, sum := math.NaN(), 0.0
	ok := p.fold(gauge, from, to, func(v float64) {
		if v > last {
			sum += v - last
		}
		last = v
	})
	if !ok {
		return math.NaN()
	}
	return sum
}

// share returns which part of the last time d a cumulative time grew by.
func (p *past) share(gauge string, d time.Duration) float64 {
	return p.growth(gauge, d) / float64(d.Nanoseconds())
}

// moves returns how often a gauge has risen in the last time d, as far as that is
// known.
func (p *past) moves(gauge string, d time.Duration) int {
	n, last := 0, math.NaN()
	p.foldKnown(gauge, d, func(v float64) {
		if v > last {
			n++
		}
		last = v
	})
	return n
}

// foldKnown is fold for as much of the time as is known.
func (p *past) foldKnown(gauge string, d time.Duration, f func(v float64)) {
	if g := p.svc.series[gauge]; g != nil {
		first, _ := p.since(d)
		for i := first; i < len(p.svc.times); i++ {
			if v := at(p.svc, g, i); !math.IsNaN(v) {
				f(v)
			}
		}
	}
}

// restarts returns how often a process has taken the place of another in the last
// time d, and crashes how often without a goodbye of that one. While it may be that
// two send, none has.
func (p *past) restarts(d time.Duration) int {
	return p.count(d, func(restart) bool { return true })
}

func (p *past) crashes(d time.Duration) int {
	if p.svc.evidence >= clearSign || len(p.svc.processes) == maxProcesses {
		return 0
	}
	return p.count(d, func(r restart) bool { return !r.goodbye })
}

func (p *past) count(d time.Duration, which func(restart) bool) (n int) {
	for _, r := range p.svc.restarts {
		if p.now.run-r.at <= d.Milliseconds() && which(r) {
			n++
		}
	}
	return n
}

// heapLimit returns how large the live heap can become: GOMEMLIMIT holds stacks and
// the runtime's own memory as well.
func (p *past) heapLimit() float64 {
	limit := p.last("runtime.gc.gomemlimit.bytes")
	if limit == 0 {
		return math.NaN()
	}
	return limit - (p.last("mem.sys") - p.last("mem.heap.sys"))
}

// throttled returns the part of the CPU quota's periods in which it was used up,
// and how long goroutines wait for a processor, in nanoseconds: the longest of 100
// waits, in half of the ticks.
func (p *past) throttled() (used, wait float64) {
	used = p.growth("cgroup.cpu.throttled_periods", aWhile) / p.growth("cgroup.cpu.periods", aWhile)
	return used, p.median("runtime.sched.latencies.ns.p99", aWhile)
}

// rise is a floor that rises.
type rise struct {
	over    time.Duration
	mid, to float64 // the floors of the second and of the last third
}

func (r rise) minutes() string { return fmt.Sprintf("%.0f minutes", r.over.Minutes()) }

// perMinute is the pace of late.
func (r rise) perMinute() float64 { return (r.to - r.mid) / (r.over.Minutes() / 3) }

// rise tells whether the least value of a gauge has risen in each third of some
// time by a factor of third, in all by a factor of all, by more than least, and by
// that factor more than the work has, which is objects allocated; and whether it is
// then higher than it was before, since a cache that is filled and emptied rises too.
// What a process does in its first minutes is not judged: it warms up. Longer times
// are tried first.
func (p *past) rise(gauge string, third, all, least float64) (rise, bool) {
	for _, over := range []time.Duration{48 * time.Minute, 24 * time.Minute, 12 * time.Minute, 6 * time.Minute} {
		if _, known := p.since(over + warmUp); !known || p.restarts(over+warmUp) > 0 {
			continue
		}
		a := p.leastOf(gauge, over, over*2/3)
		b := p.leastOf(gauge, over*2/3, over/3)
		c := p.leastOf(gauge, over/3, 0)
		work := p.growthOf("mem.malloc", over/3, 0) / p.growthOf("mem.malloc", over, over*2/3)
		if !(b > third*a && c > third*b && c-a > least && c > all*max(work, 1)*a) {
			continue
		}
		most := 0.0
		p.fold(gauge, min(2*over, p.age()), over, func(v float64) { most = max(most, v) })
		if c > most {
			return rise{over, b, c}, true
		}
	}
	return rise{}, false
}

// How numbers stand in a sentence.

func percent(part float64) string { return fmt.Sprintf("%.0f %%", 100*part) }

func count(v float64) string {
	if v < 1e9 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func size(bytes float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if bytes < 1023.5 || unit == "GiB" {
			if bytes < 10 && unit != "B" {
				return fmt.Sprintf("%.1f %s", bytes, unit)
			}
			return count(bytes) + " " + unit
		}
		bytes /= 1024
	}
	return ""
}

func duration(ns float64) string {
	if ns < 1e9 {
		return count(ns/1e6) + " ms"
	}
	return fmt.Sprintf("%.3g s", ns/1e9)
}

// anchor returns what a heading's link is called.
func anchor(alert string) string { return strings.ToLower(alert) }
