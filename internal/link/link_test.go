package link

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
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link/fakenet"
)

var (
	errNoDescriptors = errors.New("too many open files")
	errNoRoute       = errors.New("network is unreachable")
	errResolver      = errors.New("the resolver is down")
)

// on returns what a link asks of a fake network.
func on(n *fakenet.Net) *Net { return &Net{Lookup: n.LookupNetIP, Dial: n.Dial} }

// linkTo makes a link at the time 0, with the default pause, and sees to its end.
func linkTo(t testing.TB, text string, network *Net) *Link {
	t.Helper()
	addr, err := ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	l := New(addr, network, 10*time.Second, 0)
	t.Cleanup(l.Close)
	return l
}

// ready fails the test if the link has no socket.
func ready(t testing.TB, l *Link, now time.Duration) {
	t.Helper()
	if err := l.Ready(now); err != nil {
		t.Fatalf("at %v there is no socket: %v", now, err)
	}
}

// write fails the test if a datagram does not go out.
func write(t testing.TB, l *Link, text string) {
	t.Helper()
	if err, fatal := l.Write([]byte(text), 0); err != nil || fatal {
		t.Fatalf("write of %q: %v, fatal %v", text, err, fatal)
	}
}

// finds returns a resolver that always gives that answer.
func finds(texts ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return fakenet.Addrs(texts...), nil }
}

// fails returns a resolver that always fails.
func fails(err error) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return nil, err }
}

// once returns a hook that returns err the first time it is called for peer.
func once(peer string, err error) func(string) error {
	return func(p string) error {
		if p != peer {
			return nil
		}
		defer func() { err = nil }()
		return err
	}
}

// texts returns what was sent, each with the peer that it was sent to.
func texts(n *fakenet.Net) (sent []string) {
	for _, d := range n.Sent() {
		sent = append(sent, d.Text+" to "+d.Peer)
	}
	return sent
}

func expect(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestANamesIPv4AddressesAreDialledFirst(t *testing.T) {
	tests := []struct {
		name  string
		found []string
		want  string
	}{
		{"IPv6 stands first", []string{"::1", "127.0.0.1"}, "udp 127.0.0.1:8125"},
		{"IPv4 in the form of IPv6", []string{"::1", "::ffff:127.0.0.1"}, "udp 127.0.0.1:8125"},
		{"IPv6 only", []string{"2001:db8::1"}, "udp [2001:db8::1]:8125"},
		{"the first of several", []string{"10.0.0.1", "10.0.0.2"}, "udp 10.0.0.1:8125"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := linkTo(t, "stats", on(&fakenet.Net{Lookup: finds(tt.found...)}))
			if err := l.Ready(0); err != ErrNotResolved {
				t.Fatalf("ready before the answer: %v", err)
			}
			l.Adopt(<-l.Answers(), 0)
			ready(t, l, 0)
			expect(t, "the peer", l.String(), tt.want)
		})
	}
}

func TestLocalhostNeedsNoResolver(t *testing.T) {
	n := &fakenet.Net{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		t.Error("the resolver was asked")
		return nil, errResolver
	}}
	for _, text := range []string{"localhost", ":8125"} {
		l := linkTo(t, text, on(n))
		ready(t, l, 0)
		expect(t, "the peer", l.String(), "udp 127.0.0.1:8125")
		n.Set(func() { n.WriteErr = once("127.0.0.1:8125", refusal) })
		l.Write([]byte("x"), 0)
		expect(t, "the peer after a refusal", l.String(), "udp [::1]:8125")
		ready(t, l, time.Hour) // when the socket is renewed
		expect(t, "the peer later on", l.String(), "udp [::1]:8125")
	}
	n = &fakenet.Net{DialErr: once("127.0.0.1:8125", errNoRoute)}
	l := linkTo(t, "localhost", on(n))
	ready(t, l, 0)
	expect(t, "the peer on a system without IPv4", l.String(), "udp [::1]:8125")
}

func TestAnAddressThatCannotBeDialledIsPassedOver(t *testing.T) {
	n := &fakenet.Net{Lookup: finds("10.0.0.1", "2001:db8::1"), DialErr: once("10.0.0.1:8125", errNoRoute)}
	l := linkTo(t, "stats", on(n))
	l.Ready(0)
	l.Adopt(<-l.Answers(), 0)
	ready(t, l, 0)
	expect(t, "the peer", l.String(), "udp [2001:db8::1]:8125")
}

