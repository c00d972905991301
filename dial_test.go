package runtimemetrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeNet is a network with a resolver that tests lead.
type fakeNet struct {
	mu        sync.Mutex
	lookup    func(ctx context.Context, host string) ([]netip.Addr, error)
	dialErr   func(peer string) error
	writeErr  func(peer string) error
	dials     []string
	open      int
	datagrams []fakeDatagram
}

type fakeDatagram struct {
	at         time.Time
	peer, text string
}

// addrs makes an answer of a resolver.
func addrs(texts ...string) []netip.Addr {
	var as []netip.Addr
	for _, text := range texts {
		as = append(as, netip.MustParseAddr(text))
	}
	return as
}

func (n *fakeNet) calls() netCalls {
	return netCalls{
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			n.mu.Lock()
			lookup := n.lookup
			n.mu.Unlock()
			return lookup(ctx, host)
		},
		dial: func(network, peer string) (net.Conn, error) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.dials = append(n.dials, peer)
			if n.dialErr != nil {
				if err := n.dialErr(peer); err != nil {
					return nil, err
				}
			}
			n.open++
			return &fakeConn{net: n, peer: peer}, nil
		},
	}
}

// set changes the network under its lock.
func (n *fakeNet) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// sent returns what was sent so far.
func (n *fakeNet) sent() []fakeDatagram {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]fakeDatagram(nil), n.datagrams...)
}

type fakeConn struct {
	net.Conn // for what is not used
	net      *fakeNet
	peer     string
}

func (c *fakeConn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.net.writeErr != nil {
		if err := c.net.writeErr(c.peer); err != nil {
			return 0, err
		}
	}
	c.net.datagrams = append(c.net.datagrams, fakeDatagram{time.Now(), c.peer, string(b)})
	return len(b), nil
}

func (c *fakeConn) SetWriteDeadline(time.Time) error { return nil }

func (c *fakeConn) Close() error {
	c.net.set(func() { c.net.open-- })
	return nil
}

// linkTo makes a link and sees to its end.
func linkTo(t *testing.T, text string, n *fakeNet) *link {
	t.Helper()
	addr, err := parseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	calls := realNet
	if n != nil {
		calls = n.calls()
	}
	l := newLink(addr, calls)
	t.Cleanup(l.close)
	return l
}

// resolve lets a lookup that ready has started come to its end.
func resolve(l *link, now time.Time) {
	l.adopt(<-l.answers, now)
}

func TestNamesAreDialledIPv4First(t *testing.T) {
	tests := []struct {
		name  string
		found []netip.Addr
		want  string
	}{
		{"IPv6 stands first", addrs("::1", "127.0.0.1"), "127.0.0.1:8125"},
		{"IPv4 in the form of IPv6", addrs("::1", "::ffff:127.0.0.1"), "127.0.0.1:8125"},
		{"IPv6 only", addrs("2001:db8::1"), "[2001:db8::1]:8125"},
		{"the first of several", addrs("10.0.0.1", "10.0.0.2"), "10.0.0.1:8125"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &fakeNet{lookup: func(context.Context, string) ([]netip.Addr, error) { return tt.found, nil }}
			l := linkTo(t, "localhost", n)
			now := time.Now()
			if err := l.ready(now); err != errLookingUp {
				t.Fatalf("ready before the answer: %v", err)
			}
			resolve(l, now)
			if err := l.ready(now); err != nil || l.peer != tt.want {
				t.Errorf("connected to %q, error %v, want %q", l.peer, err, tt.want)
			}
		})
	}
}

func TestAnAddressWithoutRouteIsPassedOver(t *testing.T) {
	n := &fakeNet{
		lookup:  func(context.Context, string) ([]netip.Addr, error) { return addrs("10.0.0.1", "2001:db8::1"), nil },
		dialErr: func(peer string) error { return map[string]error{"10.0.0.1:8125": syscall.ENETUNREACH}[peer] },
	}
	l := linkTo(t, "stats", n)
	l.ready(time.Now())
	resolve(l, time.Now())
	if l.ready(time.Now()) != nil || l.peer != "[2001:db8::1]:8125" {
		t.Errorf("connected to %q", l.peer)
	}
}

