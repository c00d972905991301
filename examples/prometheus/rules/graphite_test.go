//go:build linux

package rules_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

// A curve is what a gauge is at so many hours since all of it began, ten hours
// ago; NaN where there is nothing.
type curve func(h float64) float64

// A scenario is what one service sends.
type scenario struct {
	alert string // short of Runtimemetrics
	name  string
	gauge map[string]curve
	want  float64 // what the target says now; above 1 is an alarm
}

const past = 10 // hours

var nothing = math.NaN()

func constant(v float64) curve { return func(float64) float64 { return v } }

// perHour grows from start on.
func perHour(start, rate float64) curve {
	return func(h float64) float64 { return start + rate*h }
}

// until is the first curve up to some hour, and the other one after it.
func until(hour float64, before, after curve) curve {
	return func(h float64) float64 {
		if h < hour {
			return before(h)
		}
		return after(h)
	}
}

// gauges takes names and curves in turn.
func gauges(pairs ...any) map[string]curve {
	m := map[string]curve{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1].(curve)
	}
	return m
}

// with is a copy of m, with more or others.
func with(m map[string]curve, pairs ...any) map[string]curve {
	m = maps.Clone(m)
	maps.Copy(m, gauges(pairs...))
	return m
}

// What several of them send.
var (
	steady   = perHour(0, 3.6e6)                                               // work
	doubling = curve(func(h float64) float64 { return 3.6e6 * (h + 0.2*h*h) }) // within six hours
)

// heap leaves 940 MB of GOMEMLIMIT for it.
func heap(live curve) map[string]curve {
	return gauges(
		"runtime.gc.heap.live.bytes", live,
		"runtime.gc.gomemlimit.bytes", constant(1000e6),
		"runtime.gc.gogc.percent", constant(100),
		"mem.sys", constant(1010e6),
		"mem.heap.sys", constant(950e6),
		"mem.malloc", steady,
	)
}

// contained leaves 940 MB of the container's limit for a heap that doubles before
// it is collected.
func contained(live curve, gomemlimit float64) map[string]curve {
	return with(heap(live),
		"runtime.gc.gomemlimit.bytes", constant(gomemlimit),
		"cgroup.memory.limit.bytes", constant(1000e6))
}

func spiral(share, live float64) map[string]curve {
	return with(heap(constant(live)),
		"runtime.cpu.classes.total.ns", perHour(0, 7.2e12),
		"runtime.cpu.classes.gc.total.ns", perHour(0, 7.2e12*(share+0.1)),
		"runtime.cpu.classes.gc.mark.idle.ns", perHour(0, 7.2e12*0.1))
}

func limited(engaged curve, live float64) map[string]curve {
	return with(heap(constant(live)), "runtime.gc.limiter.last-enabled", engaged)
}

func assist(share float64) map[string]curve {
	return gauges("runtime.cpu.classes.total.ns", perHour(0, 7.2e12),
		"runtime.cpu.classes.gc.mark.assist.ns", perHour(0, 7.2e12*share))
}

func throttled(p99 float64) map[string]curve {
	return gauges(
		"cgroup.cpu.periods", perHour(0, 36000),
		"cgroup.cpu.throttled_periods", perHour(0, 14400),
		"runtime.sched.latencies.ns.p99", constant(p99))
}

func memory(used, limit float64) map[string]curve {
	return gauges("cgroup.memory.tightest.used.bytes", constant(used), "cgroup.memory.tightest.limit.bytes", constant(limit))
}

func pids(used, limit float64) map[string]curve {
	return gauges("cgroup.pids.tightest.used", constant(used), "cgroup.pids.tightest.limit", constant(limit))
}

func fds(open float64) map[string]curve {
	return gauges("proc.fds", constant(open), "proc.fds_limit", constant(1024))
}

