// Package shutdown tests what docs/shutdown.md says of how programs end.
package shutdown

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// flags of a program that publishes to s.
func flags(s *harness.Server) []string {
	return []string{"--statsd=" + s.Addr(), "--metric-prefix=go.end", "--pause=100ms"}
}

// goodbye is the datagram that Stop sends.
var goodbye = strings.Join(harness.WithPrefix("go.end", harness.Levels), ":0|g\n") + ":0|g"

// checkTick requires that d is a tick of a process that runs.
func checkTick(t *testing.T, d harness.Datagram) {
	t.Helper()
	if got, want := d.Names(), harness.WithPrefix("go.end", harness.Gauges); !slices.Equal(got, want) {
		t.Fatalf("the datagram holds\n%q\nwant\n%q", got, want)
	}
	if n, ok := d.Value("go.end.cpu.goroutines"); !ok || n < 1 {
		t.Fatalf("there are no goroutines:\n%s", d.Text)
	}
}

func TestEveryRecipeEndsInZeros(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		program string
		args    []string
		env     []string
		end     func(*harness.Process)
		code    int
		zeros   bool
	}{
		{
			name:    "signal.NotifyContext and a deferred Stop",
			program: "graceful",
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			zeros:   true,
		},
		{
			name:    "errgroup, after a signal",
			program: "errgroupstops",
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			zeros:   true,
		},
		{
			name:    "errgroup, after a part has failed, and log.Fatal",
			program: "errgroupstops",
			args:    []string{"--fail"},
			end:     func(p *harness.Process) { p.CloseStdin() },
			code:    1,
			zeros:   true,
		},
		{
			name:    "a handler that calls Stop before os.Exit",
			program: "exithandler",
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			zeros:   true,
		},
		{
			name:    "a hook of the host, Caddy's OnProcessExit",
			program: "caddyhook",
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			zeros:   true,
		},
		{
			name:    "but not a deferred Stop where a handler calls os.Exit",
			program: "exithandler",
			env:     []string{"STOP=deferred"},
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			zeros:   false,
		},
		{
			name:    "nor a program that a signal ends",
			program: "plain",
			end:     func(p *harness.Process) { p.Signal(syscall.SIGTERM) },
			code:    -1,
			zeros:   false,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			p := harness.Host{Program: test.program, Race: true, Args: append(flags(s), test.args...), Env: test.env}.Start(t)
			checkTick(t, s.Next())
			test.end(p)
			if code := p.Exit(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			rest := s.TakeAll()
			if n := len(rest); test.zeros && (n == 0 || rest[n-1].Text != goodbye) {
				t.Errorf("the last datagram is no goodbye; after the first there are %d: %v", n, rest)
			}
			for _, d := range rest {
				if !test.zeros && d.Text == goodbye {
					t.Error("the levels were set to 0")
				}
			}
		})
	}
}

func TestASupervisorThatStopsFirstLeavesItsNamesToItsWorkers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flag  string
		three bool
	}{
		"it stops first":                         {"--stops", false},
		"it does not, and is one process of all": {"--stops=false", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			p := harness.Host{Program: "supervisor", Race: true, Args: append(flags(s), test.flag, "--metric-tags=pid:{pid},worker:{env:WORKER}")}.Start(t)
			pids := map[string]string{} // by what the tag worker must be
			harness.Eventually(t, "all processes are there", func() bool {
				for _, line := range p.Stdout() {
					words := strings.Fields(line)
					if words[0] == "worker" {
						pids[words[1]] = words[2]
					} else {
						pids["unknown"] = words[1]
					}
				}
				return len(pids) == 3
			})
			want := map[string]bool{}
			for worker, pid := range pids {
				if worker != "unknown" || test.three {
					want["|#pid:"+pid+",worker:"+worker] = true
				}
			}
			// Ticks of each, and then as many again of whomsoever.
			got := map[string]bool{}
			harness.Eventually(t, "the gauges of all who publish come", func() bool {
				for range 10 {
					line, _, _ := strings.Cut(s.Next().Text, "\n")
					got[line[strings.Index(line, "|#"):]] = true
				}
				return len(got) >= len(want)
			})
			for tags := range got {
				if !want[tags] {
					t.Errorf("gauges came with the tags %s, want those of %v", tags, want)
				}
			}
			p.End()
		})
	}
}

func TestAnOverlappingRestartShowsZerosUntilTheNextTick(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	old := harness.Host{Program: "graceful", Race: true, Args: flags(s)}.Start(t)
	checkTick(t, s.Next())
	harness.Host{Program: "plain", Race: true, Args: append(flags(s), "--metric-tags=new:yes")}.Start(t)
	isNew := func(d harness.Datagram) bool { return strings.Contains(d.Text, "|#new:yes") }
	harness.Eventually(t, "the new process publishes", func() bool { return isNew(s.Next()) })
	old.Signal(syscall.SIGTERM)
	harness.Eventually(t, "the old process says goodbye over the values of the new one", func() bool { return s.Next().Text == goodbye })
	after := s.Next()
	if !isNew(after) {
		t.Errorf("after the zeros comes\n%s\nwant the tick of the new process", after.Text)
	}
	if code := old.Exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
