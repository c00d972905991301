package procstat

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// The names are the contract with dashboards, so they stand here once more.
func TestNamesOfGaugesAndWhichOfThemOnlyGrow(t *testing.T) {
	want := strings.Fields(`
		proc.rss.bytes proc.rss.bytes.upper proc.rss.anon.bytes proc.rss.file.bytes proc.swap.bytes
		proc.cpu.user.ns+ proc.cpu.sys.ns+ proc.threads proc.fds proc.fds_limit proc.faults.major+
		proc.start_time.seconds proc.uptime.seconds
		cgroup.memory.usage.bytes cgroup.memory.working_set.bytes cgroup.memory.limit.bytes
		cgroup.memory.tightest.used.bytes cgroup.memory.tightest.limit.bytes
		cgroup.memory.high.bytes cgroup.memory.high_events+ cgroup.memory.swap.bytes cgroup.memory.oom_kills+
		cgroup.cpu.quota_millicores cgroup.cpu.periods+ cgroup.cpu.throttled_periods+ cgroup.cpu.throttled.ns+
		cgroup.pids cgroup.pids_limit cgroup.pids.tightest.used cgroup.pids.tightest.limit
		cgroup.pressure.cpu.some.ns+ cgroup.pressure.cpu.full.ns+
		cgroup.pressure.memory.some.ns+ cgroup.pressure.memory.full.ns+
		cgroup.pressure.io.some.ns+ cgroup.pressure.io.full.ns+`)
	var got []string
	for _, g := range Gauges() {
		name := g.Name
		if g.Kind == collector.Cumulative {
			name += "+"
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestEachGaugeIsDocumentedAndCarriesItsUnit(t *testing.T) {
	suffix := map[string]string{"": "", "bytes": ".bytes", "ns": ".ns", "seconds": ".seconds", "millicores": "_millicores"}
	for _, g := range Gauges() {
		s, ok := suffix[g.Unit]
		if g.Help == "" || g.Source == "" || !ok {
			t.Errorf("%s: incomplete entry", g.Name)
		}
		if !strings.HasSuffix(strings.TrimSuffix(g.Name, ".upper"), s) {
			t.Errorf("%s is in %s, but not called %s", g.Name, g.Unit, s)
		}
		if strings.HasSuffix(g.Name, ".count") || strings.HasSuffix(g.Name, ".sum") {
			t.Errorf("%s: stock Graphite would add this up over time", g.Name)
		}
	}
}

func TestProcessTimesOnAnySystem(t *testing.T) {
	began := time.Now()
	r := New()
	before := publish(r)
	after, asked := before, began
	spent := func() int64 {
		return after["proc.cpu.user.ns"] + after["proc.cpu.sys.ns"] - before["proc.cpu.user.ns"] - before["proc.cpu.sys.ns"]
	}
	counts := runtime.GOOS != "plan9" && runtime.GOOS != "js" && runtime.GOOS != "wasip1"
	// A system counts in steps of up to 16 ms, and a busy one gives less than all
	// the time that passes.
	for least := 50 * time.Millisecond; time.Since(began) < least || counts && spent() == 0 && time.Since(began) < time.Minute; {
		asked, after = time.Now(), publish(r)
	}
	if counts {
		cpu := spent()
		if cpu <= 0 || cpu > int64(runtime.NumCPU())*int64(time.Since(began)) {
			t.Errorf("%d ns of CPU time in %v", cpu, time.Since(began))
		}
	}
	start, now := after["proc.start_time.seconds"], time.Now().Unix()
	if start > began.Unix() || start < now-3600 {
		t.Errorf("started at %d, now it is %d", start, now)
	}
	if up := after["proc.uptime.seconds"]; up < asked.Unix()-start-1 || up > now-start+1 {
		t.Errorf("started at %d, up for %d s, but now it is %d", start, up, now)
	}
}

func TestLimitsAndImpossibleValues(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit bool
		value uint64
		ok    bool
		want  int64
		known bool
	}{
		{"a value is taken as it is", false, 5, true, 5, true},
		{"what could not be read is left out", false, 5, false, 0, false},
		{"the largest value", false, 1<<62 - 1, true, 1<<62 - 1, true},
		{"2^62 is no count", false, 1 << 62, true, 0, false},
		{"a negative value is no count", false, 1<<64 - 1, true, 0, false},
		{"a limit is taken as it is", true, 5, true, 5, true},
		{"no limit is 0", true, 9223372036854771712, true, 0, true},
		{"no limit of a limit that could not be read", true, 1 << 63, false, 0, false},
		{"a limit of 0 cannot be told from none", true, 0, true, 0, false},
	} {
		var r readings
		r.known[memoryLimit] = true // from a tick before
		if test.limit {
			r.setLimit(memoryLimit, test.value, test.ok)
		} else {
			r.set(memoryLimit, test.value, test.ok)
		}
		if r.known[memoryLimit] != test.known || test.known && r.value[memoryLimit] != test.want {
			t.Errorf("%s: got %d, %v", test.name, r.value[memoryLimit], r.known[memoryLimit])
		}
	}
}

// A tick takes what is published.
type tick map[string]int64

func (t tick) Gauge(name string, value int64) { t.set(name, value, level) }

func (t tick) Cumulative(name string, value int64) { t.set(name, value, cumulative) }

func (t tick) set(name string, value int64, kind collector.Kind) {
	i := slices.IndexFunc(catalogue[:], func(e entry) bool { return e.name == name })
	if _, twice := t[name]; twice || i < 0 || catalogue[i].kind != kind {
		panic(name + " is published twice, or not as the catalogue says")
	}
	t[name] = value
}

func publish(r *Reader) tick {
	got := tick{}
	r.Publish(got)
	return got
}

// nowhere is where benchmarks publish.
type nowhere struct{}

func (nowhere) Gauge(string, int64) {}

func (nowhere) Cumulative(string, int64) {}

func BenchmarkRead(b *testing.B) {
	r := New()
	r.Publish(nowhere{})
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		r.Publish(nowhere{})
	}
}
