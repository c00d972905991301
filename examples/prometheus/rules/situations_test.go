//go:build linux

package rules_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A situation is a scenario of which it matters only whether there is an alarm.
type situation struct {
	scenario
	alarm bool
}

// path: once a minute, as Graphite stores unless it is told otherwise.
func (s situation) path() string { return pathOf("minutely", s.alert, "situation "+s.name) }

// A pair is what a service sends with a fault and without it.
type pair struct {
	alert, variant  string
	faulty, healthy map[string]curve
	optional        []string // gauges without which there is an alarm still
}

func pairs() []pair {
	killed := func(last curve) map[string]curve {
		return gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), last), "cpu.goroutines", until(past-0.25, constant(50), constant(50)))
	}
	ended := gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), constant(nothing)),
		"cpu.goroutines", until(past-0.25, constant(50), constant(nothing)))
	alive := gauges("runtimemetrics.ticks", perHour(0, 360), "cpu.goroutines", constant(50))
	return []pair{
		{"GoroutineLeak", "", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", steady),
			gauges("cpu.goroutines", constant(500), "mem.malloc", steady), nil},
		{"GoroutinesLeaked", "", gauges("leaks.goroutines", every(5)), gauges("leaks.goroutines", constant(0)), nil},
		{"HeapLeak", "", heap(perHour(300e6, 60e6)), heap(constant(650e6)), nil},
		{"HeapLeak", "container, ", contained(perHour(160e6, 30e6), 4000e6), contained(constant(400e6), 4000e6), nil},
		{"GCDeathSpiral", "", spiral(0.3, 900e6), spiral(0.01, 900e6), []string{"mem.malloc", "runtime.gc.gogc.percent"}},
		{"GCLimiterEngaged", "", limited(every(1), 900e6), limited(constant(7), 900e6), []string{"mem.malloc", "runtime.gc.gogc.percent"}},
		{"AssistPressure", "", assist(0.2), assist(0.02), nil},
		{"SchedulerSaturation", "", gauges("runtime.sched.latencies.ns.p99", constant(67e6)), gauges("runtime.sched.latencies.ns.p99", constant(2e5)), nil},
		{"CPUThrottled", "", throttled(40e6), throttled(2e5), nil},
		{"ContainerNearOOM", "", memory(970e6, 1000e6), memory(500e6, 1000e6), nil},
		{"OOMKilled", "", gauges("cgroup.memory.oom_kills", every(5)), gauges("cgroup.memory.oom_kills", constant(3)), nil},
		{"MemoryStall", "", gauges("cgroup.pressure.memory.some.ns", perHour(0, 0.6*3.6e12)), gauges("cgroup.pressure.memory.some.ns", perHour(0, 0.05*3.6e12)), nil},
		{"MemoryThrottled", "", high(every(1), 990e6), high(constant(7), 500e6), nil},
		{"MemoryThrottled", "parent, ", with(high(every(1), 200e6), "cgroup.pressure.memory.some.ns", perHour(0, 0.9*3.6e12)),
			with(high(every(1), 200e6), "cgroup.pressure.memory.some.ns", perHour(0, 0.01*3.6e12)), nil},
		{"PidsNearLimit", "", pids(99, 100), pids(20, 100), nil},
		{"DescriptorsNearLimit", "", fds(970), fds(100), nil},
		{"DescriptorLeak", "", gauges("proc.fds", perHour(100, 30), "mem.malloc", steady), gauges("proc.fds", constant(300), "mem.malloc", steady), nil},
		{"CrashLoop", "", gauges("proc.start_time.seconds", lives(4, 1, startTime)), gauges("proc.start_time.seconds", constant(1.7e9)), nil},
		{"CrashLoop", "without package process, ",
			gauges("mem.malloc", lives(4, 1, newMalloc), "cpu.goroutines", lives(4, 1, func(_, _ float64) float64 { return 50 }), "mem.gc.last", lives(4, 1, lastGC)),
			gauges("mem.malloc", steady, "cpu.goroutines", constant(50), "mem.gc.last", perHour(1.7e18, 3.6e12)), []string{"mem.gc.last"}},
		{"StoppedReporting", "", killed(constant(3510)), alive, nil},
		{"StoppedReporting", "ended, ", ended, alive, nil},
	}
}

// grow lists what only grows; Stop leaves it as it is, and sets the rest to 0.
var grow = []string{
	"cgroup.cpu.periods", "cgroup.cpu.throttled_periods", "cgroup.memory.high_events", "cgroup.memory.oom_kills",
	"cgroup.pressure.memory.some.ns", "mem.gc.last", "mem.malloc", "runtime.cpu.classes.gc.mark.assist.ns",
	"runtime.cpu.classes.gc.mark.idle.ns", "runtime.cpu.classes.gc.total.ns", "runtime.cpu.classes.total.ns",
	"runtimemetrics.ticks",
}

