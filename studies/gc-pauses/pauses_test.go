//go:build linux

// Package pauses_test runs the experiment, as short as it can be.
package pauses_test

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

const oldest = "1.21.13"

// TestRun loads the service as built with the oldest Go and with this one, and
// looks for both of them in the table and in the picture.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts StatsD, Graphite and a load; not with -short")
	}
	local, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), " ")
	if !regexp.MustCompile(`^1\.\d+(\.\d+|rc\d+)$`).MatchString(local) {
		t.Skipf("%s is no release", runtime.Version())
	}
	colours := map[string]color.RGBA{}
	for _, release := range []string{oldest, local} {
		cmd := exec.Command("go", "version")
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go"+release)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("SKIPPED: Go %s cannot be had here: %s", release, out)
			continue
		}
		colours[release] = []color.RGBA{{0xc5, 0x1b, 0x7d, 0xff}, {0xe6, 0x55, 0x0d, 0xff}}[len(colours)]
	}

	docs := t.TempDir()
	page := filepath.Join(docs, "README.md")
	copyFile(t, "README.md", page)
	cmd := exec.Command("./run", "--no-install")
	var log strings.Builder
	cmd.Stderr = &log
	// A small heap and much load: collections enough, even on a busy machine.
	cmd.Env = append(os.Environ(), "DOCS="+docs, "RELEASES="+oldest+" "+local, "ROUNDS=1", "DURATION=15", "ORDERS=2000", "DELAY=2")
	table, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(log.String())
		}
		t.Skipf("this test needs what 'make test' installs: %s", &log)
	}
	if err != nil {
		t.Fatalf("run: %v\n%s", err, &log)
	}
	t.Logf("%s", table)

	for release := range colours {
		// Release, requests, collections, mean of the pauses: all above 0.
		line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(release) + ` \| [1-9]\d* \| [1-9]\d* \| [1-9]\d* \|`)
		if !line.Match(table) {
			t.Errorf("no line for Go %s with numbers in it", release)
		}
	}
	if strings.Contains(string(table), "requests failed") {
		t.Error("the service did not answer all requests")
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), string(table)) {
		t.Errorf("the table is not in the page (%v)", err)
	}
	f, err := os.Open(filepath.Join(docs, "gc-pauses.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	for release, colour := range colours {
		// The legend's square has some 100 of them.
		if n := count(picture, colour); n < 300 {
			t.Errorf("the picture has %d points in the colour of Go %s", n, release)
		}
	}
}

func count(picture image.Image, colour color.RGBA) int {
	n := 0
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if color.RGBAModel.Convert(picture.At(x, y)) == colour {
				n++
			}
		}
	}
	return n
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestBadInput(t *testing.T) {
	for name, tt := range map[string]struct {
		env  string
		args []string
		want string
		code int
	}{
		"a word":          {"ROUNDS=many", nil, "ROUNDS=many is not a whole number above 0", 1},
		"too short":       {"DURATION=4", nil, "DURATION=4: in less than 5 s", 1},
		"no directory":    {"DOCS=/dev/null/docs", nil, "DOCS=/dev/null/docs is not a directory", 1},
		"an unknown flag": {"ROUNDS=1", []string{"--fast"}, "usage: studies/gc-pauses/run", 2},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("./run", tt.args...)
			cmd.Env = append(os.Environ(), tt.env)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tt.code || !strings.Contains(string(out), tt.want) {
				t.Errorf("%v, %s; want exit status %d and %q", err, out, tt.code, tt.want)
			}
		})
	}
}
