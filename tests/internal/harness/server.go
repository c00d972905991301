package harness

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Server receives datagrams, on a port or at a path that stays its own while
// it is down.
type Server struct {
	t       testing.TB
	network string // "udp4", "udp6" or "unixgram"
	addr    string

	mu       sync.Mutex
	conn     net.PacketConn // nil while the server is down
	holder   net.Conn       // keeps the port while the server is down
	received []Datagram
	handle   func(Datagram) // see Handle
	marks    map[string]int // how often each has arrived
	grown    chan struct{}  // closed, and replaced, at each datagram
	next     int            // index of what Next returns
	reading  sync.WaitGroup
}

// Datagram is one datagram as it arrived, with the time of its arrival.
type Datagram struct {
	Text string
	At   time.Time
}

// Listen starts a server: at the address and port addr for "udp4" and "udp6",
// where port 0 means a free one; at the path addr for "unixgram".
func Listen(t testing.TB, network, addr string) *Server {
	t.Helper()
	s := &Server{t: t, network: network, addr: addr, marks: map[string]int{}, grown: make(chan struct{})}
	s.Up()
	t.Cleanup(s.close)
	return s
}

// ListenUDP starts a server on a free port of 127.0.0.1.
func ListenUDP(t testing.TB) *Server {
	t.Helper()
	return Listen(t, "udp4", "127.0.0.1:0")
}

// Addr returns the address as --statsd takes it.
func (s *Server) Addr() string {
	if s.network == "unixgram" {
		return "unix://" + s.addr
	}
	return s.addr
}

// Port returns the server's UDP port.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.addr)
	return port
}

// Handle makes the server call f with each datagram from now on, one at a time,
// instead of keeping it for Next.
func (s *Server) Handle(f func(Datagram)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = f
}

// Up makes the server listen.
func (s *Server) Up() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release()
	var conn net.PacketConn
	Eventually(s.t, "the server listens", func() bool {
		var err error
		if conn, err = net.ListenPacket(s.network, s.addr); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			s.t.Fatal(err)
		}
		return err == nil
	})
	if s.network != "unixgram" {
		s.addr = conn.LocalAddr().String()
	}
	s.conn = conn
	s.reading.Add(1)
	go s.read(conn)
}

// Down closes the server's socket: what is sent from now on is refused. What
// was sent before has been read; only what is sent at this very moment may be
// lost in the queue of the socket that is being closed.
func (s *Server) Down() {
	s.t.Helper()
	s.flush()
	s.mu.Lock()
	conn := s.conn
	s.conn = nil
	s.mu.Unlock()
	conn.Close()
	s.reading.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.network == "unixgram" {
		os.Remove(s.addr) // the file that bind made stays behind
		return
	}
	s.hold()
}

// hold keeps the port from being given to somebody else. A socket that is
// connected to itself receives from nobody, so that the kernel refuses what
// others send, as if there were no socket at all.
func (s *Server) hold() {
	s.t.Helper()
	addr, err := net.ResolveUDPAddr(s.network, s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	// A process that is just being started by another test has a copy of the
	// socket that was closed, until it executes its program.
	Eventually(s.t, "the port is free", func() bool {
		holder, err := net.DialUDP(s.network, addr, addr)
		if err == nil {
			s.holder = holder
		}
		return err == nil
	})
}

func (s *Server) release() {
	if s.holder != nil {
		s.holder.Close()
		s.holder = nil
	}
}

func (s *Server) close() {
	s.mu.Lock()
	conn := s.conn
	s.conn = nil
	s.release()
	s.mu.Unlock()
	if conn != nil {
		conn.Close()
	}
	s.reading.Wait()
}

func (s *Server) read(conn net.PacketConn) {
	defer s.reading.Done()
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		s.mu.Lock()
		if d := (Datagram{string(buf[:n]), time.Now()}); d.Text == mark || d.Text == probe {
			s.marks[d.Text]++
		} else if s.handle != nil {
			s.handle(d)
		} else {
			s.received = append(s.received, d)
		}
		close(s.grown)
		s.grown = make(chan struct{})
		s.mu.Unlock()
	}
}

// Next returns the next datagram, and waits for it.
func (s *Server) Next() Datagram {
	s.t.Helper()
	late := time.After(Patience)
	for {
		s.mu.Lock()
		if s.next < len(s.received) {
			d := s.received[s.next]
			s.next++
			s.mu.Unlock()
			return d
		}
		grown := s.grown
		s.mu.Unlock()
		select {
		case <-grown:
		case <-late:
			s.t.Fatalf("no datagram has arrived at %s in %v", s.Addr(), Patience)
		}
	}
}

// NextWith returns the next datagram whose first gauge has the prefix, and
// passes over others.
func (s *Server) NextWith(prefix string) Datagram {
	s.t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		if d := s.Next(); strings.HasPrefix(d.Text, prefix+".") {
			return d
		}
	}
	s.t.Fatalf("no datagram with the prefix %s has arrived", prefix)
	return Datagram{}
}

// Take returns what Next would return, as far as it has arrived.
func (s *Server) Take() []Datagram {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.received[s.next:]
	s.next = len(s.received)
	return taken
}

// TakeAll returns what Take returns after all that was sent to the server
// before has arrived.
func (s *Server) TakeAll() []Datagram {
	s.t.Helper()
	s.flush()
	return s.Take()
}

// mark is a datagram that the server sends to itself: what was sent before it
// has arrived when it does.
const mark = "mark"

// flush waits until all that was sent to the server has been read.
func (s *Server) flush() {
	s.t.Helper()
	want := s.arrived(mark) + 1
	conn, err := net.Dial(s.network, s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(mark)); err != nil {
		s.t.Fatal(err)
	}
	Eventually(s.t, "the server reads what it was sent", func() bool { return s.arrived(mark) >= want })
}

// arrived returns how often a mark has arrived.
func (s *Server) arrived(mark string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[mark]
}

// Names returns the names of a datagram's gauges in their order.
func (d Datagram) Names() []string {
	var names []string
	for _, line := range strings.Split(d.Text, "\n") {
		name, _, _ := strings.Cut(line, ":")
		names = append(names, name)
	}
	return names
}

// Value returns the value of the first gauge of that name.
func (d Datagram) Value(name string) (value int64, ok bool) {
	for _, line := range strings.Split(d.Text, "\n") {
		if text, found := strings.CutPrefix(line, name+":"); found {
			text, found = strings.CutSuffix(text, "|g")
			value, err := strconv.ParseInt(text, 10, 64)
			return value, found && err == nil
		}
	}
	return 0, false
}
