package collector

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/collector/internal/cgocalls"
)

// comparedFields are the fields of runtime.MemStats that the gauges need.
var comparedFields = []string{
	"Alloc", "TotalAlloc", "Sys", "Lookups", "Mallocs", "Frees",
	"HeapAlloc", "HeapSys", "HeapIdle", "HeapInuse", "HeapReleased", "HeapObjects",
	"StackInuse", "StackSys", "MSpanInuse", "MSpanSys", "MCacheInuse", "MCacheSys",
	"OtherSys", "GCSys", "NextGC", "LastGC", "PauseTotalNs", "NumGC",
}

// differences returns what of our reading differs from the runtime's, and
// whether the two could be compared at all: a reading of the runtime just
// before and just after ours must agree in that field, else something happened
// in between.
func differences(m *memStats, samples []metrics.Sample) (differ []string, comparable int) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	metrics.Read(samples)
	m.fill(samples)
	runtime.ReadMemStats(&after)

	b, a, ours := reflect.ValueOf(before), reflect.ValueOf(after), reflect.ValueOf(m.MemStats)
	for _, name := range comparedFields {
		want := b.FieldByName(name)
		if want.Interface() != a.FieldByName(name).Interface() {
			continue
		}
		comparable++
		if got := ours.FieldByName(name); got.Interface() != want.Interface() {
			differ = append(differ, fmt.Sprintf("%s = %v, ReadMemStats has %v", name, got, want))
		}
	}
	if i := lastCycle(before.NumGC); before.NumGC == after.NumGC {
		comparable++
		if got, want := m.lastPause(), before.PauseNs[i]; got != want {
			differ = append(differ, fmt.Sprintf("last pause = %d, ReadMemStats has %d", got, want))
		}
	}
	return differ, comparable
}

// sinks keep what the scenarios allocate on the heap.
var (
	sink     []byte
	sinkTiny *byte
	sinkAll  [][]byte
)