func TestANameThatMovesIsFollowed(t *testing.T) {
	n := &fakenet.Net{}
	l := linkTo(t, "stats", on(n))
	const none = "udp stats:8125"
	now := time.Duration(0)
	for _, step := range []struct {
		name    string
		wait    time.Duration
		answer  func(context.Context, string) ([]netip.Addr, error)
		asked   bool
		peer    string
		dialled int
	}{
		{"the first lookup fails", 0, fails(errResolver), true, none, 0},
		{"it is not asked at each of many ticks", 100 * time.Millisecond, fails(errResolver), false, none, 0},
		{"but a second after, or a little less: a tick may be early after a late one", 800 * time.Millisecond, finds("10.0.0.1"), true, "udp 10.0.0.1:8125", 1},
		{"found, it is not asked for a minute", 59 * time.Second, finds("10.0.0.9"), false, "udp 10.0.0.1:8125", 1},
		{"the address is one of those found: the socket is but renewed", time.Second, finds("10.0.0.2", "10.0.0.1"), true, "udp 10.0.0.1:8125", 2},
		{"a resolver that fails changes nothing", time.Minute, fails(errResolver), true, "udp 10.0.0.1:8125", 3},
		{"so does one that finds nothing", time.Minute, finds(), true, "udp 10.0.0.1:8125", 4},
		{"the name has moved", time.Minute, finds("10.0.0.2"), true, "udp 10.0.0.2:8125", 6}, // renewed, then replaced
	} {
		n.Set(func() { n.Lookup = step.answer })
		now += step.wait
		l.Ready(now)
		if l.resolver.asking != step.asked {
			t.Fatalf("%s: the resolver is asked: %v", step.name, l.resolver.asking)
		}
		if step.asked {
			l.Adopt(<-l.Answers(), now)
		}
		expect(t, step.name+", peer", l.String(), step.peer)
		expect(t, step.name+", dials", n.Dialled(), step.dialled)
		if n.Sockets() > 1 {
			t.Errorf("%s: %d sockets are open", step.name, n.Sockets())
		}
	}
}

func TestALinkFollowsTheOneBeforeUntilALookupFindsSomethingElse(t *testing.T) {
	n := &fakenet.Net{Lookup: finds("10.0.0.1")}
	before := linkTo(t, "stats", on(n))
	before.Ready(0)
	before.Adopt(<-before.Answers(), 0)
	before.Close()
	l := linkTo(t, "stats", on(n))
	l.Follow(before)
	ready(t, l, 0)
	expect(t, "the server", l.String(), "udp 10.0.0.1:8125")
	l.Adopt(<-l.Answers(), 0)
	expect(t, "dials, once the lookup has found the same", n.Dialled(), 2)
	for _, addr := range []string{"other", "stats:1"} {
		l := linkTo(t, addr, on(n))
		l.Follow(before)
		if err := l.Ready(0); err != ErrNotResolved {
			t.Errorf("a link to %s is ready with the address of stats: %v", addr, err)
		}
	}
}

func TestOpenGetsASocketAgainWithoutALookup(t *testing.T) {
	n := &fakenet.Net{Lookup: finds("10.0.0.1"), WriteErr: func(string) error { return errNoRoute }}
	l := linkTo(t, "stats", on(n))
	l.Open(0)
	expect(t, "dials before there is an address", n.Dialled(), 0)
	l.Ready(0)
	l.Adopt(<-l.Answers(), 0)
	if err, fatal := l.Write([]byte("x"), 0); !errors.Is(err, errNoRoute) || !fatal {
		t.Fatalf("write: %v, fatal %v", err, fatal)
	}
	n.Set(func() { n.WriteErr, n.Lookup = nil, nil })
	l.Open(0)
	write(t, l, "x")
	dialled := n.Dialled()
	l.Open(0)
	expect(t, "dials while there is a socket", n.Dialled(), dialled)
}

