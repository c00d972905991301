package hosts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// What is refused, and what the error says of it, is tested beside the flags'
// code; here is what a program makes of it.
func TestABadFlagIsOneLineThatSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ flag, value, kind, right string }{
		"a value":  {"pause", "x", "value", "500ms"},
		"a switch": {"cpu", "maybe", "boolean value", "true or false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: "plain", Race: true, Args: []string{"--" + test.flag + "=" + test.value}}.Start(t)
			if code := p.Exit(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			lines := p.Stderr()
			start := fmt.Sprintf("invalid %s %q for ", test.kind, test.value)
			if len(lines) < 2 || !strings.HasPrefix(lines[0], start) || !strings.Contains(lines[0], "-"+test.flag+": ") || !strings.Contains(lines[0], test.right) {
				t.Fatalf("standard error is %q, want a line with %q, the flag and %q", lines, start, test.right)
			}
			if n := strings.Count(strings.Join(lines, "\n"), "invalid "); n != 1 {
				t.Errorf("%d lines complain, want 1", n)
			}
			if !strings.HasPrefix(lines[1], "Usage of ") {
				t.Errorf("the second line is %q, want package flag's usage", lines[1])
			}
		})
	}
}

func TestABadEnvironmentVariableIsOneLogLineAndTheDefaultIsUsed(t *testing.T) {
	t.Parallel()
	t.Run("and publishing starts", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "plain", Race: true, Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go\nweb"}}.Start(t)
		checkTick(t, s.Next(), "go."+hostname(t), harness.Gauges)
		p.WaitLog("^publishing 27 gauges every 10s")
		p.End()
		log := p.Log()
		start := `invalid value "go\nweb" for environment variable RUNTIMEMETRICS_METRIC_PREFIX: `
		if len(log) != 2 || !strings.HasPrefix(log[0], start) || !strings.HasSuffix(log[0], "; using <detect-hostname>") {
			t.Errorf("the library logged %q, want one line %q... before the start line", log, start)
		}
	})

	t.Run("a bad server is no reason to start by itself", func(t *testing.T) {
		t.Parallel()
		p := console(t, "RUNTIMEMETRICS_STATSD=tcp://localhost")
		do(t, p, "parse --publish-runtime-stats=false")
		waitFor(t, p, 1, 0)
		if got := p.WaitLog("RUNTIMEMETRICS_STATSD"); !strings.HasSuffix(got, "; using localhost:8125") {
			t.Errorf("the library logged %q", got)
		}
		p.End()
	})

	t.Run("an empty one is as good as none", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "plain", Race: true, Args: []string{"--statsd=" + s.Addr()},
			Env: []string{"RUNTIMEMETRICS_STATSD=", "RUNTIMEMETRICS_PAUSE=", "RUNTIMEMETRICS_METRIC_PREFIX=", "RUNTIMEMETRICS_CPU="}}.Start(t)
		checkTick(t, s.Next(), "go."+hostname(t), harness.Gauges)
		p.WaitLog("^publishing 27 gauges every 10s")
		p.End()
		if log := p.Log(); len(log) != 1 {
			t.Errorf("the library logged %q, want the start line only", log)
		}
	})
}

func TestAProgramThatUsesTheCollectorAloneHasNoFlagsOfOurs(t *testing.T) {
	t.Parallel()
	p := harness.Host{Program: "collectoronly", Race: true, Args: []string{"-cpu=cpu.prof", "-statsd=7"}}.Start(t)
	p.End()
	want := append([]string{"cpu cpu.prof statsd 7", "flag cpu", "flag statsd"}, harness.Gauges...)
	got := p.Stdout()
	for i, line := range got {
		if gauge, ok := strings.CutPrefix(line, "gauge "); ok {
			got[i], _, _ = strings.Cut(gauge, " ")
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the program printed %q, want %q", got, want)
	}
}

func TestTheCollectorNeedsNeitherNetNorFlag(t *testing.T) {
	t.Parallel()
	deps := strings.Fields(harness.Go(t, "list", "-deps", "github.com/runtimemetrics/runtimemetrics/collector"))
	if !slices.Contains(deps, "runtime/metrics") {
		t.Fatalf("go list printed %q", deps)
	}
	for _, pkg := range []string{"net", "flag", "github.com/runtimemetrics/runtimemetrics"} {
		if slices.Contains(deps, pkg) {
			t.Errorf("the collector depends on %s", pkg)
		}
	}
}

func TestAFlagThatTheProgramDefinedFirstIsLeftToIt(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "ownflags", Race: true, Args: []string{"-cpu=cpu.prof", "-statsd=7", "-metric-prefix=go.own"},
		Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_CPU=false"}}.Start(t)
	checkTick(t, s.Next(), "go.own", without("cpu."))
	p.WaitLog("^publishing")
	p.End()
	if got := p.Stdout(); len(got) != 1 || got[0] != "cpu cpu.prof statsd 7" {
		t.Errorf("the program's own flags are %q", got)
	}
	want := []string{
		"flag --statsd is the program's own and left to it; RUNTIMEMETRICS_STATSD configures this library instead",
		"flag --cpu is the program's own and left to it; RUNTIMEMETRICS_CPU configures this library instead",
		fmt.Sprintf("publishing 25 gauges every 10s to udp %s as go.own.*", s.Addr()),
	}
	if got := p.Log(); !slices.Equal(got, want) {
		t.Errorf("the library logged %q, want %q", got, want)
	}
}

func TestABuildTagLeavesAllFlagsToTheProgram(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "ownmain", Race: true, Tags: "runtimemetrics_noflags", Args: []string{"-cpu=cpu.prof", "-statsd=7"},
		Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.noflags", "RUNTIMEMETRICS_CPU=false"}}.Start(t)
	checkTick(t, s.Next(), "go.noflags", without("cpu."))
	p.WaitLog("^publishing")
	p.End()
	if got, want := p.Stdout(), []string{"cpu cpu.prof statsd 7", "flag cpu", "flag statsd"}; !slices.Equal(got, want) {
		t.Errorf("the program printed %q, want %q", got, want)
	}
	if got := p.Log(); len(got) != 1 {
		t.Errorf("the library logged %q, want the start line only", got)
	}
}
