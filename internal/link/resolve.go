package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// While a name does not resolve, the resolver is asked at each tick, but no
	// more often than this: a little less than a second, so that at a pause of a
	// second no tick comes too early.
	lookupAgain = 900 * time.Millisecond

	// A lookup that takes longer is a cause by itself; it goes on.
	slowLookup = 20 * time.Second
)

// Net is what a link asks of the system. Links share one: there is one lookup at
// a time among them.
type Net struct {
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial   func(network, address string) (net.Conn, error)

	// Full while a lookup is under way. One that calls the C library cannot be
	// cancelled, holds a thread, and may take for ever.
	turn chan struct{}
	once sync.Once // makes turn
}

// lookUp resolves host. While another lookup is under way it waits, unless ctx is
// cancelled.
func (n *Net) lookUp(ctx context.Context, host string) Answer {
	n.once.Do(func() { n.turn = make(chan struct{}, 1) })
	select {
	case n.turn <- struct{}{}:
	case <-ctx.Done():
		return Answer{err: ctx.Err()}
	}
	addrs, err := n.Lookup(ctx, host)
	<-n.turn
	if err == nil && len(addrs) == 0 {
		err = fmt.Errorf("lookup %s: no address", host)
	}
	return Answer{addrs, err}
}

// System returns the calls of package net.
func System() *Net {
	return &Net{
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			// Not with the link's context: when that is cancelled, package net
			// returns at once, and a lookup of the C library goes on behind its back.
			// Each Stop and Start would add one while a resolver hangs.
			return net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
		},
		Dial: net.Dial,
	}
}

// ErrNotResolved is why there is no socket yet while the first lookup is under
// way. It is no cause of an outage: the lookup's answer, or its absence, will be.
var ErrNotResolved = errors.New("the name has not been resolved yet")

// Answer is what a lookup has found.
type Answer struct {
	addrs []netip.Addr
	err   error
}

// resolver looks up the name of a server, again and again, one lookup at a time.
type resolver struct {
	host    string
	net     *Net
	made    time.Duration
	asked   time.Duration // when the last lookup began
	asking  bool          // an answer will come
	answers chan Answer   // holds that answer
	context context.Context
	cancel  context.CancelFunc
}

func newResolver(network *Net, host string, now time.Duration) *resolver {
	r := &resolver{host: host, net: network, made: now, asked: now - lookupAgain, answers: make(chan Answer, 1)}
	r.context, r.cancel = context.WithCancel(context.Background())
	return r
}

// ask starts a lookup if it is time to: less often while what was found before
// serves.
func (r *resolver) ask(serves bool, now time.Duration) {
	age := lookupAgain
	if serves {
		age = renewEvery
	}
	if !r.asking && now-r.asked >= age {
		r.asking, r.asked = true, now
		go func() { r.answers <- r.net.lookUp(r.context, r.host) }()
	}
}
