package main

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// process is one process that sends under a prefix, as far as that shows. Its
// cumulative gauges only ever grow: when one falls, another process has begun,
// and either it is in the place of the first (a restart) or beside it. It is
// beside it if the first goes on with its sequence, more than once. Ports say
// little: the library redials each minute, the system hands the same port out
// again, a script has another one for each datagram.
type process struct {
	number uint32
	port   uint16
	seen   int64 // when it last sent, in milliseconds
	last   []grown
}

// grown is a cumulative gauge.
type grown struct {
	name  string
	value float64
}

// growing returns the cumulative ones of the 27 gauges, by name.
func growing(samples []sample) []grown {
	var out []grown
	for _, sm := range samples {
		if known[sm.name] == collector.Cumulative && !sm.relative {
			out = append(out, grown{sm.name, sm.value})
		}
	}
	return out
}

// compare tells whether values continue the sequences of the process: none of
// them is smaller than it was. informed is false if it cannot be said. ahead is by
// how much the first of them is larger.
func (p *process) compare(values []grown) (continues, informed bool, ahead float64) {
	ahead = math.NaN()
	for _, v := range values {
		i := slices.IndexFunc(p.last, func(g grown) bool { return g.name == v.name })
		if i < 0 {
			continue
		}
		if v.value < p.last[i].value {
			return false, true, 0
		}
		if informed = true; math.IsNaN(ahead) || ahead == 0 {
			ahead = v.value - p.last[i].value
		}
	}
	return informed, informed, ahead
}

// take notes the values that the process has sent.
func (p *process) take(now moment, port uint16, values []grown) {
	p.port, p.seen = port, now.run
	for _, v := range values {
		if i := slices.IndexFunc(p.last, func(g grown) bool { return g.name == v.name }); i >= 0 {
			p.last[i].value = v.value
		} else {
			p.last = append(p.last, grown{strings.Clone(v.name), v.value})
		}
	}
}

// by returns the process that last sent from a port.
func (svc *service) by(port uint16) *process {
	for _, p := range svc.processes {
		if p.port == port {
			return p
		}
	}
	return nil
}

// sender returns the service of an origin that sends these values from a port, and
// makes the process that does its current one. Both may be new. It returns nil if
// there is no room for another service.
func (s *store) sender(now moment, o origin, port uint16, values []grown) *service {
	var same []*service
	for _, svc := range s.services {
		if svc.origin == o {
			same = append(same, svc)
			svc.expire(now)
		}
	}
	if o.other {
		if len(same) > 0 {
			return same[0]
		}
		return s.newService(now, o)
	}

	// The process whose sequences the values continue: the one with the same port,
	// or else the one that they are least ahead of.
	var svc *service
	var best *process
	byPort, least, judged := false, 0.0, false
	for _, candidate := range same {
		for _, p := range candidate.processes {
			continues, informed, ahead := p.compare(values)
			judged = judged || informed
			samePort := p.port == port
			if informed && !continues || !informed && !samePort {
				continue
			}
			if best == nil || samePort && !byPort || samePort == byPort && ahead < least {
				svc, best, byPort, least = candidate, p, samePort, ahead
			}
		}
	}
	if best == nil {
		if svc = inPlaceOf(same, now); svc == nil {
			if svc = s.newService(now, o); svc == nil {
				return nil
			}
		}
		// What says nothing is of whoever sends.
		if best = svc.current; best == nil || judged {
			best = s.begin(now, svc)
		}
	}
	if svc.current != best {
		was := svc.current
		svc.current = best
		if len(values) > 0 && svc.returned(byPort && was.port != port) {
			best.take(now, port, values)
			return s.split(now, svc)
		}
	}
	best.take(now, port, values)
	return svc
}

// inPlaceOf returns the service that a process goes on with which continues none:
// it is most likely that of the one which is overdue.
func inPlaceOf(same []*service, now moment) *service {
	var alive, gone *service
	for _, svc := range same {
		if svc.isGone(now) {
			gone = latest(gone, svc)
		} else if alive == nil || svc.overdue(now) > alive.overdue(now) {
			alive = svc
		}
	}
	if alive != nil && (gone == nil || alive.overdue(now) > 1.5) {
		return alive
	}
	if gone != nil {
		return gone
	}
	return alive
}

// restart is when a process took the place of another, and whether that one had said
// goodbye.
type restart struct {
	at      int64
	goodbye bool
}

// maxProcesses are told apart under one prefix before they have services of their
// own.
const maxProcesses = 32

// begin adds a process to a service.
func (s *store) begin(now moment, svc *service) *process {
	s.processes++
	p := &process{number: s.processes, seen: now.run}
	if svc.current != nil {
		// Stop sets the levels to 0, and no process that runs has no goroutine.
		g := svc.series["cpu.goroutines"]
		svc.restarts = append(svc.restarts, restart{now.run, g != nil && g.value == 0})
		svc.restarts = svc.restarts[max(0, len(svc.restarts)-maxForks):]
	}
	svc.processes = append(svc.processes, p)
	svc.processes = svc.processes[max(0, len(svc.processes)-maxProcesses):]
	svc.current, svc.evidence = p, 0
	return p
}