func TestASocketIsRenewedAfterAMinuteOrTwoPauses(t *testing.T) {
	for pause, want := range map[time.Duration]time.Duration{
		100 * time.Millisecond: time.Minute,
		10 * time.Second:       time.Minute,
		30 * time.Second:       time.Minute,
		40 * time.Second:       80 * time.Second,
		5 * time.Minute:        10 * time.Minute,
	} {
		n := &fakenet.Net{}
		addr, _ := ParseAddress("10.0.0.1")
		const start = time.Hour
		l := New(addr, on(n), pause, start)
		ready(t, l, start)
		for i := time.Duration(1); i <= 3; i++ {
			ready(t, l, start+i*want-1)
			if n.Dialled() != int(i) {
				t.Errorf("pause %v: the socket is renewed %d times before %v: no refusal would be seen", pause, n.Dialled()-1, i*want)
			}
			ready(t, l, start+i*want)
			if n.Dialled() != int(i)+1 || n.Sockets() != 1 {
				t.Errorf("pause %v: at %v %d dials, %d sockets open, want %d and 1", pause, i*want, n.Dialled(), n.Sockets(), i+1)
			}
		}
		l.Close()
	}
}

func TestTheOldSocketServesUntilThereIsANewOne(t *testing.T) {
	n := &fakenet.Net{}
	l := linkTo(t, "10.0.0.1", on(n))
	ready(t, l, 0)
	n.Set(func() { n.DialErr = func(string) error { return errNoDescriptors } })
	for now := time.Minute; now < 2*time.Minute; now += time.Second {
		ready(t, l, now)
		write(t, l, "x")
	}
	if n.Sockets() != 1 || n.Dialled() != 2 {
		t.Errorf("%d sockets are open after %d dials, want 1 after 2: not one at each tick", n.Sockets(), n.Dialled())
	}
	n.Set(func() { n.DialErr = nil })
	ready(t, l, 2*time.Minute)
	expect(t, "dials once there are descriptors again", n.Dialled(), 3)
	expect(t, "open sockets", n.Sockets(), 1)
}

func TestWithoutASocketEachTickTriesToGetOne(t *testing.T) {
	n := &fakenet.Net{DialErr: func(string) error { return errNoDescriptors }}
	l := linkTo(t, "10.0.0.1", on(n))
	for tick := 1; tick <= 3; tick++ {
		if err := l.Ready(time.Duration(tick) * 100 * time.Millisecond); !errors.Is(err, errNoDescriptors) {
			t.Errorf("error %v, want %v", err, errNoDescriptors)
		}
		if err, fatal := l.Write([]byte("x"), 0); !errors.Is(err, errNoDescriptors) || !fatal {
			t.Errorf("write: %v, fatal %v", err, fatal)
		}
		expect(t, "dials", n.Dialled(), tick)
	}
	n.Set(func() { n.DialErr = nil })
	ready(t, l, time.Second)
	write(t, l, "x")
}

