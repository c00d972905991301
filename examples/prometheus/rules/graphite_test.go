//go:build linux

package rules_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

// A scenario is what one service sends, as functions of the hours since all of it
// began, ten hours ago.
type scenario struct {
	alert string // short of Runtimemetrics
	name  string
	gauge map[string]func(h float64) float64
	want  float64 // what the target says now; above 1 is an alarm
}

const past = 10 // hours

func constant(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// perHour grows from start on.
func perHour(start, rate float64) func(float64) float64 {
	return func(h float64) float64 { return start + rate*h }
}

// until is the first function up to some hour, and the other one after it.
func until(hour float64, before, after func(float64) float64) func(float64) float64 {
	return func(h float64) float64 {
		if h < hour {
			return before(h)
		}
		return after(h)
	}
}

// The values wanted are worked out by hand from what is sent and the rules'
// thresholds.
func scenarios() []scenario {
	steady := perHour(0, 3.6e6)                                          // work
	doubling := func(h float64) float64 { return 3.6e6 * (h + 0.2*h*h) } // within six hours
	heap := func(live func(float64) float64) map[string]func(float64) float64 {
		return map[string]func(float64) float64{ // 940 MB are left for it
			"runtime.gc.heap.live.bytes":  live,
			"runtime.gc.gomemlimit.bytes": constant(1000e6),
			"mem.sys":                     constant(1010e6),
			"mem.heap.sys":                constant(950e6),
		}
	}
	unlimited := heap(perHour(300e6, 60e6))
	unlimited["runtime.gc.gomemlimit.bytes"] = constant(0)
	spiral := func(share, live float64) map[string]func(float64) float64 {
		gauges := heap(constant(live))
		gauges["runtime.cpu.classes.total.ns"] = perHour(0, 7.2e12)
		gauges["runtime.cpu.classes.gc.total.ns"] = perHour(0, 7.2e12*(share+0.1))
		gauges["runtime.cpu.classes.gc.mark.idle.ns"] = perHour(0, 7.2e12*0.1)
		return gauges
	}
	throttled := func(p99 float64) map[string]func(float64) float64 {
		return map[string]func(float64) float64{
			"cgroup.cpu.periods":             perHour(0, 36000),
			"cgroup.cpu.throttled_periods":   perHour(0, 14400),
			"runtime.sched.latencies.ns.p99": constant(p99),
		}
	}
	gauges := func(pairs ...any) map[string]func(float64) float64 {
		m := map[string]func(float64) float64{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1].(func(float64) float64)
		}
		return m
	}
	minutes := func(h float64) float64 { return math.Floor(h * 60) }
	return []scenario{
		// Floors 740, 620, 500, 380: the newest third has risen least.
		{"GoroutineLeak", "leak", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", steady), 740. / 620 * 0.952},
		{"GoroutineLeak", "morning", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", doubling), 740. / 380 / 2 * 0.769},
		{"GoroutineLeak", "flat", gauges("cpu.goroutines", constant(800), "mem.malloc", steady), 0},
		// A floor of 840 MB, and 60 MB more each hour.
		{"HeapLeak", "leak", heap(perHour(300e6, 60e6)), 1020. / 940},
		{"HeapLeak", "cache that is full", heap(until(6, perHour(300e6, 80e6), constant(780e6))), 780. / 940},
		{"HeapLeak", "no limit", unlimited, -1020. / 60},
		{"GCDeathSpiral", "spiral", spiral(0.3, 900e6), 900. / 940 * 1.111},
		{"GCDeathSpiral", "near its limit by design", spiral(0.01, 900e6), 0.1},
		{"GCDeathSpiral", "garbage", spiral(0.3, 500e6), 500. / 940 * 1.111},
		{"GCLimiterEngaged", "engaged", gauges("runtime.gc.limiter.last-enabled", minutes), 10 * 0.34},
		{"GCLimiterEngaged", "once", gauges("runtime.gc.limiter.last-enabled", until(past-0.05, constant(0), constant(7))), 0.34},
		{"AssistPressure", "pressed", gauges("runtime.cpu.classes.total.ns", perHour(0, 7.2e12), "runtime.cpu.classes.gc.mark.assist.ns", perHour(0, 1.44e12)), 2},
		{"AssistPressure", "garbage", gauges("runtime.cpu.classes.total.ns", perHour(0, 7.2e12), "runtime.cpu.classes.gc.mark.assist.ns", perHour(0, 0.576e12)), 0.8},
		{"SchedulerSaturation", "saturated", gauges("runtime.sched.latencies.ns.p99", constant(67e6)), 1.34},
		{"SchedulerSaturation", "hiccup", gauges("runtime.sched.latencies.ns.p99", until(past-0.05, constant(2e5), constant(2e9))), 0.004},
		{"CPUThrottled", "throttled", throttled(40e6), 4},
		{"CPUThrottled", "nobody waits", throttled(2e5), 0.02},
		{"ContainerNearOOM", "full", gauges("cgroup.memory.working_set.bytes", constant(970e6), "cgroup.memory.limit.bytes", constant(1000e6)), 0.97 * 1.053},
		{"ContainerNearOOM", "GOMEMLIMIT", gauges("cgroup.memory.working_set.bytes", constant(930e6), "cgroup.memory.limit.bytes", constant(1000e6)), 0.93 * 1.053},
		{"ContainerNearOOM", "no limit", gauges("cgroup.memory.working_set.bytes", constant(930e6), "cgroup.memory.limit.bytes", constant(0)), math.NaN()},
		{"DescriptorsNearLimit", "full", gauges("proc.fds", constant(970), "proc.fds_limit", constant(1024)), 970. / 1024 * 1.111},
		{"DescriptorsNearLimit", "roomy", gauges("proc.fds", constant(800), "proc.fds_limit", constant(1024)), 800. / 1024 * 1.111},
		{"DescriptorLeak", "leak", gauges("proc.fds", perHour(100, 30), "mem.malloc", steady), 370. / 310 * 0.952},
		{"DescriptorLeak", "morning", gauges("proc.fds", perHour(100, 30), "mem.malloc", doubling), 370. / 190 / 2 * 0.769},
		// StatsD repeats what it has.
		{"StoppedReporting", "killed", gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), constant(3510)), "cpu.goroutines", constant(50)), 2},
		{"StoppedReporting", "stopped", gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), constant(3510)), "cpu.goroutines", until(past-0.25, constant(50), constant(0))), 0},
		{"StoppedReporting", "long ago", gauges("runtimemetrics.ticks", constant(3510), "cpu.goroutines", constant(50)), 0},
		{"StoppedReporting", "alive", gauges("runtimemetrics.ticks", perHour(0, 360), "cpu.goroutines", constant(50)), 2 - 60},
	}
}

