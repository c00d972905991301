package runtimemetrics

import (
	"fmt"
	"runtime"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/mode"
)

const (
	// A tick of more datagrams than that is spread, one each spreadBy, so that it
	// does not overrun the server's receive buffer by itself. That takes half the
	// pause at most, and at the end of the session spreadStop; the rest is sent at
	// once.
	burst      = 32
	spreadBy   = time.Millisecond
	spreadStop = 400 * time.Millisecond
)

// session is one life of the goroutine that publishes. That goroutine alone
// touches it, and its settings do not change: what others want of it reaches it
// over its channels. A flag that is set later ends it and begins the next one.
type session struct {
	pub  *publisher
	cfg  *Config
	stop chan struct{} // closed when the goroutine shall return
	wake chan struct{} // holds a token when a flag has been set
	done chan struct{} // closed when the goroutine has returned

	set       *settings // nil while it awaits the flags
	link      *link.Link
	out       *sink // the library's own gauges of this tick
	collector *collector.Collector
	guests    guests
	earliest  time.Duration // when the first tick may be
	due       time.Duration // when the next tick is
	begun     bool          // gauges were sent, and their levels stand
	announced bool          // the start line was logged
}

// guests is what a session knows of the goroutines that run the sources.
type guests struct {
	current *guest               // nil while there is no source
	running bool                 // it has the lines of a tick
	waiting *source              // which it was running when a tick last came meanwhile
	behind  int                  // ticks that have come while it was running that one
	done    chan *guest          // on which it hands them back
	levels  map[*source][]string // names of levels that were sent and shall end at 0
	epoch   int                  // marks these names
}

// books are what one session hands on to the next: the goroutine of the current
// session owns them.
type books struct {
	ticks  int
	server link.Address // which health is about
	health health
	said   map[string]bool // causes of which a line was logged
	epoch  int             // the last one
}

func (p *publisher) newSession(cfg *Config) *session {
	return &session{
		pub: p, cfg: cfg,
		stop: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
		guests: guests{done: make(chan *guest)},
	}
}