func high(events curve, used float64) map[string]curve {
	return gauges("cgroup.memory.high_events", events,
		"cgroup.memory.working_set.bytes", constant(used), "cgroup.memory.high.bytes", constant(1000e6))
}

// every is how many times so many minutes are over.
func every(minutes float64) curve {
	return func(h float64) float64 { return math.Floor(h * 60 / minutes) }
}

// lives starts anew every so many minutes, the last of which it is down: one curve
// of the life's number and the hours in it.
func lives(minutes, down float64, during func(life, h float64) float64) curve {
	return func(h float64) float64 {
		life, age := math.Modf(h * 60 / minutes)
		if age *= minutes; age >= minutes-down {
			return nothing
		}
		return during(life, age/60)
	}
}

var (
	startTime = func(life, _ float64) float64 { return 1.7e9 + 600*life }
	newMalloc = func(_, h float64) float64 { return 1000 + 3.6e6*h }
	lastGC    = func(life, h float64) float64 {
		if h < 2./60 {
			return 0
		}
		return 1.7e18 + 6e11*life + 3.6e12*h
	}
)

// alternating is two processes under one name.
func alternating(one, other curve) curve {
	return func(h float64) float64 {
		if int(math.Round(h*360))%5 < 2 {
			return one(h)
		}
		return other(h)
	}
}

