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

// source is a function that was given to Register.
type source struct {
	collect    func(gauge func(name string, value int64))
	cumulative []string

	gauge   func(name string, value int64) // what collect is called with
	calling atomic.Pointer[run]            // the run that is calling collect, if any
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

// registry holds the sources in the order in which they came.
type registry struct {
	mu      sync.Mutex
	sources []*source // replaced, never changed: a tick goes on with what it has
}

// add adds a source and returns the function that takes it back.
func (reg *registry) add(collect func(gauge func(name string, value int64)), cumulative []string) func() {
	s := &source{collect: collect, cumulative: slices.Clone(cumulative)}
	s.gauge = func(name string, value int64) {
		// Only while the source is being called: a goroutine that it left
		// behind has no tick to add to.
		if r := s.calling.Load(); r != nil {
			r.ownGauge(s, name, value)
		}
	}
	reg.mu.Lock()
	defer reg.mu.Unlock()
	reg.sources = append(slices.Clip(reg.sources), s)
	return func() { reg.remove(s) }
}

func (reg *registry) remove(s *source) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	if i := slices.Index(reg.sources, s); i >= 0 {
		reg.sources = slices.Delete(slices.Clone(reg.sources), i, i+1)
	}
}

func (reg *registry) all() []*source {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	return reg.sources
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
		return own, true
	}
	if len(n) >= maxNames || len(name) > maxName {
		return ownName{}, false
	}
	name = strings.Clone(name) // it may be part of something large
	own = ownName{safeName(name), slices.Contains(s.cumulative, name), s}
	n[name] = own
	return own, true
}
