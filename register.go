package runtimemetrics

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

const (
	// maxNames is how many names of own gauges there may be: a source that
	// makes names up must not fill memory, or the server's disk.
	maxNames = 4096

	// maxName is the longest name of an own gauge in bytes: Graphite makes a
	// file of each part, and file names end at 255.
	maxName = 255
)

// source is a function that was given to Register.
type source struct {
	author     any // the function, for its name
	collect    registry.Source
	cumulative func(name string) bool

	// What collect is called with, made once. They do something only while it
	// is: a goroutine that it left behind has no tick to add to.
	gauge    func(name string, value int64)
	fraction func(name string, value float64)

	gone    atomic.Bool         // it was taken back, or left out
	calling atomic.Pointer[run] // the run that is calling collect, if any
}

func newSource(author any, collect registry.Source, cumulative func(name string) bool) *source {
	s := &source{author: author, collect: collect, cumulative: cumulative}
	s.gauge = func(name string, value int64) {
		if r := s.calling.Load(); r != nil {
			r.ownGauge(s, name, func(k *sink, safe string) { k.gauge(safe, value) })
		}
	}
	s.fraction = func(name string, value float64) {
		if r := s.calling.Load(); r != nil {
			r.ownGauge(s, name, func(k *sink, safe string) { k.fraction(safe, value) })
		}
	}
	return s
}

// String names the function, so that its author finds it.
func (s *source) String() string {
	f := runtime.FuncForPC(reflect.ValueOf(s.author).Pointer())
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
func (n ownNames) known(s *source, name string) (own ownName, ok bool) {
	if own, ok = n[name]; ok {
		if own.source != s { // the source that sets it now decides when it ends
			own.source, own.cumulative = s, s.cumulative(name)
			n[name] = own
		}
		return own, true
	}
	if len(n) >= maxNames || len(name) > maxName {
		return ownName{}, false
	}
	name = strings.Clone(name) // it may be part of something large
	own = ownName{safeName(name), s.cumulative(name), s}
	n[name] = own
	return own, true
}