func TestMemStatsEqualsReadMemStats(t *testing.T) {
	if runtime.GOARCH == "wasm" {
		t.Skip("a process cannot start another here")
	}
	if os.Getenv("COLLECTOR_SCENARIO") == "" {
		// Each in a process of its own: they change the garbage collector, and
		// what one leaves behind would be another's noise.
		for _, s := range scenarios {
			s := s
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command(os.Args[0], "-test.run=^TestMemStatsEqualsReadMemStats$")
				cmd.Env = append(os.Environ(), "COLLECTOR_SCENARIO="+s.name)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		return
	}
	for _, s := range scenarios {
		if s.name != os.Getenv("COLLECTOR_SCENARIO") {
			continue
		}
		const rounds = 300
		m, samples := new(memStats), newMemSamples()
		if s.begin != nil {
			s.begin()
		}
		metrics.Read(samples) // the first reading allocates
		m.fill(samples)
		compared, torn := 0, 0
		for i := 0; i < rounds; i++ {
			if s.round != nil {
				s.round(i)
			}
			differ, n := differences(m, samples)
			if len(differ) > 0 {
				// One metrics.Read and one ReadGCStats are not one moment: a
				// cycle may end between them, or the scavenger may work.
				if torn++; torn > rounds/50 {
					t.Errorf("round %d: %s", i, strings.Join(differ, "; "))
				}
			}
			if n == len(comparedFields)+1 {
				compared++
			}
		}
		if compared < rounds*3/4 {
			t.Errorf("only %d of %d rounds could be compared in all fields", compared, rounds)
		}
		if s.check != nil {
			s.check(t, m)
		}
	}
}

type scenario struct {
	name  string
	begin func()
	round func(i int)
	check func(*testing.T, *memStats)
}

var scenarios = []scenario{
	{name: "a fresh process before its first cycle", check: func(t *testing.T, m *memStats) {
		if m.NumGC == 0 && (m.lastPause() != 0 || m.LastGC != 0) {
			t.Errorf("before the first cycle: last pause %d, last GC %d; want 0", m.lastPause(), m.LastGC)
		}
	}},
	{name: "garbage collection off", begin: func() { debug.SetGCPercent(-1) },
		round: func(int) { sink = make([]byte, 10_000) },
		check: func(t *testing.T, m *memStats) {
			if m.NextGC < 1<<62 || sane(m.NextGC) != 0 {
				t.Errorf("NextGC = %d with GOGC=off; it should be beyond 2^62, and sent as 0", m.NextGC)
			}
		}},
	{name: "a memory limit", begin: func() { debug.SetGCPercent(-1); debug.SetMemoryLimit(64 << 20) },
		round: func(int) { sink = make([]byte, 100_000) }},
	{name: "more than 256 cycles", begin: func() {
		for i := 0; i < 300; i++ {
			runtime.GC()
		}
	}, round: func(i int) {
		if i%10 == 0 {
			runtime.GC()
		}
	}, check: func(t *testing.T, m *memStats) {
		if m.NumGC < 330 {
			t.Errorf("NumGC = %d after 330 forced cycles", m.NumGC)
		}
	}},
	{name: "tiny allocations", round: func(int) {
		for j := 0; j < 1000; j++ {
			sinkTiny = new(byte)
		}
	}},
	{name: "large allocations", begin: func() { debug.SetGCPercent(1000) },
		round: func(i int) { sink = make([]byte, (i+1)<<14) }},
	{name: "dead goroutines", round: func(i int) {
		if i%10 > 0 {
			return
		}
		var wg sync.WaitGroup
		for j := 0; j < 100; j++ {
			wg.Add(1)
			go func() { defer wg.Done(); var deep [4096]byte; runtime.KeepAlive(&deep) }()
		}
		wg.Wait()
	}},
	{name: "memory given back to the system", begin: func() {
		for i := 0; i < 64; i++ {
			sinkAll = append(sinkAll, make([]byte, 1<<20))
		}
	}, round: func(i int) {
		if i == 10 {
			sinkAll = nil
			debug.FreeOSMemory()
		}
	}},
	{name: "calls to C on many threads", begin: func() { runtime.GOMAXPROCS(8) },
		round: func(i int) {
			if i == 0 {
				cgocalls.Make(24)
			}
		}, check: func(t *testing.T, _ *memStats) {
			if n := runtime.NumCgoCall(); cgocalls.Available && n < 24 {
				t.Errorf("%d calls to C were counted, 24 were made", n)
			}
		}},
}

// TestExactModeIsReadMemStats shows that the exact mode sees what sits in the
// allocation caches, which the other mode does not.
func TestExactModeIsReadMemStats(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	c := New(func(string, uint64) {})
	c.Exact = true
	m := &c.snapshot.mem
	c.Collect()
	runtime.ReadMemStats(&before)
	for i := 0; i < 1000; i++ {
		sink = make([]byte, 1024)
	}
	c.Collect()
	runtime.ReadMemStats(&after)
	if m.Mallocs < before.Mallocs+1000 || m.Mallocs > after.Mallocs {
		t.Errorf("Mallocs = %d; the runtime had %d before 1000 allocations and %d after", m.Mallocs, before.Mallocs, after.Mallocs)
	}
}

// TestMetricsAreLookedAt fails when the Go release that this list was made for
// has a metric that the list does not name, and reports it on newer ones: so
// that each release's news are considered once.
func TestMetricsAreLookedAt(t *testing.T) {
	const release = "go1.26"
	looked := map[string]bool{}
	for _, name := range strings.Fields(lookedAt) {
		looked[name] = true
	}
	var unknown []string
	for _, d := range metrics.All() {
		if !looked[d.Name] && !strings.HasPrefix(d.Name, "/godebug/") {
			unknown = append(unknown, d.Name)
		}
	}
	sort.Strings(unknown)
	switch v := runtime.Version(); {
	case len(unknown) == 0:
	case strings.HasPrefix(v, release):
		t.Errorf("%s has metrics that nobody has looked at: %v", v, unknown)
	default:
		t.Logf("%s has metrics that are not in the list for %s: %v", v, release, unknown)
	}
	for _, name := range memSampleNames {
		if !looked[name] {
			t.Errorf("%s is read, but not in the list", name)
		}
	}
}

// lookedAt are the metrics of Go 1.26 but for /godebug/*.
const lookedAt = `
/cgo/go-to-c-calls:calls
/cpu/classes/gc/mark/assist:cpu-seconds
/cpu/classes/gc/mark/dedicated:cpu-seconds
/cpu/classes/gc/mark/idle:cpu-seconds
/cpu/classes/gc/pause:cpu-seconds
/cpu/classes/gc/total:cpu-seconds
/cpu/classes/idle:cpu-seconds
/cpu/classes/scavenge/assist:cpu-seconds
/cpu/classes/scavenge/background:cpu-seconds
/cpu/classes/scavenge/total:cpu-seconds
/cpu/classes/total:cpu-seconds
/cpu/classes/user:cpu-seconds
/gc/cleanups/executed:cleanups
/gc/cleanups/queued:cleanups
/gc/cycles/automatic:gc-cycles
/gc/cycles/forced:gc-cycles
/gc/cycles/total:gc-cycles
/gc/finalizers/executed:finalizers
/gc/finalizers/queued:finalizers
/gc/gogc:percent
/gc/gomemlimit:bytes
/gc/heap/allocs-by-size:bytes
/gc/heap/allocs:bytes
/gc/heap/allocs:objects
/gc/heap/frees-by-size:bytes
/gc/heap/frees:bytes
/gc/heap/frees:objects
/gc/heap/goal:bytes
/gc/heap/live:bytes
/gc/heap/objects:objects
/gc/heap/tiny/allocs:objects
/gc/limiter/last-enabled:gc-cycle
/gc/pauses:seconds
/gc/scan/globals:bytes
/gc/scan/heap:bytes
/gc/scan/stack:bytes
/gc/scan/total:bytes
/gc/stack/starting-size:bytes
/memory/classes/heap/free:bytes
/memory/classes/heap/objects:bytes
/memory/classes/heap/released:bytes
/memory/classes/heap/stacks:bytes
/memory/classes/heap/unused:bytes
/memory/classes/metadata/mcache/free:bytes
/memory/classes/metadata/mcache/inuse:bytes
/memory/classes/metadata/mspan/free:bytes
/memory/classes/metadata/mspan/inuse:bytes
/memory/classes/metadata/other:bytes
/memory/classes/os-stacks:bytes
/memory/classes/other:bytes
/memory/classes/profiling/buckets:bytes
/memory/classes/total:bytes
/sched/gomaxprocs:threads
/sched/goroutines-created:goroutines
/sched/goroutines/not-in-go:goroutines
/sched/goroutines/runnable:goroutines
/sched/goroutines/running:goroutines
/sched/goroutines/waiting:goroutines
/sched/goroutines:goroutines
/sched/latencies:seconds
/sched/pauses/stopping/gc:seconds
/sched/pauses/stopping/other:seconds
/sched/pauses/total/gc:seconds
/sched/pauses/total/other:seconds
/sched/threads/total:threads
/sync/mutex/wait/total:seconds
`

func BenchmarkCollect(b *testing.B) {
	for _, exact := range []bool{false, true} {
		b.Run(fmt.Sprintf("exact=%v", exact), func(b *testing.B) {
			var last uint64
			c := New(func(_ string, v uint64) { last = v })
			c.Exact = exact
			b.ReportAllocs()
			for i := 0; i < b.N; i++ {
				c.Collect()
			}
			_ = last
		})
	}
}

// TestTheLagIsOnTheLowSide holds what the documentation says of reading without
// stopping the world: the figures of objects are never too high, and a cycle
// sets them right.
func TestTheLagIsOnTheLowSide(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC() // and its sweep, which would take away from the heap between the two looks
	samples, m := newMemSamples(), new(memStats)
	metrics.Read(samples)
	keep := make([]*[64]byte, 10_000)
	for i := range keep {
		keep[i] = new([64]byte)
	}
	var exact runtime.MemStats
	metrics.Read(samples)
	m.fill(samples)
	runtime.ReadMemStats(&exact)
	t.Logf("HeapAlloc %d, exactly %d; Mallocs %d, exactly %d", m.HeapAlloc, exact.HeapAlloc, m.Mallocs, exact.Mallocs)
	if m.HeapAlloc > exact.HeapAlloc || m.TotalAlloc > exact.TotalAlloc || m.Mallocs > exact.Mallocs || m.Frees > exact.Frees {
		t.Errorf("a figure is above the exact one: %+v", m.MemStats)
	}
	runtime.KeepAlive(keep)
}

func TestProcessorsMayComeAndGo(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var r recorder
	c := New(r.gauge)
	c.Runtime = []string{"all"}
	for _, n := range []int{1, 16, 2, 64, 3} {
		runtime.GOMAXPROCS(n)
		n = runtime.GOMAXPROCS(0) // wasm has one
		c.Collect()
		if got := r.last["runtime.sched.gomaxprocs"]; got != uint64(n) {
			t.Errorf("runtime.sched.gomaxprocs = %d, want %d", got, n)
		}
		if got := r.last["mem.stack.mcache_inuse"]; got == 0 {
			t.Errorf("mem.stack.mcache_inuse = 0 with %d processors", n)
		}
	}
}
