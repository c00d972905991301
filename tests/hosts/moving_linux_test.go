package hosts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// What a service may have been started with while it imported go-runtime-metrics,
// and what comes of it: the first gauge of a tick, or how the service ends. Where
// the two differ, docs/moving.md says so.
func TestWhatGoRuntimeMetricsTookIsTakenOrIsKnownToDiffer(t *testing.T) {
	t.Parallel()
	const panics, refused, silent = "panics", "is refused", "is silent"
	const same = "" // as there
	for _, test := range []struct{ arg, there, here string }{
		{"--statsd=localhost:8125", "go.x.cpu.goroutines", same},
		{"--statsd=127.0.0.1:8125", "go.x.cpu.goroutines", same},
		{"--statsd=:8125", "go.x.cpu.goroutines", same},
		{"--statsd=localhost", panics, "go.x.cpu.goroutines"},
		{"--statsd=", panics, refused},
		{"--statsd=::1:8125", panics, refused},
		{"--statsd=udp://127.0.0.1:8125", panics, "go.x.cpu.goroutines"},
		{"--statsd=nowhere.invalid:8125", panics, silent},
		{"--statsd=localhost:ntp", silent, refused}, // to port 123
		{"--metric-prefix=go.a", "go.a.cpu.goroutines", same},
		{"--metric-prefix=go.A_-1", "go.A_-1.cpu.goroutines", same},
		{"--metric-prefix=go.a.", "go.a..cpu.goroutines", "go.a.cpu.goroutines"}, // which Graphite makes of it
		{"--metric-prefix=", ".cpu.goroutines", "cpu.goroutines"},                // the same
		{"--metric-prefix=go a", "go a.cpu.goroutines", refused},
		{"--metric-prefix=go/a", "go/a.cpu.goroutines", refused},
		{"--metric-prefix=go:a", "go:a.cpu.goroutines", refused},
		{"--metric-prefix=größe", "größe.cpu.goroutines", refused},
		{"--metric-prefix=go.{x}", "go.{x}.cpu.goroutines", refused},
		{"--pause=0x1", "go.x.cpu.goroutines", same},
		{"--pause=01", "go.x.cpu.goroutines", same},
		{"--pause=1s", refused, "go.x.cpu.goroutines"},
		{"--pause=0", panics, refused},
		{"--pause=-1", panics, refused},
		{"--pause=9223372037", panics, refused}, // in nanoseconds, more than there is room for
		{"--cpu=F", "go.x.mem.alloc", same},
		{"--cpu=maybe", refused, same},
		{"--gc=1", "go.x.cpu.goroutines", same},
		{"--publish-runtime-stats=0", silent, same},
	} {
		if test.here == same {
			test.here = test.there
		}
		t.Run(test.arg, func(t *testing.T) {
			t.Parallel()
			for program, want := range map[string]string{"moving": test.there, "plain": test.here} {
				if got := outcome(t, program, test.arg, want == silent); got != want {
					t.Errorf("with %s, %s: %s, want %s", test.arg, program, got, want)
				}
			}
		})
	}
}

// outcome runs a program with StatsD's port of a network of its own. Whether it is
// silent is found out by a program beside it that is not.
func outcome(t *testing.T, program, arg string, silent bool) string {
	t.Helper()
	n := harness.NewNamespace(t)
	var s *harness.Server
	n.Do(func() { s = harness.Listen(t, "udp4", "127.0.0.1:8125") })
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr")) // where a panic is no fault
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	args := []string{"--metric-prefix=go.x", "--pause=1", arg} // of two, the last one counts
	p := n.Start(harness.Host{Program: program, Args: args, Stderr: said})
	if silent {
		beside := n.Start(harness.Host{Program: program, Args: []string{"--metric-prefix=beside", "--pause=1"}})
		for range 2 {
			s.NextWith("beside.cpu")
		}
		beside.End()
	}
	var first string
	ticks := 0 // more of them than go-runtime-metrics sends before it panics
	harness.Eventually(t, "some ticks arrive, or the service ends", func() bool {
		for _, d := range s.Take() {
			line, _, _ := strings.Cut(d.Text, "\n")
			name := line[:strings.LastIndexByte(line, ':')] // which may hold one
			if strings.HasPrefix(name, "beside.") {
				continue
			}
			if first == "" {
				first = name
			}
			if name == first {
				ticks++
			}
		}
		return ticks >= 4 || p.Ended() || silent
	})
	if !p.Ended() {
		if first == "" {
			return "is silent"
		}
		p.End()
		return first
	}
	text, err := os.ReadFile(said.Name())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "panic: ") {
		return "panics"
	}
	if strings.HasPrefix(string(text), "invalid ") {
		return "is refused"
	}
	return string(text)
}
