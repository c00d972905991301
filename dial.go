package runtimemetrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	defaultPort = 8125 // StatsD's

	maxSocketPath = 107 // sockaddr_un's 108 bytes on Linux, less the final NUL

	// A socket is redialled, and a name resolved anew, this often: a name that
	// moves is followed, and so is a change of the routes.
	redialEvery = time.Minute

	// While a name does not resolve, the resolver is asked at each tick, but no
	// more often than this: a little less than a second, so that at a pause of a
	// second no tick comes too early.
	lookupAgain = 900 * time.Millisecond

	// A lookup that takes longer has failed.
	lookupTimeout = 20 * time.Second

	// A write that takes longer has failed: a unix socket's reader has stalled.
	// Two of them, a tick's and the last one of Stop, fit into the second that
	// Stop may take.
	writeTimeout = 250 * time.Millisecond
)

// address is a parsed --statsd.
type address struct {
	network string // "udp" or "unixgram"
	host    string // host name or IP address; path of a unix socket
	port    uint16 // of udp
}

// String returns the address as the start line and errors show it.
func (a address) String() string {
	if a.network == "unixgram" {
		return "unix " + a.host
	}
	return "udp " + net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

func checkAddress(text string) error {
	_, err := parseAddress(text)
	return err
}

// parseAddress reads host:port, host, [v6]:port, [v6], udp://host:port and
// unix:///path. IPv6 needs its brackets: ::1:8125 is an address without a port.
func parseAddress(text string) (address, error) {
	wrong := func(what string) (address, error) {
		return address{}, fmt.Errorf("%s; use host:port such as localhost:8125, [::1]:8125, or unix:///path/of/socket", what)
	}
	if path, ok := strings.CutPrefix(text, "unix://"); ok {
		switch {
		case runtime.GOOS == "windows" || runtime.GOOS == "js" || runtime.GOOS == "wasip1":
			return wrong("unix datagram sockets do not exist on " + runtime.GOOS)
		case !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
			return wrong("the path of a unix socket must be absolute")
		case len(path) > maxSocketPath:
			return wrong(fmt.Sprintf("the path of a unix socket must not be longer than %d bytes", maxSocketPath))
		}
		return address{network: "unixgram", host: path}, nil
	}
	text = strings.TrimPrefix(text, "udp://")
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return wrong(fmt.Sprintf("%q is neither udp nor unix", scheme))
	}

	host, port := text, strconv.Itoa(defaultPort)
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
	} else if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return wrong("is neither host:port nor [v6]:port")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return wrong(fmt.Sprintf("port %q is not a number from 1 to 65535", port))
	}
	name := host
	if ip, err := netip.ParseAddr(host); err == nil {
		name = ip.Zone() // all else of an IP address has been checked
	} else if host == "" {
		return wrong("the host is missing")
	}
	for _, c := range name {
		if !safeRune(c) {
			return wrong(fmt.Sprintf("host %q must not hold %q", host, c))
		}
	}
	if len(name) > 253 { // RFC 1035, without the final dot
		return wrong("the host is longer than 253 bytes")
	}
	return address{network: "udp", host: host, port: uint16(n)}, nil
}

// netCalls are what a link asks of the system.
type netCalls struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(network, address string) (net.Conn, error)
}

var realNet = netCalls{
	lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	},
	dial: net.Dial,
}

// link is the way to the server: one connected socket that is redialled each
// minute and when it breaks. Its caller serialises all calls.
type link struct {
	addr  address
	calls netCalls

	conn     net.Conn
	send     func(datagram []byte) error // writes to conn, or fails rather than waits; nil if conn cannot
	peer     string                      // what conn is connected to
	dialled  time.Time                   // when
	fresh    bool                        // nothing has been written to conn yet
	deadline time.Time                   // for all writes of a tick, once one had to be given one
	refused  bool                        // the last tick found that the kernel had a refusal to report

	// Resolving, if addr is a name. One lookup runs at a time.
	name     bool
	looking  bool
	lookedUp time.Time
	found    []netip.Addr
	err      error       // why there is no conn
	answers  chan answer // holds the one answer that can be under way
	base     context.Context
	cancel   context.CancelFunc
}

// answer is what a lookup found.
type answer struct {
	addrs []netip.Addr
	err   error
}

var errLookingUp = errors.New("the name has not been resolved yet")

func newLink(addr address, calls netCalls) *link {
	l := &link{addr: addr, calls: calls, answers: make(chan answer, 1)}
	l.base, l.cancel = context.WithCancel(context.Background())
	if addr.network == "udp" {
		if ip, err := netip.ParseAddr(addr.host); err == nil {
			l.found = []netip.Addr{ip.Unmap()}
		} else {
			l.name, l.err = true, errLookingUp
		}
	}
	return l
}

// ready sees to it that there is a socket and that it is not too old. The error
// says why there is none. It never waits for the resolver.
func (l *link) ready(now time.Time) error {
	age := redialEvery
	if l.conn == nil {
		age = lookupAgain
	}
	if l.name && !l.looking && now.Sub(l.lookedUp) >= age {
		l.lookUp(now)
	}
	if l.conn == nil || !l.name && now.Sub(l.dialled) >= redialEvery {
		l.redial(now)
	}
	if l.conn == nil {
		return l.err
	}
	return nil
}