func TestAFailedWriteIsTriedOnceMoreFromANewSocket(t *testing.T) {
	refused := func(string) error { return refusal }
	unreachable := func(string) error { return errNoRoute }
	type outcome struct {
		err     error
		fatal   bool
		sent    []string
		dials   []string // after the first one
		sockets int
	}
	tests := []struct {
		name              string
		addrs             []string
		writeErr, dialErr func(string) error
		want              outcome
	}{
		{
			"refused: the datagram before is lost, this one goes out", []string{"10.0.0.1"}, once("10.0.0.1:8125", refusal), nil,
			outcome{refusal, false, []string{"x to 10.0.0.1:8125"}, []string{"10.0.0.1:8125"}, 1},
		},
		{
			"refused: to the next of several addresses", []string{"10.0.0.1", "10.0.0.2"}, once("10.0.0.1:8125", refusal), nil,
			outcome{refusal, false, []string{"x to 10.0.0.2:8125"}, []string{"10.0.0.2:8125"}, 1},
		},
		{
			"refused: the next one has no route", []string{"10.0.0.1", "10.0.0.2"}, once("10.0.0.1:8125", refusal), once("10.0.0.2:8125", errNoRoute),
			outcome{refusal, false, []string{"x to 10.0.0.1:8125"}, []string{"10.0.0.2:8125", "10.0.0.1:8125"}, 1},
		},
		{
			"refused, and no descriptor for a new socket: the old one serves", []string{"10.0.0.1"}, once("10.0.0.1:8125", refusal), func(string) error { return errNoDescriptors },
			outcome{refusal, false, []string{"x to 10.0.0.1:8125"}, []string{"10.0.0.1:8125"}, 1},
		},
		{
			"refused twice", []string{"10.0.0.1"}, refused, nil,
			outcome{refusal, true, nil, []string{"10.0.0.1:8125"}, 0},
		},
		{
			"an interface that went away and came back: nothing is lost", []string{"10.0.0.1", "10.0.0.2"}, once("10.0.0.1:8125", errNoRoute), nil,
			outcome{nil, false, []string{"x to 10.0.0.1:8125"}, []string{"10.0.0.1:8125"}, 1},
		},
		{
			"one that stays away", []string{"10.0.0.1"}, unreachable, nil,
			outcome{errNoRoute, true, nil, []string{"10.0.0.1:8125"}, 0},
		},
		{
			"no time: nothing is tried again", []string{"10.0.0.1"}, once("10.0.0.1:8125", os.ErrDeadlineExceeded), nil,
			outcome{os.ErrDeadlineExceeded, true, nil, nil, 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &fakenet.Net{Lookup: finds(tt.addrs...)}
			l := linkTo(t, "stats", on(n))
			l.Ready(0)
			l.Adopt(<-l.Answers(), 0)
			ready(t, l, 0)
			n.Set(func() { n.WriteErr, n.DialErr = tt.writeErr, tt.dialErr })
			err, fatal := l.Write([]byte("x"), 0)
			got := outcome{err, fatal, texts(n), nil, n.Sockets()}
			n.Set(func() { got.dials = append(got.dials, n.Dials[1:]...) })
			expect(t, "write", got, tt.want)

			n.Set(func() { n.WriteErr, n.DialErr = nil, nil })
			ready(t, l, time.Second)
			write(t, l, "y")
			if sent := n.Sent(); sent[len(sent)-1].Text != "y" || n.Sockets() != 1 {
				t.Errorf("when all is well again: sent %v, %d sockets are open", sent, n.Sockets())
			}
		})
	}
}

func TestWithARefusalOnEachAddressAllAreTriedInTurn(t *testing.T) {
	n := &fakenet.Net{Lookup: finds("10.0.0.1", "10.0.0.2", "::1")}
	l := linkTo(t, "stats", on(n))
	l.Ready(0)
	l.Adopt(<-l.Answers(), 0)
	pending := map[string]bool{} // as the system has it: a datagram is refused at the next write
	n.Set(func() {
		n.WriteErr = func(peer string) error {
			if pending[peer] = !pending[peer]; !pending[peer] {
				return refusal
			}
			return nil
		}
	})
	for tick := 0; tick < 5; tick++ {
		ready(t, l, time.Duration(tick)*time.Second)
		if err, fatal := l.Write([]byte(fmt.Sprint(tick)), 0); fatal || (err == refusal) != (tick > 0) {
			t.Errorf("tick %d: %v, fatal %v", tick, err, fatal)
		}
	}
	expect(t, "datagrams", texts(n), []string{
		"0 to 10.0.0.1:8125", "1 to 10.0.0.2:8125", "2 to [::1]:8125", "3 to 10.0.0.1:8125", "4 to 10.0.0.2:8125",
	})
}

func TestAResolverThatFindsNothingHasFailed(t *testing.T) {
	l := linkTo(t, "stats", on(&fakenet.Net{Lookup: finds()}))
	l.Ready(0)
	l.Adopt(<-l.Answers(), 0)
	if err := l.Ready(0); err == nil || !strings.Contains(err.Error(), "stats: no address") {
		t.Errorf("got %v, want an error that says that there is no address", err)
	}
}