// TestGraphite has a real Graphite render the targets of docs/alerts.md, for
// services that have the fault and for such as only look like it.
func TestGraphite(t *testing.T) {
	targets := graphiteTargets(t)
	all := scenarios()
	for alert := range targets {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.alert == alert && s.want > 1 }) ||
			!slices.ContainsFunc(all, func(s scenario) bool { return s.alert == alert && !(s.want > 1) }) {
			t.Errorf("there is no scenario, with and without the fault, of %s", alert)
		}
	}
	for _, r := range readRules(t, production) {
		if r.Alert != "" && targets[strings.TrimPrefix(r.Alert, "Runtimemetrics")] == "" {
			t.Errorf("%s has no target for Graphite", r.Alert)
		}
	}

	g := startGraphite(t)
	end := time.Now()
	path := func(s scenario) string {
		return "stats.gauges.go.web1." + s.alert + "." + strings.ReplaceAll(s.name, " ", "-")
	}
	g.feed(t, end, all, path)
	for _, s := range all {
		target, ok := targets[s.alert]
		if !ok {
			t.Errorf("docs/alerts.md has no target for %s", s.alert)
			continue
		}
		target = regexp.MustCompile(`\bP\.`).ReplaceAllLiteralString(target, path(s)+".")
		g.eventually(t, func() error {
			got, err := g.last(target, end)
			if err != nil {
				return fmt.Errorf("%s, %s: %w\n%s", s.alert, s.name, err, target)
			}
			// Points are 10 s apart, which may be one more or less in a window.
			if math.IsNaN(s.want) != math.IsNaN(got) || math.Abs(got-s.want) > 0.02*math.Abs(s.want)+1e-6 {
				return fmt.Errorf("%s, %s: %v, want %v", s.alert, s.name, got, s.want)
			}
			t.Logf("%-20s %-25s %.4g", s.alert, s.name, got)
			return nil
		})
	}
}

