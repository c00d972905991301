// Package flaglibs tests what docs/flags.md says of each flag library, with the
// library itself.
package flaglibs

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// libraries are the rows of the table that take flags.
var libraries = []struct {
	name, program string
	prefix        string   // of our flags' names
	off           string   // how the switch gc is turned off
	command       []string // before the flags
}{
	{"package flag", "plain", "", "--gc=false", nil},
	{"pflag", "usespflag", "", "--gc=false", nil},
	{"cobra", "cobraparses", "", "--gc=false", []string{"serve"}},
	{"kingpin", "useskingpin", "metrics.", "--no-metrics.gc", nil},
	{"urfave/cli", "usesurfave", "", "--gc=false", nil},
	{"kong", "useskong", "", "--gc=false", nil},
	{"a FlagSet of one's own", "ownflagset", "", "--gc=false", nil},
}

var withoutGC = slices.DeleteFunc(slices.Clone(harness.Gauges), func(name string) bool {
	return strings.HasPrefix(name, "mem.gc.")
})

func TestTheFlagsOfThisLibraryAreThoseOfTheProgramsFlagLibrary(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			args := append(slices.Clone(lib.command), "--"+lib.prefix+"statsd="+s.Addr(), "--"+lib.prefix+"metric-prefix=go.flags",
				"--"+lib.prefix+"pause", "100ms", lib.off)
			if lib.program != "plain" {
				args = append(args, "--verbose")
			}
			p := harness.Host{Program: lib.program, Race: true, Args: args, Env: []string{"RUNTIMEMETRICS_STATSD=127.0.0.1:1", "RUNTIMEMETRICS_METRIC_PREFIX=go.env"}}.Start(t)
			for range 2 { // the first datagram has the final values
				if got, want := s.Next().Names(), harness.WithPrefix("go.flags", withoutGC); !slices.Equal(got, want) {
					t.Fatalf("the datagram holds\n%q\nwant\n%q", got, want)
				}
			}
			p.WaitLog("^publishing")
			p.End()
			want := []string{fmt.Sprintf("publishing %d gauges every 100ms to udp %s as go.flags.*", len(withoutGC), s.Addr())}
			if got := p.Log(); !slices.Equal(got, want) {
				t.Errorf("the library logged %q, want %q", got, want)
			}
		})
	}
}

// A program that has parsed its flags publishes, although none of them was given and
// the environment names no server. A pattern that matches nothing is reported when
// that begins; a program that had to be told how to start would be told so instead.
// Each ends before its first tick, which would go to the server on this machine.
func TestToParseFlagsIsAllThatIsNeededToStart(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: lib.program, Race: true, Args: lib.command, Env: []string{"RUNTIMEMETRICS_METRIC_RUNTIME=/no/such"}}.Start(t)
			p.WaitLog(`^pattern "/no/such"`)
			p.End()
		})
	}
}

func TestABadValueIsAnErrorOfTheProgramsFlagLibrary(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: lib.program, Race: true, Args: append(slices.Clone(lib.command), "--"+lib.prefix+"pause=x")}.Start(t)
			if code := p.Exit(); code == 0 {
				t.Error("the program runs all the same")
			}
			if text := strings.Join(append(p.Stderr(), p.Stdout()...), "\n"); !strings.Contains(text, "such as 500ms") {
				t.Errorf("nothing says what would be right:\n%s", text)
			}
		})
	}
}

func TestHelpListsTheFlags(t *testing.T) {
	t.Parallel()
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: lib.program, Race: true, Args: append(slices.Clone(lib.command), "--help")}.Start(t)
			p.Exit()
			if text := strings.Join(append(p.Stderr(), p.Stdout()...), "\n"); !strings.Contains(text, "-"+lib.prefix+"metric-prefix") {
				t.Errorf("the flag is not in\n%s", text)
			}
		})
	}
}

func TestTheProgramsInTheDocumentationAreThoseThatAreTested(t *testing.T) {
	t.Parallel()
	var snippets []string
	for _, page := range []string{"flags.md", "shutdown.md"} { // package shutdown runs the programs of the latter
		text, err := os.ReadFile("../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		found := strings.Split(string(text), "```go\n")[1:]
		if len(found) < 5 {
			t.Fatalf("%s has %d programs", page, len(found))
		}
		snippets = append(snippets, found...)
	}
	sources, err := os.ReadDir("../programs")
	if err != nil {
		t.Fatal(err)
	}
	for _, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		holds := slices.ContainsFunc(sources, func(dir os.DirEntry) bool {
			source, err := os.ReadFile("../programs/" + dir.Name() + "/main.go")
			return err == nil && holdsInOrder(string(source), snippet)
		})
		if !holds {
			t.Errorf("no tested program has these lines:\n%s", snippet)
		}
	}
}

// holdsInOrder reports whether the lines of part are lines of text, in the same
// order, whatever stands between them. Indentation does not count.
func holdsInOrder(text, part string) bool {
	rest := strings.Split(text, "\n")
	for _, line := range strings.Split(part, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "…" {
			continue
		}
		i := slices.IndexFunc(rest, func(l string) bool { return strings.TrimSpace(l) == line })
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
	}
	return true
}