// The values wanted are worked out by hand from what is sent and the rules'
// thresholds.
func scenarios() []scenario {
	return []scenario{
		// Floors 740, 620, 500, 380: the newest third has risen least.
		{"GoroutineLeak", "leak", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", steady), 740. / 620 * 0.952},
		{"GoroutineLeak", "morning", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", doubling), 740. / 380 / 2 * 0.769},
		{"GoroutineLeak", "flat", gauges("cpu.goroutines", constant(800), "mem.malloc", steady), 0},
		{"GoroutineLeak", "leak after a restart", gauges("cpu.goroutines", perHour(200, 60), "mem.malloc", until(5, steady, perHour(-17e6, 3.6e6))), 1e6 - 18e6 + 60e3},
		// The least is that of 15 minutes ago, the most that of a bit more than 30.
		{"GoroutinesLeaked", "growing", gauges("leaks.goroutines", every(10)), 58. / 56},
		{"GoroutinesLeaked", "the same seven", gauges("leaks.goroutines", constant(7)), 1},
		{"GoroutinesLeaked", "seven of which a check finds five", gauges("leaks.goroutines", alternating(constant(5), constant(7))), 5. / 7},
		{"GoroutinesLeaked", "once", gauges("leaks.goroutines", until(past-0.3, constant(0), constant(7))), 0},
		// A floor of 840 MB, 60 MB more each hour, and 60 MB beside it.
		{"HeapLeak", "leak", heap(perHour(300e6, 60e6)), 1080. / 1000},
		{"HeapLeak", "cache that is full", heap(until(6, perHour(300e6, 80e6), constant(780e6))), 840. / 1000},
		{"HeapLeak", "no limit", with(heap(perHour(300e6, 60e6)), "runtime.gc.gomemlimit.bytes", constant(0)), 0},
		// It doubles: (2 x 520 + 60) of 1000, and a floor of 430 / 250.
		{"HeapLeak", "GOMEMLIMIT above the container's", contained(perHour(160e6, 30e6), 4000e6), 1100. / 1000},
		{"HeapLeak", "container without GOMEMLIMIT", contained(perHour(160e6, 30e6), 0), 1100. / 1000},
		{"HeapLeak", "GOMEMLIMIT as it should be", contained(perHour(160e6, 30e6), 900e6), 0.9 * 1.001},
		{"GCDeathSpiral", "spiral", spiral(0.3, 900e6), 900. / 940 * 1.111},
		{"GCDeathSpiral", "near its limit by design", spiral(0.01, 900e6), 0.1},
		{"GCDeathSpiral", "garbage", spiral(0.3, 500e6), 500. / 940 * 1.111},
		{"GCDeathSpiral", "no collection in ten minutes", with(spiral(0, 900e6),
			"runtime.cpu.classes.total.ns", constant(7e12),
			"runtime.cpu.classes.gc.total.ns", constant(1e11),
			"runtime.cpu.classes.gc.mark.idle.ns", constant(1e10)), 0},
		{"GCLimiterEngaged", "engaged", limited(every(1), 900e6), (2*900. + 60) / 1000},
		{"GCLimiterEngaged", "once", limited(until(past-0.05, constant(0), constant(7)), 900e6), 0.34},
		{"GCLimiterEngaged", "busy machine, far from the limit", limited(every(1), 400e6), (2*400. + 60) / 1000},
		{"GCLimiterEngaged", "busy machine, no limit", with(limited(every(1), 900e6), "runtime.gc.gomemlimit.bytes", constant(0)), 0},
		{"AssistPressure", "pressed", assist(0.2), 2},
		{"AssistPressure", "garbage", assist(0.08), 0.8},
		{"SchedulerSaturation", "saturated", gauges("runtime.sched.latencies.ns.p99", constant(67e6)), 1.34},
		{"SchedulerSaturation", "hiccup", gauges("runtime.sched.latencies.ns.p99", until(past-0.05, constant(2e5), constant(2e9))), 0.004},
		{"CPUThrottled", "throttled", throttled(40e6), 4},
		{"CPUThrottled", "nobody waits", throttled(2e5), 0.02},
		{"CPUThrottled", "no quota", with(throttled(57e6), "cgroup.cpu.periods", constant(0), "cgroup.cpu.throttled_periods", constant(0)), 0},
		{"ContainerNearOOM", "full", memory(970e6, 1000e6), 0.97 * 1.053},
		{"ContainerNearOOM", "GOMEMLIMIT", memory(930e6, 1000e6), 0.93 * 1.053},
		{"ContainerNearOOM", "no limit", memory(0, 0), 0},
		{"OOMKilled", "each five minutes", gauges("cgroup.memory.oom_kills", every(5)), 3 * 2},
		{"OOMKilled", "half an hour ago", gauges("cgroup.memory.oom_kills", until(past-0.5, constant(0), constant(1))), 0},
		{"OOMKilled", "a new group", gauges("cgroup.memory.oom_kills", until(past-0.1, constant(7), constant(0))), 0},
		{"MemoryStall", "thrashing", gauges("cgroup.pressure.memory.some.ns", perHour(0, 0.6*3.6e12)), 1.5},
		{"MemoryStall", "nightly batch", gauges("cgroup.pressure.memory.some.ns", perHour(0, 0.15*3.6e12)), 0.375},
		{"MemoryThrottled", "throttled", high(every(1), 990e6), 0.99 * 1.053},
		{"MemoryThrottled", "page cache", high(every(1), 300e6), 0.3 * 1.053},
		{"MemoryThrottled", "long ago", high(constant(7), 990e6), 0},
		{"PidsNearLimit", "full", pids(99, 100), 0.99 * 1.111},
		{"PidsNearLimit", "roomy", pids(80, 100), 0.8 * 1.111},
		{"PidsNearLimit", "no limit", pids(0, 0), 0},
		{"DescriptorsNearLimit", "full", fds(970), 970. / 1024 * 1.111},
		{"DescriptorsNearLimit", "roomy", fds(800), 800. / 1024 * 1.111},
		{"DescriptorLeak", "leak", gauges("proc.fds", perHour(100, 30), "mem.malloc", steady), 370. / 310 * 0.952},
		{"DescriptorLeak", "morning", gauges("proc.fds", perHour(100, 30), "mem.malloc", doubling), 370. / 190 / 2 * 0.769},
		// Ten hours are 150 lives of four minutes.
		{"CrashLoop", "crash loop", gauges("proc.start_time.seconds", lives(4, 1, startTime)), 3 * 0.34},
		{"CrashLoop", "crash loop without package process", gauges("mem.malloc", lives(4, 1, newMalloc),
			"cpu.goroutines", lives(4, 1, func(_, _ float64) float64 { return 50 }), "mem.gc.last", lives(4, 1, lastGC)), 3 * 0.34},
		{"CrashLoop", "deploy", gauges("proc.start_time.seconds", until(past-0.1, constant(1.7e9), constant(1.7e9+3600))), 0.34},
		{"CrashLoop", "two under one name", gauges("proc.start_time.seconds", alternating(constant(1.7e9), constant(1.7e9+3600))), 0},
		{"CrashLoop", "two under one name without package process", gauges("mem.malloc", alternating(perHour(9e9, 3.6e6), steady),
			"cpu.goroutines", constant(50), "mem.gc.last", alternating(perHour(1.7e18, 3.6e12), perHour(1.7e18+6e10, 3.6e12))), -5e10},
		{"CrashLoop", "job that says goodbye", gauges("proc.start_time.seconds", lives(4, 0, func(life, h float64) float64 {
			if h > 3./60 {
				return 0
			}
			return startTime(life, h)
		})), -0.34},
		{"CrashLoop", "job that says goodbye without package process", gauges("mem.malloc", lives(4, 0, newMalloc),
			"cpu.goroutines", lives(4, 0, func(_, h float64) float64 {
				if h > 3./60 {
					return 0
				}
				return 50
			})), 0},
		// StatsD repeats what it has.
		{"StoppedReporting", "killed", gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), constant(3510)), "cpu.goroutines", constant(50)), 2},
		{"StoppedReporting", "stopped", gauges("runtimemetrics.ticks", until(past-0.25, perHour(0, 360), constant(3510)), "cpu.goroutines", until(past-0.25, constant(50), constant(0))), 0},
		{"StoppedReporting", "long ago", gauges("runtimemetrics.ticks", constant(3510), "cpu.goroutines", constant(50)), 0},
		{"StoppedReporting", "alive", gauges("runtimemetrics.ticks", perHour(0, 360), "cpu.goroutines", constant(50)), 2 - 60},
	}
}

