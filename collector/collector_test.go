package collector

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// names are the gauges as dashboards know them, in the order in which they are
// sent.
var names = strings.Fields(`
cpu.goroutines cpu.cgo_calls
mem.alloc mem.total mem.sys mem.lookups mem.malloc mem.frees
mem.heap.alloc mem.heap.sys mem.heap.idle mem.heap.inuse mem.heap.released mem.heap.objects
mem.stack.inuse mem.stack.sys mem.stack.mspan_inuse mem.stack.mspan_sys mem.stack.mcache_inuse mem.stack.mcache_sys
mem.othersys
mem.gc.sys mem.gc.next mem.gc.last mem.gc.pause_total mem.gc.pause mem.gc.count`)

// recorder is a GaugeFunc that remembers.
type recorder struct {
	keys []string
	last map[string]uint64
}

func (r *recorder) gauge(key string, val uint64) {
	if r.last == nil {
		r.last = map[string]uint64{}
	}
	r.keys = append(r.keys, key)
	r.last[key] = val
}

func TestCollectOutputsTheGaugesOfTheEnabledGroupsInOrder(t *testing.T) {
	tests := []struct {
		name         string
		cpu, mem, gc bool
		want         []string
	}{
		{"all", true, true, true, names},
		{"cpu only", true, false, false, names[:2]},
		{"mem without gc", false, true, false, names[2:21]},
		{"mem and gc", false, true, true, names[2:]},
		{"gc needs mem", false, false, true, nil},
		{"none", false, false, false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r recorder
			c := New(r.gauge)
			c.EnableCPU, c.EnableMem, c.EnableGC = tt.cpu, tt.mem, tt.gc
			c.Collect()
			if !reflect.DeepEqual(r.keys, tt.want) {
				t.Errorf("got  %v\nwant %v", r.keys, tt.want)
			}
		})
	}
}

func TestCollectOutputsWhatTheRuntimeSays(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	for i := 0; i < 100; i++ {
		go func() { <-release }()
	}
	runtime.GC()
	for _, exact := range []bool{false, true} {
		var r recorder
		c := New(r.gauge)
		c.Exact = exact
		c.Collect()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if got := r.last["cpu.goroutines"]; got < 100 || got > uint64(runtime.NumGoroutine())+10 {
			t.Errorf("exact=%v: cpu.goroutines = %d, runtime.NumGoroutine = %d", exact, got, runtime.NumGoroutine())
		}
		for name, want := range map[string]uint64{
			"mem.gc.count": uint64(m.NumGC), "mem.gc.last": m.LastGC, "mem.gc.pause_total": m.PauseTotalNs,
			"mem.gc.pause": m.PauseNs[(m.NumGC+255)%256], "mem.lookups": 0,
		} {
			if got := r.last[name]; got != want {
				t.Errorf("exact=%v: %s = %d, want %d", exact, name, got, want)
			}
		}
	}
}

func TestEachGaugeIsWhatItsSourceNames(t *testing.T) {
	s := &snapshot{goroutines: 1, cgoCalls: 2}
	want := map[string]uint64{"runtime.NumGoroutine": 1, "runtime.NumCgoCall": 2}
	mem := reflect.ValueOf(&s.mem.MemStats).Elem()
	for i := 0; i < mem.NumField(); i++ {
		field, value := mem.Field(i), uint64(100+i) // another one for each
		want["MemStats."+mem.Type().Field(i).Name] = value
		switch field.Kind() {
		case reflect.Uint64, reflect.Uint32:
			field.SetUint(value)
		}
	}
	for i := range s.mem.PauseNs {
		s.mem.PauseNs[i] = want["MemStats.PauseNs"]
	}
	for i, got := range s.values() {
		if g := catalogue[i]; got != want[g.Source] {
			t.Errorf("%s is %d, want %d of %s", g.Name, got, want[g.Source], g.Source)
		}
	}
}

func TestRunTicksAtOnceAndZeroesEverythingWhenDone(t *testing.T) {
	for _, pause := range []time.Duration{time.Hour, 0, -time.Second} {
		var r recorder
		done := make(chan struct{})
		ticked := make(chan struct{})
		c := New(func(key string, val uint64) {
			r.gauge(key, val)
			if len(r.keys) == len(names) {
				close(ticked)
			}
		})
		c.PauseDur, c.Done = pause, done
		returned := make(chan struct{})
		go func() { c.Run(); close(returned) }()
		<-ticked
		close(done)
		<-returned
		if len(r.keys) != 2*len(names) {
			t.Errorf("PauseDur %v: %d gauges, want one tick and one set of zeros: %d", pause, len(r.keys), 2*len(names))
		}
		for key, val := range r.last {
			if val != 0 {
				t.Errorf("PauseDur %v: %s = %d after Done, want 0", pause, key, val)
			}
		}
	}
}

func TestRunGoesOnTickingAndZeroesFurtherMetricsToo(t *testing.T) {
	var r recorder
	done := make(chan struct{})
	ticks := 0
	c := New(func(key string, val uint64) {
		r.gauge(key, val)
		if key == names[0] {
			if ticks++; ticks == 3 {
				close(done)
			}
		}
	})
	c.PauseDur, c.Done, c.Runtime = time.Millisecond, done, []string{"/gc/*", "/sched/*"}
	c.Run()
	for _, key := range []string{"runtime.gc.cycles.total", "runtime.gc.heap.live.bytes", "runtime.sched.latencies.events", "runtime.sched.latencies.over_10ms"} {
		if val, ok := r.last[key]; val != 0 || !ok {
			t.Errorf("%s = %d, output %v; want 0 after Done", key, val, ok)
		}
	}
}

func TestZeroLevelsLeavesCumulativeGaugesAlone(t *testing.T) {
	var r recorder
	New(r.gauge).ZeroLevels()
	for _, g := range Gauges() {
		val, ok := r.last[g.Name]
		if want := g.Kind == Level; ok != want || val != 0 {
			t.Errorf("%s (%v): zeroed %v, value %d", g.Name, g.Kind, ok, val)
		}
	}
}

func TestValuesWithoutLimitAreOutputAsZero(t *testing.T) {
	for v, want := range map[uint64]uint64{
		0: 0, 1: 1, 1<<62 - 1: 1<<62 - 1, 1 << 62: 0, ^uint64(0): 0,
		8_946_700_000_000_000_000: 0,                         // NextGC with GOGC=off
		1_800_000_000_000_000_000: 1_800_000_000_000_000_000, // LastGC in 2027
	} {
		if got := sane(v); got != want {
			t.Errorf("sane(%d) = %d, want %d", v, got, want)
		}
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	if kinds := fmt.Sprint(Level, Cumulative); kinds != "level cumulative" {
		t.Errorf("the kinds are called %q", kinds)
	}
	units := map[string]bool{"": true, "bytes": true, "ns": true}
	for i, g := range Gauges() {
		if g.Name != names[i] {
			t.Errorf("gauge %d is %s, want %s", i, g.Name, names[i])
		}
		if g.Help == "" || g.Source == "" || !units[g.Unit] {
			t.Errorf("%s lacks help, source or unit", g.Name)
		}
	}
}