// main is the goroutine. It begins when the session before has ended. An
// automatic one waits until the program has parsed its flags; one that follows
// upon another has its settings.
func (s *session) main(before *session, auto bool, set *settings) {
	defer s.end()
	if before != nil {
		<-before.done
	}
	begin := true
	if auto {
		begin = s.await()
		s.pub.afterMain()
	}
	if closed(s.stop) && !(set != nil && before.begun) { // levels that were left to it are still to end
		return // what there is to say is said by the next one, with its own Logf
	}
	if set == nil {
		before = nil // it has sent its zeros
		select {
		case <-s.wake: // what was set so far is about to be read
		default:
		}
		var err error
		if set, err = s.cfg.resolve(s.pub.opts, s.pub.process); err != nil {
			return // the Config was checked by Start, flags when they were set
		}
	}
	s.set = set
	s.sayNotes()
	if begin && set.publish {
		s.begin(before, auto)
		s.loop()
	}
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

// begin prepares for the first tick. Before is the session that was ended by a flag,
// if there is one.
func (s *session) begin(before *session, auto bool) {
	p, now := s.pub, s.pub.now()
	if p.books.server != s.set.addr {
		p.books.server, p.books.health = s.set.addr, health{lost: p.books.health.lost}
	}
	s.link = link.New(s.set.addr, p.net, s.set.pause, now)
	if before != nil {
		s.link.Follow(before.link)
	}
	s.out = newSink(s.set, p.process)
	s.collector = s.set.collect(func(key string, value uint64) { s.out.gauge(key, int64(value)) })
	for _, pattern := range collector.Unmatched(s.collector.Runtime) {
		s.sayOnce("pattern "+pattern, "pattern %q of --metric-runtime matches no metric of %s", pattern, runtime.Version())
	}
	if before != nil && before.begun { // which has left its levels to this one
		s.begun, s.guests.levels, s.guests.epoch = true, before.guests.levels, before.guests.epoch
	} else {
		p.books.epoch++
		s.guests.levels, s.guests.epoch = map[*source][]string{}, p.books.epoch
	}
	switch {
	case before != nil:
		s.earliest = before.earliest
	case !auto:
		s.earliest = now
	case mode.EnvOnly:
		s.earliest = firstTick
	default:
		s.earliest = now + firstTick
	}
	s.due = max(now, s.earliest)
	if s.link.Ready(now) == link.ErrNotResolved {
		s.due = now + firstTick
	}
}

// loop ticks until the session ends. The first tick comes when it is due, the
// second one after a random part of the pause, the others a pause after each
// other: processes that were started together drift apart, and stay apart.
func (s *session) loop() {
	first := true
	tick := time.NewTimer(s.due - s.pub.now())
	defer tick.Stop()
	settled := time.NewTimer(quiet)
	defer settled.Stop()
	for {
		select {
		case <-s.stop:
			s.finish()
			return
		case <-tick.C:
			// Before Go 1.23, and with old GODEBUG settings later too, a timer may
			// still hold what it sent before it was set anew.
			if now := s.pub.now(); now >= s.due {
				s.tick(now)
				if first {
					first = false
					s.due = now + randomPart(s.set.pause)
				}
			}
			tick.Reset(s.due - s.pub.now())
		case answer := <-s.link.Answers():
			now := s.pub.now()
			s.link.Adopt(answer, now)
			if first {
				s.due = max(now, s.earliest)
				tick.Reset(s.due - now)
			}
		case g := <-s.guests.done:
			s.take(g)
		case <-s.wake:
			settled.Reset(quiet)
		case <-settled.C:
			if s.changed() {
				return
			}
		}
	}
}

// tick collects and sends the library's own gauges and lets the guest run the
// sources, whose gauges follow when they are there.
func (s *session) tick(now time.Duration) {
	books := &s.pub.books
	var late time.Duration
	late, s.due = schedule(s.due, now, s.set.pause)
	books.ticks++

	s.out.reset()
	s.collector.Collect()
	if s.set.self {
		s.out.gauge("runtimemetrics.ticks", int64(books.ticks))
		s.out.gauge("runtimemetrics.lost", int64(books.health.lost))
		s.out.gauge("runtimemetrics.late.ns", int64(late))
	}
	gauges := len(s.out.ends)
	sources, gone := s.sources()

	err := s.link.Ready(now)
	if err == nil {
		err = s.flush(s.out, s.set.pause/2, s.stop)
	}
	if err == nil || len(s.out.ends)-gauges > maxNames { // of sources that came and went in an outage
		for _, source := range gone {
			delete(s.guests.levels, source)
		}
	}
	if err == nil {
		s.announce(gauges, len(sources))
	}
	s.report(books.health.tick(err, now))
	if len(sources) > 0 {
		s.guests.current.sources = sources
		s.guests.running = true
		s.guests.current.work <- struct{}{}
	}
}

// sources returns the sources that the guest is to run at this tick: none while it
// is still busy with an earlier one, or if there are none. It adds zeros for the
// levels of those that have gone, which no lines that are under way can undo, and
// returns these too: until the zeros are sent, they are not to be forgotten.
func (s *session) sources() (sources, gone []*source) {
	g := &s.guests
	if g.running {
		stuck := g.current.current.Load()
		if stuck != g.waiting {
			g.waiting, g.behind = stuck, 0
		}
		if g.behind++; g.behind < patience {
			return nil, nil
		}
		if stuck != nil {
			s.sayOnce(stuck.String(), "source %v has not returned for %d ticks; until it does, the other sources go on without it", stuck, patience)
		}
		s.retire()
	}
	for source, names := range g.levels {
		if source.gone.Load() {
			for _, name := range names {
				s.out.gauge(name, 0)
			}
			gone = append(gone, source)
		}
	}
	sources = s.pub.registered()
	if len(sources) == 0 {
		s.retire()
	} else if g.current == nil {
		g.current = &guest{
			pub: s.pub, say: s.say, epoch: g.epoch, next: -1,
			work: make(chan struct{}, 1), done: g.done, over: s.done,
			out: &sink{packer{limit: s.out.limit}, s.out.layout},
		}
		go g.current.main()
	}
	return sources, gone
}

// retire lets the guest end, when the source that it is running returns.
func (s *session) retire() {
	if g := &s.guests; g.current != nil {
		g.current.retired.Store(true)
		close(g.current.work)
		g.current, g.running, g.behind = nil, false, 0
	}
}

// take sends the gauges of the sources, or of the one with which a guest that is
// retired was late, unless it was unregistered meanwhile: its levels are 0.
func (s *session) take(g *guest) {
	late := g != s.guests.current
	if source := g.current.Load(); late && source != nil && source.gone.Load() {
		return
	}
	for _, l := range g.levels {
		if s.guests.levels[l.source] = l.names; l.names == nil {
			delete(s.guests.levels, l.source)
		}
	}
	if g.dropped != "" {
		s.sayOnce("dropped", "custom gauges are dropped, the first of them being %q: there may be %d of them, with names of at most %d bytes", g.dropped, maxNames, maxName)
	}
	err := s.flush(g.out, s.set.pause/2, s.stop)
	s.report(s.pub.books.health.more(err, s.pub.now()))
	if !late {
		s.guests.running, s.guests.behind = false, 0
	}
}

// flush sends what a sink has gathered. When it takes longer than spread, or stop
// is closed, it sends the rest at once. The error is the first of those that were
// met.
func (s *session) flush(k *sink, spread time.Duration, stop <-chan struct{}) (err error) {
	if k.tooLong > 0 {
		s.sayOnce("too long", "gauges whose line does not fit into a datagram of %d bytes are dropped: a shorter --metric-prefix or a larger --metric-packet-size helps", s.set.packetSize)
	}
	defer s.link.Rest()
	var wait *time.Timer
	start := s.pub.now()
	if k.datagrams() > burst {
		wait = time.NewTimer(spreadBy)
		defer wait.Stop()
	}
	for {
		datagram := k.next()
		if datagram == nil {
			return err
		}
		failed, fatal := s.link.Write(datagram, start)
		if err == nil {
			err = failed
		}
		if fatal { // the others would fail too, each as late
			return err
		}
		s.begun = true
		if wait != nil {
			select {
			case <-stop:
				wait = nil
			case <-wait.C:
				wait.Reset(spreadBy)
				if s.pub.now()-start >= spread {
					wait = nil
				}
			}
		}
	}
}

func (s *session) announce(gauges, sources int) {
	if s.announced {
		return
	}
	s.announced = true
	what := fmt.Sprintf("%d gauges", gauges)
	if sources == 1 {
		what += ", and those of 1 source,"
	} else if sources > 1 {
		what += fmt.Sprintf(", and those of %d sources,", sources)
	}
	prefix := s.set.prefix
	if prefix != "" {
		prefix += "."
	}
	s.say("publishing %s every %v to %v as %s*", what, s.set.pause, s.link, prefix)
}

// report logs what is to be said of the ticks' health, if anything.
func (s *session) report(what string) {
	if what != "" {
		s.say("sending to %v %s", s.set.addr, what)
	}
}

// changed looks whether flags have changed the settings. If so, the session has
// ended. It leaves its levels to the next one, unless that sends others.
func (s *session) changed() bool {
	next, err := s.cfg.resolve(s.pub.opts, s.pub.process)
	if err != nil || *next == *s.set {
		return false
	}
	if next.wire != s.set.wire {
		s.finish()
	}
	if !next.publish || !s.pub.succeed(s, next) {
		s.finish()
	}
	return true
}

// finish sets the levels to 0, since StatsD repeats the last value of a gauge
// for ever. Cumulative gauges are left as they are: when the service is back, a 0
// would show as a spike in their rate.
func (s *session) finish() {
	if !s.begun {
		return
	}
	s.out.reset()
	s.collector.ZeroLevels()
	if s.set.self {
		s.out.gauge("runtimemetrics.late.ns", 0)
	}
	for _, names := range s.guests.levels {
		for _, name := range names {
			s.out.gauge(name, 0)
		}
	}
	s.link.Open(s.pub.now()) // the last tick may have lost its socket
	s.flush(s.out, spreadStop, nil)
	s.begun = false
}

// end is the last that the goroutine does. A fault of this library is no reason to
// end the service.
func (s *session) end() {
	if v := recover(); v != nil {
		s.begun = false
		s.say("internal error: %v; nothing is published any more", v)
	}
	s.retire()
	if s.link != nil {
		s.link.Close()
	}
	close(s.done)
	s.pub.ended(s)
}

// say logs a line.
func (s *session) say(format string, args ...any) {
	destination := s.pub.opts.text(logFlag)
	if s.set != nil {
		destination = s.set.log
	}
	s.pub.logs.print(logTo(s.cfg.Logf, destination), fmt.Sprintf(format, args...))
}

// sayNotes logs what was noticed when the settings were made.
func (s *session) sayNotes() {
	for _, note := range s.pub.opts.takeNotes() {
		s.say("%s", note)
	}
}

// sayOnce logs a line unless there was one of the same cause before.
func (s *session) sayOnce(cause, format string, args ...any) {
	if said := s.pub.books.said; !said[cause] {
		said[cause] = true
		s.say(format, args...)
	}
}