// TestGraphite has a real Graphite render the targets of docs/alerts.md, for
// services that have the fault, for such as only look like it, and for all of them in
// each situation that a path of Graphite can be in.
func TestGraphite(t *testing.T) {
	targets := graphiteTargets(t)
	exact, matrix := scenarios(), situations()
	for alert := range targets {
		if !slices.ContainsFunc(exact, func(s scenario) bool { return s.alert == alert && s.want > 1 }) ||
			!slices.ContainsFunc(exact, func(s scenario) bool { return s.alert == alert && !(s.want > 1) }) {
			t.Errorf("there is no scenario, with and without the fault, of %s", alert)
		}
		if !slices.ContainsFunc(matrix, func(s situation) bool { return s.alert == alert }) {
			t.Errorf("%s is not tested in each situation", alert)
		}
	}
	for _, r := range readRules(t, production) {
		if r.Alert != "" && targets[strings.TrimPrefix(r.Alert, "Runtimemetrics")] == "" {
			t.Errorf("%s has no target for Graphite", r.Alert)
		}
	}
	for _, s := range exact {
		if targets[s.alert] == "" {
			t.Fatalf("docs/alerts.md has no target for %s", s.alert)
		}
	}

	g := startGraphite(t)
	end := time.Now().Truncate(10 * time.Second)
	services := map[string]map[string]curve{} // by path
	for _, s := range exact {
		services[s.path()] = s.gauge
	}
	for _, s := range matrix {
		services[s.path()] = s.gauge
	}
	g.feed(t, end, services)

	t.Run("Values", func(t *testing.T) {
		var asked []string
		for _, s := range exact {
			asked = append(asked, targetOf(targets[s.alert], s.path()))
		}
		for i, got := range g.last(t, end, asked) {
			s := exact[i]
			// Points are 10 s apart, which may be one more or less in a window.
			if math.IsNaN(got) || math.Abs(got-s.want) > 0.02*math.Abs(s.want)+1e-6 {
				t.Errorf("%s, %s: %v, want %v\n%s", s.alert, s.name, got, s.want, asked[i])
			}
			t.Logf("%-20s %-45s %.4g", s.alert, s.name, got)
		}
	})
	t.Run("Situations", func(t *testing.T) {
		var asked []string
		for _, s := range matrix {
			asked = append(asked, targetOf(targets[s.alert], s.path()))
		}
		silent := 0
		for i, got := range g.last(t, end, asked) {
			s := matrix[i]
			if alarm := got > 1; alarm != s.alarm {
				t.Errorf("%s, %s: %v is alarm %v, want %v\n%s", s.alert, s.name, got, alarm, s.alarm, asked[i])
			}
			if !s.alarm {
				silent++
			}
			t.Logf("%-20s %-45s %-5v %.4g", s.alert, s.name, got > 1, got)
		}
		t.Logf("%d situations without the alarm, %d with it", silent, len(matrix)-silent)
	})
	// The way that docs/alerts.md shows, for all services at once.
	t.Run("All services", func(t *testing.T) {
		alike := func(s scenario) bool { return s.alert == "DescriptorLeak" || s.alert == "DescriptorsNearLimit" }
		for _, s := range exact {
			if !alike(s) {
				continue
			}
			all := strings.Join(strings.Split(s.path(), ".")[:5], ".")
			// Within quotes Graphite takes no line breaks.
			each := regexp.MustCompile(`\n *`).ReplaceAllString(targetOf(targets[s.alert], "%"), "")
			target := fmt.Sprintf(`applyByNode(%s.*.proc.fds,5,"%s","%%")`, all, each)
			got := g.render(t, end, target)
			if want := g.last(t, end, []string{targetOf(targets[s.alert], s.path())})[0]; len(got) < 2 || got[s.path()] != want {
				t.Errorf("%s is %v among %d services, want %v\n%s", s.path(), got[s.path()], len(got), want, target)
			}
		}
	})
}

