package cost

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// What is weighed: three programs, and what stands in a file beside theirs.
const (
	service = `import ("flag"; "log"; "net/http")
func main() { flag.Parse(); log.Fatal(http.ListenAndServe("127.0.0.1:0", http.FileServer(http.Dir(".")))) }`
	empty = `func main() {}`
	flags = `import "flag"
func main() { flag.Parse() }`

	nothing = ``
	library = `import _ "github.com/runtimemetrics/runtimemetrics"`
	client  = `import "github.com/cactus/go-statsd-client/v5/statsd"
func init() {
	s, _ := statsd.NewSimpleSender("127.0.0.1:8125")
	c, _ := statsd.NewClientWithSender(s, "p", statsd.SuffixOctothorpe)
	c.Gauge("g", 1, 1)
}`
)

// allowed is how many KiB more or less than README says are no mistake: a release of
// Go changes a little, and a stripped binary grows by pages.
const allowed = 6

// TestTheBinaryGrowsByWhatREADMESays weighs programs with the library and without: a
// little more each time is noticed by nobody.
func TestTheBinaryGrowsByWhatREADMESays(t *testing.T) {
	if !strings.HasPrefix(runtime.Version(), "go1.26.") || runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("README's figures are of Go 1.26 on linux/amd64")
	}
	if cgo, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(cgo)) != "1" {
		t.Skip("README's figures are with cgo, which package net uses if it can")
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`A net/http service grows by (\S+) KiB \((\S+) stripped\), of which the client is (\S+) \((\S+)\); an empty program grows by (\S+) \((\S+)\)`).
		FindStringSubmatch(strings.Join(strings.Fields(string(readme)), " "))
	if said == nil {
		t.Fatal("README says in other words what the library weighs, or not at all")
	}
	dir := harness.Module(t)
	base := weigh(t, dir, service, nothing)
	for i, test := range []struct {
		name          string
		with, without [2]int64
	}{
		{"the library in a net/http service", weigh(t, dir, service, library), base},
		{"the client in a net/http service", weigh(t, dir, service, client), base},
		{"the library in an empty program", weigh(t, dir, flags, library), weigh(t, dir, empty, nothing)},
	} {
		for j, how := range []string{"", ", stripped"} {
			got := (test.with[j] - test.without[j] + 512) / 1024
			t.Logf("%s%s: %d KiB", test.name, how, got)
			want, err := strconv.ParseInt(strings.ReplaceAll(said[1+2*i+j], ",", ""), 10, 64)
			if err != nil || got < want-allowed || got > want+allowed {
				t.Errorf("%s%s: %d KiB, and README says %s", test.name, how, got, said[1+2*i+j])
			}
		}
	}
}

// weigh returns the size of a program in bytes, and its size when it is stripped.
func weigh(t *testing.T, dir, program, beside string) (sizes [2]int64) {
	t.Helper()
	write(t, filepath.Join(dir, "main.go"), "package main\n"+program+"\n")
	write(t, filepath.Join(dir, "beside.go"), "package main\n"+beside+"\n")
	binary := filepath.Join(dir, "program")
	for i, ldflags := range []string{"", "-s -w"} {
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+ldflags, "-o", binary)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		info, err := os.Stat(binary)
		if err != nil {
			t.Fatal(err)
		}
		sizes[i] = info.Size()
	}
	return sizes
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
