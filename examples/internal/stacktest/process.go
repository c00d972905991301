//go:build linux

package stacktest

import (
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A Log is what a process has written so far.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Build builds a program of the module in this directory, or one of its tools.
func Build(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return program
}

// Start starts a command that does not outlive the test. Its log holds standard
// output only if that goes nowhere else; it is shown if the test has failed.
func Start(t *testing.T, cmd *exec.Cmd) *Log {
	t.Helper()
	log := new(Log)
	if cmd.Stderr = log; cmd.Stdout == nil {
		cmd.Stdout = log
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), log)
		}
	})
	return log
}

// Environment is that of the test without the library's variables.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RUNTIMEMETRICS_") })
}

// FreeAddress returns an address of loopback whose port nobody has, by TCP or by
// UDP, until somebody takes it. It is below the ports that systems give to whoever
// asks for any, and to each connection: of those, one does not stay free for long
// where other tests run. It is below the scripts' as well, see choose in stack.sh.
func FreeAddress(t *testing.T) string {
	t.Helper()
	for try := 1; ; try++ {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.Intn(10000))
		l, err := net.Listen("tcp4", addr)
		if err == nil {
			l.Close()
			var c net.PacketConn
			if c, err = net.ListenPacket("udp4", addr); err == nil {
				c.Close()
				return addr
			}
		}
		if try == 1000 {
			t.Fatal(err)
		}
	}
}
