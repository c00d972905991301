// Package ancestor holds package collector to the one that it succeeds: a
// program moves over by changing one import path.
package ancestor

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ancestor "github.com/bmhatfield/go-runtime-metrics/collector"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// The type of the function is the same one, or this does not compile.
var _ = ancestor.GaugeFunc(collector.GaugeFunc(nil))

// The ancestor's own tests, unchanged, against our package: both are copied into
// a module of their own, so that the test is in the package that it tests.
func TestTheTestsOfTheAncestorPass(t *testing.T) {
	t.Parallel()
	list := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(string(out))
	}
	ours := list("-f", "{{.Dir}}", "github.com/runtimemetrics/runtimemetrics/collector")
	theirs := list("-f", "{{.Dir}}", "github.com/bmhatfield/go-runtime-metrics/collector")

	dir := t.TempDir()
	copied := 0
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	copyFiles := func(from string, want func(name string) bool) {
		t.Helper()
		entries, err := os.ReadDir(from)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if name := entry.Name(); want(name) && entry.Type()&fs.ModeType == 0 {
				content, err := os.ReadFile(filepath.Join(from, name))
				if err != nil {
					t.Fatal(err)
				}
				write(name, content)
				copied++
			}
		}
	}
	isTest := func(name string) bool { return strings.HasSuffix(name, "_test.go") }
	copyFiles(ours, func(name string) bool { return strings.HasSuffix(name, ".go") && !isTest(name) })
	copyFiles(theirs, isTest)
	if copied < 2 {
		t.Fatal("there is nothing to test")
	}
	// The name lets it import the internal packages that ours imports.
	root := filepath.Dir(ours)
	write("go.mod", []byte("module github.com/runtimemetrics/runtimemetrics/copy\n\ngo 1.21\n\n"+
		"require github.com/runtimemetrics/runtimemetrics v0.0.0\n\n"+
		"replace github.com/runtimemetrics/runtimemetrics => "+root+"\n"))
	copyFiles(root, func(name string) bool { return name == "go.sum" })

	// It counts ticks in real time, which a busy machine may let it miscount.
	var out []byte
	for attempt := range 3 {
		cmd := exec.Command("go", "test", "-mod=mod", "-count=1", "-v", ".")
		cmd.Dir = dir
		var err error
		out, err = cmd.CombinedOutput()
		t.Logf("attempt %d:\n%s", attempt+1, out)
		if err == nil {
			break
		}
	}
	if !strings.Contains(string(out), "--- PASS: TestCollector") {
		t.Error("the ancestor's test has not passed")
	}
}

// ancestorKeys and ourKeys are the same code but for the package: what a
// program writes that collects once, and ends.
func ancestorKeys(cpu, mem, gc bool) (keys []string) {
	done := make(chan struct{})
	close(done)
	c := ancestor.New(func(key string, _ uint64) { keys = append(keys, key) })
	c.PauseDur, c.EnableCPU, c.EnableMem, c.EnableGC, c.Done = time.Hour, cpu, mem, gc, done
	c.Run()
	return keys
}

func ourKeys(cpu, mem, gc bool) (keys []string) {
	done := make(chan struct{})
	close(done)
	c := collector.New(func(key string, _ uint64) { keys = append(keys, key) })
	c.PauseDur, c.EnableCPU, c.EnableMem, c.EnableGC, c.Done = time.Hour, cpu, mem, gc, done
	c.Run()
	return keys
}

func TestRunOutputsTheAncestorsGaugesInItsOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		cpu, mem, gc bool
		gauges       int
	}{
		{"all groups", true, true, true, 27},
		{"no CPU", false, true, true, 25},
		{"no GC", true, true, false, 21},
		{"no memory, which GC needs", true, false, true, 2},
		{"nothing", false, false, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := ancestorKeys(test.cpu, test.mem, test.gc)
			got := ourKeys(test.cpu, test.mem, test.gc)
			if !slices.Equal(got, want) {
				t.Errorf("the gauges are\n%q\nthe ancestor's are\n%q", got, want)
			}
			// Once with values, once with zeros when Done closes.
			if len(got) != 2*test.gauges {
				t.Errorf("%d gauges were output, want %d twice", len(got), test.gauges)
			}
		})
	}
}
