package collector

import (
	"math"
	"runtime/metrics"
	"slices"
)

// histogram keeps what a histogram of runtime/metrics counted at the last tick,
// so that the events since then can be told apart from all before. Its buckets
// are those of metrics.Float64Histogram: bucket i holds the values from edge i
// up to, but not including, edge i+1; the first edge may be -Inf, the last +Inf.
type histogram struct {
	edges  []float64
	counts []uint64 // all events so far, at the last update
	events uint64   // sum of counts
	since  []uint64 // events between the last update and the one before, if there were any
	total  uint64   // sum of since
}

// update takes in a reading. It allocates only at the first one; then nothing
// counts as having happened since. The edges never change while the program
// lives, and are shared with the runtime: package runtime/metrics promises both.
func (h *histogram) update(now *metrics.Float64Histogram) {
	if len(h.counts) != len(now.Counts) {
		h.edges, h.counts = now.Buckets, slices.Clone(now.Counts)
		h.since = make([]uint64, len(now.Counts))
		h.events = sum(now.Counts)
	}
	events := sum(now.Counts)
	h.total, h.events = events-h.events, events
	if h.total == 0 {
		return // most histograms at most ticks
	}
	for i, n := range now.Counts {
		h.since[i] = n - h.counts[i]
	}
	copy(h.counts, now.Counts)
}

func sum(counts []uint64) (total uint64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// quantile returns the value below which the fraction q, more than 0 and at
// most 1, of the events since the last update lies; 0 if there were none.
// Within the bucket that holds it, events are taken to be spread evenly:
//
//	     rank
//	       |
//	 ......+....      n events in the bucket, m before it:
//	 |     |   |
//	lower  v  upper   v = lower + (upper-lower) * (rank-m)/n
func (h *histogram) quantile(q float64) float64 {
	if h.total == 0 {
		return 0
	}
	rank := math.Max(1, math.Ceil(q*float64(h.total)))
	var before float64
	for i, n := range h.since {
		if n == 0 {
			continue
		}
		if before+float64(n) >= rank {
			lower, upper := h.bounds(i)
			return math.Min(upper, lower+(upper-lower)*(rank-before)/float64(n))
		}
		before += float64(n)
	}
	return h.upper() // where rounding of huge counts has left a rest
}

// upper returns the upper edge of the highest bucket with an event since the
// last update, so that no event was larger; 0 if there were none. Of a bucket
// without an upper edge it is the lower one, which is all that is known.
func (h *histogram) upper() float64 {
	if h.total == 0 {
		return 0
	}
	for i := len(h.since) - 1; i >= 0; i-- {
		if h.since[i] > 0 {
			_, upper := h.bounds(i)
			return upper
		}
	}
	return 0
}

// bounds returns the edges of bucket i, an infinite one replaced by the other.
func (h *histogram) bounds(i int) (lower, upper float64) {
	lower, upper = h.edges[i], h.edges[i+1]
	if math.IsInf(lower, 0) {
		lower = upper
	}
	if math.IsInf(upper, 0) {
		upper = lower
	}
	if math.IsInf(lower, 0) { // one bucket for everything says nothing
		return 0, 0
	}
	return lower, upper
}

// over returns how many events there have been so far in the buckets from the
// first edge at or above limit on.
func (h *histogram) over(limit float64) uint64 {
	first, _ := slices.BinarySearch(h.edges, limit)
	return sum(h.counts[min(first, len(h.counts)):])
}
