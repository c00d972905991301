package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"
)

// counts is what a receiver has taken since it was started.
type counts struct {
	Packets, Lines, Bad int

	// Only StatsD has these: the gauges it holds, if it was asked for them, and for
	// how many milliseconds at most a flush has kept it from its socket since the
	// last question.
	Gauges  int
	Blocked float64
}

// receiver is what a fleet pushes to.
type receiver interface {
	addr() *net.UDPAddr
	counts() (counts, error)
}

// statsd is a real StatsD server, with a backend that tells what it counts.
type statsd struct {
	cmd     *exec.Cmd
	udp     *net.UDPAddr
	startup time.Time // its flushes are a number of intervals after this
	flush   time.Duration
	stdin   io.WriteCloser
	answers *json.Decoder
	output  bytes.Buffer
	sink    net.Listener // where its Graphite backend sends to
	sunk    atomic.Int64 // lines that came there
	dir     string
}

//go:embed count.js
var countJS []byte

//go:embed server.js
var serverJS []byte

// setup is which StatsD, and how it is set up.
type setup struct {
	js       string // its stats.js
	flush    time.Duration
	graphite bool // with the stock Graphite backend, which sends to a listener of ours
	buffer   int  // bytes of its receive buffer; 0 is the system's default
}

func startStatsD(ctx context.Context, with setup) (s *statsd, err error) {
	s = &statsd{flush: with.flush}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "fleet"); err != nil {
		return s, err
	}
	backend := filepath.Join(s.dir, "count.js")
	if err := os.WriteFile(backend, countJS, 0o600); err != nil {
		return s, err
	}
	if s.sink, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		return s, err
	}
	go s.drain()
	mgmt, err := freePort()
	if err != nil {
		return s, err
	}
	socket, err := freePort()
	if err != nil {
		return s, err
	}
	s.udp = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port(socket)}
	backends := []string{backend}
	if with.graphite {
		backends = append(backends, "./backends/graphite")
	}
	settings := map[string]any{
		"address": "127.0.0.1", "port": s.udp.Port,
		"mgmt_address": "127.0.0.1", "mgmt_port": port(mgmt),
		"graphiteHost": "127.0.0.1", "graphitePort": port(s.sink.Addr()),
		"flushInterval": with.flush.Milliseconds(), "backends": backends,
	}
	if with.buffer > 0 {
		server := filepath.Join(s.dir, "server.js")
		if err := os.WriteFile(server, serverJS, 0o600); err != nil {
			return s, err
		}
		settings["server"], settings["recvBufferSize"] = server, with.buffer
	}
	config, err := json.Marshal(settings)
	if err != nil {
		return s, err
	}
	file := filepath.Join(s.dir, "config.js")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return s, err
	}

	answers, theirs, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer theirs.Close()
	s.answers = json.NewDecoder(bufio.NewReader(answers))
	cmd := exec.CommandContext(ctx, "node", with.js, file)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &s.output, &s.output, []*os.File{theirs}
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		return s, err
	}
	if err := cmd.Start(); err != nil {
		return s, err
	}
	s.cmd = cmd
	var hello struct{ Startup int64 }
	if err := s.answers.Decode(&hello); err != nil {
		s.stop()
		return s, fmt.Errorf("StatsD (%s) does not come up: %w\n%s", with.js, err, &s.output)
	}
	s.startup = time.Unix(hello.Startup, 0)
	// Its socket is bound some turns of its event loop later.
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err = drops(s.udp); err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			s.stop()
			return s, fmt.Errorf("StatsD does not listen: %w\n%s", err, &s.output)
		}
	}
}

func port(addr net.Addr) int { return addr.(*net.TCPAddr).Port }

// drain takes what StatsD's Graphite backend sends and counts the lines.
func (s *statsd) drain() {
	for {
		conn, err := s.sink.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 1<<18)
			for {
				n, err := conn.Read(buf)
				s.sunk.Add(int64(bytes.Count(buf[:n], []byte("\n"))))
				if err != nil {
					return
				}
			}
		}()
	}
}

func (s *statsd) addr() *net.UDPAddr { return s.udp }

// counts waits for the first flush, if that has not been yet.
func (s *statsd) counts() (counts, error) { return s.ask("counts") }

func (s *statsd) ask(question string) (c counts, err error) {
	if _, err = fmt.Fprintln(s.stdin, question); err == nil {
		err = s.answers.Decode(&c)
	}
	if err != nil {
		return c, fmt.Errorf("StatsD has ended: %w", err)
	}
	if c.Bad > 0 {
		return c, fmt.Errorf("StatsD has seen %d bad lines", c.Bad)
	}
	return c, nil
}

// afterFlush returns the first moment after now that lies the given part of an
// interval after a flush.
func (s *statsd) afterFlush(part float64) time.Time {
	t := s.startup.Add(time.Duration(part * float64(s.flush)))
	if now := time.Now(); now.After(t) {
		t = t.Add((now.Sub(t)/s.flush + 1) * s.flush)
	}
	return t
}

func (s *statsd) stop() {
	if s.cmd != nil {
		s.stdin.Close()
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
	if s.sink != nil {
		s.sink.Close()
	}
	os.RemoveAll(s.dir)
}
