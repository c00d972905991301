//go:build unix

// Package realprograms links this library into programs that others wrote: their own
// main, as it came from the module proxy, with the lines of ours that testdata holds.
package realprograms

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	// What the files in testdata and main of the programs import.
	_ "github.com/alecthomas/kingpin/v2"
	_ "github.com/runtimemetrics/runtimemetrics/env"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// build builds main of a module beside our file in a folder of testdata. What edit
// makes of main.go is built in its place.
func build(t *testing.T, module, folder string, edit func(string) string) string {
	t.Helper()
	harness.Go(t, "mod", "download", module) // of which no test needs a package
	dir := strings.TrimSpace(harness.Go(t, "list", "-m", "-f={{.Dir}}", module))
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	edited := filepath.Join(temp, "main.go")
	if err := os.WriteFile(edited, []byte(edit(string(source))), 0o600); err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "testdata", folder, "main.go"): edited}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(temp, folder)
	harness.Go(t, "build", "-overlay="+overlayFile, "-o", path, "./testdata/"+folder)
	return path
}

func asItIs(source string) string { return source }

// replace returns an edit that replaces lines, each of which must be there once.
func replace(t *testing.T, old ...string) func(string) string {
	return func(source string) string {
		t.Helper()
		for i := 0; i < len(old); i += 2 {
			if n := strings.Count(source, old[i]); n != 1 {
				t.Fatalf("%q is in main.go %d times", old[i], n)
			}
		}
		return strings.NewReplacer(old...).Replace(source)
	}
}

// checkTick requires that d holds the 27 gauges, and nothing else.
func checkTick(t *testing.T, d harness.Datagram, prefix string) {
	t.Helper()
	if got, want := d.Names(), harness.WithPrefix(prefix, harness.Gauges); !slices.Equal(got, want) {
		t.Fatalf("the datagram holds\n%q\nwant\n%q", got, want)
	}
}

func goodbye(prefix string) string {
	return strings.Join(harness.WithPrefix(prefix, harness.Levels), ":0|g\n") + ":0|g"
}

func TestNATSServer(t *testing.T) {
	for _, test := range []struct {
		name, folder string
		edit         func(string) string
		zeros        bool
	}{
		{"with one line, an import", "nats-server", asItIs, false},
		{"with signals in main's hands", "nats-server-stops", replace(t,
			"	s, err := server.NewServer(opts)\n", "	opts.NoSigs = true\n	s, err := server.NewServer(opts)\n",
			"	s.WaitForShutdown()\n", "	serve(s)\n"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := harness.ListenUDP(t)
			p := harness.Host{Path: build(t, "github.com/nats-io/nats-server/v2", test.folder, test.edit),
				Args: []string{"--addr=127.0.0.1", "--port=-1"},
				Env:  []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.{exe}", "RUNTIMEMETRICS_PAUSE=100ms"},
			}.Start(t)
			prefix := "go." + test.folder
			checkTick(t, s.Next(), prefix)
			checkTick(t, s.Next(), prefix)
			p.WaitLog("^publishing 27 gauges every 100ms")
			harness.Eventually(t, "the server takes signals", func() bool {
				return strings.Contains(strings.Join(p.Stderr(), "\n"), "Server is ready")
			})
			p.Signal(syscall.SIGTERM)
			p.Exit()
			rest := s.TakeAll()
			if zeros := len(rest) > 0 && rest[len(rest)-1].Text == goodbye(prefix); zeros != test.zeros {
				t.Errorf("at its end it sets levels to 0: %v, want %v", zeros, test.zeros)
			}
			if log := p.Log(); len(log) != 1 {
				t.Errorf("the library logged %q, want one line", log)
			}
		})
	}
}

// The exporter is told by its flags to publish to a server that is not itself.
func TestStatsDExporter(t *testing.T) {
	const prefix = "go.exporter"
	s := harness.ListenUDP(t)
	path := build(t, "github.com/prometheus/statsd_exporter", "statsd_exporter", asItIs)
	p := harness.Host{Path: path, Args: []string{
		"--web.listen-address=127.0.0.1:0", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp=", "--log.level=error",
		"--runtimemetrics.statsd=" + s.Addr(), "--runtimemetrics.metric-prefix=" + prefix, "--runtimemetrics.pause=100ms",
	}}.Start(t)
	checkTick(t, s.Next(), prefix)
	checkTick(t, s.Next(), prefix)
	p.WaitLog("^publishing 27 gauges every 100ms")
	help := harness.Host{Path: path, Args: []string{"--help"}}.Start(t)
	help.Exit()
	if text := strings.Join(append(help.Stdout(), help.Stderr()...), "\n"); !strings.Contains(text, "--runtimemetrics.metric-prefix") {
		t.Errorf("--help does not list the flags:\n%s", text)
	}
}

func TestPreforkChildrenHaveNamesOfTheirOwn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Fiber's prefork needs SO_REUSEPORT as Linux has it")
	}
	path := filepath.Join(t.TempDir(), "prefork")
	harness.Go(t, "build", "-o", path, "./prefork")
	s := harness.ListenUDP(t)
	// Its processes listen on one port, which must be known before.
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	p := harness.Host{Path: path, Args: []string{"--listen=" + address, "--statsd=" + s.Addr(), "--metric-prefix=go.{exe}.{pid}", "--pause=100ms"},
		Env: []string{"GOMAXPROCS=3"}}.Start(t)
	t.Cleanup(func() { // they end by themselves only if process 1 inherits them
		for pid := range workers(p) {
			if n, err := strconv.Atoi(pid); err == nil {
				syscall.Kill(n, syscall.SIGKILL)
			}
		}
	})
	got := map[string]bool{}
	harness.Eventually(t, "gauges of three children come", func() bool {
		name := s.Next().Names()[0]
		got[strings.TrimSuffix(strings.TrimPrefix(name, "go.prefork."), ".cpu.goroutines")] = true
		return len(got) >= 3
	})
	for range 20 {
		name := s.Next().Names()[0]
		got[strings.TrimSuffix(strings.TrimPrefix(name, "go.prefork."), ".cpu.goroutines")] = true
	}
	want := workers(p)
	if len(got) != 3 || len(want) != 3 {
		t.Fatalf("gauges of the processes %v came, want those of the children %v", got, want)
	}
	for pid := range got {
		if !want[pid] {
			t.Errorf("gauges of process %s came, want those of %v", pid, want)
		}
	}
}

// workers returns the process IDs of the children.
func workers(p *harness.Process) map[string]bool {
	pids := map[string]bool{}
	for _, line := range p.Stdout() {
		if pid, ok := strings.CutPrefix(line, "worker "); ok {
			pids[pid] = true
		}
	}
	return pids
}
