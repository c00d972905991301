package collector

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/defaults"
)

func TestGaugeNames(t *testing.T) {
	taken := map[string]bool{}
	for _, tt := range []struct{ metric, want string }{
		{"/gc/heap/live:bytes", "runtime.gc.heap.live.bytes"},
		{"/sched/latencies:seconds", "runtime.sched.latencies.ns"},
		{"/cpu/classes/gc/mark/assist:cpu-seconds", "runtime.cpu.classes.gc.mark.assist.ns"},
		{"/gc/gogc:percent", "runtime.gc.gogc.percent"},
		{"/gc/cycles/forced:gc-cycles", "runtime.gc.cycles.forced"},
		{"/gc/heap/allocs:bytes", "runtime.gc.heap.allocs.bytes"},
		{"/gc/heap/allocs:objects", "runtime.gc.heap.allocs"},
		{"/new/thing:calls", "runtime.new.thing"},
		{"/new/thing:threads", "runtime.new.thing.threads"}, // the short name is taken
		{"/new/count:calls", "runtime.new.count.calls"},     // Graphite would add it up
		{"/new/sum:calls", "runtime.new.sum.calls"},
	} {
		base, unit := gaugeName(tt.metric)
		if got := unique(base+unit, tt.metric, taken); got != tt.want {
			t.Errorf("%s becomes %s, want %s", tt.metric, got, tt.want)
		}
	}
}

func TestPatterns(t *testing.T) {
	const gc, live = "/gc/heap/allocs:bytes", "/gc/heap/live:bytes"
	for _, tt := range []struct {
		pattern, metric string
		want            bool
	}{
		{live, live, true},
		{"/gc/heap/live", live, true},
		{"/gc/heap", live, false},
		{"/gc/*", live, true},
		{"/gc/*", "/sched/latencies:seconds", false},
		{"*", live, true},
		{"*:bytes", live, true},
		{"*:bytes", "/sched/latencies:seconds", false},
		{"/*/live*", live, true},
		{"/gc/**/live", live, true},
		{"/gc/*/heap/live", live, false}, // the parts may not overlap
		{"*live*live*", live, false},
		{"*e*e*e*e*", live, false},
		{"*e*e*e*", live, true},
		{"/gc/heap/live:bytes*", live, true},
		{"*********************************x", live, false},
		{"/gc/heap/allocs:objects", gc, false},
		{"all", live, true},
		{"all", "/godebug/non-default-behavior/execerrdot:events", false},
		{"/godebug/*", "/godebug/non-default-behavior/execerrdot:events", true},
		{"default", live, true},
		{"default", gc, false},
	} {
		if got := matches(tt.pattern, tt.metric); got != tt.want {
			t.Errorf("pattern %q, metric %q: %v, want %v", tt.pattern, tt.metric, got, tt.want)
		}
	}
}

func TestParsePatterns(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "default": {"default"}, "all": {"all"},
		"/sched/*,/gc/heap/live:bytes": {"/sched/*", "/gc/heap/live:bytes"},
		"default,*pauses*":             {"default", "*pauses*"},
	} {
		if got, err := ParsePatterns(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		",": "empty", "/gc/*,": "empty", "gc/heap": "begin with '/'", "defaults": "begin with '/'",
		"/gc heap": "' '", "/gc/[a-z]": "'['", "/gc/*, /sched/*": "begin with '/'", "/ö": "'ö'",
	} {
		if _, err := ParsePatterns(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "/sched/*") {
			t.Errorf("%q: error %v, want one with %q and an example", text, err, want)
		}
	}
}

func FuzzPatterns(f *testing.F) {
	for _, seed := range []string{"", ",", "default", "all,*", "/a*b*c*d*e", "/gc/heap/live:bytes"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		patterns, err := ParsePatterns(text)
		if err != nil {
			return
		}
		selected, samples := selectMetrics(patterns, newMemSamples())
		read := map[string]bool{}
		for _, s := range samples {
			if read[s.Name] {
				t.Errorf("%q reads %s twice", text, s.Name)
			}
			read[s.Name] = true
		}
		if len(patterns) > 0 && len(selected) == 0 && len(Unmatched(patterns)) == 0 {
			t.Errorf("%q selects nothing, but every pattern matches", text)
		}
	})
}

func TestUnmatchedNamesWhatNothingMatches(t *testing.T) {
	if got := Unmatched([]string{"/gc/*", "/no/such/metric", "default", "all"}); !reflect.DeepEqual(got, []string{"/no/such/metric"}) {
		t.Errorf("got %q", got)
	}
}

