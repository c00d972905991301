package main

import (
	"container/list"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// What is kept is bounded by construction, whatever is sent: maxSeries rings of
// maxFrames values of 8 bytes are 126 MiB. Names and tags are bounded by bytes, and
// are 10 MiB at most with what belongs to them.
const (
	history     = time.Hour
	historyMS   = int64(history / time.Millisecond)
	frameWidth  = 900 // milliseconds: a little less than the pause of 1 s, for jitter
	atOnce      = 32  // frames that are forgotten at a time, because it costs as much as one
	maxFrames   = int(historyMS/frameWidth) + atOnce
	maxServices = 64
	maxSeries   = 4096 // of all services together
	maxOwn      = 1024 // of one service, so that it leaves room for others
	maxName     = 300  // bytes
	maxTags     = 512  // bytes, of one gauge
)

const (
	// While the pause of a service is not known, it is taken for the default.
	defaultInterval = 10_000 // milliseconds

	// A service is gone after this many intervals without a datagram, but not
	// sooner than goneAtLeast: machines and networks stutter.
	goneIntervals = 3
	goneAtLeast   = 3_000 // milliseconds

	// Points further apart than this many intervals are not joined by a line.
	gapIntervals = 2.5

	// Where there is no room, what has been silent for this long makes some.
	// What has not come steadyAfter times yet makes some sooner.
	patience    = 15_000 // milliseconds
	steadyAfter = 3
)

// origin is what tells services apart, but for two with the same origin at the
// same time: see process.
type origin struct {
	addr   netip.Addr
	prefix string // of the gauges, without the final dot
	tags   string
	other  bool // gauges that belong to no known prefix
}

// series are the values of one gauge, one for each frame of its service since it
// first came, NaN where it did not come.
type series struct {
	name   string
	first  int64 // number of the frame of the first value
	values []float64
	value  float64 // last one received: a relative value changes it
	seen   int64   // number of the frame that it last came in
	at     int64   // when that was, in milliseconds
	came   int     // in how many frames, up to steadyAfter
	place  *list.Element
}

// service is what sends under one prefix. Its gauges share a time axis, whose
// points are called frames: what arrived within frameWidth.
type service struct {
	origin
	id string // for people and for links: the prefix, or prefix~2 and so on

	first    int64    // number of the oldest frame
	times    []int64  // when the first datagram of each frame came, in milliseconds
	walls    []int64  // the same by the clock on the wall
	senders  []uint32 // number of the process that each frame came from
	lastSeen int64

	processes []*process // the one that sends, and those that it may be one beside
	current   *process
	evidence  int     // for there being two: see returned
	forks     []int64 // when a frame was opened early, because another process sent
	restarts  []restart

	series  map[string]*series
	waiting [2]list.List // the series by when they last came: those that are new, and those that are steady
	version int64        // another one when the series are others, or their past is

	found   []finding
	foundAt int64
}

// store keeps what has been received. Its methods may be called at any time.
type store struct {
	mu        sync.Mutex
	services  []*service
	total     int   // series of all services
	versions  int64 // given out last
	processes uint32
	counts    counts

	refusedServices, refusedSeries int64 // when one was last refused, in milliseconds
}

// counts are the store's own statistics.
type counts struct {
	Datagrams int      `json:"datagrams"`
	Bad       int      `json:"bad"`
	LastBad   *badLine `json:"lastBad,omitempty"`
	Ignored   int      `json:"ignored"`
}

const never = math.MinInt64 / 2

func newStore() *store {
	// A page that is still open knows versions of the server that was here before.
	return &store{versions: time.Now().UnixMicro(), refusedServices: never, refusedSeries: never}
}

// known are the gauges that every service sends that imports the library, with
// their kinds.
var known = func() map[string]collector.Kind {
	m := make(map[string]collector.Kind)
	for _, g := range collector.Gauges() {
		m[g.Name] = g.Kind
	}
	return m
}()

// splitName cuts the name of one of the 27 gauges into its prefix and what the
// catalogue calls it. Host names with dots are no trouble, since it is the end
// that is looked at.
func splitName(name string) (prefix, gauge string, ok bool) {
	// The gauges have two or three parts; none of them ends in another.
	end := len(name)
	for part := 0; part < 3 && end >= 0; part++ {
		end = strings.LastIndexByte(name[:end], '.')
		if _, ok := known[name[end+1:]]; ok {
			return name[:max(end, 0)], name[end+1:], true
		}
	}
	return "", "", false
}

// add takes in a datagram.
func (s *store) add(now moment, from netip.AddrPort, d datagram) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Datagrams++
	s.counts.Ignored += d.ignored
	s.counts.Bad += d.bad
	if d.bad > 0 {
		last := d.lastBad
		last.From = from.String()
		s.counts.LastBad = &last
	}

	// The gauges that every service sends come first: they say whose the others
	// are, and their values say of which process they are.
	var further []sample
	var origins []origin
	groups := make(map[origin][]sample, 1)
	for _, sm := range d.samples {
		prefix, gauge, ok := splitName(sm.name)
		if !ok {
			further = append(further, sm)
			continue
		}
		o := origin{addr: from.Addr(), prefix: prefix, tags: sm.tags}
		if groups[o] == nil {
			origins = append(origins, o)
		}
		sm.name = gauge
		groups[o] = append(groups[o], sm)
	}
	for _, o := range origins {
		svc := s.sender(now, o, from.Port(), growing(groups[o]))
		if svc == nil {
			s.refusedServices = now.run
			continue
		}
		svc.receive(now)
		for _, sm := range groups[o] {
			s.set(now, svc, sm.name, sm)
		}
	}
	for _, sm := range further {
		svc, name := s.place(now, from, sm)
		if svc == nil {
			s.refusedServices = now.run
			continue
		}
		svc.receive(now)
		s.set(now, svc, name, sm)
	}
	s.trim(now)
}

