// Package env tests package env, which rests on the order in which Go initialises
// packages: in programs that import it in different ways, built by each release of
// Go that this module supports, as they are, and by the oldest and the newest with the
// race detector and for coverage, which add imports to every package.
package env

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

var releases = []string{"go1.21.13", "go1.23.12", "go1.26.11", "go1.27.4"}

// ways to build a program.
var ways = []struct {
	name string
	args []string
	slow bool
}{
	{"as it is", nil, false},
	{"with the race detector, for coverage of everything", []string{"-race", "-cover", "-coverpkg=all"}, true},
}

const ours = "github.com/runtimemetrics/runtimemetrics"

// layouts are programs: their module, and what each of their packages imports, in
// this order.
var layouts = []struct {
	name, module string
	packages     map[string][]string // "" is main
}{
	{"env first, all in main", "program.example", map[string][]string{
		"": {"/env", "", "/process", "/expvar", "/leaks"},
	}},
	{"root first, in a package that sorts before all others", "a.example", map[string][]string{
		"a": {"", "/expvar"},
		"":  {"/process", "/leaks", "/env"},
	}},
	{"process, leaks and expvar first, env in a package that sorts behind all others", "zz.example", map[string][]string{
		"a": {"/process", "/leaks"},
		"b": {"/expvar", ""},
		"z": {"/env"},
		"":  {},
	}},
}

// main is the program's main. It replaces what a program may replace at the
// beginning of main, after it has read its configuration, and has a flag -cpu of its
// own. What it replaces too late, the library has read: package env gives main half
// a second, which a busy machine may use up.
const main = `
var begun = time.Now() // just after the library's packages were initialised

func main() {
	time.Sleep(100 * time.Millisecond)
	soon := time.Since(begun) < 300*time.Millisecond
	if soon {
		time.Local = time.UTC
		net.DefaultResolver = &net.Resolver{PreferGo: true}
		log.SetFlags(0)
	}
	flag.String("cpu", "100%", "how much CPU to use")
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { t.Gauge("custom", 7) })
	flag.Parse()
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch command := commands.Text(); command {
		case "flags":
			var names []string
			flag.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
			fmt.Println(names)
		case "goroutines":
			fmt.Println(runtime.NumGoroutine())
		case "soon":
			fmt.Println(soon)
		default:
			fmt.Println(runtimemetrics.Start(runtimemetrics.Config{StatsD: command, Prefix: "go.start", DisableMem: true}))
		}
	}
}
`