// TestEveryMetricIsOutput holds for whatever metrics the running Go has: each
// has its gauges, with names that no server changes and values below 2^62.
func TestEveryMetricIsOutput(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	var r recorder
	c := New(r.gauge)
	c.Runtime = []string{"all"}
	c.Collect()
	want := len(names)
	for _, d := range available() {
		switch {
		case strings.HasPrefix(d.Name, "/godebug/"):
		case d.Kind != metrics.KindFloat64Histogram:
			want++
		case strings.HasSuffix(d.Name, "seconds"):
			want += 4
		default:
			want += 3
		}
	}
	if len(r.keys) != want || len(r.last) != want {
		t.Errorf("%d gauges with %d names, want %d", len(r.keys), len(r.last), want)
	}
	good := regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)
	for key, val := range r.last {
		if strings.HasSuffix(key, ".count") && key != "mem.gc.count" || strings.HasSuffix(key, ".sum") || !good.MatchString(strings.ReplaceAll(key, "non-go", "nongo")) {
			t.Errorf("%q is not a good name", key)
		}
		if val >= 1<<62 {
			t.Errorf("%s = %d", key, val)
		}
	}
	for _, key := range []string{"runtime.gc.gomemlimit.bytes", "runtime.gc.gogc.percent", "runtime.gc.heap.goal.bytes", "mem.gc.next"} {
		if val, ok := r.last[key]; !ok || val != 0 {
			t.Errorf("%s = %d, want 0: there is no limit", key, val)
		}
	}
}

func TestWithoutPatternsThe27AreAll(t *testing.T) {
	var r recorder
	New(r.gauge).Collect()
	if !reflect.DeepEqual(r.keys, names) {
		t.Errorf("got %v", r.keys)
	}
}

func TestFurtherMetricsDoNotNeedTheGroups(t *testing.T) {
	for _, exact := range []bool{false, true} {
		var r recorder
		c := New(r.gauge)
		c.EnableCPU, c.EnableMem, c.Exact = false, false, exact
		c.Runtime = []string{"/gc/heap/live", "/sched/gomaxprocs"}
		c.Collect()
		if want := []string{"runtime.gc.heap.live.bytes", "runtime.sched.gomaxprocs"}; !reflect.DeepEqual(r.keys, want) {
			t.Errorf("got %v, want %v", r.keys, want)
		}
		if got := r.last["runtime.sched.gomaxprocs"]; got != uint64(runtime.GOMAXPROCS(0)) {
			t.Errorf("runtime.sched.gomaxprocs = %d", got)
		}
	}
}

// TestPausesOfForcedCycles compares with what debug.ReadGCStats lists.
func TestPausesOfForcedCycles(t *testing.T) {
	if len(Unmatched([]string{"/sched/pauses/total/gc"})) > 0 {
		t.Skip("this Go does not have /sched/pauses/total/gc")
	}
	const name, events, cycles = "runtime.sched.pauses.total.gc.ns", "runtime.sched.pauses.total.gc.events", 20
	var r recorder
	c := New(r.gauge)
	c.EnableCPU, c.EnableMem = false, false
	c.Runtime = []string{"default"}
	runtime.GC() // what another cycle that is under way has still to stop is not theirs
	c.Collect()
	before := r.last[events]
	for i := 0; i < cycles; i++ {
		runtime.GC()
	}
	c.Collect()
	stops := r.last[events] - before
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	var sum, longest time.Duration
	for _, pause := range stats.Pause[:cycles] {
		sum += pause
		longest = max(longest, pause)
	}
	upper := time.Duration(r.last[name+".upper"])
	t.Logf("%d cycles: %d stop-the-worlds, upper %v, p99 %v; debug.ReadGCStats: longest cycle %v, sum %v",
		cycles, stops, upper, time.Duration(r.last[name+".p99"]), longest, sum)
	if stops < 2*cycles {
		t.Errorf("%d stop-the-worlds in %d cycles, want two a cycle at least", stops, cycles)
	}
	// The buckets of the runtime are at most 1/8 wide, more below a microsecond.
	if upper > longest+longest/4+time.Microsecond {
		t.Errorf("upper is %v, the longest cycle stopped the world for %v", upper, longest)
	}
	if upper*time.Duration(stops) < sum {
		t.Errorf("%d events of at most %v cannot add up to %v", stops, upper, sum)
	}
	if p99 := time.Duration(r.last[name+".p99"]); p99 > upper {
		t.Errorf("p99 %v is above upper %v", p99, upper)
	}
	c.Collect()
	if r.last[events] == before+stops && r.last[name+".upper"] != 0 {
		t.Errorf("upper is %d though nothing happened since", r.last[name+".upper"])
	}
}

// TestStalledGoroutinesShow burns all processors.
func TestStalledGoroutinesShow(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip("one thread, and goroutines that spin are not interrupted")
	}
	const p99, over10ms = "runtime.sched.latencies.ns.p99", "runtime.sched.latencies.over_10ms"
	var r recorder
	c := New(r.gauge)
	c.EnableCPU, c.EnableMem = false, false
	c.Runtime = []string{"/sched/latencies"}
	c.Collect()
	over := r.last[over10ms]
	for deadline := time.Now().Add(time.Minute); ; {
		stop := new(atomic.Bool)
		for i := 0; i < 4*runtime.GOMAXPROCS(0); i++ {
			go func() {
				for !stop.Load() {
				}
			}()
		}
		time.Sleep(200 * time.Millisecond)
		stop.Store(true)
		c.Collect()
		if r.last[over10ms] > over && r.last[p99] > uint64(time.Millisecond) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines waited for a processor for long, but p99 is %d and over_10ms %d", r.last[p99], r.last[over10ms])
		}
	}
}