// expire lets go of processes that have not sent for so long that they do not
// send beside the current one. What they were evidence of has not come true.
func (svc *service) expire(now moment) {
	if len(svc.processes) < 2 {
		return
	}
	longest := int64(defaultInterval)
	for i := max(1, len(svc.times)-3); i < len(svc.times); i++ {
		longest = max(longest, svc.times[i]-svc.times[i-1])
	}
	svc.processes = slices.DeleteFunc(svc.processes, func(p *process) bool {
		return p != svc.current && now.run-p.seen > goneIntervals*longest
	})
	if len(svc.processes) == 1 {
		svc.evidence = 0
	}
}

const (
	// A process that goes on with an older sequence from its own port, while the
	// other has another one, is a clear sign; from a new port, or one that they
	// share, it may be chance. It takes two clear signs.
	clearSign, weakSign = 3, 1
	enough              = 2 * clearSign
)

// returned is called when a process goes on that another seemed to have replaced.
// It tells whether there are two now.
func (svc *service) returned(clear bool) bool {
	if clear {
		svc.evidence += clearSign
	} else {
		svc.evidence += weakSign
	}
	return svc.evidence >= enough
}

// split gives each process of a service one of its own, with the frames that came
// from it. It returns that of the current one.
func (s *store) split(now moment, svc *service) *service {
	current, currents := svc.current, svc
	stays := svc.processes[0]
	moved := make(map[uint32]bool)
	for _, p := range svc.processes[1:] {
		var frames []int
		for i, number := range svc.senders {
			if number == p.number {
				frames = append(frames, i)
			}
		}
		if len(frames) == 0 {
			continue
		}
		to := s.heirOf(now, svc, frames)
		if to == nil {
			continue
		}
		moved[p.number] = true
		to.processes, to.current = []*process{p}, p
		for _, i := range frames {
			to.open(moment{svc.times[i], svc.walls[i]}, p.number)
			to.lastSeen = svc.times[i]
			for _, g := range svc.series {
				at := svc.first + int64(i) - g.first
				if at >= 0 && !math.IsNaN(g.values[at]) {
					s.set(moment{svc.times[i], svc.walls[i]}, to, g.name, sample{value: g.values[at]})
				}
			}
		}
		to.lastSeen = p.seen
		s.changed(to)
		if p == current {
			currents = to
		}
	}
	began := now.run
	for i, number := range svc.senders {
		if moved[number] {
			began = min(began, svc.times[i])
		}
	}
	// What seemed to be restarts were none.
	svc.restarts = slices.DeleteFunc(svc.restarts, func(r restart) bool { return r.at >= began })
	svc.processes = slices.DeleteFunc(svc.processes, func(p *process) bool { return moved[p.number] })
	svc.current, svc.evidence = stays, 0
	svc.lastSeen = stays.seen
	s.without(svc, moved)
	return currents
}

// heirOf returns the service that takes frames of another, which are given by
// index: one of the same origin that is gone, if these come later than its own,
// or else a new one. It returns nil if there is no room.
func (s *store) heirOf(now moment, of *service, frames []int) *service {
	for _, svc := range s.services {
		if svc == of || svc.origin != of.origin || !svc.isGone(now) {
			continue
		}
		if n := len(svc.times); n == 0 || svc.times[n-1] < of.times[frames[0]] {
			return svc
		}
	}
	return s.newService(now, of.origin)
}

// without removes the frames of some processes from a service, and the gauges that
// are in no other.
func (s *store) without(svc *service, moved map[uint32]bool) {
	for _, g := range maps.Clone(svc.series) {
		kept := g.values[:0]
		seen := -1
		for i, number := range svc.senders {
			at := svc.first + int64(i) - g.first
			if moved[number] || at < 0 {
				continue
			}
			kept = append(kept, g.values[at])
			if !math.IsNaN(g.values[at]) {
				seen = len(kept) - 1
			}
		}
		g.values = kept
		if seen < 0 {
			s.drop(svc, g)
			continue
		}
		g.value = g.values[seen]
	}
	keep := func(i int) bool { return !moved[svc.senders[i]] }
	svc.times = filter(svc.times, keep)
	svc.walls = filter(svc.walls, keep)
	svc.senders = filter(svc.senders, keep)
	end := svc.first + int64(len(svc.times))
	for _, g := range svc.series {
		g.first = end - int64(len(g.values))
		g.seen = g.first
		for i, v := range g.values {
			if !math.IsNaN(v) {
				g.seen = g.first + int64(i)
			}
		}
	}
	s.changed(svc)
}

// filter keeps the elements whose index is to be kept.
func filter[T any](s []T, keep func(i int) bool) []T {
	kept := s[:0]
	for i, v := range s {
		if keep(i) {
			kept = append(kept, v)
		}
	}
	return kept
}
