package hosts

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// goroutines returns the stack of each goroutine of a console.
func goroutines(t *testing.T, p *harness.Process) []string {
	t.Helper()
	text, err := strconv.Unquote(p.Do("goroutines"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(text), "\n\n")
}

// sockets returns how many sockets a console has open.
func sockets(t *testing.T, p *harness.Process) int {
	t.Helper()
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("descriptors cannot be listed: ", err)
	}
	return strings.Count(p.Do("descriptors"), "socket:")
}

// waitFor requires that a console comes to have so many goroutines, its main
// one included, and so many sockets.
func waitFor(t *testing.T, p *harness.Process, wantGoroutines, wantSockets int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("there are %d goroutines and %d sockets", wantGoroutines, wantSockets), func() bool {
		return len(goroutines(t, p)) == wantGoroutines && sockets(t, p) == wantSockets
	})
}

// do requires that a console does what it is told.
func do(t *testing.T, p *harness.Process, format string, args ...any) {
	t.Helper()
	command := fmt.Sprintf(format, args...)
	if answer := p.Do(command); answer != "ok" {
		t.Fatalf("%s: %s", command, answer)
	}
}

func console(t *testing.T, env ...string) *harness.Process {
	t.Helper()
	return harness.Host{Program: "console", Race: true, Env: env}.Start(t)
}

// waitPublishing waits for the nth start line: publishing began n times.
func waitPublishing(t *testing.T, p *harness.Process, n int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("publishing begins %d times", n), func() bool {
		begun := 0
		for _, line := range p.Log() {
			if strings.HasPrefix(line, "publishing ") {
				begun++
			}
		}
		return begun == n
	})
}

func TestStartBeforeFlagsAreParsed(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, `start StatsD=%s Prefix="go.config" Pause=100ms`, s.Addr())
	checkTick(t, s.Next(), "go.config", harness.Gauges)
	// A field of Config wins; what it leaves open comes from the flags.
	do(t, p, "parse --metric-prefix=go.flag --gc=false")
	harness.Eventually(t, "--gc=false takes effect", func() bool { return len(s.Next().Names()) == len(without("mem.gc.")) })
	checkTick(t, s.NextWith("go.config"), "go.config", without("mem.gc."))
	p.End()
}

func TestStartAfterFlagsWereParsedReplacesTheAutomaticStart(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, "parse --statsd=%s --metric-prefix=go.flag --pause=100ms", s.Addr())
	checkTick(t, s.NextWith("go.flag"), "go.flag", harness.Gauges)
	do(t, p, `start Prefix="go.config" DisableCPU`)
	// Whatever is queued from before ends with the zeros of the old prefix.
	checkTick(t, s.NextWith("go.config"), "go.config", without("cpu."))
	for range 3 {
		checkTick(t, s.Next(), "go.config", without("cpu."))
	}
	waitFor(t, p, 2, 1)
	p.End()
}

func TestStartRightAfterFlagsWereParsedIsTheOnlyStart(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, `start Prefix="go.config"`) // before the library has seen the flags
	do(t, p, "stop")
	do(t, p, "parse --statsd=%s --metric-prefix=go.flag --pause=100ms", s.Addr())
	do(t, p, `start Prefix="go.config"`)
	for range 3 {
		checkTick(t, s.Next(), "go.config", harness.Gauges)
	}
	p.End()
}

func TestStartInsteadOfFlags(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, `start StatsD=udp://%s Prefix="go.config" Pause=100ms DisableGC`, s.Addr())
	for range 3 {
		checkTick(t, s.Next(), "go.config", without("mem.gc."))
	}
	waitFor(t, p, 2, 1)
	p.End()
}

func TestStartWithNoPrefixAtAll(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, `start StatsD=%s Prefix="."`, s.Addr())
	if got := s.Next().Names(); strings.Join(got, " ") != strings.Join(harness.Gauges, " ") {
		t.Errorf("the gauges are %q", got)
	}
	p.End()
}