// lookUp starts to resolve the name; the answer arrives in l.answers.
func (l *link) lookUp(now time.Time) {
	l.looking, l.lookedUp = true, now
	base, lookup, host, answers := l.base, l.calls.lookup, l.addr.host, l.answers
	go func() {
		ctx, cancel := context.WithTimeout(base, lookupTimeout)
		defer cancel()
		addrs, err := lookup(ctx, host)
		if err == nil && len(addrs) == 0 {
			err = fmt.Errorf("lookup %s: no address", host)
		}
		answers <- answer{addrs, err}
	}()
}

// adopt takes over what a lookup has found.
func (l *link) adopt(a answer, now time.Time) {
	l.looking = false
	if a.err != nil {
		if l.conn == nil {
			l.err = a.err
		}
		return // what was found before goes on serving
	}
	// IPv4 first: stock StatsD listens there only. Resolvers give IPv4
	// addresses as ::ffff:127.0.0.1 too.
	var v4, v6 []netip.Addr
	for _, ip := range a.addrs {
		if ip = ip.Unmap(); ip.Is4() {
			v4 = append(v4, ip)
		} else {
			v6 = append(v6, ip)
		}
	}
	l.found = append(v4, v6...)
	l.redial(now)
}

// redial connects a new socket: to the same address if that is still among
// those found, else to the first that can be dialled. The old socket is kept
// until there is a new one.
func (l *link) redial(now time.Time) {
	if l.addr.network == "unixgram" {
		l.connect(l.addr.host, now)
		return
	}
	peers := make([]string, len(l.found))
	for i, ip := range l.found {
		peers[i] = netip.AddrPortFrom(ip, l.addr.port).String()
	}
	if l.conn != nil && slices.Contains(peers, l.peer) {
		// A refusal that the kernel has yet to report would go with the old
		// socket, and the outage would seem to be over.
		if !l.refused {
			l.connect(l.peer, now)
		}
		return
	}
	for _, peer := range peers {
		if l.connect(peer, now) {
			return
		}
	}
}

func (l *link) connect(peer string, now time.Time) bool {
	// A failure is not tried again at each tick while the old socket serves.
	l.dialled = now
	conn, err := l.calls.dial(l.addr.network, peer)
	if err != nil {
		l.err = err
		return false
	}
	if l.conn != nil {
		l.conn.Close()
	}
	l.conn, l.peer, l.fresh, l.err = conn, peer, true, nil
	l.send = nil
	if l.addr.network == "udp" {
		l.send = atOnce(conn)
	}
	return true
}

// sent is what became of a write, and of the one before it.
type sent struct {
	err     error // this datagram was not sent
	refused error // the kernel reports that the server refused the one before
	clean   bool  // what was written before on this socket has not been refused
}

// write sends one datagram. The kernel reports that nobody listens at the next
// write, which it drops; so that write is tried once more at once.
func (l *link) write(datagram []byte, now time.Time) sent {
	s := sent{clean: !l.fresh || l.addr.network == "unixgram"}
	s.err = l.writeOnce(datagram)
	switch {
	case s.err == nil:
		return s
	case errors.Is(s.err, syscall.ECONNREFUSED) && l.addr.network == "udp":
		s.refused, s.clean = s.err, false
		s.err = l.writeOnce(datagram)
		return s
	case isTimeout(s.err):
		return s
	}
	// The socket is of no use any more: a unix socket that was recreated, an
	// interface that went away.
	s.clean = s.clean && l.addr.network == "unixgram"
	if l.connect(l.peer, now) {
		s.err = l.writeOnce(datagram)
	}
	if s.err != nil {
		l.drop()
		l.err = s.err
	}
	return s
}

func (l *link) writeOnce(datagram []byte) error {
	l.fresh = false
	if l.send != nil {
		if err := l.send(datagram); !isTimeout(err) {
			return err
		}
		// The socket's queue is full: a tick of thousands of gauges is faster
		// than the network.
	}
	if l.deadline.IsZero() {
		l.deadline = time.Now().Add(writeTimeout)
	}
	if err := l.conn.SetWriteDeadline(l.deadline); err != nil {
		return err
	}
	_, err := l.conn.Write(datagram)
	return err
}

// rest takes the deadline back after the writes of a tick. Its timer would wake
// the process for nothing, and when it is over no write is even tried.
func (l *link) rest() {
	if l.conn != nil && !l.deadline.IsZero() {
		_ = l.conn.SetWriteDeadline(time.Time{})
	}
	l.deadline = time.Time{}
}

func isTimeout(err error) bool {
	if err == nil {
		return false // before what follows is allocated
	}
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// drop closes the socket, if there is one.
func (l *link) drop() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// close ends the link: no socket remains, and no lookup.
func (l *link) close() {
	l.drop()
	l.cancel()
}

// String returns what the link is connected to, such as "udp 127.0.0.1:8125",
// or the address as it was given while it is not.
func (l *link) String() string {
	if l.conn == nil || l.addr.network == "unixgram" {
		return l.addr.String()
	}
	return "udp " + l.peer
}