// A finalizer that waits for ever keeps all others from running: the backlog
// reports it, and nothing else does.
func TestBacklogOfFinalizersShows(t *testing.T) {
	const name = "runtime.gc.finalizers.backlog"
	if len(Unmatched([]string{"/gc/finalizers/backlog"})) > 0 {
		t.Skipf("%s does not count finalizers", runtime.Version())
	}
	var r recorder
	c := New(r.gauge)
	c.EnableCPU, c.EnableMem, c.Runtime = false, false, []string{"default"}
	c.Collect()
	if _, ok := r.last["runtime.gc.finalizers.queued"]; ok {
		t.Error("the parts of a difference are published though only it is asked for")
	}

	const dead = 100
	release := make(chan struct{})
	for i := 0; i < dead; i++ {
		runtime.SetFinalizer(new([64]byte), func(*[64]byte) { <-release })
	}
	until := func(what string, done func() bool) {
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the backlog is %d", what, r.last[name])
			}
			runtime.GC()
			c.Collect()
		}
	}
	// The one that waits counts as not executed; the last object may still be
	// found on the stack.
	until("while one waits", func() bool { return r.last[name] >= dead/2 })
	close(release)
	until("when it is let go", func() bool { return r.last[name] == 0 })
}

func TestADifferenceIsNotBelowZero(t *testing.T) {
	samples := make([]metrics.Sample, 2)
	samples[0].Name, samples[1].Name = "/gc/cycles/forced:gc-cycles", "/gc/heap/allocs:bytes"
	metrics.Read(samples)
	m := runtimeMetric{name: "difference", sample: 0, less: 1}
	m.output(samples, func(name string, v uint64) {
		if name != "difference" || v != 0 {
			t.Errorf("%s is %d", name, v)
		}
	})
}

func TestWhatIsNoNumberIsSentAsZero(t *testing.T) {
	for v, want := range map[float64]uint64{
		0: 0, 0.4: 0, 0.5: 1, 1.5: 2, -1: 0, math.Inf(1): 0, math.Inf(-1): 0, 1e30: 0, 1 << 62: 0, 1 << 61: 1 << 61,
	} {
		if got := whole(v); got != want {
			t.Errorf("whole(%v) = %d, want %d", v, got, want)
		}
	}
	if got := whole(math.NaN()); got != 0 {
		t.Errorf("whole(NaN) = %d", got)
	}
}

func TestZeroLevelsOfFurtherMetrics(t *testing.T) {
	for _, collects := range []int{0, 1, 2} { // before ZeroLevels
		var r recorder
		c := New(r.gauge)
		c.EnableCPU, c.EnableMem = false, false
		c.Runtime = []string{"/sched/latencies", "/sched/gomaxprocs", "/gc/cycles/total"}
		for i := 0; i < collects; i++ {
			c.Collect()
		}
		r.keys = nil
		c.ZeroLevels()
		if want := []string{"runtime.sched.gomaxprocs", "runtime.sched.latencies.ns.p99", "runtime.sched.latencies.ns.upper"}; !reflect.DeepEqual(r.keys, want) {
			t.Errorf("after Collect %d times: zeroed %v, want %v", collects, r.keys, want)
		}
		for _, key := range r.keys {
			if r.last[key] != 0 {
				t.Errorf("%s = %d", key, r.last[key])
			}
		}
	}
}

func TestDefaultMetricsExist(t *testing.T) {
	var missing []string
	for _, d := range defaults.Metrics {
		if d.Help == "" {
			t.Errorf("%s lacks help", d.Path)
		}
		if len(Unmatched([]string{d.Path})) > 0 {
			missing = append(missing, d.Path)
		}
	}
	if len(missing) > 0 {
		// Those of older releases are the same less what they lack.
		if release := runtime.Version(); strings.HasPrefix(release, "go1.26") || strings.HasPrefix(release, "go1.27") {
			t.Errorf("missing: %v", missing)
		}
		t.Logf("%s does not have %v", runtime.Version(), missing)
	}
}

var sanitized bool // by the address sanitizer

func TestCollectAllocatesNothing(t *testing.T) {
	if sanitized {
		t.Skip("the address sanitizer allocates for itself")
	}
	for _, patterns := range [][]string{nil, {"default"}, {"all"}} {
		t.Run(fmt.Sprint(patterns), func(t *testing.T) {
			var last uint64
			c := New(func(_ string, v uint64) { last = v })
			c.Runtime = patterns
			c.Collect()
			if n := testing.AllocsPerRun(100, c.Collect); n != 0 {
				t.Errorf("%v allocations per tick", n)
			}
			_ = last
		})
	}
}

// TestTheListOfMetricsIsNotWrittenTo: package runtime/metrics gives everybody the
// same one, with room behind it.
func TestTheListOfMetricsIsNotWrittenTo(t *testing.T) {
	available()
	all := metrics.All()
	for _, d := range all[len(all):cap(all)] {
		if d.Name != "" {
			t.Errorf("%s stands behind the list", d.Name)
		}
	}
}
