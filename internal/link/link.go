// Package link is the way to the StatsD server: it resolves the server's name,
// keeps one connected datagram socket, replaces it when that is of use, and
// writes to it. It never waits for a resolver, and for a socket no longer than
// writeTimeout.
package link

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	// A name is resolved anew this often, so that one that moves is followed.
	// The socket is replaced as often, or every two pauses if that is less often:
	// behind address translation a stale entry would keep it from a server that
	// has moved. Were it replaced at each tick, no refusal would be seen.
	renewEvery = time.Minute

	// When the writes of a tick have waited that long, they have failed: a unix
	// socket's reader has stalled. Three of them, a tick's, that of its sources and
	// the last one of Stop, fit into the second that Stop may take.
	writeTimeout = 250 * time.Millisecond
)

// Link is a way to one server. It is used by one goroutine. Times are those of
// its clock, from any start.
type Link struct {
	addr  Address
	net   *Net
	renew time.Duration // how old a socket may be

	conn    net.Conn
	send    func(datagram []byte) error // writes to conn, or fails rather than waits; nil if conn cannot
	peer    int                         // which of found conn is connected to
	dialled time.Duration               // when
	waited  time.Duration               // by the writes since Rest
	found   []string                    // addresses of the server, as Dial takes them
	err     error                       // why there is no conn

	resolver *resolver // nil if the server has no name
}

// New returns a link to addr. Pause is the time between two ticks.
func New(addr Address, network *Net, pause, now time.Duration) *Link {
	l := &Link{addr: addr, net: network, renew: max(renewEvery, 2*pause)}
	if addr.network == "unixgram" {
		l.found = []string{addr.host}
	} else if addr.host == localhost {
		// It needs no resolver, which a bare container may not have.
		l.found = l.peers(netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback())
	} else if ip, err := netip.ParseAddr(addr.host); err == nil {
		l.found = l.peers(ip)
	} else {
		l.resolver, l.err = newResolver(network, addr.host, now), ErrNotResolved
	}
	return l
}

// Follow takes over what an earlier link has found out about the same server. It
// serves until a lookup finds something else.
func (l *Link) Follow(before *Link) {
	if l.addr == before.addr {
		l.found, l.peer = before.found, before.peer
	}
}

// Answers returns the channel on which the answer of a lookup arrives, for Adopt.
func (l *Link) Answers() <-chan Answer {
	if l.resolver == nil {
		return nil
	}
	return l.resolver.answers
}

// Ready sees to it that there is a socket and that it is not too old. The error
// says why there is none.
func (l *Link) Ready(now time.Duration) error {
	if l.resolver != nil {
		l.resolver.ask(l.conn != nil, now)
	}
	if l.conn == nil || now-l.dialled >= l.renew {
		l.dial(l.peer, now)
	}
	if l.conn != nil {
		return nil
	}
	if l.err == ErrNotResolved && now-l.resolver.made >= slowLookup {
		return fmt.Errorf("the lookup of %s has had no answer for %v", l.addr.host, slowLookup)
	}
	return l.err
}

// Open sees to it that there is a socket, if an address of the server is known.
func (l *Link) Open(now time.Duration) {
	if l.conn == nil {
		l.dial(l.peer, now)
	}
}

// Adopt takes over what a lookup has found. What was found before goes on serving
// if it has failed.
func (l *Link) Adopt(a Answer, now time.Duration) {
	l.resolver.asking = false
	if a.err != nil {
		if l.conn == nil {
			l.err = a.err
		}
		return
	}
	var old string
	if l.conn != nil {
		old = l.found[l.peer]
	}
	l.found = l.peers(a.addrs...)
	if l.peer = slices.Index(l.found, old); l.peer < 0 {
		l.peer = 0
		l.dial(0, now)
	}
}

// peers returns the addresses to dial, IPv4 first: stock StatsD listens there
// only. Resolvers give IPv4 addresses as ::ffff:127.0.0.1 too.
func (l *Link) peers(addrs ...netip.Addr) (peers []string) {
	for _, v6 := range []bool{false, true} {
		for _, ip := range addrs {
			if ip = ip.Unmap(); ip.Is6() == v6 {
				peers = append(peers, net.JoinHostPort(ip.String(), strconv.Itoa(int(l.addr.port))))
			}
		}
	}
	return peers
}

// dial connects a new socket to the first of the addresses, from that one on,
// that can be dialled. The old socket is kept until there is a new one.
func (l *Link) dial(from int, now time.Duration) {
	l.dialled = now // a failure is not tried again at each tick while the old socket serves
	for i := range l.found {
		peer := (from + i) % len(l.found)
		conn, err := l.net.Dial(l.addr.network, l.found[peer])
		if err != nil {
			l.err = err
			continue
		}
		l.drop()
		l.conn, l.peer, l.err, l.send = conn, peer, nil, nil
		if l.addr.network == "udp" {
			l.send = atOnce(conn)
		}
		return
	}
}

// Write sends one datagram over the socket that Ready has seen to. The error is
// the first one that was met: with a refusal, which the system reports at the next
// write and instead of it, the datagram before was lost, and this one has been
// sent once more.
//
// That goes out from a new socket, and to the next address if there are several:
// address translation keeps a refused sender's entry as long as that sends, and a
// server may listen on another of its addresses. Any other failure but that of
// time is tried once more from a new socket as well: a unix socket that was
// recreated, an interface that went away.
//
// With fatal, the next datagram would fail as well.
func (l *Link) Write(datagram []byte, now time.Duration) (err error, fatal bool) {
	if l.conn == nil {
		return l.err, true
	}
	err = l.writeOnce(datagram)
	if err == nil || isTimeout(err) {
		return err, err != nil
	}
	next := l.peer
	if isRefused(err) {
		next++
	}
	l.dial(next, now) // or, out of descriptors, the old socket serves
	again := l.writeOnce(datagram)
	switch {
	case again == nil && (!isRefused(err) || l.addr.network == "unixgram"):
		return nil, false // a unix socket refuses the datagram itself, not the one before
	case again != nil:
		l.drop()
		l.err = again
	}
	return err, again != nil
}

func (l *Link) writeOnce(datagram []byte) error {
	if l.send != nil {
		if err := l.send(datagram); !isTimeout(err) {
			return err
		}
		// The socket's queue is full: a tick of thousands of gauges is faster
		// than the network.
	}
	start := time.Now()
	if err := l.conn.SetWriteDeadline(start.Add(writeTimeout - l.waited)); err != nil {
		return err
	}
	_, err := l.conn.Write(datagram)
	l.waited += max(time.Since(start), 1) // so that Rest sees it
	return err
}

// Rest takes the deadline back after the writes of a tick. Its timer would wake
// the process for nothing, and when it is over no write is even tried.
func (l *Link) Rest() {
	if l.conn != nil && l.waited > 0 {
		_ = l.conn.SetWriteDeadline(time.Time{})
	}
	l.waited = 0
}

func isTimeout(err error) bool {
	if err == nil {
		return false // before what follows is allocated
	}
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// drop closes the socket, if there is one.
func (l *Link) drop() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// Close ends the link: no socket remains, and no lookup that can be cancelled.
func (l *Link) Close() {
	l.drop()
	if l.resolver != nil {
		l.resolver.cancel()
	}
}

// String returns what the link is connected to, such as "udp 127.0.0.1:8125",
// or the address as it was given while it is not.
func (l *Link) String() string {
	if l.conn == nil || l.addr.network == "unixgram" {
		return l.addr.String()
	}
	return "udp " + l.found[l.peer]
}