// path is where the service is. Leaks look back for hours: their gauges are stored
// once a minute.
func (s scenario) path() string {
	if slow(s.alert) {
		return pathOf("minutely", s.alert, s.name)
	}
	return pathOf("web1", s.alert, s.name)
}

func pathOf(host, alert, name string) string {
	return "stats.gauges.go." + host + "." + alert + "." + strings.NewReplacer(" ", "-", ".", "_", ",", "", "'", "").Replace(name)
}

// slow are the alerts that take hours.
func slow(alert string) bool {
	return slices.Contains([]string{"GoroutineLeak", "HeapLeak", "DescriptorLeak"}, alert)
}

func targetOf(target, path string) string {
	return regexp.MustCompile(`\bP\.`).ReplaceAllLiteralString(target, path+".")
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
		targets[alert] = strings.TrimSpace(block) // Graphite takes it with its line breaks
	}
	return targets
}

// graphite is carbon and graphite-web as ../../graphite starts them, with an
// archive of 10 s, or of a minute, as long as the targets look back.
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
	if err := os.WriteFile(schemas, []byte(
		"[minutely]\npattern = \\.minutely\\.\nretentions = 60s:2d\n[default]\npattern = .*\nretentions = 10s:1d\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEB_CONCURRENCY", strconv.Itoa(workers)) // gunicorn's
	s := stacktest.Up(t, scripts, "--stack")
	return graphite{s.Address("CARBON_PORT"), "http://" + s.Address("GRAPHITE_PORT")}
}

