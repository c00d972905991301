package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// StatsD is a real StatsD server, which repeats each datagram that it receives
// to a Server of the test's.
type StatsD struct {
	Repeats *Server

	t          testing.TB
	js, config string
	holder     *Server // keeps the port while StatsD is down
	cmd        *exec.Cmd
	ended      chan struct{} // closed when that has ended
}

// probe is what StatsD is sent to see whether it repeats it.
const probe = "probe"

// RealStatsD returns a StatsD server that is down. The environment variable
// STATSD_JS is the path of its stats.js; without it, the test is skipped.
func RealStatsD(t testing.TB) *StatsD {
	t.Helper()
	js := os.Getenv("STATSD_JS")
	if js == "" {
		t.Skip("STATSD_JS is not set: it is the path of stats.js of the npm package statsd")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is needed to run StatsD: ", err)
	}
	s := &StatsD{t: t, js: js, config: filepath.Join(t.TempDir(), "config.js"), Repeats: ListenUDP(t), holder: ListenUDP(t), ended: make(chan struct{})}
	close(s.ended)
	s.holder.Down()
	// StatsD insists on a management port; nobody asks it anything. That 0 is a free
	// one, it takes as text only.
	config := fmt.Sprintf(`{
  address: "127.0.0.1", port: %s, mgmt_address: "127.0.0.1", mgmt_port: "0",
  backends: ["./backends/repeater"], repeaterProtocol: "udp4", repeater: [{host: "127.0.0.1", port: %s}],
}`, s.holder.Port(), s.Repeats.Port())
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

// Addr returns the address as --statsd takes it.
func (s *StatsD) Addr() string { return s.holder.Addr() }

// Up starts StatsD and waits until it repeats what it is sent. If it ends, because
// somebody else had its port for a moment, it is started again.
func (s *StatsD) Up() {
	s.t.Helper()
	s.holder.mu.Lock()
	s.holder.release()
	s.holder.mu.Unlock()
	conn, err := net.Dial("udp4", s.holder.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	var output strings.Builder
	before := s.Repeats.arrived(probe)
	for end := time.Now().Add(Patience); s.Repeats.arrived(probe) == before; time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.ended:
			output.Reset()
			s.start(&output)
		default:
		}
		conn.Write([]byte(probe)) // refused until StatsD listens
		if time.Now().After(end) {
			s.kill()
			s.t.Fatalf("StatsD does not come up:\n%s", &output)
		}
	}
}

func (s *StatsD) start(output *strings.Builder) {
	s.t.Helper()
	cmd, ended := exec.Command("node", s.js, s.config), make(chan struct{})
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.ended = cmd, ended
	go func() {
		defer close(ended)
		cmd.Wait()
	}()
}

// Down kills StatsD. What it has repeated has arrived.
func (s *StatsD) Down() {
	s.t.Helper()
	s.kill()
	s.Repeats.flush()
	s.holder.mu.Lock()
	defer s.holder.mu.Unlock()
	s.holder.hold()
}

func (s *StatsD) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.ended
	}
}
