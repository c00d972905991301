package main

import (
	"sync"
	"time"
)

// moment is one point in time, as two clocks show it. What lies between two
// moments is measured by run, because the clock on the wall is set back and forth
// while services tick on. wall is for people, and for times that are sent.
type moment struct {
	run  int64 // milliseconds since the page's server began
	wall int64 // Unix milliseconds
}

// plus returns the moment some milliseconds later.
func (m moment) plus(ms int64) moment { return moment{m.run + ms, m.wall + ms} }

// clock gives moments. Its methods may be called at any time.
type clock struct {
	began time.Time

	mu    sync.Mutex
	last  moment
	slept int64
}

func newClock() *clock {
	now := time.Now()
	return &clock{began: now, last: moment{wall: now.UnixMilli()}}
}

func (c *clock) now() moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advance(time.Since(c.began).Milliseconds(), time.Now().UnixMilli())
}

// sleepAtLeast is more than the two clocks of a machine that is awake part, unless
// the one on the wall is set.
const sleepAtLeast = 60_000

// advance takes what the monotonic clock and the one on the wall show. The first
// stands still while the machine sleeps, which would join the evening's curves to
// the morning's without a gap. So what it lacks is made good. An hour's step of
// the second forward cannot be told from that, and is a gap as well; a step back
// is nothing.
func (c *clock) advance(monotonic, wall int64) moment {
	run := monotonic + c.slept
	if missing := (wall - c.last.wall) - (run - c.last.run); missing > sleepAtLeast {
		c.slept += missing
		run += missing
	}
	c.last = moment{run, wall}
	return c.last
}