// place returns the service that a gauge belongs to which not every service
// sends, and what it is called there, or nil if there is no room for another
// service.
func (s *store) place(now moment, from netip.AddrPort, sm sample) (*service, string) {
	// It is the sender's service with the longest prefix that fits; the one with
	// the same tags and port, if there are several.
	var best *service
	rank := func(svc *service) int {
		r := 4 * len(svc.prefix)
		if svc.tags == sm.tags {
			r += 2
		}
		if svc.by(from.Port()) != nil {
			r++
		}
		return r
	}
	for _, svc := range s.services {
		if svc.addr != from.Addr() || svc.other || !belongs(sm.name, svc.prefix) {
			continue
		}
		if svc.prefix == "" && svc.by(from.Port()) == nil {
			continue // everything fits an empty prefix
		}
		if best == nil || rank(svc) > rank(best) {
			best = svc
		}
	}
	name := sm.name
	if best == nil {
		// Scripts that send a gauge now and then come from another port each
		// time: it says nothing.
		best = s.sender(now, origin{addr: from.Addr(), other: true}, 0, nil)
	} else {
		if p := best.by(from.Port()); p != nil {
			best.current = p
		}
		if best.prefix != "" {
			name = name[len(best.prefix)+1:]
		}
	}
	if best != nil && best.tags != sm.tags {
		name += "{" + sm.tags + "}"
	}
	return best, name
}

// belongs tells whether a gauge is called prefix, a dot and something.
func belongs(name, prefix string) bool {
	return prefix == "" || len(name) > len(prefix)+1 && name[len(prefix)] == '.' && name[:len(prefix)] == prefix
}

// newService adds a service. If there are too many, one makes room that is gone,
// or else the one that has been silent for longest; if none has been for long, it
// returns nil.
func (s *store) newService(now moment, o origin) *service {
	if len(s.services) >= maxServices {
		var victim *service
		for _, svc := range s.services {
			silent := now.run - svc.lastSeen
			if silent < frameWidth || silent < patience && len(svc.times) >= steadyAfter {
				continue
			}
			if victim == nil || svc.isGone(now) && !victim.isGone(now) ||
				svc.isGone(now) == victim.isGone(now) && svc.lastSeen < victim.lastSeen {
				victim = svc
			}
		}
		if victim == nil {
			return nil
		}
		s.remove(victim)
	}

	// The strings may be part of a whole datagram.
	o.prefix, o.tags = strings.Clone(o.prefix), strings.Clone(o.tags)
	s.versions++
	svc := &service{origin: o, series: make(map[string]*series), version: s.versions, lastSeen: now.run, foundAt: never}
	name := svc.title()
	svc.id = name
	for n := 2; slices.ContainsFunc(s.services, func(other *service) bool { return other.id == svc.id }); n++ {
		svc.id = name + "~" + strconv.Itoa(n)
	}
	s.services = append(s.services, svc)
	if !o.other && o.prefix != "" {
		s.claim(svc)
	}
	return svc
}

