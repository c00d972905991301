package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// outline writes a layout as text: a line for each chart.
func outline(sections []section) string {
	var b strings.Builder
	for _, s := range sections {
		for _, c := range s.Charts {
			fmt.Fprintf(&b, "%s / %s (%s)", s.Title, c.Title, c.Views[0].Unit)
			for _, l := range c.Views[0].Curves {
				fmt.Fprintf(&b, " %s=%s", l.Label, l.Key)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestEachOfTheKnownGaugesIsDrawnOnce(t *testing.T) {
	var names []string
	for _, g := range collector.Gauges() {
		names = append(names, g.Name)
	}
	drawn := make(map[string]int)
	ids := make(map[string]bool)
	for _, s := range layout(names) {
		for _, c := range s.Charts {
			if ids[c.ID] {
				t.Errorf("two charts are called %s", c.ID)
			}
			ids[c.ID] = true
			if c.Help == "" || len(c.Help) > 75 {
				t.Errorf("%s: help of %d bytes, which is not one line", c.ID, len(c.Help))
			}
			for _, l := range c.Views[0].Curves {
				drawn[l.gauge]++
			}
		}
	}
	for _, name := range names {
		n := 1
		if notDrawn[name] {
			n = 0
		}
		if drawn[name] != n {
			t.Errorf("%s is drawn %d times", name, drawn[name])
		}
	}
}

// TestChartedGaugesExist compares the charts with what the library really sends.
func TestChartedGaugesExist(t *testing.T) {
	documented, err := os.ReadFile("../../docs/gauges.md")
	if err != nil {
		t.Skip(err)
	}
	for _, s := range chartedSections {
		for _, c := range s.Charts {
			for _, v := range c.Views {
				for _, l := range v.Curves {
					if !strings.Contains(string(documented), "`"+l.gauge+"`") {
						t.Errorf("%s: the library has no gauge %s", c.Title, l.gauge)
					}
				}
			}
		}
	}
}

func TestGaugesThatDoNotComeHaveNoChart(t *testing.T) {
	got := outline(layout([]string{"cpu.goroutines", "cpu.cgo_calls", "mem.heap.alloc"}))
	want(t, got, `Go runtime / Goroutines () goroutines=cpu.goroutines|
Go runtime / Heap (bytes) alloc=mem.heap.alloc|
In detail / Calls to C (/s) calls=cpu.cgo_calls|per second
`)
}

func TestFurtherGaugesAreGroupedByNameAndUnit(t *testing.T) {
	got := outline(layout(strings.Fields(`
		queue
		proc.fds_limit proc.start_time.seconds cgroup.memory.oom_kills cgroup.pids cgroup.pids_limit
		runtime.cpu.classes.gc.total.ns runtime.cpu.classes.gc.pause.ns runtime.gc.cycles.forced runtime.gc.heap.tiny.bytes
		runtime.gc.pauses.ns.p99 runtime.gc.pauses.ns.upper runtime.gc.pauses.events runtime.gc.pauses.over_10ms
		app.rss.bytes app.rss.bytes.upper
		shop.carts{room:a} shop.carts{room:b}`)))
	want(t, got, `app / app.rss (bytes) rss=app.rss.bytes| rss.upper=app.rss.bytes.upper|
cgroup / cgroup.memory.oom_kills (/s) oom_kills=cgroup.memory.oom_kills|per second
cgroup / cgroup.pids () pids=cgroup.pids|
cgroup / cgroup.pids_limit () pids_limit=cgroup.pids_limit|
proc / proc.fds_limit () fds_limit=proc.fds_limit|
proc / proc.start_time.seconds (ns) start_time=proc.start_time.seconds|age of s
Further gauges / queue () queue=queue|
runtime / runtime.cpu.classes.gc (ns/s) pause=runtime.cpu.classes.gc.pause.ns|per second total=runtime.cpu.classes.gc.total.ns|per second
runtime / runtime.gc.cycles.forced (/s) forced=runtime.gc.cycles.forced|per second
runtime / runtime.gc.heap.tiny.bytes (bytes) tiny=runtime.gc.heap.tiny.bytes|
runtime / runtime.gc.pauses (/s) events=runtime.gc.pauses.events|per second over_10ms=runtime.gc.pauses.over_10ms|per second
runtime / runtime.gc (ns) pauses.p99=runtime.gc.pauses.ns.p99| pauses.upper=runtime.gc.pauses.ns.upper|
shop / shop.carts () carts {room:a}=shop.carts{room:a}| carts {room:b}=shop.carts{room:b}|
`)
}

// TestAnyNamesCanStandTogether has names which share a chart by their topic and
// unit, but cannot be looked at in the same ways.
func TestAnyNamesCanStandTogether(t *testing.T) {
	want(t, outline(layout(strings.Fields("a.b.start_time.seconds a.b.wait.ns"))), `a / a.b.start_time.seconds (ns) start_time=a.b.start_time.seconds|age of s
a / a.b.wait.ns (ns) wait=a.b.wait.ns|
`)
	ends := []string{"x", "bytes", "ns", "seconds", "start_time.seconds", "events", "over_10ms", "x.bytes", "y.ns", "start_time.seconds.p99", "z.seconds", "ns.upper", "x{k:v}", "start_time.seconds{k:v}"}
	var names []string
	for _, a := range ends {
		for _, b := range []string{"", "a.", "a.b.", "a.b.c."} {
			names = append(names, b+a)
		}
	}
	for _, first := range names {
		for _, second := range names {
			for _, s := range layout([]string{first, second}) {
				for _, c := range s.Charts {
					for _, v := range c.Views {
						if len(v.Curves) != len(c.Views[0].Curves) {
							t.Fatalf("%s and %s: %s has views of other curves", first, second, c.Title)
						}
					}
				}
			}
		}
	}
}

func TestHelpOfFurtherGauges(t *testing.T) {
	const unknown = "Sent by the service itself."
	for gauge, known := range map[string]bool{
		"proc.fds_limit":                      true,
		"runtime.gc.cycles.forced":            true,
		"runtime.gc.heap.live.bytes":          true,
		"runtime.sched.latencies.ns.p99":      true,
		"runtime.sched.latencies.events":      true,
		"runtime.a.metric.of.another.release": false,
		"shop.carts":                          false,
	} {
		if got := furtherHelp(gauge); (got != unknown) != known || !strings.HasSuffix(got, ".") {
			t.Errorf("%s: %q", gauge, got)
		}
	}
}

func TestAChartHasNoMoreCurvesThanColours(t *testing.T) {
	var names []string
	for i := range 2*maxCurves + 1 {
		names = append(names, fmt.Sprintf("a.b.c%02d", i))
	}
	got := layout(names)
	want(t, len(got[0].Charts), 3)
	want(t, len(got[0].Charts[1].Views[0].Curves), maxCurves)
	want(t, len(got[0].Charts[2].Views[0].Curves), 1)
}

func TestUnitsAreGuessedFromNames(t *testing.T) {
	for name, unit := range map[string]string{
		"proc.rss.bytes": "bytes", "proc.rss.bytes.upper": "bytes", "runtime.x.ns.p99": "ns",
		"proc.uptime.seconds": "s", "proc.start_time.seconds": "time", "proc.fds": "",
		"bytes": "", "bytes.in.flight": "",
	} {
		if got, _ := unitOf(name); got != unit {
			t.Errorf("%s: %q, want %q", name, got, unit)
		}
	}
}
