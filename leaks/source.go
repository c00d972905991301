package leaks

import (
	"fmt"
	"runtime"
	"sort"
	"time"

	"github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
)

const (
	// A check takes at most this part of the time: a large heap must not be
	// collected for our sake all the time.
	atMostOneIn = 100

	// With more goroutines than this there is no check: with a million the
	// world stands still for some 40 ms.
	maxGoroutines = 100_000

	// maxPlaces is how many places are logged.
	maxPlaces = 20
)

// result is what a check has found.
type result struct {
	goroutines int           // leaked
	places     map[place]int // how many of them wait where
	took       time.Duration
	ended      time.Time
	err        error // the profile could not be had, and never will
}

// verdict is whether to check now, and why not.
type verdict int

const (
	notYet verdict = iota
	checkNow
	lastTookLong
	tooMany
	never // only a cause of a log line
)

// decide returns whether to check. So much time is over since a check was due, and
// since the last one ended, which took took; 0 if there was none.
func decide(overdue, since, took time.Duration, goroutines int) verdict {
	switch {
	case overdue < 0:
		return notYet
	case took > since/atMostOneIn:
		return lastTookLong
	case goroutines > maxGoroutines:
		return tooMany
	}
	return checkNow
}

// sink is what the gauges are added to: a *runtimemetrics.Tick.
type sink interface {
	Gauge(name string, value int64)
	Cumulative(name string, value int64)
}

// source is what the package knows. Its collect is never called while an
// earlier call is under way, so nothing guards it.
type source struct {
	interval   func() time.Duration // 0: no checks
	logf       func(format string, args ...any)
	check      func() result
	cannot     string // why there are no checks, if so
	now        func() time.Time
	goroutines func() int

	served  time.Time   // when the last check was due; at first, the first tick with an interval
	running chan result // of the check that is under way, nil if none is
	checks  int64
	last    result
	logged  map[verdict]bool // what is logged once
	places  map[place]bool   // that have been logged
}

func newSource(interval func() time.Duration, logf func(format string, args ...any)) *source {
	return &source{
		interval: interval, logf: logf, check: check, cannot: cannot(),
		now: time.Now, goroutines: runtime.NumGoroutine,
		logged: map[verdict]bool{}, places: map[place]bool{},
	}
}

// collect is the source of gauges that package runtimemetrics calls at each
// tick. A check takes up to seconds, in which other sources shall not wait: it
// has a goroutine of its own, and what it finds is published by the next tick.
func (s *source) collect(tick sink) {
	interval := s.interval()
	if interval <= 0 {
		return
	}
	if s.cannot != "" {
		s.logOnce(never, "leaked goroutines are not counted: %s", s.cannot)
		return
	}
	select {
	case r := <-s.running: // nil, and so never ready, without a check
		s.running = nil
		if r.err != nil {
			s.cannot = r.err.Error()
			s.collect(tick)
			return
		}
		s.last = r
		s.checks++
		s.logPlaces(r.places)
	default:
	}
	s.start(interval)
	tick.Cumulative(catalogue.Checks, s.checks)
	if s.checks > 0 { // before, nothing is known
		tick.Gauge(catalogue.Goroutines, int64(s.last.goroutines))
		tick.Gauge(catalogue.Took, int64(s.last.took))
	}
}

// start starts a check if it is time for one.
func (s *source) start(interval time.Duration) {
	if s.running != nil {
		return
	}
	t := s.now()
	if s.served.IsZero() {
		s.served = t
	}
	// From one due time to the next, and not from one check to the next: these come
	// with ticks, and each would be a tick late.
	due := s.served.Add(interval)
	goroutines := s.goroutines()
	switch decide(t.Sub(due), t.Sub(s.last.ended), s.last.took, goroutines) {
	case lastTookLong:
		s.logOnce(lastTookLong, "a check for leaked goroutines took %v; checks come %d times as long after each other, not every %v",
			s.last.took.Round(time.Millisecond), atMostOneIn, interval)
	case tooMany:
		s.logOnce(tooMany, "there are %d goroutines; while there are more than %d, leaked ones are not looked for", goroutines, maxGoroutines)
	case checkNow:
		if s.served = due; t.Sub(due) >= interval { // some were left out
			s.served = t
		}
		done := make(chan result, 1)
		s.running = done
		go func() { done <- s.check() }()
	}
}

// logPlaces logs those that have not been logged, the largest first.
func (s *source) logPlaces(found map[place]int) {
	var fresh []place
	for p := range found {
		if !s.places[p] {
			fresh = append(fresh, p)
		}
	}
	sort.Slice(fresh, func(i, j int) bool {
		a, b := fresh[i], fresh[j]
		if found[a] != found[b] {
			return found[a] > found[b]
		}
		return fmt.Sprint(a) < fmt.Sprint(b)
	})
	for _, p := range fresh {
		if len(s.places) == maxPlaces {
			return
		}
		s.places[p] = true
		last := ""
		if len(s.places) == maxPlaces {
			last = "; no more places are logged"
		}
		s.logf("%s%s", sentence(found[p], p), last)
	}
}

// sentence says what was found at a place.
func sentence(goroutines int, p place) string {
	who := "goroutines have leaked: they wait"
	if goroutines == 1 {
		who = "goroutine has leaked: it waits"
	}
	began := ""
	if p.goroutine != p.function {
		began = ", in a goroutine of " + p.goroutine
	}
	return fmt.Sprintf("%d %s for ever for %s in %s (%s:%d)%s; net/http/pprof has the stacks, at /debug/pprof/goroutineleak",
		goroutines, who, p.waitsFor, p.function, p.file, p.line, began)
}

// logOnce logs a line once per cause.
func (s *source) logOnce(cause verdict, format string, args ...any) {
	if !s.logged[cause] {
		s.logged[cause] = true
		s.logf(format, args...)
	}
}
