package main

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// What is kept is bounded by construction: maxSeries rings of maxFrames values
// of 8 bytes are 125 MiB, whatever is sent. A service with the 27 gauges takes
// 0.8 MiB after an hour at one tick a second, and a tenth of it at the
// library's default of one every 10 s.
const (
	history     = time.Hour
	frameWidth  = 900 * time.Millisecond // a little less than the pause of 1 s, for jitter
	maxFrames   = int(history / frameWidth)
	maxServices = 64
	maxSeries   = 4096 // of all services together
	maxOwn      = 1024 // of one service, so that it leaves room for others
	maxName     = 300  // bytes
)

const (
	// While the pause of a service is not known, it is taken for the default.
	defaultInterval = 10 * time.Second

	// A service is gone after this many intervals without a datagram, but not
	// sooner than goneAtLeast: machines and networks stutter.
	goneIntervals = 3
	goneAtLeast   = 3 * time.Second

	// Points further apart than this many intervals are not joined by a line.
	gapIntervals = 2.5
)

// origin is what tells services apart, but for two with the same origin at the
// same time: see service.port.
type origin struct {
	addr   netip.Addr
	prefix string // of the gauges, without the final dot
	tags   string
	other  bool // gauges that belong to no known prefix
}

// series are the values of one gauge, one for each frame of its service, NaN
// where it did not come.
type series struct {
	name   string
	values []float64
	value  float64 // last one received: a relative value changes it
	seen   int64   // number of the frame that it last came in
}

// service is what sends under one prefix. Its gauges share a time axis, whose
// points are called frames: what arrived within frameWidth.
type service struct {
	origin
	id string // for people and for links: the prefix, or prefix~2 and so on

	// port is the sender's at present. It changes while a process lives, since
	// the library redials each minute, and when the process is restarted; both
	// go on with the same curve. But when a port that was left behind sends
	// again, there are two processes under the same prefix.
	port uint16

	first    int64    // number of the oldest frame
	times    []int64  // when the last datagram of each frame came, Unix milliseconds
	ports    []uint16 // where each frame came from
	began    int64    // when the first datagram of the last frame came
	spacings [3]int64 // between the last frames, in milliseconds; 0 if not known
	lastSeen time.Time

	series  map[string]*series
	version int64 // another one when the series are others, or their past is
}

// store keeps what has been received. Its methods may be called at any time.
type store struct {
	mu       sync.Mutex
	services []*service
	total    int   // series of all services
	versions int64 // given out so far
	counts   counts
}

// counts are the store's own statistics.
type counts struct {
	Datagrams       int      `json:"datagrams"`
	Bad             int      `json:"bad"`
	LastBad         *badLine `json:"lastBad,omitempty"`
	Ignored         int      `json:"ignored"`
	RefusedServices int      `json:"refusedServices"` // samples of services beyond the limit
	RefusedSeries   int      `json:"refusedSeries"`   // samples of gauges beyond the limit
}

func newStore() *store { return &store{} }

// known are the gauges that every service sends that imports the library.
var known = func() map[string]bool {
	m := make(map[string]bool)
	for _, g := range collector.Gauges() {
		m[g.Name] = true
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
		if gauge := name[end+1:]; known[gauge] {
			return name[:max(end, 0)], gauge, true
		}
	}
	return "", "", false
}

// add takes in a datagram.
func (s *store) add(now time.Time, from netip.AddrPort, d datagram) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Datagrams++
	s.counts.Ignored += d.ignored
	s.counts.Bad += len(d.bad)
	if n := len(d.bad); n > 0 {
		last := d.bad[n-1]
		last.From = from.String()
		s.counts.LastBad = &last
	}
	for _, sm := range d.samples {
		svc, name := s.place(now, from, sm)
		if svc == nil {
			s.counts.RefusedServices++
			continue
		}
		svc.receive(now)
		if !s.set(svc, name, sm) {
			s.counts.RefusedSeries++
		}
	}
	s.trim(now)
}