func TestStartTwiceIsAnErrorThatChangesNothing(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, `start StatsD=%s Prefix="go.one" Pause=100ms`, s.Addr())
	checkTick(t, s.Next(), "go.one", harness.Gauges)
	const want = "runtimemetrics: Start has been called already; call Stop first"
	if got := p.Do(`start Prefix="go.two"`); got != want {
		t.Errorf("the second Start returned %q, want %q", got, want)
	}
	for range 3 {
		checkTick(t, s.Next(), "go.one", harness.Gauges)
	}
	p.End()
}

func TestStartAgainAfterStop(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	for i, prefix := range []string{"go.one", "go.two", "go.one"} {
		do(t, p, `start StatsD=%s Prefix=%q Pause=100ms`, s.Addr(), prefix)
		checkTick(t, s.Next(), prefix, harness.Gauges)
		waitPublishing(t, p, i+1)
		do(t, p, "stop")
		do(t, p, "stop") // once more is harmless
		all := s.TakeAll()
		checkTick(t, all[len(all)-1], prefix, harness.Levels)
		waitFor(t, p, 1, 0)
	}
	p.End()
}

func TestAfterStopNothingStartsByItself(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	for _, test := range []struct{ name, before string }{
		{"stopped before flags were parsed", ""},
		{"stopped after flags were parsed", "parse --pause=100ms"},
		{"stopped after Start", "start Pause=100ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := console(t, "RUNTIMEMETRICS_STATSD="+s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.stopped")
			if test.before != "" {
				do(t, p, "%s", test.before)
				waitPublishing(t, p, 1)
			}
			do(t, p, "stop")
			waitFor(t, p, 1, 0)
			do(t, p, "parse --metric-prefix=go.again --publish-runtime-stats")
			do(t, p, "set metric-prefix go.again")
			// Where there is no goroutine, nothing can start later either.
			if all := goroutines(t, p); len(all) != 1 {
				t.Errorf("there are goroutines:\n%s", strings.Join(all, "\n\n"))
			}
			p.End()
		})
	}
	t.Cleanup(func() {
		for _, d := range s.TakeAll() {
			if strings.HasPrefix(d.Text, "go.again") {
				t.Errorf("this was sent after Stop:\n%s", d.Text)
			}
		}
	})
}

func TestPublishingThatIsOffLeavesNothingInTheProcess(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	t.Run("by a flag", func(t *testing.T) {
		p := console(t, "RUNTIMEMETRICS_STATSD="+s.Addr())
		do(t, p, "parse --publish-runtime-stats=false")
		waitFor(t, p, 1, 0)
		p.End()
	})
	t.Run("by the environment", func(t *testing.T) {
		p := console(t, "RUNTIMEMETRICS_STATSD="+s.Addr(), "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS=0")
		do(t, p, "parse")
		waitFor(t, p, 1, 0)
		p.End()
	})
	t.Run("although Start is called", func(t *testing.T) {
		p := console(t, "RUNTIMEMETRICS_STATSD="+s.Addr())
		do(t, p, "parse --publish-runtime-stats=false")
		do(t, p, "start")
		waitFor(t, p, 1, 0)
		p.End()
	})
	if all := s.TakeAll(); len(all) > 0 {
		t.Errorf("this was sent all the same:\n%s", all[0].Text)
	}
}

func TestPublishingTakesOneGoroutineAndOneSocket(t *testing.T) {
	t.Parallel()
	s, p := harness.ListenUDP(t), console(t)
	do(t, p, "parse --statsd=%s --pause=100ms", s.Addr())
	s.Next()
	waitPublishing(t, p, 1) // which a goroutine logs that ends then
	waitFor(t, p, 2, 1)
	for range 10 {
		s.Next()
		all := goroutines(t, p)
		if len(all) != 2 || !strings.Contains(strings.Join(all, "\n"), "runtimemetrics.(*session).main") {
			t.Fatalf("want the main goroutine and the library's; there are\n%s", strings.Join(all, "\n\n"))
		}
		if n := sockets(t, p); n != 1 {
			t.Fatalf("there are %d sockets, want 1", n)
		}
	}
	p.End()
}
