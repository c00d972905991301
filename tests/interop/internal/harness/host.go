//go:build linux

package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is where the host is.
const module = "github.com/runtimemetrics/runtimemetrics/tests/interop"

// build builds the host, once for each test binary, with what its own module
// requires.
var build = sync.OnceValues(func() (string, error) {
	folder, err := exec.Command("go", "list", "-m", "-f={{.Dir}}", module).Output()
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "host")
	// Without the version control stamp, which fails in a clone that belongs to
	// somebody else.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./internal/host")
	cmd.Dir = strings.TrimSpace(string(folder))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return program, nil
})

// Environment is that of the test without the library's variables.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RUNTIMEMETRICS_") })
}

// host is a running process that publishes.
type host struct {
	prefix string
	tags   map[string]string
	// What it says it publishes: all names, and the values that stand still.
	Names  []string
	Values map[string]float64
}

// publish starts a host that publishes below a prefix, and returns when its
// first tick has left it.
func publish(t testing.TB, server, prefix string, tags map[string]string, args ...string) *host {
	t.Helper()
	program, err := build()
	if err != nil {
		t.Fatalf("the host cannot be built: %v", err)
	}
	h := &host{prefix: prefix, tags: tags}
	cmd := exec.Command(program, append([]string{
		"--statsd=" + server, "--metric-prefix=" + prefix, "--pause=250ms",
	}, args...)...)
	// With nothing to collect, what the runtime says stands still.
	cmd.Env = append(Environment(), "GOGC=off", "GOMEMLIMIT=", "GODEBUG=")
	log := new(lines)
	cmd.Stderr = log
	// The host ends with its standard input, so also if this process dies.
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	AtEnd(t, func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the host of %s:\n%s", prefix, log)
		}
	})
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(h); err != nil {
		t.Fatalf("host: %v\n%s", err, log)
	}
	Poll(t, "the host publishes", func() error {
		if !strings.Contains(log.String(), "runtimemetrics: publishing ") {
			return fmt.Errorf("its log is %q", log)
		}
		return nil
	})
	return h
}

// lines is what a process has logged so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