// place returns the service that a sample belongs to and what its gauge is
// called there, or nil if there is no room for another service.
func (s *store) place(now time.Time, from netip.AddrPort, sm sample) (*service, string) {
	addr, port := from.Addr(), from.Port()
	if prefix, gauge, ok := splitName(sm.name); ok {
		return s.sender(now, origin{addr: addr, prefix: prefix, tags: sm.tags}, port), gauge
	}

	// A further gauge belongs to the sender's service with the longest prefix
	// that fits; to the one with the same tags and port, if there are several.
	var best *service
	rank := func(svc *service) int {
		r := 4 * len(svc.prefix)
		if svc.tags == sm.tags {
			r += 2
		}
		if svc.port == port {
			r++
		}
		return r
	}
	for _, svc := range s.services {
		if svc.addr != addr || svc.other || !belongs(sm.name, svc.prefix) {
			continue
		}
		if svc.prefix == "" && svc.port != port {
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
		best = s.sender(now, origin{addr: addr, other: true}, 0)
	} else if best.prefix != "" {
		name = name[len(best.prefix)+1:]
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

// sender returns the service of an origin that sends from port; it may be a
// new one. It returns nil if there is no room.
func (s *store) sender(now time.Time, o origin, port uint16) *service {
	var alive, gone *service
	for _, svc := range s.services {
		if svc.origin != o {
			continue
		}
		if svc.port == port {
			return svc
		}
		if slices.Contains(svc.ports, port) {
			s.split(now, svc, port)
			return svc
		}
		// A process that redials, or is back after a restart, is the one that
		// is overdue; one that is gone comes second.
		if !svc.isGone(now) {
			if alive == nil || svc.overdue(now) > alive.overdue(now) {
				alive = svc
			}
		} else if gone == nil || svc.lastSeen.After(gone.lastSeen) {
			gone = svc
		}
	}
	svc := cmp.Or(alive, gone)
	if svc == nil {
		if svc = s.newService(now, o); svc == nil {
			return nil
		}
	}
	svc.port = port
	return svc
}

// split is called when port sends again after others seemed to have taken its
// place. So each of them is a process of its own, and gets what it has sent
// since.
func (s *store) split(now time.Time, svc *service, port uint16) {
	svc.port = port
	keep := len(svc.ports)
	for svc.ports[keep-1] != port {
		keep--
	}
	others := slices.Sorted(slices.Values(svc.ports[keep:]))
	for _, p := range slices.Compact(others) {
		// It may be one that was gone and has been restarted.
		var to *service
		for _, other := range s.services {
			if other != svc && other.origin == svc.origin && other.isGone(now) {
				to = other
			}
		}
		if to == nil {
			if to = s.newService(now, svc.origin); to == nil {
				continue
			}
		}
		to.port = p
		for i := keep; i < len(svc.ports); i++ {
			if svc.ports[i] != p {
				continue
			}
			to.open(svc.times[i])
			for _, from := range svc.series {
				if v := from.values[i]; !math.IsNaN(v) {
					s.set(to, from.name, sample{value: v})
				}
			}
		}
		s.versions++
		to.version = s.versions
	}
	s.cut(svc, keep)
}

// newService adds a service. If there are too many, the one that is gone for
// longest makes room; if none is gone, it returns nil.
func (s *store) newService(now time.Time, o origin) *service {
	if len(s.services) >= maxServices {
		var oldest *service
		for _, svc := range s.services {
			if svc.isGone(now) && (oldest == nil || svc.lastSeen.Before(oldest.lastSeen)) {
				oldest = svc
			}
		}
		if oldest == nil {
			return nil
		}
		s.remove(oldest)
	}

	// The strings may be part of a whole datagram.
	o.prefix, o.tags = strings.Clone(o.prefix), strings.Clone(o.tags)
	s.versions++
	svc := &service{origin: o, series: make(map[string]*series), version: s.versions}
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
		for name := range other.series {
			if belongs(name, svc.prefix) {
				s.drop(other, name)
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
func (s *store) drop(svc *service, name string) {
	delete(svc.series, name)
	s.total--
	s.versions++
	svc.version = s.versions
}

// set sets a gauge in the last frame. It returns false if there is no room.
func (s *store) set(svc *service, name string, sm sample) bool {
	g := svc.series[name]
	if g == nil {
		if s.total >= maxSeries || len(svc.series) >= maxOwn {
			return false
		}
		name = strings.Clone(name)
		g = &series{name: name, values: make([]float64, len(svc.times), cap(svc.times))}
		for i := range g.values {
			g.values[i] = math.NaN()
		}
		svc.series[name] = g
		s.total++
		s.versions++
		svc.version = s.versions
	}
	// As in StatsD, a change of a gauge that was never set counts from 0.
	if sm.relative {
		g.value += sm.value
	} else {
		g.value = sm.value
	}
	last := len(svc.times) - 1
	g.values[last] = g.value
	g.seen = svc.first + int64(last)
	return true
}

// receive notes that a datagram came, and opens a new frame unless the last one
// is still open.
func (svc *service) receive(now time.Time) {
	t := now.UnixMilli()
	last := len(svc.times) - 1
	if last >= 0 && svc.ports[last] == svc.port && t-svc.began < frameWidth.Milliseconds() {
		svc.times[last], svc.lastSeen = t, now
		return
	}
	svc.open(t)
}

// open opens a new frame.
func (svc *service) open(t int64) {
	if len(svc.times) > 0 {
		svc.spacings = [3]int64{svc.spacings[1], svc.spacings[2], t - svc.began}
	}
	if len(svc.times) == maxFrames {
		svc.forget(1)
	}
	svc.began, svc.lastSeen = t, time.UnixMilli(t)
	svc.times = appendBounded(svc.times, t)
	svc.ports = appendBounded(svc.ports, svc.port)
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
	svc.ports = slices.Delete(svc.ports, 0, n)
	for _, g := range svc.series {
		g.values = slices.Delete(g.values, 0, n)
	}
}

// cut keeps only the n oldest frames, and the gauges that are in them.
func (s *store) cut(svc *service, n int) {
	svc.times, svc.ports = svc.times[:n], svc.ports[:n]
	svc.began = svc.times[n-1]
	svc.lastSeen = time.UnixMilli(svc.began)
	for name, g := range svc.series {
		g.values = g.values[:n]
		last := n - 1
		for last >= 0 && math.IsNaN(g.values[last]) {
			last--
		}
		if last < 0 {
			s.drop(svc, name)
			continue
		}
		g.value, g.seen = g.values[last], svc.first+int64(last)
	}
	s.versions++
	svc.version = s.versions
}

// trim removes what is older than the history: frames, gauges that have not
// come since, and services that are gone.
func (s *store) trim(now time.Time) {
	oldest := now.Add(-history).UnixMilli()
	for _, svc := range slices.Clone(s.services) {
		n := 0
		for n < len(svc.times) && svc.times[n] < oldest {
			n++
		}
		if n == 0 && len(svc.times) < maxFrames {
			continue
		}
		svc.forget(n)
		for name, g := range svc.series {
			if g.seen < svc.first {
				s.drop(svc, name)
			}
		}
		if len(svc.series) == 0 {
			s.remove(svc)
		}
	}
}

// interval is the time between two ticks of the service.
func (svc *service) interval() time.Duration {
	if svc.spacings[0] == 0 {
		return defaultInterval
	}
	// The median, because one of the three may have seen a lost datagram, or a
	// restart, or the second tick, which comes after a random part of the pause.
	sorted := svc.spacings
	slices.Sort(sorted[:])
	return time.Duration(sorted[1]) * time.Millisecond
}

// overdue is how long the service has been silent, in its intervals.
func (svc *service) overdue(now time.Time) float64 {
	return float64(now.Sub(svc.lastSeen)) / float64(svc.interval())
}

func (svc *service) isGone(now time.Time) bool {
	// Other gauges are sent now and then, by whatever.
	if svc.other {
		return now.Sub(svc.lastSeen) > 6*defaultInterval
	}
	return now.Sub(svc.lastSeen) > max(goneIntervals*svc.interval(), goneAtLeast)
}

// gap is how far apart two points may be to be joined by a line, in
// milliseconds.
func (svc *service) gap() int64 {
	return int64(gapIntervals * float64(max(svc.interval(), time.Second).Milliseconds()))
}

// sentFrom returns where the service sends from, for people.
func (svc *service) sentFrom() string {
	if svc.port == 0 {
		return svc.addr.String()
	}
	return netip.AddrPortFrom(svc.addr, svc.port).String()
}

// notices are the limits that have been met.
func (c counts) notices() []string {
	var n []string
	if c.RefusedServices > 0 {
		n = append(n, fmt.Sprintf("There are more than %d services; the others are left out (%d gauges refused).", maxServices, c.RefusedServices))
	}
	if c.RefusedSeries > 0 {
		n = append(n, fmt.Sprintf("There are more than %d gauges in all or %d of one service; the others are left out (%d refused).", maxSeries, maxOwn, c.RefusedSeries))
	}
	return n
}
