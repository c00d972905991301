// Package leaks sees the gauges and the log of a service that leaks goroutines.
package leaks

import (
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// found tells whether the programs' Go finds leaked goroutines, as this one does.
var found = pprof.Lookup("goroutineleak") != nil

func start(t *testing.T, host harness.Host, interval string) (*harness.Process, *harness.Server) {
	t.Helper()
	s := harness.ListenUDP(t)
	host.Program = "leaky"
	host.Args = []string{"--statsd=" + s.Addr(), "--metric-prefix=p", "--pause=100ms", "--metric-leaks=" + interval}
	return host.Start(t), s
}

// until returns the first datagram that has the line.
func until(t *testing.T, s *harness.Server, line string) (text string) {
	t.Helper()
	harness.Eventually(t, "a datagram has "+line, func() bool {
		text = s.Next().Text
		return strings.Contains("\n"+text+"\n", "\n"+line+"\n")
	})
	return text
}

// at is the line of the program with that text, as the log names it.
func at(t *testing.T, text string) string {
	t.Helper()
	source, err := os.ReadFile("../programs/leaky/main.go")
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(source), text+"\n")
	if !ok {
		t.Fatalf("the program has no %q", text)
	}
	return fmt.Sprintf(`\(main\.go:%d\)`, strings.Count(before, "\n")+1)
}

func TestWhatHasLeakedIsCountedAndLogged(t *testing.T) {
	if !found {
		t.Skip("this Go cannot find leaked goroutines; 1.27 can")
	}
	for _, build := range []struct {
		name string
		host harness.Host
	}{
		{"as go build makes it", harness.Host{}},
		{"with the race detector", harness.Host{Race: true}},
		{"stripped, without paths, without inlining", harness.Host{Tags: "stripped"}},
	} {
		t.Run(build.name, func(t *testing.T) {
			if build.host.Tags == "stripped" {
				t.Setenv("GOFLAGS", `-trimpath "-ldflags=-s -w" -gcflags=all=-l`)
			}
			p, s := start(t, build.host, "1s")
			until(t, s, "p.leaks.goroutines:0|g")
			p.Do("context")
			until(t, s, "p.leaks.goroutines:1|g")
			p.WaitLog(`^1 goroutine has leaked: it waits for ever for chan receive in main\.forget\.func\d ` + at(t, "<-ctx.Done()") + `; net/http/pprof`)
			p.Do("errgroup") // two that send, and who waits for them
			last := until(t, s, "p.leaks.goroutines:4|g")
			// Now and then a check finds fewer than there are, and a place is logged once.
			p.WaitLog(`^(2 goroutines have leaked: they wait|1 goroutine has leaked: it waits) for ever for chan send in main\.first\.func1 ` + at(t, "results <- square") + `, in a goroutine of golang\.org/x/sync/errgroup\.\(\*Group\)\.Go\.func1; net/http/pprof`)
			p.WaitLog(`^1 goroutine has leaked: it waits for ever for sync\.WaitGroup in main\.first ` + at(t, "group.Wait()") + `; net/http/pprof`)
			for _, gauge := range []string{`p\.leaks\.checks:[1-9]\d*\|g`, `p\.leaks\.check\.ns:[1-9]\d*\|g`} {
				if !regexp.MustCompile(`(?m)^` + gauge + `$`).MatchString(last) {
					t.Errorf("%s is not in\n%s", gauge, last)
				}
			}
			p.Do("stop")
			until(t, s, "p.leaks.goroutines:0|g")
			p.End()
		})
	}
}

func TestWithoutAnIntervalNothingIsCounted(t *testing.T) {
	for _, interval := range []string{"off", "0"} {
		p, s := start(t, harness.Host{}, interval)
		for range 15 {
			if d := s.Next(); strings.Contains(d.Text, "leaks.") {
				t.Errorf("with the interval %q there is\n%s", interval, d.Text)
			}
		}
		p.End()
		if log := strings.Join(p.Log(), "\n"); strings.Contains(log, "leak") {
			t.Errorf("with the interval %q the log has\n%s", interval, log)
		}
	}
}

func TestAGoThatCannotFindThemIsNamedOnce(t *testing.T) {
	if found {
		t.Skip("this Go finds leaked goroutines")
	}
	p, s := start(t, harness.Host{}, "1s")
	for range 15 {
		if d := s.Next(); strings.Contains(d.Text, "leaks.") {
			t.Errorf("there is\n%s", d.Text)
		}
	}
	p.WaitLog(`^leaked goroutines are not counted: go1\.\S+ cannot find them; Go 1\.27 can$`)
	p.End()
	if n := strings.Count(strings.Join(p.Log(), "\n"), "not counted"); n != 1 {
		t.Errorf("that was said %d times", n)
	}
}

func TestAnIntervalThatIsNoneIsAnErrorOfTheFlag(t *testing.T) {
	p, _ := start(t, harness.Host{}, "10ms")
	if code := p.Exit(); code != 2 {
		t.Errorf("the program exited with code %d", code)
	}
	const want = `invalid value "10ms" for flag -metric-leaks: is not an interval of at least 1s; use whole seconds such as 600, a duration such as 10m, or off`
	if stderr := strings.Join(p.Stderr(), "\n"); !strings.HasPrefix(stderr, want+"\n") {
		t.Errorf("it wrote\n%s", stderr)
	}
}
