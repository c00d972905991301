// Package settings tests what whole programs make of settings: placeholders from a
// real build and for several processes, logs that are the program's own, and the
// environment.
package settings

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// tags returns the tags of the first gauge of a datagram.
func tags(t *testing.T, d harness.Datagram) string {
	t.Helper()
	line, _, _ := strings.Cut(d.Text, "\n")
	_, tags, found := strings.Cut(line, "|#")
	if !found {
		t.Fatalf("there are no tags in %q", line)
	}
	return tags
}

// A program of a git repository knows its version, if Go 1.24 or later has built it.
func TestTagsFromTheBuild(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is needed to build a program with a version: ", err)
	}
	dir := harness.Module(t)
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	file := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file("main.go", "package main\nimport (\"flag\"; \"io\"; \"os\"; _ \"github.com/runtimemetrics/runtimemetrics\")\nfunc main() { flag.Parse(); io.Copy(io.Discard, os.Stdin) }\n")
	run("git", "init", "-q")
	run("git", "add", ".")
	run("git", "-c", "user.name=t", "-c", "user.email=t@t.example", "-c", "commit.gpgsign=false", "commit", "-qm", "Program")
	run("git", "tag", "v1.2.3")
	revision := run("git", "rev-parse", "HEAD")[:12]

	for _, test := range []struct{ name, version string }{
		{"of a tag", "v1.2.3"},
		{"with changes that are not committed", "v1.2.3_dirty"}, // StatsD's tags know no '+'
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "program")
			run("go", "build", "-buildvcs=true", "-o", path, ".")
			s := harness.ListenUDP(t)
			p := harness.Host{Path: path, Args: []string{"--statsd=" + s.Addr(), "--metric-tags=version:{version},revision:{revision},go:{go},exe:{exe}"}}.Start(t)
			got := tags(t, s.Next())
			want := fmt.Sprintf("version:%s,revision:%s,go:%s,exe:program", test.version, revision, goVersion(t, dir))
			if strings.HasPrefix(test.version, "v1.2.3_") {
				// What Go makes of changes differs by release.
				got = regexp.MustCompile(`version:v1\.2\.[34][-0-9a-f._]*_dirty`).ReplaceAllString(got, "version:v1.2.3_dirty")
			}
			if got != want {
				t.Errorf("the tags are %s, want %s", got, want)
			}
			p.End()
		})
		file("main_test.go", "package main\n")
	}
}

// goVersion returns the release that builds in dir.
func goVersion(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("go", "env", "GOVERSION")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return version
}

func TestTagsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	p := harness.Host{Program: "plain", Race: true,
		Args: []string{"--statsd=" + s.Addr(), "--metric-prefix=go.{env:NOMAD_JOB}", "--metric-tags=env:{env:DD_ENV},dd.internal.entity_id:{env:DD_ENTITY_ID},zone:{env:ZONE},empty:{env:EMPTY}"},
		Env:  []string{"NOMAD_JOB=web.front/1", "DD_ENV=prod", "DD_ENTITY_ID=en-0,b:{pid}|x", "EMPTY="},
	}.Start(t)
	d := s.Next()
	if got, want := tags(t, d), "env:prod,dd.internal.entity_id:en-0_b__pid__x,zone:unknown,empty:unknown"; got != want {
		t.Errorf("the tags are %s, want %s", got, want)
	}
	if !strings.HasPrefix(d.Text, "go.web_front_1.cpu.goroutines:") {
		t.Errorf("the prefix is not right in\n%s", d.Text)
	}
	p.End()
}

func TestAPlaceholderThatDoesNotExistIsAFlagError(t *testing.T) {
	t.Parallel()
	for _, arg := range []string{"--metric-prefix=go.{POD}", "--metric-tags=pod:{env:}", "--metric-tags=pod:{env:A-B}", "--metric-prefix={host"} {
		t.Run(arg, func(t *testing.T) {
			t.Parallel()
			p := harness.Host{Program: "plain", Race: true, Args: []string{arg}}.Start(t)
			if code := p.Exit(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if text := strings.Join(p.Stderr(), "\n"); !strings.Contains(text, "is not a placeholder; there are {host}") {
				t.Errorf("standard error does not say what there is:\n%s", text)
			}
		})
	}
}

func TestWhereLogLinesGo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, log, flag string
		stdout, stderr  string // what the start line begins with there
	}{
		{"package log", "", "std", "", `^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d runtimemetrics: publishing`},
		{"package log with the program's prefix", "prefixed", "std", "", `^web: runtimemetrics: publishing`},
		{"package log, discarded by the program", "discarded", "std", "", ""},
		{"standard error, although the program discards package log", "discarded", "stderr", "", `^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d runtimemetrics: publishing`},
		{"the program's slog", "json", "std", `^{"time":"[^"]*","level":"INFO","msg":"runtimemetrics: publishing`, ""},
		{"standard error, beside the program's slog", "json", "stderr", "", `^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d runtimemetrics: publishing`},
		{"nowhere", "json", "off", "", ""},
		{"nowhere but in the wire", "", "off", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			p := harness.Host{Program: "logs", Race: true, Args: []string{"--statsd=" + s.Addr(), "--pause=100ms", "--metric-log=" + test.flag}, Env: []string{"LOG=" + test.log}}.Start(t)
			s.Next()
			s.Next() // the start line was written, or else it is on its way
			find := func(lines []string) string {
				for _, line := range lines {
					if strings.Contains(line, "publishing") {
						return line
					}
				}
				return ""
			}
			if test.stdout+test.stderr != "" {
				harness.Eventually(t, "the start line is there", func() bool { return find(p.Stdout())+find(p.Stderr()) != "" })
			}
			p.End()
			for where, got := range map[string][2]string{
				"output": {find(p.Stdout()), test.stdout},
				"error":  {find(p.Stderr()), test.stderr},
			} {
				if line, want := got[0], got[1]; (line == "") != (want == "") || !regexp.MustCompile(want).MatchString(line) {
					t.Errorf("the line of standard %s is %q, want %q", where, line, want)
				}
			}
			if line := find(p.Stdout()); line != "" && !json.Valid([]byte(line)) {
				t.Errorf("%q is not JSON", line)
			}
		})
	}
}

