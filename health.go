package runtimemetrics

import (
	"fmt"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link"
)

const (
	// So many ticks in a row that did not fail mean that sending works again: the
	// first one may be refused, which the system reports at the next.
	provenBy = 2

	// The last tick that failed must be that long ago, too: Linux reports refusals to
	// another machine once a second at most (icmp_ratelimit).
	provenAfter = 2 * time.Second

	// While sending fails and works in turns, this is the time between two
	// reports of it.
	reportEvery = 10 * time.Minute
)

// health keeps account of lost ticks and of what was said about them. One tick
// more or less at the edge of an outage may be wrong.
type health struct {
	lost       uint64        // ticks
	good       int           // ticks in a row that did not fail
	failedAt   time.Duration // when the last one failed
	told       bool          // the log says that sending fails
	toldAt     time.Duration // when the log last said so, if it ever did
	unreported uint64        // lost ticks of which the log says nothing yet
}

// tick takes in what became of a tick and returns what is to be said of it, if
// anything: that sending began to fail, or that it works again. With a refusal,
// the tick before was lost; with any other error this one.
func (h *health) tick(err error, now time.Duration) string {
	recent := h.toldAt > 0 && now-h.toldAt < reportEvery
	if err != nil {
		h.lost++
		h.unreported++
		h.good, h.failedAt = 0, now
		if h.told || recent || err == link.ErrNotResolved {
			return ""
		}
		h.told, h.toldAt = true, max(now, 1)
		return fmt.Sprintf("fails, ticks are lost until it works again: %v", err)
	}
	if h.good++; h.good < provenBy || now-h.failedAt < provenAfter || h.unreported == 0 || !h.told && recent {
		return ""
	}
	if !h.told {
		h.toldAt = max(now, 1)
	}
	lost := h.unreported
	h.told, h.unreported = false, 0
	return fmt.Sprintf("works again; ticks lost: %d", lost)
}

// more takes in what became of further datagrams of the same tick, which is lost
// but once.
func (h *health) more(err error, now time.Duration) string {
	if err == nil || h.good == 0 {
		return ""
	}
	return h.tick(err, now)
}
