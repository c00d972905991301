package process

import (
	"fmt"
	"go/parser"
	"go/token"
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
		proc.rss.bytes proc.rss.bytes.upper proc.cpu.user.ns+ proc.cpu.sys.ns+
		proc.threads proc.fds proc.fds_limit proc.faults.major+
		proc.start_time.seconds proc.uptime.seconds
		cgroup.memory.usage.bytes cgroup.memory.working_set.bytes cgroup.memory.limit.bytes cgroup.memory.oom_kills+
		cgroup.cpu.quota_millicores cgroup.cpu.periods+ cgroup.cpu.throttled_periods+ cgroup.cpu.throttled.ns+
		cgroup.pids cgroup.pids_limit
		cgroup.pressure.cpu.some.ns+ cgroup.pressure.memory.some.ns+ cgroup.pressure.io.some.ns+`)
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
	suffix := map[string]string{"bytes": ".bytes", "nanoseconds": ".ns", "seconds": ".seconds", "thousandths of a core": "_millicores"}
	for _, g := range catalogue {
		if g.help == "" || g.linux == "" || g.unit == "" {
			t.Errorf("%s: incomplete entry", g.name)
		}
		if s := suffix[g.unit]; !strings.Contains(g.name, s) {
			t.Errorf("%s is in %s, but not called %s", g.name, g.unit, s)
		}
		if strings.HasSuffix(g.name, ".count") || strings.HasSuffix(g.name, ".sum") {
			t.Errorf("%s: stock Graphite would add this up over time", g.name)
		}
	}
}

func TestPackageCommentListsTheCatalogue(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "process.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, g := range catalogue {
		grows, everywhere := " ", " "
		if g.kind == cumulative {
			grows = "+"
		}
		if g.elsewhere != "" {
			everywhere = "*"
		}
		fmt.Fprintf(&want, "\t%-32s%s%s %s\n", g.name, grows, everywhere, g.help)
	}
	if !strings.Contains(file.Doc.Text(), want.String()) {
		t.Errorf("the package comment should contain\n%s", strings.ReplaceAll("\n"+want.String(), "\n", "\n//"))
	}
}

func TestProcessTimesOnAnySystem(t *testing.T) {
	began := time.Now()
	r := newReader()
	before := publish(r)
	for spun := 0; time.Since(began) < 50*time.Millisecond; {
		spun++
	}
	after := publish(r)
	if runtime.GOOS != "plan9" && runtime.GOOS != "js" && runtime.GOOS != "wasip1" {
		cpu := after["proc.cpu.user.ns"] + after["proc.cpu.sys.ns"] - before["proc.cpu.user.ns"] - before["proc.cpu.sys.ns"]
		if cpu <= 0 || cpu > int64(runtime.NumCPU())*int64(time.Since(began)) {
			t.Errorf("%d ns of CPU time in %v", cpu, time.Since(began))
		}
	}
	start, now := after["proc.start_time.seconds"], time.Now().Unix()
	if start > began.Unix() || start < now-3600 {
		t.Errorf("started at %d, now it is %d", start, now)
	}
	if d := now - start - after["proc.uptime.seconds"]; d < -1 || d > 1 {
		t.Errorf("started at %d, up for %d s, but now it is %d", start, after["proc.uptime.seconds"], now)
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

func publish(r *reader) map[string]int64 {
	got := map[string]int64{}
	set := func(name string, value int64) {
		if _, twice := got[name]; twice {
			panic(name + " published twice")
		}
		got[name] = value
	}
	r.publish(set, set)
	return got
}

func BenchmarkRead(b *testing.B) {
	r := newReader()
	gauge := func(string, int64) {}
	r.publish(gauge, gauge)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		r.publish(gauge, gauge)
	}
}
