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

const (
	// maxNames is how many names of own gauges there may be: a source that
	// makes names up must not fill memory, or the server's disk.
	maxNames = 4096

	// maxName is the longest name of an own gauge in bytes: Graphite makes a
	// file of each part, and file names end at 255.
	maxName = 255
)

// Tick is what a function that was given to Register adds its gauges to. It is
// valid while that function runs; later use of it does nothing, and so does a
// zero Tick.
type Tick struct{ source *source }

// Gauge sets the level name, which goes up and down, to value. A negative value
// is sent as 0 and the value in the same datagram, because StatsD takes a signed
// value for a change.
func (t *Tick) Gauge(name string, value int64) {
	t.add(name, false, func(k *sink, safe string) { k.gauge(safe, value) })
}

// GaugeFloat is Gauge for a value that need not be whole. It is sent as a decimal
// fraction; NaN and infinities are not sent.
func (t *Tick) GaugeFloat(name string, value float64) {
	t.add(name, false, func(k *sink, safe string) { k.fraction(safe, value) })
}

// Cumulative sets name, which only grows while the program lives, to value. Stop
// leaves it as it is, where it sets a level to 0.
func (t *Tick) Cumulative(name string, value int64) {
	t.add(name, true, func(k *sink, safe string) { k.gauge(safe, value) })
}

// CumulativeFloat is Cumulative for a value that need not be whole, as GaugeFloat
// is for Gauge.
func (t *Tick) CumulativeFloat(name string, value float64) {
	t.add(name, true, func(k *sink, safe string) { k.fraction(safe, value) })
}

func (t *Tick) add(name string, cumulative bool, add func(k *sink, safe string)) {
	if t.source == nil {
		return
	}
	if r := t.source.calling.Load(); r != nil {
		r.ownGauge(t.source, name, cumulative, add)
	}
}

// source is a function that was given to Register.
type source struct {
	collect func(*Tick)
	tick    Tick // what collect is called with

	gone    atomic.Bool         // it was taken back, or left out
	calling atomic.Pointer[run] // the run that is calling collect, if any
}

func newSource(collect func(*Tick)) *source {
	s := &source{collect: collect}
	s.tick.source = s
	return s
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

// sources are all there are, in the order in which they came.
type sources struct {
	mu   sync.Mutex
	list []*source // replaced, never changed: a tick goes on with what it has
}

// add adds a source and returns the function that takes it back.
func (all *sources) add(s *source) func() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.list = append(slices.Clip(all.list), s)
	return func() { all.remove(s) }
}

func (all *sources) remove(s *source) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if i := slices.Index(all.list, s); i >= 0 {
		s.gone.Store(true)
		all.list = slices.Delete(slices.Clone(all.list), i, i+1)
	}
}

func (all *sources) get() []*source {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.list
}

// ownName is what is known of the name of an own gauge.
type ownName struct {
	safe       string // as it is sent
	cumulative bool
	source     *source
}

// ownNames are the names of own gauges seen so far.
type ownNames map[string]ownName

// known returns what is known of name, which it takes in if there is room.
func (n ownNames) known(s *source, name string, cumulative bool) (own ownName, ok bool) {
	if own, ok = n[name]; ok {
		if own.source != s || own.cumulative != cumulative { // the source that sets it now decides when it ends
			own.source, own.cumulative = s, cumulative
			n[name] = own
		}
		return own, true
	}
	if len(n) >= maxNames || len(name) > maxName {
		return ownName{}, false
	}
	name = strings.Clone(name) // it may be part of something large
	own = ownName{safeName(name), cumulative, s}
	n[name] = own
	return own, true
}
