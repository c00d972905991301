package harness

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network of its own that holds loopback and nothing else: each port
// is free there, and rules of address translation are nobody else's.
type Namespace struct {
	t  testing.TB
	do chan func()
}

// NewNamespace makes a namespace, or skips the test if this process may not. It
// ends with the last process and socket in it.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	n := &Namespace{t, make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		made <- func() error {
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				return err
			}
			return loopbackUp()
		}()
		for f := range n.do {
			f()
		}
	}()
	t.Cleanup(func() { close(n.do) })
	if err := <-made; err != nil {
		t.Skip("no network namespace can be made here: ", err)
	}
	return n
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}

// Do calls f in the namespace: sockets that it opens and processes that it starts
// are there, and stay there. It may end the test.
func (n *Namespace) Do(f func()) {
	n.t.Helper()
	done := make(chan bool)
	n.do <- func() {
		returned := false
		defer func() { done <- returned }()
		f()
		returned = true
	}
	if !<-done {
		n.t.FailNow() // t.Fatal has ended the goroutine that called f
	}
}

// Start starts a program in the namespace.
func (n *Namespace) Start(h Host) (p *Process) {
	n.t.Helper()
	h.binary(n.t) // the go command may need the network
	n.Do(func() { p = h.Start(n.t) })
	return p
}

// IPTables runs iptables in the namespace, or skips the test if there is none.
func (n *Namespace) IPTables(args ...string) {
	n.t.Helper()
	path, err := exec.LookPath("iptables")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/iptables"); err != nil {
			if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
				n.t.Fatal("iptables is needed, and RUNTIMEMETRICS_E2E=required: ", err)
			}
			n.t.Skip("iptables is needed: ", err)
		}
	}
	var out []byte
	n.Do(func() { out, err = exec.Command(path, append([]string{"-w", "60"}, args...)...).CombinedOutput() })
	if err != nil {
		n.t.Skipf("iptables %q: %v: %s", args, err, out)
	}
}