// claim takes away from the sender's other gauges what came before its prefix
// was known, such as the second half of a tick.
func (s *store) claim(svc *service) {
	for _, other := range s.services {
		if !other.other || other.addr != svc.addr {
			continue
		}
		for name, g := range other.series {
			if belongs(name, svc.prefix) {
				s.drop(other, g)
			}
		}
		if len(other.series) == 0 {
			s.remove(other)
		}
		return
	}
}

// title is what people call the service.
func (svc *service) title() string {
	switch {
	case svc.other:
		return "other gauges"
	case svc.prefix == "":
		return "no prefix"
	}
	return svc.prefix
}

func (s *store) remove(svc *service) {
	s.total -= len(svc.series)
	s.services = slices.DeleteFunc(s.services, func(other *service) bool { return other == svc })
}

// drop removes one series.
func (s *store) drop(svc *service, g *series) {
	svc.queue(g).Remove(g.place)
	delete(svc.series, g.name)
	s.total--
	s.changed(svc)
}

// changed makes the page ask for everything anew.
func (s *store) changed(svc *service) {
	s.versions++
	svc.version = s.versions
}

// queue returns the list that a series waits in.
func (svc *service) queue(g *series) *list.List {
	if g.came < steadyAfter {
		return &svc.waiting[0]
	}
	return &svc.waiting[1]
}

// set sets a gauge in the last frame, unless there is no room.
func (s *store) set(now moment, svc *service, name string, sm sample) {
	last := svc.first + int64(len(svc.times)) - 1
	g := svc.series[name]
	if g == nil {
		if !s.room(now, svc) {
			s.refusedSeries = now.run
			return
		}
		g = &series{name: strings.Clone(name), first: last, values: appendBounded[float64](nil, math.NaN()), seen: last - 1}
		svc.series[g.name] = g
		g.place = svc.queue(g).PushBack(g)
		s.total++
		s.changed(svc)
	}
	// As in StatsD, a change of a gauge that was never set counts from 0.
	if sm.relative {
		g.value += sm.value
	} else {
		g.value = sm.value
	}
	g.values[len(g.values)-1] = g.value
	svc.queue(g).Remove(g.place)
	if g.seen != last && g.came < steadyAfter {
		g.came++
	}
	g.seen, g.at = last, now.run
	g.place = svc.queue(g).PushBack(g)
}

// room tells whether there is room for another series of a service. If there is
// too little, it makes some.
func (s *store) room(now moment, svc *service) bool {
	from := s.services
	switch {
	case len(svc.series) >= maxOwn:
		from = []*service{svc}
	case s.total < maxSeries:
		return true
	}
	var victim *series
	var of *service
	for _, other := range from {
		for i := range other.waiting {
			front := other.waiting[i].Front()
			if front == nil {
				continue
			}
			g := front.Value.(*series)
			silent := now.run - g.at
			if silent < frameWidth || silent < patience && g.came >= steadyAfter {
				continue
			}
			if victim == nil || g.at < victim.at {
				victim, of = g, other
			}
		}
	}
	if victim == nil {
		return false
	}
	s.drop(of, victim)
	if len(of.series) == 0 && of != svc {
		s.remove(of)
	}
	return true
}

// receive notes that a datagram of the current process came, and opens a new frame
// unless the last one is still open.
func (svc *service) receive(now moment) {
	svc.lastSeen = now.run
	number := uint32(0)
	if svc.current != nil {
		number = svc.current.number
	}
	if last := len(svc.times) - 1; last >= 0 && now.run-svc.times[last] < frameWidth {
		// While it may be that there are two processes, each has frames of its own;
		// but not so many that they would push out the history.
		if svc.senders[last] == number || !svc.mayFork(now) {
			return
		}
		svc.forks = append(svc.forks, now.run)
	}
	svc.open(now, number)
}

// maxForks is how many frames may be opened early within the history.
const maxForks = 64

func (svc *service) mayFork(now moment) bool {
	svc.forks = slices.DeleteFunc(svc.forks, func(t int64) bool { return now.run-t > historyMS })
	return len(svc.forks) < maxForks
}

