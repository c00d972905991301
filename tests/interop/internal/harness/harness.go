//go:build linux

// Package harness pushes gauges from a real process that imports the library to
// a real server, and compares what the server has of them with what was sent.
//
// Each server is told about in a table (see Server); each way of writing tags is
// one case for each of them.
package harness

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen before it gives up. It
// says nothing about how long that takes: slow machines run these tests too.
const Patience = 2 * time.Minute

// dir holds whatever one test binary makes.
var dir string

// Run is for TestMain: it runs the tests with a folder for what they make. On
// Ctrl-C as well, nothing that was started stays.
func Run(m *testing.M) (code int) {
	var err error
	if dir, err = os.MkdirTemp("", "runtimemetrics-interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupts
		ends.run()
		os.RemoveAll(dir)
		os.Exit(1)
	}()
	return m.Run()
}

// Dir makes a folder, which is gone at the end of the test.
func Dir(t testing.TB) string {
	t.Helper()
	d, err := os.MkdirTemp(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

// ends is what is to be done at the end, however it comes.
var ends endings

type endings struct {
	mu   sync.Mutex
	todo []*sync.Once
	what map[*sync.Once]func()
}

func (e *endings) run() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.todo) - 1; i >= 0; i-- {
		e.todo[i].Do(e.what[e.todo[i]])
	}
}

// AtEnd has end called at the end of the test, or when the tests are
// interrupted.
func AtEnd(t testing.TB, end func()) {
	once := new(sync.Once)
	ends.mu.Lock()
	defer ends.mu.Unlock()
	if ends.what == nil {
		ends.what = map[*sync.Once]func(){}
	}
	ends.todo = append(ends.todo, once)
	ends.what[once] = end
	t.Cleanup(func() { once.Do(end) })
}

// Missing ends a test whose server is not installed: it is skipped, unless the
// environment says that everything is there.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
		t.Fatalf("%s is not installed, and RUNTIMEMETRICS_E2E=required", what)
	}
	t.Skipf("SKIPPED: %s is not installed: 'make deps' installs it", what)
}

// UDPPort returns a port on loopback that is free, until somebody takes it.
func UDPPort(t testing.TB) int {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// TCPPorts returns n such ports of TCP, each another one.
func TCPPorts(t testing.TB, n int) []int {
	t.Helper()
	ports := make([]int, n)
	for i := range ports {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // when all of them are known
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// Poll calls check until it returns nil, and fails the test after Patience.
func Poll(t testing.TB, what string, check func() error) {
	t.Helper()
	if err := poll(t, 100*time.Millisecond, check); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// poll calls check every pause until it returns nil or an error that is final.
// It gives up early if the test binary is about to run into its own -timeout,
// which would leave no time to clean up.
func poll(t testing.TB, pause time.Duration, check func() error) error {
	begun := time.Now()
	end := begun.Add(Patience)
	if t, ok := t.(*testing.T); ok {
		if deadline, ok := t.Deadline(); ok && deadline.Add(-time.Minute).Before(end) {
			end = deadline.Add(-time.Minute)
		}
	}
	for ; ; time.Sleep(pause) {
		err := check()
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not so after %v: %w", time.Since(begun).Round(time.Second), err)
		}
	}
}

// Attempt calls start, which starts a server on new ports each time, until it
// succeeds. It is worth another attempt, but not many of them, if a port that
// was free was taken when the server wanted it.
func Attempt(t testing.TB, start func() (again bool, err error)) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		again, err := start()
		if err == nil {
			return
		}
		if !again || attempt == 3 {
			t.Fatal(err)
		}
	}
}

// Daemon starts a server. command makes it, with new ports each time, and
// returns what tells whether it is up. The server is killed at the end, with
// whatever it started; if the test has failed, the end of its log is shown.
func Daemon(t testing.TB, command func() (cmd *exec.Cmd, up func() error)) {
	t.Helper()
	Attempt(t, func() (again bool, err error) {
		cmd, up := command()
		if err = start(t, cmd, up); err != nil {
			err = fmt.Errorf("%s: %w", filepath.Base(cmd.Path), err)
		}
		return errors.Is(err, errEnded), err
	})
}

var errEnded = errors.New("it ended at once")

func start(t testing.TB, cmd *exec.Cmd, up func() error) error {
	t.Helper()
	log, err := os.CreateTemp(dir, "log")
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	// A process group of its own, so that its children end with it; and killed
	// by the kernel if this process dies without cleaning up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		log.Close()
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
	AtEnd(t, func() {
		select {
		case <-ended: // and its number may be somebody else's by now
		default:
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		log.Close()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), Tail(log.Name()))
		}
		os.Remove(log.Name())
	})
	return poll(t, 50*time.Millisecond, func() error {
		select {
		case <-ended:
			return fmt.Errorf("%w:\n%s", errEnded, Tail(log.Name()))
		default:
			return up()
		}
	})
}

// Tail returns the end of a file.
func Tail(name string) []byte {
	text, _ := os.ReadFile(name)
	return bytes.TrimSpace(text[max(0, len(text)-3000):])
}
