package main

import (
	"fmt"
	"strings"
)

// An alert is one of docs/alerts.md in the language of Graphite. P stands for the
// path of a service. Each part is divided by its threshold: above 1 it holds.
type alert struct {
	name   string // in docs/alerts.md, short of Runtimemetrics
	target string
}

// alerts are in the order of docs/alerts.md.
var alerts = []alert{
	{"GoroutineLeak", rises("cpu.goroutines", "0.01")},
	{"GoroutinesLeaked", leaked()},
	{"HeapLeak", heapLeak()},
	{"GCDeathSpiral", deathSpiral()},
	{"GCLimiterEngaged", limiterEngaged()},
	{"AssistPressure", assistPressure()},
	{"SchedulerSaturation", saturation()},
	{"CPUThrottled", throttled()},
	{"ContainerNearOOM", nearLimit("cgroup.memory.tightest.used.bytes", "cgroup.memory.tightest.limit.bytes", "1.053")},
	{"OOMKilled", oomKilled()},
	{"MemoryStall", memoryStall()},
	{"MemoryThrottled", memoryThrottled()},
	{"PidsNearLimit", nearLimit("cgroup.pids.tightest.used", "cgroup.pids.tightest.limit", "1.111")},
	{"DescriptorsNearLimit", nearLimit("proc.fds", "proc.fds_limit", "1.111")},
	{"DescriptorLeak", rises("proc.fds", "0.02")},
	{"CrashLoop", crashLoop()},
	{"StoppedReporting", stoppedReporting()},
}

// A condition collects what an alert reads. Graphite's aggregates skip what is
// missing, null or absent, so that of a conjunction the rest would be left, and of
// a difference the minuend. Hence whatever is read is counted as well.
type condition struct{ reads []string }

// read notes that the alert is silent where expr has no value.
func (c *condition) read(expr string) string {
	for _, r := range c.reads {
		if r == expr {
			return expr
		}
	}
	c.reads = append(c.reads, expr)
	return expr
}