func TestANameIsFollowedAndASocketRenewedEachMinute(t *testing.T) {
	n := &fakeNet{}
	l := linkTo(t, "stats", n)
	now := time.Now()
	step := func(wait time.Duration, found []netip.Addr, err error, wantLookup bool, wantPeer string, wantDials int) {
		t.Helper()
		n.set(func() {
			n.lookup = func(context.Context, string) ([]netip.Addr, error) { return found, err }
		})
		now = now.Add(wait)
		l.ready(now)
		if l.looking != wantLookup {
			t.Errorf("after %v more: looking up %v, want %v", wait, l.looking, wantLookup)
		}
		if l.looking {
			resolve(l, now)
		}
		if l.peer != wantPeer || len(n.dials) != wantDials {
			t.Errorf("after %v more: connected to %q by %d dials, want %q by %d", wait, l.peer, len(n.dials), wantPeer, wantDials)
		}
		if n.open > 1 {
			t.Errorf("%d sockets are open", n.open)
		}
	}
	down := errors.New("resolver is down")
	step(0, nil, down, true, "", 0)
	step(100*time.Millisecond, nil, down, false, "", 0) // not at each of many ticks
	step(time.Second, addrs("10.0.0.1"), nil, true, "10.0.0.1:8125", 1)
	step(59*time.Second, addrs("10.0.0.9"), nil, false, "10.0.0.1:8125", 1)
	step(time.Second, addrs("10.0.0.2", "10.0.0.1"), nil, true, "10.0.0.1:8125", 2) // kept, renewed
	step(time.Minute, nil, down, true, "10.0.0.1:8125", 2)                          // serves on
	step(time.Minute, addrs("10.0.0.2"), nil, true, "10.0.0.2:8125", 3)             // followed
}

func TestASocketToAnAddressIsRenewedEachMinute(t *testing.T) {
	n := &fakeNet{}
	l := linkTo(t, "10.0.0.1", n)
	now := time.Now()
	for i := 0; i < 180; i++ {
		if err := l.ready(now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	if len(n.dials) != 3 || n.open != 1 {
		t.Errorf("%d dials in three minutes, %d open; want 3, 1", len(n.dials), n.open)
	}
	// Out of descriptors, the old socket goes on serving.
	n.dialErr = func(string) error { return syscall.EMFILE }
	now = now.Add(time.Minute)
	if err := l.ready(now); err != nil || n.open != 1 {
		t.Errorf("when renewing fails: error %v, %d open sockets", err, n.open)
	}
	if s := l.write([]byte("x:1|g"), now); s.err != nil {
		t.Error(s.err)
	}
}

func TestAFailedDialIsTriedAgainAtTheNextTick(t *testing.T) {
	n := &fakeNet{dialErr: func(string) error { return syscall.EMFILE }}
	l := linkTo(t, "10.0.0.1", n)
	now := time.Now()
	for i := 0; i < 3; i++ {
		if err := l.ready(now); !errors.Is(err, syscall.EMFILE) {
			t.Fatalf("error %v, want EMFILE", err)
		}
		now = now.Add(100 * time.Millisecond)
	}
	n.dialErr = nil
	if err := l.ready(now); err != nil {
		t.Error(err)
	}
}

func TestARefusingServerKeepsItsSocket(t *testing.T) {
	n := &fakeNet{}
	l := linkTo(t, "10.0.0.1", n)
	now := time.Now()
	l.ready(now)
	l.refused = true // as the sink sets it
	if l.ready(now.Add(2 * redialEvery)); len(n.dials) != 1 {
		t.Error("the socket was renewed while it had a refusal to report: the outage would seem to be over")
	}
	l.refused = false
	if l.ready(now.Add(3 * redialEvery)); len(n.dials) != 2 {
		t.Error("the socket was not renewed after the outage")
	}
}

func TestAResolverThatFindsNothingHasFailed(t *testing.T) {
	n := &fakeNet{}
	n.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	l := linkTo(t, "stats", n)
	now := time.Now()
	l.ready(now)
	l.adopt(<-l.answers, now)
	if err := l.ready(now); err == nil || !strings.Contains(err.Error(), "no address") {
		t.Errorf("got %v, want an error that says that there is no address", err)
	}
}

func TestAHangingResolverIsAskedOnce(t *testing.T) {
	var asked int
	release := make(chan struct{})
	n := &fakeNet{}
	n.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
		n.set(func() { asked++ })
		<-release // hangs whatever its context says
		return nil, ctx.Err()
	}
	l := linkTo(t, "stats", n)
	now := time.Now()
	for i := 0; i < 100; i++ {
		if err := l.ready(now); err != errLookingUp {
			t.Fatalf("error %v", err)
		}
		now = now.Add(time.Minute)
	}
	l.close() // cancels the lookup's context
	close(release)
	if a := <-l.answers; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the lookup ended with %v", a.err)
	}
	if asked != 1 {
		t.Errorf("%d lookups at a time, want 1", asked)
	}
}

// listen opens a UDP server on loopback.
func listen(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	server, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.(*net.UDPConn)
}