// open opens a new frame.
func (svc *service) open(at moment, number uint32) {
	if len(svc.times) == maxFrames {
		svc.forget(atOnce)
	}
	svc.times = appendBounded(svc.times, at.run)
	svc.walls = appendBounded(svc.walls, at.wall)
	svc.senders = appendBounded(svc.senders, number)
	for _, g := range svc.series {
		g.values = appendBounded(g.values, math.NaN())
	}
}

// appendBounded is append, but never makes room for more than maxFrames.
func appendBounded[T any](s []T, v T) []T {
	if len(s) == cap(s) {
		s = append(make([]T, 0, min(max(2*cap(s), 32), maxFrames)), s...)
	}
	return append(s, v)
}

// forget removes the n oldest frames.
func (svc *service) forget(n int) {
	svc.first += int64(n)
	svc.times = slices.Delete(svc.times, 0, n)
	svc.walls = slices.Delete(svc.walls, 0, n)
	svc.senders = slices.Delete(svc.senders, 0, n)
	for _, g := range svc.series {
		if surplus := svc.first - g.first; surplus > 0 {
			g.values = slices.Delete(g.values, 0, int(surplus))
			g.first = svc.first
		}
	}
}

// trim removes what is older than the history: frames, gauges that have not
// come since, and services that are gone.
func (s *store) trim(now moment) {
	oldest := now.run - historyMS
	for _, svc := range slices.Clone(s.services) {
		if len(svc.series) == 0 { // there was no room for any
			s.remove(svc)
			continue
		}
		n := 0
		for n < len(svc.times) && svc.times[n] < oldest {
			n++
		}
		if n == 0 || n < atOnce && n < len(svc.times) && svc.times[0] > oldest-60_000 {
			continue
		}
		svc.forget(n)
		for _, g := range maps.Clone(svc.series) {
			if g.seen < svc.first {
				s.drop(svc, g)
			}
		}
		if len(svc.series) == 0 {
			s.remove(svc)
		}
	}
}

// interval is the time between two ticks of the service, in milliseconds, and
// whether it is known.
func (svc *service) interval() (ms int64, ok bool) {
	n := len(svc.times)
	if n < 4 {
		return defaultInterval, false
	}
	// The median, because one of the three may have seen a lost datagram, or a
	// restart, or the second tick, which comes after a random part of the pause.
	var spacings [3]int64
	for i := range spacings {
		spacings[i] = svc.times[n-1-i] - svc.times[n-2-i]
	}
	slices.Sort(spacings[:])
	return spacings[1], true
}

// overdue is how long the service has been silent, in its intervals.
func (svc *service) overdue(now moment) float64 {
	interval, _ := svc.interval()
	return float64(now.run-svc.lastSeen) / float64(max(1, interval))
}

func (svc *service) isGone(now moment) bool {
	// Other gauges are sent now and then, by whatever.
	if svc.other {
		return now.run-svc.lastSeen > 6*defaultInterval
	}
	interval, _ := svc.interval()
	return now.run-svc.lastSeen > max(goneIntervals*interval, goneAtLeast)
}

// gap is how far apart two points may be to be joined by a line, in
// milliseconds.
func (svc *service) gap() int64 {
	interval, _ := svc.interval()
	return int64(gapIntervals * float64(max(interval, 1000)))
}

// sentFrom returns where the service sends from, for people.
func (svc *service) sentFrom() string {
	if svc.current == nil {
		return svc.addr.String()
	}
	return netip.AddrPortFrom(svc.addr, svc.current.port).String()
}

// notices are the limits that have been met in the last minute.
func (s *store) notices(now moment) []string {
	var n []string
	if now.run-s.refusedServices < 60_000 {
		n = append(n, fmt.Sprintf("More than %d services push at the same time. The newest are left out.", maxServices))
	}
	if now.run-s.refusedSeries < 60_000 {
		n = append(n, fmt.Sprintf("There are more than %d gauges in all, or %d of one service. The newest are left out.", maxSeries, maxOwn))
	}
	return n
}

// latest returns the later of two services that may be nil.
func latest(a, b *service) *service {
	if a == nil || b != nil && b.lastSeen > a.lastSeen {
		return b
	}
	return a
}