func TestWhatAContainersFileLeavesInTheEnvironment(t *testing.T) {
	t.Parallel()
	t.Run("white space around values", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "plain", Race: true, Env: []string{
			"RUNTIMEMETRICS_STATSD=\t" + s.Addr() + "\r\n", "RUNTIMEMETRICS_METRIC_PREFIX= go.space ", "RUNTIMEMETRICS_PAUSE=100ms\n",
			"RUNTIMEMETRICS_CPU= no ", "RUNTIMEMETRICS_GC=OFF", "RUNTIMEMETRICS_METRIC_TAGS=   ", "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS= yes\n",
		}}.Start(t)
		want := harness.WithPrefix("go.space", slices.DeleteFunc(slices.Clone(harness.Gauges), func(name string) bool {
			return strings.HasPrefix(name, "cpu.") || strings.HasPrefix(name, "mem.gc.")
		}))
		if got := s.Next().Names(); !slices.Equal(got, want) {
			t.Errorf("the datagram holds\n%q\nwant\n%q", got, want)
		}
		p.WaitLog("^publishing")
		p.End()
		if log := p.Log(); len(log) != 1 {
			t.Errorf("the library logged %q, want one line", log)
		}
	})
	for _, value := range []string{"off", "no", "No", "0", "disabled", "nope", "-"} {
		t.Run("publishing is off by "+value, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			p := harness.Host{Program: "console", Race: true, Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS=" + value}}.Start(t)
			p.Do("parse --pause=100ms")
			harness.Eventually(t, "nothing of the library runs", func() bool { return strings.Count(p.Do("goroutines"), "goroutine ") == 1 })
			var want []string
			if strings.ContainsAny(value, "dp-") {
				want = []string{fmt.Sprintf("invalid value %q for environment variable RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS: must be true or false; using false", value)}
			}
			p.End()
			if got := p.Log(); !slices.Equal(got, want) {
				t.Errorf("the library logged %q, want %q", got, want)
			}
			if all := s.TakeAll(); len(all) > 0 {
				t.Errorf("this was sent:\n%s", all[0].Text)
			}
		})
	}
	t.Run("a group that is off, in whatever words", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "plain", Race: true, Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.words", "RUNTIMEMETRICS_MEM=disabled"}}.Start(t)
		if got, want := s.Next().Names(), harness.WithPrefix("go.words", []string{"cpu.goroutines", "cpu.cgo_calls"}); !slices.Equal(got, want) {
			t.Errorf("the datagram holds\n%q\nwant\n%q", got, want)
		}
		p.WaitLog(`^invalid value "disabled" for environment variable RUNTIMEMETRICS_MEM: must be true or false; using false$`)
		p.End()
	})
}

func TestTheCasesOfOtherFlagLibraries(t *testing.T) {
	t.Parallel()
	bare := []string{"CPU=500m", "MEM=512Mi", "PAUSE=always", "GC=off", "STATSD=none"}
	t.Run("generic names in the environment are no settings of package env", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "usesff", Race: true, Env: append(bare, "LISTEN_ADDR=localhost:1", "RUNTIMEMETRICS_STATSD="+s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.ff")}.Start(t)
		if got, want := s.Next().Names(), harness.WithPrefix("go.ff", harness.Gauges); !slices.Equal(got, want) {
			t.Errorf("the datagram holds\n%q\nwant\n%q", got, want)
		}
		p.End()
		if got := p.Stdout(); !slices.Equal(got, []string{"listen-addr localhost:1"}) {
			t.Errorf("the program printed %q", got)
		}
	})
	t.Run("a program may have a flag -cpu beside package env", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "owncpu", Race: true, Args: []string{"-cpu=50%"}, Env: []string{"RUNTIMEMETRICS_STATSD=" + s.Addr(), "RUNTIMEMETRICS_METRIC_PREFIX=go.cpu"}}.Start(t)
		s.NextWith("go.cpu")
		p.End()
		if got := p.Stdout(); !slices.Equal(got, []string{"cpu 50%"}) {
			t.Errorf("the program printed %q", got)
		}
	})
	t.Run("and its help text is its own", func(t *testing.T) {
		t.Parallel()
		p := harness.Host{Program: "owncpu", Race: true, Args: []string{"-help"}}.Start(t)
		p.Exit()
		want := []string{"  -cpu string", "    \thow much CPU to use (default \"100%\")"}
		if got := p.Stderr(); len(got) != 3 || !slices.Equal(got[1:], want) {
			t.Errorf("-help printed %q, want the usage line and %q", got, want)
		}
	})
}
