package main

import (
	"math"
	"time"
)

// derivation is how a curve comes from a gauge.
type derivation string

const (
	level     derivation = ""           // the value as it was sent
	limit     derivation = "limit"      // the value, but 0 means that there is none
	perSecond derivation = "per second" // growth of a cumulative gauge
	perMinute derivation = "per minute" // the same over rateWindow, for what is rare
	share     derivation = "share"      // growth of a cumulative time in ns, as a part of the time that passed
	age       derivation = "age"        // time since a point in time, sent as ns since 1970
	ageOfSec  derivation = "age of s"   // the same, sent as seconds since 1970

	thousandths derivation = "thousandths" // of a limit
)

// rateWindow is what a rate per minute is taken over. Over a single tick, an
// event now and then would be a row of needles.
const (
	rateWindow = 30 * time.Second

	// The first moments after a start say too little.
	rateAtLeast = 5 * time.Second
)

// derive returns the curve for the frames from number from on. times and walls
// are in milliseconds, by the two clocks; values are NaN where there is none, and
// so is the result. Points further apart than gap milliseconds have nothing to do
// with each other.
func derive(how derivation, times, walls []int64, values []float64, from int, gap int64) []float64 {
	out := make([]float64, len(values)-from)
	switch how {
	case level:
		copy(out, values[from:])
	case limit, thousandths:
		for i := range out {
			out[i] = values[from+i]
			if out[i] == 0 {
				out[i] = math.NaN()
			}
			if how == thousandths {
				out[i] /= 1000
			}
		}
	case age, ageOfSec:
		perMilli := 1e6 // units of the gauge per millisecond
		if how == ageOfSec {
			perMilli = 1e-3
		}
		for i := range out {
			out[i] = math.NaN()
			// 0 means never.
			if v := values[from+i]; v > 0 {
				// The sender's clock may be ahead of ours.
				out[i] = max(0, float64(walls[from+i])-v/perMilli) * 1e6
			}
		}
	case perMinute:
		rate(out, times, values, gap, rateWindow.Milliseconds(), rateAtLeast.Milliseconds(), 60_000)
	case share:
		rate(out, times, values, gap, 0, 0, 1e-6)
	default:
		rate(out, times, values, gap, 0, 0, 1000)
	}
	return out
}

// rate sets out, whose end is that of values, to the growth per millisecond
// times scale, over window milliseconds or a single tick, whichever is longer.
// After a start or a gap it begins with a shorter window, of at least least.
func rate(out []float64, times []int64, values []float64, gap, window, least int64, scale float64) {
	skip := len(values) - len(out)
	start := -1 // of the window
	last := -1  // point that is not NaN
	for i, v := range values {
		if i >= skip {
			out[i-skip] = math.NaN()
		}
		if math.IsNaN(v) {
			continue
		}
		// After a gap, or a restart, which begins at 0, there is no knowing.
		if last < 0 || times[i]-times[last] > gap || v < values[last] {
			start, last = i, i
			continue
		}
		for next := start + 1; next < i && times[i]-times[next] >= window; next++ {
			if !math.IsNaN(values[next]) {
				start = next
			}
		}
		if passed := times[i] - times[start]; i >= skip && passed > 0 && passed >= least {
			out[i-skip] = (v - values[start]) / float64(passed) * scale
		}
		last = i
	}
}
