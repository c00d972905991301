// Package fakenet is a network, with a resolver, that tests lead. Its methods
// LookupNetIP and Dial are what a link.Net asks for. It is for tests only.
package fakenet

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Net is a network on which everything works, save what its hooks say. Once it is
// in use, its fields are read and changed inside Set only.
type Net struct {
	// Lookup answers the resolver's questions; without it no name resolves. It may
	// block, and may call Set.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	// DialErr and WriteErr say why a socket to peer, and a write to it, fails. They
	// are called inside Set.
	DialErr, WriteErr func(peer string) error

	Dials []string // the peers that were dialled, in vain or not
	Open  int      // how many sockets are open

	Deadlines []time.Time // those that were set for writes

	mu   sync.Mutex
	sent []Datagram
}

// Datagram is what was written to a socket.
type Datagram struct {
	At         time.Time
	Peer, Text string
}

// Addrs makes an answer of a resolver.
func Addrs(texts ...string) (addrs []netip.Addr) {
	for _, text := range texts {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs
}

// Set runs f while nothing else happens on the network.
func (n *Net) Set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// Sent returns what was sent so far.
func (n *Net) Sent() (sent []Datagram) {
	n.Set(func() { sent = append(sent, n.sent...) })
	return sent
}

// Dialled returns how many sockets were asked for so far, and Sockets how many
// are open.
func (n *Net) Dialled() (dials int) { n.Set(func() { dials = len(n.Dials) }); return dials }
func (n *Net) Sockets() (open int)  { n.Set(func() { open = n.Open }); return open }

// LookupNetIP asks the resolver.
func (n *Net) LookupNetIP(ctx context.Context, host string) ([]netip.Addr, error) {
	var lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	n.Set(func() { lookup = n.Lookup })
	if lookup == nil {
		return nil, errors.New("lookup " + host + ": the fake network has no resolver")
	}
	return lookup(ctx, host)
}

// Dial opens a socket.
func (n *Net) Dial(network, peer string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.Dials = append(n.Dials, peer)
	if n.DialErr != nil {
		if err := n.DialErr(peer); err != nil {
			return nil, err
		}
	}
	n.Open++
	return &conn{net: n, peer: peer}, nil
}

type conn struct {
	net.Conn // for what is not used
	net      *Net
	peer     string
	closed   bool
}

func (c *conn) Write(b []byte) (int, error) {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if c.net.WriteErr != nil {
		if err := c.net.WriteErr(c.peer); err != nil {
			return 0, err
		}
	}
	c.net.sent = append(c.net.sent, Datagram{time.Now(), c.peer, string(b)})
	return len(b), nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.net.Set(func() { c.net.Deadlines = append(c.net.Deadlines, t) })
	return nil
}

func (c *conn) Close() error {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	c.net.Open--
	return nil
}