// write writes the program of a layout to a folder.
func write(t *testing.T, dir, module string, packages map[string][]string) {
	t.Helper()
	library, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.ReadFile(filepath.Join(library, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, needs, _ := strings.Cut(string(own), "require ")
	sums, err := os.ReadFile(filepath.Join(library, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	file("go.sum", string(sums))
	file("go.mod", fmt.Sprintf("module %s\n\ngo 1.21\n\nrequire %s v0.0.0\n\nreplace %s => %s\n\nrequire %s", module, ours, ours, library, needs))
	for name, imports := range packages {
		var text strings.Builder
		if name == "" {
			text.WriteString("package main\n")
			for other := range packages {
				if other != "" {
					fmt.Fprintf(&text, "import _ %q\n", module+"/"+other)
				}
			}
		} else {
			fmt.Fprintf(&text, "package %s\n", name)
		}
		for _, path := range imports {
			fmt.Fprintf(&text, "import _ %q\n", ours+path)
		}
		if name == "" {
			for _, path := range []string{"bufio", "flag", "fmt", "log", "net", "os", "runtime", "time", ours} {
				fmt.Fprintf(&text, "import %q\n", path)
			}
			text.WriteString(main)
		}
		file(filepath.Join(name, "program.go"), text.String())
	}
}

// build builds the program in dir, and skips the test where that is not possible.
func build(t *testing.T, dir, release string, args []string, race bool) string {
	t.Helper()
	env := append(os.Environ(), "GOTOOLCHAIN="+release, "GOFLAGS=", "GOWORK=off")
	run := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := run("version"); err != nil {
		t.Skipf("%s cannot be had here: %s", release, out)
	}
	if enabled, _ := run("env", "CGO_ENABLED"); race && enabled != "1" {
		t.Skip("the race detector needs cgo, which is off")
	}
	path := filepath.Join(dir, "program")
	if out, err := run(append(append([]string{"build", "-o", path}, args...), ".")...); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return path
}

func TestPackageEnvWhoeverImportsItAndHoweverItIsBuilt(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			for _, way := range ways {
				// It takes minutes to build all of the standard library so.
				if way.slow && release != releases[0] && release != releases[len(releases)-1] {
					continue
				}
				t.Run(way.name, func(t *testing.T) {
					for _, layout := range layouts {
						t.Run(layout.name, func(t *testing.T) {
							dir := t.TempDir()
							write(t, dir, layout.module, layout.packages)
							path := build(t, dir, release, way.args, way.slow)
							start := func(t *testing.T, env ...string) *harness.Process {
								t.Helper()
								p := harness.Host{Path: path, Env: append(env, "GOCOVERDIR="+t.TempDir())}.Start(t)
								if got := p.Do("flags"); got != "[cpu]" {
									t.Errorf("the flags are %s, want the program's own", got)
								}
								return p
							}
							check(t, start)
						})
					}
				})
			}
		})
	}
}

// check checks what package env promises.
func check(t *testing.T, start func(t *testing.T, env ...string) *harness.Process) {
	t.Run("without a server nothing happens until Start", func(t *testing.T) {
		t.Parallel()
		p := start(t, "RUNTIMEMETRICS_STATSD= ", "RUNTIMEMETRICS_PAUSE=not looked at yet")
		if got := p.Do("goroutines"); got != "1" {
			t.Errorf("there are %s goroutines", got)
		}
		if log := p.Log(); len(log) > 0 {
			t.Errorf("the library logged %q", log)
		}
		s := harness.ListenUDP(t)
		if got := p.Do(s.Addr()); got != "<nil>" {
			t.Errorf("Start returned %s", got)
		}
		expect(t, s, "go.start")
		p.End()
	})
	t.Run("with a server publishing begins a second later", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := start(t, "RUNTIMEMETRICS_STATSD= localhost:"+s.Port()+"\n", "RUNTIMEMETRICS_METRIC_PREFIX=go.env", "RUNTIMEMETRICS_MEM=off")
		if d := expect(t, s, "go.env"); d.At.Sub(p.Begun) < time.Second {
			t.Errorf("the first datagram came %v after the program was started", d.At.Sub(p.Begun))
		}
		p.WaitLog("^publishing 2 gauges")
		if p.Do("soon") != "true" {
			t.Log("SKIPPED: that main replaces what the library reads: the machine is too busy for main to come in time")
		}
		p.End()
		if log := p.Log(); len(log) != 1 {
			t.Errorf("the library logged %q, want one line", log)
		}
	})
	t.Run("with an invalid one there is one line and no more", func(t *testing.T) {
		t.Parallel()
		p := start(t, "RUNTIMEMETRICS_STATSD=tcp://localhost")
		p.WaitLog("RUNTIMEMETRICS_STATSD: .*; nothing is published, unless by Start$")
		harness.Eventually(t, "main's goroutine alone is left", func() bool { return p.Do("goroutines") == "1" })
		p.End()
		if log := p.Log(); len(log) != 1 {
			t.Errorf("the library logged %q, want one line", log)
		}
	})
}

// expect requires that the first gauges are cpu.* and that the program's own one
// comes too, and returns the first datagram.
func expect(t *testing.T, s *harness.Server, prefix string) harness.Datagram {
	t.Helper()
	first := s.Next()
	if got, want := first.Names(), harness.WithPrefix(prefix, []string{"cpu.goroutines", "cpu.cgo_calls"}); !slices.Equal(got, want) {
		t.Errorf("the first gauges are %q, want %q", got, want)
	}
	harness.Eventually(t, "the custom gauge comes", func() bool { return strings.Contains(s.Next().Text, prefix+".custom:7|g") })
	return first
}
