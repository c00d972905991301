package runtimemetrics

import (
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

const (
	// While a program waits for its flags to be parsed, this often is looked
	// whether they are; after a minute, every second.
	pollEvery     = 20 * time.Millisecond
	pollEveryLate = time.Second

	// Flags are set one by one while a program parses them; this long after
	// the last one they count as settled.
	quiet = 50 * time.Millisecond

	// A program that never calls flag.Parse starts to publish this long after
	// init if RUNTIMEMETRICS_STATSD is set, or after one of the flags was set:
	// cobra sets flags without telling package flag.
	unparsedStart = 5 * time.Second

	// A program in which nothing has started is told how after this long.
	hintAfter = time.Minute

	// The first tick waits this long for the server's name to resolve.
	firstLookup = time.Second

	// What comes later than this is late, where the difference counts.
	onTime = time.Millisecond

	// While sending fails and works in turns, this is the time between two
	// reports of it.
	reportEvery = 10 * time.Minute
)

// run is one life of the goroutine that publishes.
type run struct {
	pub  *publisher
	cfg  Config
	auto bool          // waits for flag.Parse first
	stop chan struct{} // closed by end: the goroutine shall return
	done chan struct{} // closed when the goroutine has returned
	wake chan struct{} // holds a token when a flag has been set

	// These belong to the goroutine.
	returned  bool          // regularly, not by Goexit
	published bool          // the settings are known and the ticker runs
	now       time.Time     // when this tick began, or when its last source returned
	due       time.Time     // when the next tick is
	late      time.Duration // how much later than due this one came
	ticks     int           // begun so far
	phase     phase         // which tick comes next
	resolving bool          // the first tick waits for the server's name
	ticking   bool          // a tick has begun and not ended
	pending   []*source     // those that this tick has yet to call
	sources   []*source     // as the last tick found them

	// While flags are being set: since when, and when to see whether that is over.
	settling time.Time
	settled  <-chan time.Time

	// mu guards what follows. It is never held while a source or Logf runs, so
	// that end does not wait for them.
	mu        sync.Mutex
	ended     bool
	ticker    *time.Ticker
	set       settings
	sink      *sink
	collector *collector.Collector
	ownGauges int      // in this tick
	own       ownNames // seen so far
	announced bool     // the start line has been logged, so something was sent
	health    health
	lines     []string // to log when mu is free
	logged    map[string]bool
}

// phase tells which tick comes next since the settings came in force. The first
// is immediate, or as soon as the server's name resolves, the second comes after
// a random part of the pause, the others a pause after each other: processes that
// were started together drift apart, and stay apart.
type phase int

const (
	first phase = iota
	second
	steady
)

// main is the goroutine. A source that calls runtime.Goexit ends it; another
// one then goes on where it stood.
func (r *run) main() {
	defer func() {
		if v := recover(); v != nil {
			// A fault of this library is no reason to end the service.
			r.log("internal error: %v; nothing is published any more", v)
			r.locked(func() { r.announced = false }) // a last datagram might meet the same fault
			defer r.print()
		} else if !r.returned {
			go r.main()
			return
		}
		r.end()
		close(r.done)
		r.pub.ended(r)
	}()
	r.print()
	if r.published || r.await() && r.publish() {
		r.loop()
	}
	r.returned = true
}

// closed tells whether c, which carries no values, is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// await waits until publishing may begin; it returns false if it never will.
func (r *run) await() (begin bool) {
	defer func() {
		if begin { // else whoever comes next has them, with its own Logf
			r.logNotes()
		}
	}()
	if !r.auto {
		return true
	}
	begun, poll := time.Now(), time.NewTicker(pollEvery)
	defer poll.Stop()
	var parsed time.Time
	for hinted := false; ; {
		select {
		case <-r.stop:
			return false
		case <-poll.C:
		}
		switch now := time.Now(); {
		case !parsed.IsZero() || r.pub.parsed():
			if parsed.IsZero() {
				parsed = now
				poll.Reset(pollEvery)
			}
			if now.Sub(parsed) >= quiet && r.pub.opts.sinceSet() >= quiet {
				return true
			}
		case r.pub.opts.statsdFromEnv && now.Sub(begun) >= unparsedStart:
			return true
		case r.pub.opts.everSet() && r.pub.opts.sinceSet() >= unparsedStart:
			return true
		case !hinted && now.Sub(begun) >= hintAfter:
			if !isTrue(r.pub.opts.publish.String()) {
				return true // to find out that there is nothing to do
			}
			hinted = true
			r.logNotes()
			r.log("nothing is published yet: call flag.Parse or runtimemetrics.Start, or set RUNTIMEMETRICS_STATSD")
			r.print()
			poll.Reset(pollEveryLate)
		}
	}
}

// logNotes logs what was noticed when the flags were defined.
func (r *run) logNotes() {
	for _, note := range r.pub.opts.takeNotes() {
		r.log("%s", note)
	}
	r.print()
}

// publish brings the settings in force: at the start, and when flags were set
// later. It returns false if they say that nothing is to be published.
func (r *run) publish() bool {
	set, err := r.cfg.resolve(r.pub.opts, r.pub.host)
	if err != nil || !set.publish {
		return false // the Config was checked by Start, flags when they were set
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.published && set == r.set {
		return !r.ended
	}
	r.finish()
	k := newSink(set, r.pub.host, r.pub.net)
	r.set, r.sink = set, k
	r.collector = collector.New(func(key string, value uint64) { k.gauge(key, int64(value)) })
	r.collector.EnableCPU, r.collector.EnableMem, r.collector.EnableGC = set.cpu, set.mem, set.gc
	r.collector.Exact = set.exact
	r.collector.Runtime, _ = collector.ParsePatterns(set.runtime)
	for _, pattern := range collector.Unmatched(r.collector.Runtime) {
		r.lineOnce("pattern "+pattern, "pattern %q of --metric-runtime matches no metric of %s", pattern, runtime.Version())
	}
	r.own, r.announced, r.phase = ownNames{}, false, first

	now := time.Now()
	r.resolving = r.sink.link.ready(now) == errLookingUp
	r.setTicker(now, firstLookup)
	r.published = true
	return true
}

// setTicker makes the ticker fire d from now, and not before, and then every d.
func (r *run) setTicker(now time.Time, d time.Duration) {
	r.due = now.Add(d)
	if r.ticker == nil {
		r.ticker = time.NewTicker(d)
		return
	}
	r.ticker.Stop()
	select { // before Go 1.23, what has fired stays in the channel
	case <-r.ticker.C:
	default:
	}
	r.ticker.Reset(d)
}

// locked calls f with mu held, and frees it whatever happens.
func (r *run) locked(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// loop ticks until the run is ended.
func (r *run) loop() {
	if r.ticking {
		r.goOn()
	}
	for {
		if r.phase == first && !r.resolving {
			r.tick()
		}
		select {
		case <-r.stop:
			return
		case <-r.ticker.C:
			r.tick()
		case a := <-r.sink.link.answers:
			r.locked(func() {
				if !r.ended {
					r.sink.link.adopt(a, time.Now())
				}
			})
			r.resolving = false
		case <-r.wake:
			if r.settled == nil {
				r.settling = time.Now()
				r.settled = time.After(quiet)
			}
		case <-r.settled:
			// A program may go on setting flags for ever.
			if wait := quiet - r.pub.opts.sinceSet(); wait > 0 && time.Since(r.settling) < time.Second {
				r.settled = time.After(wait)
				continue
			}
			r.settled = nil
			if !r.publish() {
				return
			}
		}
	}
}

// tick collects and sends all gauges once and sets the time of the next tick.
func (r *run) tick() {
	r.locked(func() {
		if r.ended {
			return
		}
		r.now = time.Now()
		r.schedule(r.now)
		r.ownGauges = 0
		r.collector.Collect()
		if r.set.self {
			r.ownHealth()
		}
		r.ticking = true
	})
	if r.ticking {
		r.pending = r.pub.sources.get()
		r.goOn()
	}
}

// ownHealth adds what the library knows of itself.
func (r *run) ownHealth() {
	r.sink.gauge("runtimemetrics.ticks", int64(r.ticks))
	r.sink.gauge("runtimemetrics.lost", int64(r.health.lost))
	r.sink.gauge("runtimemetrics.late.ns", int64(r.late))
}

// schedule sets the time of the next tick. Ticks that were missed while the
// process was stopped are left out.
func (r *run) schedule(now time.Time) {
	r.ticks++
	r.late = max(0, now.Sub(r.due))
	pause := r.set.pause
	switch r.phase {
	case first:
		r.phase = second
		// Not less than a millisecond, since the ticker goes on at this pace while
		// a source holds the tick up.
		r.setTicker(now, max(randomPart(pause), time.Millisecond))
	case second:
		wait := pause
		if r.late >= onTime {
			wait -= r.late % pause // the phase is kept although this tick was held up
		}
		r.setTicker(now, wait)
		if r.late < onTime && time.Since(now) < onTime {
			r.phase = steady
		}
	case steady: // the ticker goes on by itself, and leaves out the same ones
		if late := now.Sub(r.due); late >= 0 {
			r.due = r.due.Add((late/pause + 1) * pause)
		}
	}
}

// randomPart returns a random part of d, more than 0 and at most d. It does not
// use the global generator of math/rand, which a program may have seeded with
// the same number in each of its processes.
func randomPart(d time.Duration) time.Duration {
	random := new(maphash.Hash).Sum64()
	return time.Duration(random%uint64(d)) + 1
}

// goOn calls the sources that this tick has not called yet, then sends.
func (r *run) goOn() {
	for len(r.pending) > 0 && !closed(r.stop) { // after Stop no source is called
		s := r.pending[0]
		r.pending = r.pending[1:]
		r.call(s)
	}

	r.ticking = false
	said := false
	r.locked(func() {
		if !r.ended {
			gauges := len(r.sink.packer.ends)
			r.takeBack()
			r.send(gauges)
		}
		said = len(r.lines) > 0
	})
	if said {
		r.print()
	}
}

// call lets a source add its gauges. One that panics or calls runtime.Goexit is
// left out from then on; one that another run is still waiting for is passed
// over.
func (r *run) call(s *source) {
	if s.gone.Load() || !s.calling.CompareAndSwap(nil, r) {
		return
	}
	returned := false
	defer func() {
		v := recover()
		s.calling.Store(nil)
		r.now = time.Now()
		if returned {
			return
		}
		r.pub.sources.remove(s)
		if v != nil {
			r.log("source %v panicked and is left out from now on: %v", s, v)
		} else {
			r.log("source %v called runtime.Goexit and is left out from now on", s)
		}
	}()
	s.collect(&s.tick)
	returned = true
}

// ownGauge adds a gauge of a source to the tick.
func (r *run) ownGauge(s *source, name string, cumulative bool, add func(k *sink, safe string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	own, ok := r.own.known(s, name, cumulative)
	if !ok || r.ownGauges >= maxNames {
		r.lineOnce("dropped", "own gauges are dropped, the first of them being %q: there may be %d of them, with names of at most %d bytes", cut(name, maxName), maxNames, maxName)
		return
	}
	r.ownGauges++
	add(r.sink, own.safe)
}

// takeBack sets the levels of sources that are no longer registered to 0.
func (r *run) takeBack() {
	sources := r.pub.sources.get()
	// A source may come and go within one tick.
	if sameSlice(sources, r.sources) && (len(sources) > 0 || len(r.own) == 0) {
		return
	}
	r.sources = sources
	registered := make(map[*source]bool, len(sources))
	for _, s := range sources {
		registered[s] = true
	}
	for name, own := range r.own {
		if !registered[own.source] {
			delete(r.own, name)
			if !own.cumulative {
				r.sink.gauge(own.safe, 0)
			}
		}
	}
}

func sameSlice(a, b []*source) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// send writes what was gathered, which is so many gauges and perhaps some zeros,
// and keeps the books.
func (r *run) send(gauges int) {
	if r.sink.packer.tooLong > 0 {
		r.lineOnce("too long", "gauges whose line does not fit into a datagram of %d bytes are dropped: a shorter --metric-prefix or a larger --metric-packet-size helps", r.set.packetSize)
	}
	o := r.sink.flush(r.now)
	if !o.lost && !r.announced {
		r.announced = true
		prefix := r.set.prefix
		if prefix != "" {
			prefix += "."
		}
		r.line("publishing %d gauges every %v to %v as %s*", gauges, r.set.pause, r.sink.link, prefix)
	}
	if report := r.health.account(o, r.now); report != "" {
		r.line("sending to %v %s", r.sink.link, report)
	}
}

// end ends the run: nothing is sent after it, whatever the goroutine is waiting
// for. It may be called more than once.
func (r *run) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		close(r.stop)
		if r.ticker != nil {
			r.ticker.Stop() // before Go 1.23, it would fire for ever
		}
		r.finish()
	}
}

// finish sets the levels to 0, since StatsD repeats the last value of a gauge
// for ever, and closes the socket. Cumulative gauges are left as they are: when
// the service is back, a 0 would show as a spike in their rate.
func (r *run) finish() {
	if r.sink == nil {
		return
	}
	// Stop runs this on the service's goroutine, which a fault must not reach.
	defer func() {
		if v := recover(); v != nil {
			r.line("internal error: %v; the levels have not been set to 0", v)
		}
	}()
	defer r.sink.close()
	if r.announced {
		r.sink.packer.reset()
		r.collector.ZeroLevels()
		if r.set.self {
			r.sink.gauge("runtimemetrics.late.ns", 0)
		}
		for _, own := range r.own {
			if !own.cumulative {
				r.sink.gauge(own.safe, 0)
			}
		}
		r.sink.write(time.Now())
	}
}

// line adds a line to be logged when mu, which the caller holds, is free.
func (r *run) line(format string, args ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
}

// lineOnce adds a line unless there was one of the same cause before.
func (r *run) lineOnce(cause, format string, args ...any) {
	if !r.logged[cause] {
		if r.logged == nil {
			r.logged = map[string]bool{}
		}
		r.logged[cause] = true
		r.line(format, args...)
	}
}

// log adds a line to be logged. It is formatted without mu: the value of a
// panic has methods of the program's.
func (r *run) log(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.locked(func() { r.lines = append(r.lines, line) })
}

// print logs the lines that wait for it.
func (r *run) print() {
	var lines []string
	r.locked(func() { lines, r.lines = r.lines, nil })
	for _, line := range lines {
		r.pub.logf(r.cfg, line)
	}
}

// health keeps account of lost ticks and of what was said about them.
type health struct {
	lost       uint64    // ticks
	counted    bool      // the last tick is among them
	failing    bool      // it has not been seen to work again
	told       bool      // the log says that sending fails
	toldAt     time.Time // when the log last said something
	unreported uint64    // lost ticks of which the log says nothing yet
}

// account takes in a tick and returns what is to be said of it, if anything:
// that sending began to fail, or that it works again. While it does both in
// turns, it is said at most every reportEvery, with what has added up.
func (h *health) account(o outcome, now time.Time) string {
	before := h.lost
	if o.prevLost && !h.counted {
		h.lost++
	}
	if o.lost {
		h.lost++
	}
	h.counted = o.lost
	h.unreported += h.lost - before
	if o.err != nil {
		h.failing = true
	} else if o.recovered {
		h.failing = false
	}

	recent := !h.toldAt.IsZero() && now.Sub(h.toldAt) < reportEvery
	switch {
	case o.err != nil && !h.told && !recent:
		h.told, h.toldAt = true, now
		return fmt.Sprintf("fails, ticks are lost until it works again: %v", o.err)
	case !h.failing && h.unreported > 0 && (h.told || !recent):
		if !h.told {
			h.toldAt = now
		}
		lost := h.unreported
		h.told, h.unreported = false, 0
		return fmt.Sprintf("works again; ticks lost: %d", lost)
	}
	return ""
}
