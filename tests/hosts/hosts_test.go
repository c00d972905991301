// Package hosts tests the library in programs as services are written: how they
// parse their flags, start and stop it, and what of it shows in them. Each
// program runs as a process, built with the race detector; its standard error
// must report no race and no crash.
package hosts

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// checkTick requires that a datagram holds the gauges of that names, with the
// prefix, and nothing else.
func checkTick(t *testing.T, d harness.Datagram, prefix string, names []string) {
	t.Helper()
	if got, want := d.Names(), harness.WithPrefix(prefix, names); !slices.Equal(got, want) {
		t.Fatalf("the datagram holds the gauges\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, name := range d.Names() {
		if _, ok := d.Value(name); !ok {
			t.Errorf("the value of %s is not a whole number:\n%s", name, d.Text)
		}
	}
}

// without returns the 27 gauges without those whose names begin so.
func without(prefix string) []string {
	return slices.DeleteFunc(slices.Clone(harness.Gauges), func(name string) bool { return strings.HasPrefix(name, prefix) })
}

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	return name
}

func TestPublishingStartsInEveryKindOfProgram(t *testing.T) {
	t.Parallel()
	server := "{server}" // stands for the test server's address
	for _, test := range []struct {
		name    string
		program string
		parse   string
		args    []string
		env     []string
		prefix  string
		every   string
		gauges  []string
	}{
		{
			name:    "flags parsed early",
			program: "plain",
			args:    []string{"--statsd=" + server, "--metric-prefix=go.demo", "--pause=1"},
			prefix:  "go.demo", every: "1s", gauges: harness.Gauges,
		},
		{
			name:    "all is left at its default but the server",
			program: "plain",
			args:    []string{"-statsd", server},
			prefix:  "go." + hostname(t), every: "10s", gauges: harness.Gauges,
		},
		{
			name:    "the environment is the flags' default",
			program: "plain",
			env:     []string{"RUNTIMEMETRICS_STATSD=" + server, "RUNTIMEMETRICS_METRIC_PREFIX=go.env", "RUNTIMEMETRICS_PAUSE=200ms", "RUNTIMEMETRICS_MEM=false"},
			prefix:  "go.env", every: "200ms", gauges: without("mem."),
		},
		{
			name:    "a flag wins over the environment",
			program: "plain",
			args:    []string{"--metric-prefix=go.flag", "--cpu=false"},
			env:     []string{"RUNTIMEMETRICS_STATSD=" + server, "RUNTIMEMETRICS_METRIC_PREFIX=go.env", "RUNTIMEMETRICS_PAUSE=100ms"},
			prefix:  "go.flag", every: "100ms", gauges: without("cpu."),
		},
		{
			name:    "the prefix holds placeholders and ends in a dot",
			program: "plain",
			args:    []string{"--statsd=" + server, "--metric-prefix=go.{exe}.", "--pause=100ms"},
			prefix:  "go.plain", every: "100ms", gauges: harness.Gauges,
		},
		{
			name:    "flags parsed late, while the library waits and more are being defined",
			program: "plain",
			parse:   "late",
			args:    []string{"--statsd=" + server, "--metric-prefix=go.late", "--pause=100ms"},
			prefix:  "go.late", every: "100ms", gauges: harness.Gauges,
		},
		{
			name:    "flags parsed twice",
			program: "plain",
			parse:   "twice",
			args:    []string{"--statsd=" + server, "--metric-prefix=go.first", "--pause=100ms"},
			prefix:  "go.second", every: "100ms", gauges: harness.Gauges,
		},
		{
			name:    "pflag with AddGoFlagSet",
			program: "usespflag",
			args:    []string{"--verbose", "--statsd", server, "--metric-prefix", "go.pflag", "--pause", "100ms"},
			prefix:  "go.pflag", every: "100ms", gauges: harness.Gauges,
		},
		{
			name:    "cobra with AddGoFlagSet",
			program: "usescobra",
			args:    []string{"serve", "--statsd=" + server, "--metric-prefix=go.cobra", "--pause=100ms", "--gc=false", "--mem"},
			prefix:  "go.cobra", every: "100ms", gauges: without("mem.gc."),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			fill := func(texts []string) []string {
				filled := slices.Clone(texts)
				for i := range filled {
					filled[i] = strings.ReplaceAll(filled[i], server, s.Addr())
				}
				return filled
			}
			p := harness.Host{Program: test.program, Race: true, Args: fill(test.args), Env: append(fill(test.env), "PARSE="+test.parse)}.Start(t)

			// The very first datagram has the final values.
			checkTick(t, s.Next(), test.prefix, test.gauges)
			if test.every != "10s" {
				checkTick(t, s.Next(), test.prefix, test.gauges)
				checkTick(t, s.Next(), test.prefix, test.gauges)
			}
			p.WaitLog("^publishing")
			p.End()
			want := []string{fmt.Sprintf("publishing %d gauges every %s to udp %s as %s.*", len(test.gauges), test.every, s.Addr(), test.prefix)}
			if got := p.Log(); !slices.Equal(got, want) {
				t.Errorf("the library logged %q, want %q", got, want)
			}
		})
	}
}