// graphiteTargets returns the targets of the runbook, by alert.
func graphiteTargets(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]string{}
	for _, section := range strings.Split(string(text), "\n## Runtimemetrics")[1:] {
		alert, rest, _ := strings.Cut(section, "\n")
		_, block, found := strings.Cut(rest, "```graphite\n")
		block, _, closed := strings.Cut(block, "```")
		if !found || !closed {
			t.Errorf("%s has no target for Graphite", alert)
			continue
		}
		for line := range strings.Lines(block) {
			targets[alert] += strings.TrimSpace(line)
		}
	}
	return targets
}

// graphite is carbon and graphite-web as ../../graphite starts them, with a finest
// archive of 10 s, as long as the targets look back.
type graphite struct {
	carbon, web string
}

func startGraphite(t *testing.T) graphite {
	t.Helper()
	root := t.TempDir()
	scripts := filepath.Join(root, "examples", "graphite")
	if err := errors.Join(os.CopyFS(scripts, os.DirFS("../../graphite")),
		os.CopyFS(filepath.Join(root, "examples", "internal"), os.DirFS("../../internal")),
		os.CopyFS(filepath.Join(root, "dashboards"), os.DirFS("../../../dashboards"))); err != nil {
		t.Fatal(err)
	}
	schemas := filepath.Join(scripts, "conf", "storage-schemas.conf")
	if err := os.WriteFile(schemas, []byte("[default]\npattern = .*\nretentions = 10s:2d\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := stacktest.Up(t, scripts, "--stack")
	return graphite{s.Address("CARBON_PORT"), "http://" + s.Address("GRAPHITE_PORT")}
}

// feed sends all that the scenarios say, a point every 10 s, up to end.
func (g graphite) feed(t *testing.T, end time.Time, all []scenario, path func(scenario) string) {
	t.Helper()
	c, err := net.Dial("tcp4", g.carbon)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := bufio.NewWriter(c)
	last := end.Unix() / 10 * 10
	points := 0
	for _, s := range all {
		for name, value := range s.gauge {
			for at := last - past*3600; at <= last; at += 10 {
				h := past - float64(last-at)/3600
				fmt.Fprintf(w, "%s.%s %.0f %d\n", path(s), name, value(h), at)
				points++
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d points for %d services", points, len(all))
}

// last returns the last value of a target before end, NaN if it has none.
func (g graphite) last(target string, end time.Time) (float64, error) {
	client := http.Client{Timeout: 30 * time.Second}
	response, err := client.PostForm(g.web+"/render", url.Values{
		"target": {target}, "format": {"json"}, "noCache": {"1"},
		"from": {fmt.Sprint(end.Add(-2 * time.Minute).Unix())}, "until": {fmt.Sprint(end.Unix())},
	})
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, errors.New(response.Status)
	}
	var series []struct {
		Datapoints [][2]*float64
	}
	if err := json.NewDecoder(response.Body).Decode(&series); err != nil {
		return 0, err
	}
	if len(series) != 1 {
		return 0, fmt.Errorf("%d series", len(series))
	}
	value := math.NaN()
	for _, point := range series[0].Datapoints {
		if point[0] != nil {
			value = *point[0]
		}
	}
	return value, nil
}

// eventually polls: carbon takes a while to take it all in.
func (g graphite) eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}
