//go:build linux

// Package stacktest is for tests of the examples that a script called up starts
// and one called down ends.
package stacktest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A Stack is what up has started.
type Stack struct {
	Work  string            // its work directory
	Ports map[string]string // by the names of their variables
	Env   []string          // for its scripts
	dir   string
}

// Up starts the stack of an example, in a work directory of its own and on free
// ports. It is taken down at the end of the test, and on Ctrl-C as well; if the
// test has failed, the ends of its logs are shown first. What is not installed is
// skipped, unless RUNTIMEMETRICS_E2E says that it has to be there.
func Up(t *testing.T, dir string, args ...string) *Stack {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers; not with -short")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &Stack{Work: t.TempDir(), Ports: map[string]string{}, dir: dir}
	s.Env = append(Environment(), "RUNTIMEMETRICS_"+strings.ToUpper(filepath.Base(dir))+"_DIR="+s.Work)
	s.takeDown(t)
	for attempt := 1; ; attempt++ {
		out, err := s.Script("up", append(args, "--free-ports", "--no-install")...).CombinedOutput()
		if err == nil {
			t.Logf("%s", out)
			break
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == 3 {
			if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
				t.Fatalf("%s", out)
			}
			t.Skipf("SKIPPED: this test needs what 'make deps' installs: %s", out)
		}
		// A free port is free only until somebody else takes it.
		if inUse := bytes.Contains(out, []byte("in use")) || bytes.Contains(out, []byte("EADDRINUSE")); !inUse || attempt == 3 {
			t.Fatalf("up: %v\n%s", err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(s.Work, "ports"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, port, ok := strings.Cut(line, "="); ok {
			s.Ports[name] = port
		}
	}
	return s
}

// Address returns the host and port that a variable stands for.
func (s *Stack) Address(variable string) string { return "127.0.0.1:" + s.Ports[variable] }

// Script is one of the stack's scripts.
func (s *Stack) Script(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.dir, name), args...)
	cmd.Env = s.Env
	return cmd
}

func (s *Stack) takeDown(t *testing.T) {
	end := func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(s.Work, "log", "*.log"))
			for _, log := range logs {
				text, _ := os.ReadFile(log)
				if long := len(text) - 2000; long > 0 {
					text = text[long:]
				}
				t.Logf("%s:\n%s", filepath.Base(log), text)
			}
		}
		if out, err := s.Script("down", "--purge").CombinedOutput(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	}
	t.Cleanup(end)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-interrupts; ok {
			end()
			os.Exit(1)
		}
	}()
	t.Cleanup(func() {
		signal.Stop(interrupts)
		close(interrupts)
	})
}
