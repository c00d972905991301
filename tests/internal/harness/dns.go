package harness

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Name is the host name that Resolver knows.
const Name = "statsd.test"

// Resolver is a DNS server that knows one name.
type Resolver struct {
	Addr string // where it listens

	mu     sync.Mutex
	addrs  []netip.Addr
	silent bool
	asked  int
	from   map[string]bool
}

// Resolve starts a resolver that answers with the addresses, or with "no such
// name" if there is none.
func Resolve(t testing.TB, addrs ...string) *Resolver {
	t.Helper()
	return ResolveAt(t, "127.0.0.1:0", addrs...)
}

// ResolveAt is Resolve at an address and port.
func ResolveAt(t testing.TB, addr string, addrs ...string) *Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &Resolver{Addr: conn.LocalAddr().String(), from: map[string]bool{}}
	r.Answer(addrs...)
	served := make(chan struct{})
	go func() {
		defer close(served)
		r.serve(conn)
	}()
	t.Cleanup(func() {
		conn.Close()
		<-served
	})
	return r
}

// Answer changes what the resolver answers.
func (r *Resolver) Answer(addrs ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addrs, r.silent = nil, false
	for _, addr := range addrs {
		r.addrs = append(r.addrs, netip.MustParseAddr(addr))
	}
}

// Silence makes the resolver answer nothing at all.
func (r *Resolver) Silence() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = true
}

// Asked returns how many questions have arrived.
func (r *Resolver) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// Askers returns from how many sockets questions have arrived.
func (r *Resolver) Askers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.from)
}

func (r *Resolver) serve(conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		if !r.answer(&m, from.String()) {
			continue
		}
		if answer, err := m.Pack(); err == nil {
			conn.WriteTo(answer, from)
		}
	}
}

// answer makes a question into its answer; it returns false if there is none.
func (r *Resolver) answer(m *dnsmessage.Message, from string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.from[from] = true
	if r.silent {
		return false
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if len(r.addrs) == 0 || !strings.HasPrefix(q.Name.String(), Name+".") {
		m.RCode = dnsmessage.RCodeNameError
		return true
	}
	for _, addr := range r.addrs {
		h := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, Type: q.Type}
		switch {
		case q.Type == dnsmessage.TypeA && addr.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: addr.As4()}})
		case q.Type == dnsmessage.TypeAAAA && addr.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	return true
}