// situations are those of all alerts.
func situations() (all []situation) {
	for _, p := range pairs() {
		hours, minutes := slow(p.alert), func(m float64) float64 { return past - m/60 }
		add := func(alarm bool, name string, m map[string]curve) {
			all = append(all, situation{scenario{alert: p.alert, name: p.variant + name, gauge: m}, alarm})
		}
		each := func(m map[string]curve, change func(name string, c curve) curve) map[string]curve {
			changed := map[string]curve{}
			for name, c := range m {
				changed[name] = change(name, c)
			}
			return changed
		}
		hole := func(m map[string]curve, from, to float64) map[string]curve {
			return each(m, func(_ string, c curve) curve {
				return until(minutes(from), c, until(minutes(to), constant(nothing), c))
			})
		}
		// started is a process since some hour: what grows begins at 0, and levels
		// take an hour to be what they are.
		started := func(name string, c curve, since float64) curve {
			return func(h float64) float64 {
				switch {
				case h < since:
					return nothing
				case name == "proc.start_time.seconds":
					return 1.7e9 + math.Round(3600*since)
				case name == "mem.gc.last":
					return c(h)
				case slices.Contains(grow, name):
					return c(h) - c(since)
				}
				return math.Round(c(h) * min(1, 0.1+(h-since)))
			}
		}
		// stopped calls Stop some minutes ago; with a TTL the gauges end a minute later.
		stopped := func(m map[string]curve, ago float64, ttl bool) map[string]curve {
			return each(m, func(name string, c curve) curve {
				last := constant(0)
				if slices.Contains(grow, name) {
					last = constant(c(minutes(ago)))
				}
				if ttl {
					last = until(minutes(ago-1), last, constant(nothing))
				}
				return until(minutes(ago), c, last)
			})
		}
		restarted := func(before map[string]curve, ago, down float64) map[string]curve {
			return each(before, func(name string, c curve) curve {
				return until(minutes(ago), c, until(minutes(ago-down), constant(nothing), started(name, p.healthy[name], minutes(ago-down))))
			})
		}

		add(true, "the fault", p.faulty)
		add(true, "the fault, and a gap a while ago", hole(p.faulty, 55, 45))
		add(true, "the fault, and each fifth tick is lost", each(p.faulty, func(name string, c curve) curve {
			return func(h float64) float64 {
				if (int(math.Round(h*60))+len(name))%5 == 0 {
					return nothing
				}
				return c(h)
			}
		}))

		add(false, "healthy", p.healthy)
		add(false, "no data", nil)
		for _, ago := range []float64{2, 18, 90, 3 * 60, 6.5 * 60} {
			if ago > 90 && !hours {
				continue
			}
			add(false, fmt.Sprintf("a new path, %v min old", ago),
				each(p.healthy, func(name string, c curve) curve { return started(name, c, minutes(ago)) }))
		}
		// It takes on at once what another has done before.
		add(false, "a new path, 18 min old, flat",
			each(p.healthy, func(_ string, c curve) curve { return until(minutes(18), constant(nothing), c) }))
		add(false, "a gap of ten minutes", hole(p.healthy, 25, 15))
		if p.alert == "StoppedReporting" {
			add(false, "a gap until a minute ago", hole(p.healthy, 9, 1)) // ten minutes are its alarm
		} else {
			add(false, "a gap until a minute ago", hole(p.healthy, 25, 1))
		}
		add(false, "a gap now", hole(p.healthy, 5, 0))
		if p.alert != "StoppedReporting" {
			add(false, "the fault ended an hour ago, and all with it", hole(p.faulty, 65, 0))
		}
		var names []string
		for name := range p.faulty {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if slices.Contains(p.optional, name) {
				continue
			}
			short := strings.ReplaceAll(name, ".", "-")
			without := map[string]curve{}
			for n, c := range p.faulty {
				if n != name {
					without[n] = c
				}
			}
			add(false, "no "+short, without)
			long := 90.
			if hours {
				long = 9 * 60
			}
			add(false, short+" has ended", with(p.faulty, name, until(minutes(long), p.faulty[name], constant(nothing))))
		}
		running := p.faulty
		if p.alert == "StoppedReporting" {
			running = p.healthy
		}
		for _, ttl := range []bool{false, true} {
			end := map[bool]string{false: "", true: ", TTL"}[ttl]
			add(false, "stopped"+end, stopped(running, 20, ttl))
		}
		add(false, "restarted 3 min ago", restarted(p.healthy, 4, 1))
		add(false, "restarted 20 min ago", restarted(p.healthy, 23, 3))
		add(false, "restarted 20 min ago with Stop", restarted(stopped(p.healthy, 24, false), 23, 3))
		if hours {
			add(false, "restarted 3 h ago", restarted(p.healthy, 183, 3))
			add(false, "restarted 7 h ago", restarted(p.healthy, 423, 3))
			// Its own life is a leak of six hours, and that before is not its.
			add(false, "the fault, restarted 6 h ago", with(p.faulty, "mem.malloc", until(4, steady, perHour(-4*3.6e6, 3.6e6))))
		}
	}
	return all
}