func TestASlowLookupsOwnErrorIsTheCause(t *testing.T) {
	answer := make(chan error)
	n := &fakenet.Net{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, <-answer }}
	l := linkTo(t, "stats", on(n))
	for now := time.Duration(0); now < slowLookup; now += time.Second {
		if err := l.Ready(now); err != ErrNotResolved {
			t.Fatalf("at %v: %v, want %v", now, err, ErrNotResolved)
		}
	}
	if err := l.Ready(slowLookup); err == nil || err == ErrNotResolved || !strings.Contains(err.Error(), "stats has had no answer for 20s") {
		t.Errorf("after 20 s: %v, want an error that says so", err)
	}
	noSuchHost := &net.DNSError{Err: "no such host", Name: "stats", IsNotFound: true}
	answer <- noSuchHost
	l.Adopt(<-l.Answers(), 25*time.Second)
	for now := 25 * time.Second; now < time.Minute; now += time.Second { // the next lookup is slow too
		if err := l.Ready(now); err != error(noSuchHost) {
			t.Fatalf("at %v: %v, want %v", now, err, noSuchHost)
		}
	}
	answer <- nil // ends the second one
}

func TestLookupsThatHangAreOneAtATimeAmongAllLinks(t *testing.T) {
	asked := make(chan string, 100)
	answer := make(chan struct{})
	network := on(&fakenet.Net{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		asked <- host
		<-answer // whatever its context says
		return fakenet.Addrs("10.0.0.1"), nil
	}})
	tick := func(l *Link) {
		t.Helper()
		for now := time.Duration(0); now < time.Hour; now += time.Minute {
			if err := l.Ready(now); err == nil {
				t.Fatal("there is a socket")
			}
		}
	}
	first := linkTo(t, "first", network)
	tick(first)
	expect(t, "the host that is asked for", <-asked, "first")
	first.Close() // which its lookup does not end for
	for i := 0; i < 10; i++ {
		l := linkTo(t, "other", network)
		tick(l)
		l.Close()
		if a := <-l.Answers(); a.err != context.Canceled { // its goroutine has ended
			t.Errorf("a link that is closed before its turn has the answer %v", a)
		}
	}
	last := linkTo(t, "last", network)
	tick(last)
	expect(t, "further lookups while the first one hangs", len(asked), 0)

	answer <- struct{}{}
	expect(t, "the host that is asked for once it has ended", <-asked, "last")
	answer <- struct{}{}
	last.Adopt(<-last.Answers(), 0)
	ready(t, last, 0)
	expect(t, "further lookups", len(asked), 0)
}

func TestCloseLeavesNothing(t *testing.T) {
	begun, cancelled := make(chan struct{}), make(chan struct{})
	n := &fakenet.Net{Lookup: finds("10.0.0.1")}
	l := linkTo(t, "stats", on(n))
	l.Ready(0)
	l.Adopt(<-l.Answers(), 0)
	ready(t, l, 0)
	n.Set(func() {
		n.Lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			close(begun)
			<-ctx.Done()
			close(cancelled)
			return nil, ctx.Err()
		}
	})
	ready(t, l, time.Minute)
	<-begun
	l.Close()
	<-cancelled
	expect(t, "open sockets", n.Sockets(), 0)
	l.Close() // once more does no harm
}

func TestALinkShowsItsPeerOrItsAddress(t *testing.T) {
	stats := linkTo(t, "stats", on(&fakenet.Net{Lookup: finds("10.0.0.1")}))
	expect(t, "before it is resolved", stats.String(), "udp stats:8125")
	stats.Ready(0)
	stats.Adopt(<-stats.Answers(), 0)
	expect(t, "when it is", stats.String(), "udp 10.0.0.1:8125")
	stats.Close()
	expect(t, "when it is closed", stats.String(), "udp stats:8125")
	expect(t, "with IPv6", linkTo(t, "[::1]:1", on(&fakenet.Net{})).String(), "udp [::1]:1")
	if unixSockets {
		l := linkTo(t, "unix:///a", on(&fakenet.Net{}))
		ready(t, l, 0)
		expect(t, "of a unix socket", l.String(), "unix /a")
	}
}

// listen opens a UDP server on loopback.
func listen(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	server, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Skipf("no server on loopback: %v", err)
	}
	t.Cleanup(func() { server.Close() })
	return server.(*net.UDPConn)
}