func TestAProgramThatNeverParsesItsFlagsStartsFiveSecondsAfterInit(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "plain", Race: true, Env: []string{"PARSE=never",
		"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.never", "RUNTIMEMETRICS_PAUSE=100ms",
	}}.Start(t)
	d := s.Next()
	checkTick(t, d, "go.never", harness.Gauges)
	// A slow machine can only make it later.
	if after := d.At.Sub(p.Begun).Seconds(); after < 5 {
		t.Errorf("the first datagram came %.3f s after the process began, want 5 s after init", after)
	}
	p.End()
}

func TestAProgramInWhichNothingStartsIsToldSoAfterAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	// The flags say where to publish, but nobody parses them.
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "plain", Race: true, Args: []string{"--statsd=" + s.Addr(), "--pause=100ms"}, Env: []string{"PARSE=never"}}.Start(t)
	const want = "nothing is published yet: call flag.Parse or runtimemetrics.Start, or set RUNTIMEMETRICS_STATSD"
	p.WaitLog("nothing is published")
	p.End()
	if got := p.Log(); len(got) != 1 || got[0] != want {
		t.Errorf("the library logged %q, want %q", got, want)
	}
	if all := s.TakeAll(); len(all) > 0 {
		t.Errorf("%d datagrams were sent", len(all))
	}
}

func TestHelpShowsTheDefaultsInForce(t *testing.T) {
	t.Parallel()
	p := harness.Host{Program: "plain", Race: true, Args: []string{"-help"}, Env: []string{
		"RUNTIMEMETRICS_STATSD=statsd.example:9125", "RUNTIMEMETRICS_PAUSE=250ms", "RUNTIMEMETRICS_GC=false",
	}}.Start(t)
	if code := p.Exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	help := p.Stderr()
	for flag, def := range map[string]string{
		"statsd":                "(default statsd.example:9125)",
		"metric-prefix":         "(default <detect-hostname>)",
		"pause":                 "(default 250ms)",
		"publish-runtime-stats": "(default true)",
		"cpu":                   "(default true)",
		"mem":                   "(default true)",
		"gc":                    "RUNTIMEMETRICS_GC",
		"metric-exact":          "RUNTIMEMETRICS_METRIC_EXACT",
		"metric-packet-size":    "(default 1432)",
		"metric-runtime":        "RUNTIMEMETRICS_METRIC_RUNTIME",
		"metric-tags":           "RUNTIMEMETRICS_METRIC_TAGS",
		"metric-tag-format":     "(default datadog)",
	} {
		i := slices.IndexFunc(help, func(line string) bool {
			return line == "  -"+flag || strings.HasPrefix(line, "  -"+flag+" ")
		})
		if i < 0 {
			t.Errorf("-help does not show --%s", flag)
			continue
		}
		usage := help[i+1]
		if !strings.Contains(usage, def) {
			t.Errorf("-help says of --%s\n%s\nwant in it %q", flag, usage, def)
		}
		if flag == "gc" && strings.Contains(usage, "(default true)") {
			t.Errorf("-help says of --gc\n%s\nbut the environment turns it off", usage)
		}
	}
	if strings.Contains(strings.Join(help, "\n"), "panic") {
		t.Error("package flag complains that String of a zero value panics")
	}
}

func TestAProgramMayShowAllItsFlags(t *testing.T) {
	t.Parallel()
	p := harness.Host{Program: "console", Race: true}.Start(t)
	const want = "cpu=true gc=true mem=true metric-exact=false metric-log=std metric-packet-size=512 metric-prefix=<detect-hostname> metric-runtime= metric-tag-format=datadog metric-tags= pause=5s publish-runtime-stats=false statsd=localhost:8125"
	p.Do("parse --pause=5s --metric-packet-size=512 --publish-runtime-stats=false")
	if got := p.Do("values"); got != want {
		t.Errorf("flag.VisitAll with flag.Getter gives\n%s\nwant\n%s", got, want)
	}
	p.End()
}

func TestAServiceThatStopsPublishingLeavesNoLevelsBehind(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "graceful", Race: true, Args: []string{"--statsd=" + s.Addr(), "--metric-prefix=go.end", "--pause=100ms"}}.Start(t)
	checkTick(t, s.Next(), "go.end", harness.Gauges)
	p.Signal(syscall.SIGTERM)
	if code := p.Exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	all := s.TakeAll()
	if len(all) == 0 {
		t.Fatal("nothing was sent after the first tick")
	}
	want := strings.Join(harness.WithPrefix("go.end", harness.Levels), ":0|g\n") + ":0|g"
	if got := all[len(all)-1].Text; got != want {
		t.Errorf("the last datagram is\n%s\nwant\n%s", got, want)
	}
}