// receive returns the next datagram, or fails the test.
func receive(t testing.TB, server net.PacketConn) string {
	t.Helper()
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 1<<16)
	n, _, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestARefusedWriteIsTriedOnceMore(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows reports no refusal to a sender")
	}
	server := listen(t, "127.0.0.1:0")
	addr := server.LocalAddr().String()
	l := linkTo(t, addr, nil)
	now := time.Now()
	if err := l.ready(now); err != nil {
		t.Fatal(err)
	}
	l.write([]byte("one"), now)
	if got := receive(t, server); got != "one" {
		t.Fatalf("received %q", got)
	}
	server.Close()

	if s := l.write([]byte("two"), now); s.err != nil || s.refused != nil || !s.clean {
		t.Errorf("the kernel cannot know yet that nobody listens: %+v", s)
	}
	// Now it knows: the write finds the refusal of "two", and is tried again.
	s := l.write([]byte("three"), now)
	if !errors.Is(s.refused, syscall.ECONNREFUSED) || s.clean {
		t.Errorf("write after a refusal: %+v", s)
	}
	if s.err != nil {
		t.Errorf("it was not tried again: %+v", s)
	}

	server = listen(t, addr)
	if s := l.write([]byte("four"), now); s.err != nil || s.clean {
		t.Errorf("first write after the server is back: %+v", s)
	}
	if got := receive(t, server); got != "four" {
		t.Errorf("received %q: the first tick after the server is back is lost", got)
	}
	if s := l.write([]byte("five"), now); s.err != nil || !s.clean {
		t.Errorf("second write after the server is back: %+v", s)
	}
}

// listenUnix opens a unix datagram server, where there is such a thing.
func listenUnix(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("there are no unix datagram sockets on Windows")
	}
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// socketPath returns a path that is short enough for a socket.
func socketPath(t *testing.T) string {
	dir, err := os.MkdirTemp("", "rm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestAUnixSocketThatIsRecreatedIsRedialled(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	l := linkTo(t, "unix://"+path, nil)
	now := time.Now()
	for i := 0; i < 3; i++ {
		if err := l.ready(now); err != nil {
			t.Fatal(err)
		}
		if s := l.write([]byte("x:1|g"), now); s.err != nil || !s.clean {
			t.Fatalf("write %d: %+v", i, s)
		}
		if got := receive(t, server); got != "x:1|g" {
			t.Fatalf("received %q", got)
		}
		server.Close()
		os.Remove(path)
		server = listenUnix(t, path)
	}
	server.Close()
	os.Remove(path)
	if s := l.write([]byte("x:1|g"), now); s.err == nil {
		t.Error("a write to nobody succeeded")
	}
	if err := l.ready(now); err == nil {
		t.Error("a socket that does not exist is ready")
	}
	listenUnix(t, path)
	if err := l.ready(now); err != nil {
		t.Error(err)
	}
	if s := l.write([]byte("x:2|g"), now); s.err != nil {
		t.Error(s.err)
	}
}

func TestAUnixSocketsStalledReaderCostsATickAndNoMore(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	k := newSink(settings{addr: address{network: "unixgram", host: path}, packetSize: 256, prefix: "p"}, testHost, realNet)
	defer k.close()
	for tick := 0; ; tick++ {
		if tick == 10_000 {
			t.Skip("this system's unix sockets take any number of datagrams")
		}
		for i := 0; i < 20; i++ { // several datagrams
			k.gauge(strings.Repeat("x", 100), 1)
		}
		o := k.flush(time.Now())
		if !o.lost {
			continue
		}
		if !isTimeout(o.err) {
			t.Errorf("the write failed with %v, want its deadline", o.err)
		}
		break
	}
	// The reader goes on: so do we, with the same socket.
	buf := make([]byte, 1<<16)
	server.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	for {
		if _, err := server.Read(buf); err != nil {
			break
		}
	}
	k.gauge("again", 1)
	if o := k.flush(time.Now()); o.err != nil || !o.recovered {
		t.Errorf("after the reader went on: %+v", o)
	}
	if got := receive(t, server); got != "p.again:1|g" {
		t.Errorf("received %q", got)
	}
}

// TestStopDoesNotWaitForASlowReader: one that takes a datagram now and then, so
// that no write fails and each takes long.
func TestStopDoesNotWaitForASlowReader(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	done := make(chan struct{})
	defer close(done)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			select {
			case <-done:
				return
			case <-time.After(writeTimeout * 2 / 3):
				server.Read(buf)
			}
		}
	}()
	p := newPublisher(env())
	p.sources.add(newSource(func(t *Tick) {
		for i := 0; i < 1000; i++ {
			t.Gauge(fmt.Sprintf("n%d", i), 1)
		}
	}))
	if err := p.start(Config{StatsD: "unix://" + path, Prefix: "p", Pause: minPause, PacketSize: 256, Logf: t.Logf}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	server.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := server.Read(buf); err != nil { // it is at work
		t.Fatal(err)
	}
	server.SetReadDeadline(time.Time{})
	stopped := make(chan struct{})
	go func() { p.stopByHand(); close(stopped) }()
	// Nothing but the number of datagrams bounds what a deadline for each of
	// them would take: half a minute.
	select {
	case <-stopped:
	case <-time.After(10 * time.Second):
		t.Error("Stop waits for the reader")
	}
}

func TestWhatAStartLineShowsOfTheAddress(t *testing.T) {
	got := []string{
		linkTo(t, "stats", nil).String(), linkTo(t, "[::1]:1", nil).String(), linkTo(t, "unix:///a", nil).String(),
	}
	want := []string{"udp stats:8125", "udp [::1]:1", "unix /a"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
