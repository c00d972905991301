package runtimemetrics

import (
	"strings"
	"sync/atomic"

	"github.com/runtimemetrics/runtimemetrics/internal/names"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

const (
	// maxNames is how many names of custom gauges there may be: a source that
	// makes names up must not fill memory, or the server's disk.
	maxNames = 4096

	// maxName is the longest name of a custom gauge in bytes: Graphite makes a
	// file of each part, and file names end at 255.
	maxName = 255

	// When a source has not returned after so many ticks, the others go on without
	// it.
	patience = 3
)

// guest runs the sources, which are the program's code, on a goroutine of its own,
// and formats what they add. It belongs to its goroutine from work to done, and
// to the session the rest of the time.
type guest struct {
	pub     *publisher
	say     func(format string, args ...any)
	epoch   int
	work    chan struct{}   // a tick begins; closed if there will be none any more
	done    chan<- *guest   // its lines are complete
	over    <-chan struct{} // closed when nobody waits for them any more
	out     *sink           // the lines of this tick
	sources []*source       // to run at this tick
	next    int             // which of them comes next; -1 between ticks
	levels  []levels        // those to hand over with this tick
	names   int             // of the sources that are run
	gauges  int             // in this tick
	dropped string          // a name that found no room

	// These are read by the other side: what is being run, which remains the last
	// one of a guest that is retired, and whether this one is to call nothing any
	// more.
	current atomic.Pointer[source]
	retired atomic.Bool
}

// levels are the names of the levels that a source has set, as they are sent.
type levels struct {
	source *source
	names  []string
}

// main is the goroutine. A source that calls runtime.Goexit ends it; another one
// then goes on with the source after it.
func (g *guest) main() {
	ended := false
	defer func() {
		if v := recover(); v != nil { // a fault of this library, not of a source
			g.pub.fault.Do(func() { g.say("internal error: %v; the sources are tried again", v) })
		} else if !ended {
			go g.main()
		}
	}()
	for !g.retired.Load() {
		if g.next < 0 {
			if _, ok := <-g.work; !ok {
				break
			}
			g.begin()
		}
		for g.next < len(g.sources) && !g.retired.Load() {
			s := g.sources[g.next]
			g.next++
			g.call(s)
		}
		if !g.retired.Load() {
			g.current.Store(nil)
		}
		g.next = -1
		select {
		case g.done <- g:
		case <-g.over:
		}
	}
	ended = true
}

// begin prepares for a tick.
func (g *guest) begin() {
	g.out.reset()
	clear(g.levels) // or it would keep sources that are gone, and what is theirs
	g.next, g.levels, g.names, g.gauges, g.dropped = 0, g.levels[:0], 0, 0, ""
	for _, s := range g.sources {
		if s.busy.CompareAndSwap(false, true) { // else its names are not to be looked at
			g.names += len(s.names)
			s.busy.Store(false)
		}
	}
	for _, s := range g.sources {
		if g.names >= maxNames && s.busy.CompareAndSwap(false, true) {
			g.forget(s)
			s.busy.Store(false)
		}
	}
}

// call lets a source add its gauges, unless an earlier call is still under way. A
// source that panics or calls runtime.Goexit is not called again.
func (g *guest) call(s *source) {
	if s.gone.Load() || !s.busy.CompareAndSwap(false, true) {
		return
	}
	defer s.busy.Store(false)
	g.current.Store(s)
	first := len(g.out.ends)
	returned := false
	defer func() {
		v := recover()
		s.tick.lend(nil)
		if g.retired.Load() { // what the others have added is out of date
			g.out.start, g.levels = first, g.levels[:0]
		}
		g.leave(s)
		if returned {
			return
		}
		g.pub.unregister(s)
		if v == nil {
			g.say("source %v called runtime.Goexit and is left out from now on", s)
		} else {
			g.say("source %v panicked and is left out from now on: %s", s, registry.Describe(v))
		}
	}()
	s.calls++
	s.tick.lend(g)
	s.collect(&s.tick)
	returned = true
}

// leave takes down the levels of s if they have changed, or if it was another guest
// that took them down: the session may never have got them.
func (g *guest) leave(s *source) {
	if !s.changed && s.guest == g {
		return
	}
	s.changed, s.guest = false, g
	l := levels{source: s}
	for _, n := range s.names {
		if n.epoch == g.epoch && !n.cumulative {
			l.names = append(l.names, n.safe)
		}
	}
	g.levels = append(g.levels, l)
}

// name returns the name of a gauge of s as it is sent, if there is room for it.
func (g *guest) name(s *source, text string, cumulative bool) (safe string, ok bool) {
	n := s.names[text]
	if n == nil && len(text) <= maxName && g.room(s) {
		text = strings.Clone(text) // it may be part of something large
		n = &name{safe: names.Safe(text)}
		s.names[text] = n
		g.names++
	}
	if n == nil || g.gauges >= maxNames {
		if g.dropped == "" {
			g.dropped = names.Cut(text, maxName)
		}
		return "", false
	}
	if n.epoch != g.epoch || n.cumulative != cumulative {
		n.epoch, n.cumulative = g.epoch, cumulative
		s.changed = true
	}
	n.call = s.calls
	g.gauges++
	return n.safe, true
}

// room tells whether there is room for one more name of s.
func (g *guest) room(s *source) bool {
	if g.names < maxNames {
		return true
	}
	if s.swept == s.calls {
		return false
	}
	s.swept = s.calls
	g.forget(s)
	return g.names < maxNames
}

// forget makes room of the names that s has set neither in its last call, or in the
// one that is under way, nor in the one before.
func (g *guest) forget(s *source) {
	for text, n := range s.names {
		if n.call < s.calls-1 {
			delete(s.names, text)
			g.names--
			if n.epoch == g.epoch && !n.cumulative {
				g.out.gauge(n.safe, 0)
				s.changed = true
			}
		}
	}
}