// feed sends what the services say up to end, and returns when all of it has
// arrived.
func (g graphite) feed(t *testing.T, end time.Time, services map[string]map[string]curve) {
	t.Helper()
	c, err := net.Dial("tcp4", g.carbon)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := bufio.NewWriter(c)
	points, sent := 0, map[string]int{}
	for path, gauges := range services {
		step, hours := int64(10), int64(2)
		if strings.Contains(path, ".minutely.") {
			step = 60
		}
		if slow(strings.Split(path, ".")[4]) {
			hours = past
		}
		for name, value := range gauges {
			last := end.Unix() / step * step
			for at := last - hours*3600 + step; at <= last; at += step {
				if v := value(past - float64(last-at)/3600); !math.IsNaN(v) {
					fmt.Fprintf(w, "%s.%s %.0f %d\n", path, name, v, at)
					sent[path]++
				}
			}
		}
		points += sent[path]
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d points for %d services", points, len(services))

	for deadline := time.Now().Add(patience); len(sent) > 0; time.Sleep(time.Second) {
		var paths, asked []string
		for path := range sent {
			paths = append(paths, path)
			asked = append(asked, "integral(sumSeries(isNonNull("+path+".**)))")
		}
		for i, n := range g.lastSince(t, end.Add(-past*time.Hour-time.Minute), end, asked) {
			if int(n) == sent[paths[i]] {
				delete(sent, paths[i])
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not all points of %d services have arrived, among them %s", len(sent), paths[0])
		}
	}
}

const patience = 5 * time.Minute

// last returns the last value of each target before end, NaN if it has none.
func (g graphite) last(t *testing.T, end time.Time, targets []string) []float64 {
	t.Helper()
	return g.lastSince(t, end.Add(-3*time.Minute), end, targets)
}

func (g graphite) lastSince(t *testing.T, from, end time.Time, targets []string) (values []float64) {
	t.Helper()
	values = slices.Repeat([]float64{math.NaN()}, len(targets))
	var all sync.WaitGroup
	ask := make(chan struct{}, workers)
	first := 0
	for some := range slices.Chunk(targets, 10) {
		form := url.Values{}
		for i, target := range some {
			form.Add("target", fmt.Sprintf("alias(%s,'%d')", target, i))
		}
		into := values[first:]
		first += len(some)
		ask <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			defer func() { <-ask }()
			got, err := g.post(from, end, form)
			if err != nil {
				t.Error(err)
			}
			for i := range some {
				if value, ok := got[strconv.Itoa(i)]; ok {
					into[i] = value
				}
			}
		}()
	}
	all.Wait()
	return values
}

// workers is how many processes graphite-web has: most of the test is its arithmetic.
const workers = 4

// render returns the last value of each series of a target.
func (g graphite) render(t *testing.T, end time.Time, target string) map[string]float64 {
	t.Helper()
	got, err := g.post(end.Add(-3*time.Minute), end, url.Values{"target": {target}})
	if err != nil {
		t.Error(err)
	}
	return got
}

func (g graphite) post(from, end time.Time, form url.Values) (map[string]float64, error) {
	form.Set("format", "json")
	form.Set("noCache", "1")
	form.Set("from", fmt.Sprint(from.Unix()))
	form.Set("until", fmt.Sprint(end.Unix()))
	// Gunicorn closes a connection that is idle for two seconds, and a busy client may
	// be about to use it: of a POST, that is an error.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.PostForm(g.web+"/render", form)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("%s: %s\n%s", response.Status, text[max(0, len(text)-500):], strings.Join(form["target"], "\n"))
	}
	var series []struct {
		Target     string
		Datapoints [][2]*float64
	}
	if err := json.NewDecoder(response.Body).Decode(&series); err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for _, s := range series {
		if _, twice := values[s.Target]; twice {
			return nil, fmt.Errorf("two series are called %s", s.Target)
		}
		values[s.Target] = math.NaN()
		for _, point := range s.Datapoints {
			if point[0] != nil {
				values[s.Target] = *point[0]
			}
		}
	}
	return values, nil
}
