package runtimemetrics

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Register adds a source of custom gauges. At each tick, collect is called with a
// Tick that takes the gauges, which are sent under the same prefix as the
// library's own. Register may be called at any time, also before publishing starts
// and after it was stopped. Sources are called one after the other, in the order
// in which they were registered, on a goroutine that runs nothing else.
//
// The function that Register returns unregisters the source, whose levels are then
// set to 0; a call of collect that is under way goes on.
//
// A source that panics or calls runtime.Goexit is logged and not called again. One
// that has not returned after three ticks is logged once; the other sources then
// go on without it until it returns. Nothing that a source does holds up the
// library's own gauges or Stop.
func Register(collect func(*Tick)) (unregister func()) {
	return std.register(collect)
}

// Tick is what a function that was given to Register adds its gauges to. It is
// valid while that function runs, for its goroutine and others. Use after it has
// returned does nothing, or belongs to the next call. Use of a zero Tick does
// nothing.
//
// Names hold letters, digits, '_', '-' and '.'; other characters are made '_'. All
// sources together may have 4,096 names, of at most 255 bytes, and set 4,096 gauges
// in a tick; others are dropped, with one log line. Names that are not set any more
// make room for new ones. A negative value is sent as 0 and the value in the same
// datagram, because StatsD takes a signed value for a change. A value of 2^62 and above
// stands for "no limit" and is sent as 0.
type Tick struct {
	mu     sync.Mutex // a source may use it from goroutines of its own
	guest  *guest     // the one that runs the source, nil while none does
	source *source
}

// Gauge sets the level name, which goes up and down, to value.
func (t *Tick) Gauge(name string, value int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if safe, ok := t.name(name, false); ok {
		t.guest.out.gauge(safe, value)
	}
}

// GaugeFloat is Gauge for a value that need not be whole. It is sent as a decimal
// fraction; NaN and infinities are not sent.
func (t *Tick) GaugeFloat(name string, value float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if safe, ok := t.name(name, false); ok {
		t.guest.out.fraction(safe, value)
	}
}

// Cumulative sets name, which only grows while the program lives, to value. Stop
// leaves it as it is, where it sets a level to 0.
func (t *Tick) Cumulative(name string, value int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if safe, ok := t.name(name, true); ok {
		t.guest.out.gauge(safe, value)
	}
}

// CumulativeFloat is Cumulative for a value that need not be whole, as GaugeFloat
// is for Gauge.
func (t *Tick) CumulativeFloat(name string, value float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if safe, ok := t.name(name, true); ok {
		t.guest.out.fraction(safe, value)
	}
}

// lend gives the tick to the guest that runs the source, and with nil to none.
func (t *Tick) lend(g *guest) {
	t.mu.Lock()
	t.guest = g
	t.mu.Unlock()
}

// name returns name as it is sent, if it is to be sent at all.
func (t *Tick) name(name string, cumulative bool) (safe string, ok bool) {
	if t.guest == nil {
		return "", false
	}
	return t.guest.name(t.source, name, cumulative)
}

// source is a function that was given to Register. Its names belong to the guest
// that is running it.
type source struct {
	collect func(*Tick)
	tick    Tick        // what collect is called with
	busy    atomic.Bool // a guest is running it
	gone    atomic.Bool // it was unregistered, or has failed

	names   map[string]*name
	calls   int    // of collect so far
	swept   int    // the call in which names were last looked through for room
	changed bool   // its levels are others than guest took down
	guest   *guest // the last one that took them down
}

// name is what is known of the name of a custom gauge.
type name struct {
	safe       string // as it is sent
	cumulative bool
	call       int // in which it was last set
	epoch      int // in which it was last set, see session
}

// String names the function, so that its author finds it.
func (s *source) String() string {
	f := runtime.FuncForPC(reflect.ValueOf(s.collect).Pointer())
	if f == nil {
		return "unknown"
	}
	file, line := f.FileLine(f.Entry())
	return fmt.Sprintf("%s (%s:%d)", f.Name(), file[strings.LastIndexByte(file, '/')+1:], line)
}

// register adds a source and returns the function that takes it away.
func (p *publisher) register(collect func(*Tick)) func() {
	s := &source{collect: collect, names: map[string]*name{}}
	s.tick.source = s
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sources = append(slices.Clip(p.sources), s)
	return func() { p.unregister(s) }
}

func (p *publisher) unregister(s *source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.gone.Store(true)
	var others []*source
	for _, other := range p.sources {
		if other != s {
			others = append(others, other)
		}
	}
	p.sources = others
}

// registered returns the sources, which the caller must not change.
func (p *publisher) registered() []*source {
	p.mu.Lock()
	sources := p.sources
	p.mu.Unlock()
	return sources
}
