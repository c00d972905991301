package hosts

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// badInput are values that are refused, and what the error says is right.
var badInput = []struct {
	name        string
	flag, field string // the field of Config, if it can hold the value
	value       string
	right       string
}{
	{"no pause at all", "pause", "", "0", "at least 100ms"},
	{"a negative pause", "pause", "", "-1", "at least 100ms"},
	{"a pause that is no number", "pause", "", "x", "500ms"},
	{"an empty pause", "pause", "", "", "500ms"},
	{"a pause of a nanosecond", "pause", "Pause", "1ns", "at least 100ms"},
	{"a negative duration", "pause", "Pause", "-1s", "at least 100ms"},
	{"a pause of more seconds than a duration holds", "pause", "", "9223372037", "500ms"},
	{"a pause that no integer holds", "pause", "", "99999999999999999999", "500ms"},
	{"a colon in the prefix", "metric-prefix", "Prefix", "go:web", "go.{host}.{exe}"},
	{"a pipe in the prefix", "metric-prefix", "Prefix", "go|web", "go.{host}.{exe}"},
	{"an at sign in the prefix", "metric-prefix", "Prefix", "go@web", "go.{host}.{exe}"},
	{"a hash in the prefix", "metric-prefix", "Prefix", "go#web", "go.{host}.{exe}"},
	{"a blank in the prefix", "metric-prefix", "", "go web", "go.{host}.{exe}"},
	{"a line end in the prefix", "metric-prefix", "Prefix", "go\nweb", "go.{host}.{exe}"},
	{"a letter that is not ASCII in the prefix", "metric-prefix", "Prefix", "gö", "go.{host}.{exe}"},
	{"an unknown placeholder in the prefix", "metric-prefix", "Prefix", "go.{pod}", "{host} and {exe}"},
	{"an empty part in the prefix", "metric-prefix", "Prefix", "go..web", "go.{host}.{exe}"},
	{"a prefix that leaves no room for a gauge", "metric-prefix", "Prefix", strings.Repeat("x", 300), "128 bytes"},
	{"a packet size that is too small", "metric-packet-size", "PacketSize", "255", "from 256 to 65507"},
	{"a packet size that is too large", "metric-packet-size", "PacketSize", "65508", "from 256 to 65507"},
	{"a packet size that is no number", "metric-packet-size", "", "1k", "from 256 to 65507"},
	{"a negative packet size", "metric-packet-size", "PacketSize", "-1", "from 256 to 65507"},
	{"an address without a host", "statsd", "StatsD", ":8125", "localhost:8125"},
	{"an address without a port after the colon", "statsd", "StatsD", "localhost:", "localhost:8125"},
	{"a port that is too large", "statsd", "StatsD", "localhost:65536", "localhost:8125"},
	{"a port that is no number", "statsd", "StatsD", "localhost:statsd", "localhost:8125"},
	{"an IPv6 address with a port but no brackets", "statsd", "StatsD", "fe80:::x:8125", "[::1]:8125"},
	{"an address of another protocol", "statsd", "StatsD", "tcp://localhost:8125", "udp"},
	{"a path that is not absolute", "statsd", "StatsD", "unix://statsd.sock", "unix:///path"},
	{"a pattern that is no metric's name", "metric-runtime", "Runtime", "sched", "/sched/*"},
	{"a pattern with a blank", "metric-runtime", "", "/sched/*, /gc/*", "/sched/*"},
	{"an empty pattern", "metric-runtime", "Runtime", "/sched/*,", "/sched/*"},
	{"a tag without a value", "metric-tags", "Tags", "env", "env:prod"},
	{"a tag with StatsD's syntax", "metric-tags", "Tags", "env:prod|web", "env:prod"},
	{"a format of tags that nobody knows", "metric-tag-format", "TagFormat", "prometheus", "graphite"},
	{"a switch that is neither on nor off", "cpu", "", "maybe", "true or false"},
	{"a master switch that is neither on nor off", "publish-runtime-stats", "", "maybe", "true or false"},
	{"an exact that is neither on nor off", "metric-exact", "", "2", "true or false"},
}

func TestABadFlagIsOneLineThatSaysWhatWouldBeRight(t *testing.T) {
	t.Parallel()
	for _, test := range badInput {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: "early", Race: true, Args: []string{"--" + test.flag + "=" + test.value}}.Start(t)
			if code := p.Exit(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			lines := p.Stderr()
			kind := "value"
			if test.right == "true or false" {
				kind = "boolean value" // package flag says so of switches
			}
			start := fmt.Sprintf("invalid %s %q for ", kind, test.value)
			if len(lines) == 0 || !strings.HasPrefix(lines[0], start) || !strings.Contains(lines[0], "-"+test.flag+": ") || !strings.Contains(lines[0], test.right) {
				t.Fatalf("standard error begins with %q, want %q, the flag and %q", lines[:min(1, len(lines))], start, test.right)
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

func TestABadFieldOfConfigIsAnError(t *testing.T) {
	t.Parallel()
	p := console(t)
	for _, test := range badInput {
		if test.field == "" {
			continue
		}
		value := test.value
		if test.field == "Prefix" {
			value = fmt.Sprintf("%q", value) // on one line
		}
		got := p.Do("start " + test.field + "=" + value)
		start := fmt.Sprintf("runtimemetrics: invalid value %q for Config.%s: ", test.value, test.field)
		if !strings.HasPrefix(got, start) || !strings.Contains(got, test.right) {
			t.Errorf("%s: Start returned %q, want %q and %q", test.name, got, start, test.right)
		}
	}
	// An error leaves all as it was: Start can be called.
	do(t, p, "start StatsD=%s", harness.ListenUDP(t).Addr())
	p.End()
}

func TestABadEnvironmentVariableIsOneLogLineAndTheDefaultIsUsed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		variable, value, def string
	}{
		{"PAUSE", "0", "10"},
		{"PAUSE", "x", "10"},
		{"METRIC_PREFIX", "go web", "<detect-hostname>"},
		{"METRIC_PREFIX", "go\nweb", "<detect-hostname>"},
		{"METRIC_PACKET_SIZE", "12", "1432"},
		{"PUBLISH_RUNTIME_STATS", "maybe", "true"},
		{"CPU", "maybe", "true"},
		{"MEM", "maybe", "true"},
		{"GC", "maybe", "true"},
		{"METRIC_EXACT", "maybe", "false"},
		{"METRIC_TAG_FORMAT", "prometheus", "datadog"},
	} {
		t.Run(fmt.Sprintf("%s=%q", test.variable, test.value), func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			p := harness.Host{Program: "early", Race: true,
				Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_" + test.variable + "=" + test.value}}.Start(t)
			checkTick(t, s.Next(), "go."+hostname(t), harness.Gauges)
			p.WaitLog("^publishing 27 gauges every 10s")
			p.End()
			log := p.Log()
			start := fmt.Sprintf("invalid value %q for environment variable RUNTIMEMETRICS_%s: ", test.value, test.variable)
			if len(log) != 2 || !strings.HasPrefix(log[0], start) || !strings.HasSuffix(log[0], "; using "+test.def) {
				t.Errorf("the library logged %q, want one line %q... %q before the start line", log, start, test.def)
			}
		})
	}

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
		p := harness.Host{Program: "early", Race: true, Args: []string{"--statsd=" + s.Addr()},
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