// receive returns the next datagram, or fails the test.
func receive(t testing.TB, server net.PacketConn) string {
	t.Helper()
	server.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1<<16)
	n, _, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestARefusalIsSeenAndCostsOneDatagram(t *testing.T) {
	switch runtime.GOOS {
	case "windows", "plan9", "js", "wasip1":
		t.Skip("a sender is told of no refusal on " + runtime.GOOS)
	}
	server := listen(t, "127.0.0.1:0")
	addr := server.LocalAddr().String()
	l := linkTo(t, addr, System())
	ready(t, l, 0)
	write(t, l, "one")
	expect(t, "received", receive(t, server), "one")
	server.Close()

	write(t, l, "two") // the system cannot know yet that nobody listens
	for _, text := range []string{"three", "four"} {
		socket := l.conn.LocalAddr().String()
		if err, fatal := l.Write([]byte(text), 0); !isRefused(err) || fatal {
			t.Fatalf("a write to nobody: %v, fatal %v", err, fatal)
		}
		if l.conn.LocalAddr().String() == socket {
			t.Error("it was tried once more from the same socket, which address translation may know")
		}
	}
	server = listen(t, addr)
	if err, fatal := l.Write([]byte("five"), 0); !isRefused(err) || fatal {
		t.Errorf("the first write after the server is back: %v, fatal %v", err, fatal)
	}
	expect(t, "received by the server that is back", receive(t, server), "five")
	write(t, l, "six")
	expect(t, "received", receive(t, server), "six")
}

// listenUnix opens a unix datagram server, where there is such a thing.
func listenUnix(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	if !unixSockets {
		t.Skip("there are no unix datagram sockets on " + runtime.GOOS)
	}
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// socketPath returns a path that is short enough for a socket.
func socketPath(t testing.TB) string {
	dir, err := os.MkdirTemp("", "rm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestAUnixSocketThatIsRecreatedLosesNothing(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	l := linkTo(t, "unix://"+path, System())
	for i := 0; i < 3; i++ {
		ready(t, l, 0)
		write(t, l, fmt.Sprint(i)) // no error: the system refuses the datagram itself, not the one before
		expect(t, "received", receive(t, server), fmt.Sprint(i))
		server.Close()
		os.Remove(path)
		server = listenUnix(t, path)
	}
	server.Close()
	os.Remove(path)
	if err, fatal := l.Write([]byte("x"), 0); err == nil || !fatal {
		t.Errorf("a write to nobody: %v, fatal %v", err, fatal)
	}
	if err := l.Ready(0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket that does not exist: %v", err)
	}
	server = listenUnix(t, path)
	ready(t, l, 0)
	write(t, l, "back")
	expect(t, "received", receive(t, server), "back")
}

func TestAUnixSocketsStalledReaderIsATimeoutAndKeepsTheSocket(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	network := System()
	dial, dials := network.Dial, 0
	network.Dial = func(network, address string) (net.Conn, error) { dials++; return dial(network, address) }
	l := linkTo(t, "unix://"+path, network)
	ready(t, l, 0)
	queued, err, fatal := 0, error(nil), false
	for ; err == nil; queued++ {
		if queued == 10_000 {
			t.Skip("this system's unix sockets take any number of datagrams")
		}
		err, fatal = l.Write([]byte("x"), 0)
	}
	queued--
	if !isTimeout(err) {
		if runtime.GOOS != "linux" {
			t.Skipf("this system's sockets do not tell when they have room again: %v", err)
		}
		t.Fatalf("the write failed with %v, want its deadline", err)
	}
	if !fatal {
		t.Error("the rest of the tick would wait as well")
	}
	l.Rest()
	for ; queued > 0; queued-- { // the reader goes on
		expect(t, "received", receive(t, server), "x")
	}
	ready(t, l, 0)
	write(t, l, "again")
	expect(t, "received", receive(t, server), "again")
	expect(t, "dials", dials, 1)
}

func TestAWriteAllocatesNothing(t *testing.T) {
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("the network that Go makes up on " + runtime.GOOS + " copies what is written")
	}
	l := linkTo(t, listen(t, "127.0.0.1:0").LocalAddr().String(), System())
	datagram := []byte("x:1|g")
	now := time.Duration(0)
	if n := testing.AllocsPerRun(100, func() {
		if l.Ready(now) != nil {
			t.Fatal("there is no socket")
		}
		if err, _ := l.Write(datagram, now); err != nil {
			t.Fatal(err)
		}
		l.Rest()
	}); n != 0 {
		t.Errorf("a tick's write allocates %v times", n)
	}
}