// all is the least of the parts, and 0 or less where something that they read is
// missing. A part is null where it divides by 0, a limit that is not set: 0, too.
// Watchers that take no data for an alarm get none as long as anything is there.
func (c *condition) all(parts ...string) string {
	var lines []string
	for _, p := range parts {
		lines = append(lines, "transformNull("+p+",0)")
	}
	lines = append(lines, fmt.Sprintf("scale(offset(aggregate(group(\n%s),'count'),%d),1000)",
		indent(strings.Join(c.reads, ",\n")), 1-len(c.reads)))
	return "minSeries(\n" + indent(strings.Join(lines, ",\n")) + ")"
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// now is the last value of two minutes. A tick that is lost, or of which not all has
// been stored yet, leaves no hole in it.
func (c *condition) now(gauge string) string {
	return c.read("movingWindow(P." + gauge + ",'2min','last')")
}

// floor is the least that a gauge was within an hour.
func (c *condition) floor(gauge string) string { return c.read("movingMin(P." + gauge + ",'1h')") }

// floorAgo is what the floor was some time ago.
func (c *condition) floorAgo(gauge, ago string) string {
	return c.read("timeShift(movingMin(P." + gauge + ",'1h'),'" + ago + "')")
}

// growth is how much a gauge has grown within ten minutes, of which at least half
// has to be there: a start is no judge of what follows.
func (c *condition) growth(gauge string) string {
	return c.read("movingSum(nonNegativeDerivative(P." + gauge + "),'10min',0.5)")
}

// events is how much a gauge that counts what must not happen has grown. One is
// enough, and a gap hides none.
func (c *condition) events(gauge, window string) string {
	return c.read("movingSum(nonNegativeDerivative(keepLastValue(P." + gauge + ")),'" + window + "')")
}

// median leaves hiccups out. Half of the ten minutes have to be there.
func (c *condition) median(gauge string) string {
	return c.read("movingMedian(P." + gauge + ",'10min',0.5)")
}

// sameProcess holds for a process that has been there for seven hours: its
// objects allocated have not fallen.
func (c *condition) sameProcess() string {
	c.read("timeShift(movingWindow(P.mem.malloc,'2min','last'),'7h')")
	return "offset(" + c.read("movingMin(derivative(keepLastValue(P.mem.malloc)),'7h')") + ",2)"
}

func over(q, whole string) string    { return "divideSeries(" + q + "," + whole + ")" }
func minus(q, other string) string   { return "diffSeries(" + q + "," + other + ")" }
func times(q, factor string) string  { return "scale(" + q + "," + factor + ")" }
func plus(q string, n string) string { return "offset(" + q + "," + n + ")" }

// rises is a leak: the floor has risen by 5 % in each third of six hours, by
// 1 / least in all, by 30 %, and by 30 % more than the work.
func rises(gauge, least string) string {
	var c condition
	floor := c.floor(gauge)
	ago2, ago4, ago6 := c.floorAgo(gauge, "2h"), c.floorAgo(gauge, "4h"), c.floorAgo(gauge, "6h")
	work := c.read("movingAverage(perSecond(P.mem.malloc),'1h')")
	workAgo := c.read("timeShift(movingAverage(perSecond(P.mem.malloc),'1h'),'6h')")
	return c.all(
		times(over(floor, ago2), "0.952"),
		times(over(ago2, ago4), "0.952"),
		times(over(ago4, ago6), "0.952"),
		times(minus(floor, ago6), least),
		times(over(floor, ago6), "0.769"),
		times(over(over(floor, ago6), over(work, workAgo)), "0.769"),
		c.sameProcess(),
	)
}

// leaked compares whole numbers of what Go has proven to be leaked: more at all
// times of a quarter of an hour than at any an hour to half an hour ago. Two checks
// have to have found some, since one of them may find fewer than there are.
func leaked() string {
	var c condition
	return c.all(over(
		c.read("movingMin(P.leaks.goroutines,'15min')"),
		c.read("timeShift(movingMax(P.leaks.goroutines,'30min'),'30min')")))
}

// besidesHeap is what GOMEMLIMIT and the container's limit hold beside the heap.
func (c *condition) besidesHeap() string { return minus(c.now("mem.sys"), c.now("mem.heap.sys")) }

// heapLeak draws a line through the floors and one through the last hour; the
// lower end counts. What stands beside the heap comes on top, and has to fit as well. The
// limit is GOMEMLIMIT, or the container's where GOMEMLIMIT is not set or not
// lower: that one has to hold a heap that grows by GOGC percent before it is
// collected. It need not be there: without it there is one alarm less.
func heapLeak() string {
	var c condition
	const (
		live      = "runtime.gc.heap.live.bytes"
		container = "movingWindow(P.cgroup.memory.limit.bytes,'2min','last')"
	)
	floor, floorAgo := c.floor(live), c.floorAgo(live, "6h")
	last := c.now(live)
	lastAgo := c.read("timeShift(" + last + ",'1h')")
	gomemlimit, others := c.now("runtime.gc.gomemlimit.bytes"), c.besidesHeap()
	lines := "minSeries(" + minus(times(floor, "1.5"), times(floorAgo, "0.5")) + "," +
		minus(times(last, "3"), times(lastAgo, "2")) + ")"
	doubled := "multiplySeries(" + lines + "," + plus(times(c.now("runtime.gc.gogc.percent"), "0.01"), "1") + ")"
	return c.all(
		times(over(floor, floorAgo), "0.909"),
		"maxSeries(\n"+indent(
			over("sumSeries("+lines+","+others+")", gomemlimit)+",\n"+
				"minSeries(\n"+indent(
				over("sumSeries("+doubled+","+others+")", container)+",\n"+
					times(over("removeBelowValue("+gomemlimit+",1)", container), "1.001"))+")")+")",
		c.sameProcess(),
	)
}

func deathSpiral() string {
	var c condition
	return c.all(
		times(over(
			minus(c.growth("runtime.cpu.classes.gc.total.ns"), c.growth("runtime.cpu.classes.gc.mark.idle.ns")),
			c.growth("runtime.cpu.classes.total.ns")), "10"),
		times(over(
			c.now("runtime.gc.heap.live.bytes"),
			minus(c.now("runtime.gc.gomemlimit.bytes"), c.besidesHeap())), "1.111"),
	)
}

// limiterEngaged counts the ticks at which the number of the cycle moved: three. The
// live heap takes half of what GOMEMLIMIT leaves to it, or the limiter is not due to
// that.
func limiterEngaged() string {
	var c condition
	return c.all(
		times(c.read("movingSum(offset(scale(removeBelowValue("+
			"nonNegativeDerivative(keepLastValue(P.runtime.gc.limiter.last-enabled)),1),0),1),'10min')"), "0.34"),
		over("sumSeries("+times(c.now("runtime.gc.heap.live.bytes"), "2")+","+c.besidesHeap()+")",
			c.now("runtime.gc.gomemlimit.bytes")),
	)
}

func assistPressure() string {
	var c condition
	return c.all(times(over(
		c.growth("runtime.cpu.classes.gc.mark.assist.ns"), c.growth("runtime.cpu.classes.total.ns")), "10"))
}

func saturation() string {
	var c condition
	return c.all(times(c.median("runtime.sched.latencies.ns.p99"), "0.00000002"))
}

func throttled() string {
	var c condition
	return c.all(
		times(over(c.growth("cgroup.cpu.throttled_periods"), c.growth("cgroup.cpu.periods")), "10"),
		times(c.median("runtime.sched.latencies.ns.p99"), "0.0000001"),
	)
}

// nearLimit is silent without a limit, which is sent as 0.
func nearLimit(used, limit, factor string) string {
	var c condition
	return c.all(times(over(c.now(used), c.now(limit)), factor))
}

func oomKilled() string {
	var c condition
	return c.all(times(c.events("cgroup.memory.oom_kills", "15min"), "2"))
}

// memoryStall is a share of five minutes: 40 % of them in nanoseconds.
func memoryStall() string {
	var c condition
	return c.all(times(c.events("cgroup.pressure.memory.some.ns", "5min"), "0.00000000000833"))
}

// memoryThrottled wants the events, and threads that wait for memory 20 % of five
// minutes; or the working set at the level, where the kernel measures no pressure.
func memoryThrottled() string {
	var c condition
	return c.all(
		times(c.events("cgroup.memory.high_events", "5min"), "2"),
		"maxSeries("+times("movingSum(nonNegativeDerivative(keepLastValue(P.cgroup.pressure.memory.some.ns)),'5min')", "0.0000000000167")+","+
			times(over(c.now("cgroup.memory.working_set.bytes"), c.now("cgroup.memory.high.bytes")), "1.053")+")",
	)
}

// crashLoop counts restarts: what the start time rose less what it fell, since two
// processes under one name send it up and down, and Stop down to 0. Without package
// process it counts what the objects allocated fell, unless the process said goodbye,
// or the time of the last collection falls, as it does if there are two processes.
func crashLoop() string {
	const (
		moved = "derivative(keepLastValue(P.proc.start_time.seconds))"
		fell  = "removeAboveValue(derivative(keepLastValue(P.mem.malloc)),-1)"
		back  = "movingMin(derivative(keepLastValue(removeBelowValue(P.mem.gc.last,1))),'15min')"
	)
	var starts, resets condition
	return "fallbackSeries(\n" + indent(
		starts.all(times(starts.read("movingSum("+over(moved, "absolute("+moved+")")+",'15min')"), "0.34"))+",\n"+
			resets.all(
				times(resets.read("movingSum(offset(scale("+fell+",0),1),'15min')"), "0.34"),
				times(resets.read("movingMin(P.cpu.goroutines,'15min')"), "2"),
				plus("transformNull("+back+",0)", "2"))) + ")"
}

// stoppedReporting takes 0 goroutines for a goodbye, and none for nothing to judge
// by.
func stoppedReporting() string {
	var c condition
	return c.all(
		plus(times("transformNull(movingSum(nonNegativeDerivative(keepLastValue(P.runtimemetrics.ticks)),'10min'),0)", "-1"), "2"),
		c.read("movingSum(nonNegativeDerivative(keepLastValue(P.runtimemetrics.ticks)),'1h')"),
		times(c.read("movingWindow(P.cpu.goroutines,'1h','last')"), "2"),
	)
}

// runbook puts the targets into their places in docs/alerts.md.
func runbook(text string) (string, error) {
	const open, end = "```graphite\n", "```"
	for _, a := range alerts {
		before, section, found := strings.Cut(text, "\n## Runtimemetrics"+a.name+"\n")
		section, after, _ := strings.Cut(section, "\n## ")
		head, rest, opened := strings.Cut(section, open)
		_, tail, closed := strings.Cut(rest, end)
		if !found || !opened || !closed {
			return "", fmt.Errorf("no section with a block for Graphite of Runtimemetrics%s", a.name)
		}
		text = before + "\n## Runtimemetrics" + a.name + "\n" + head + open + a.target + "\n" + end + tail + "\n## " + after
	}
	if blocks := strings.Count(text, open); blocks != len(alerts) {
		return "", fmt.Errorf("%d blocks for Graphite, and %d alerts", blocks, len(alerts))
	}
	return text, nil
}
