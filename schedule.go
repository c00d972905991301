package runtimemetrics

import (
	"hash/maphash"
	"time"
)

// schedule returns how late a tick is that was due and comes now, and when the
// next one is due: a whole number of pauses later, so that ticks which the
// process slept through are left out and its phase is kept.
func schedule(due, now, pause time.Duration) (late, next time.Duration) {
	late = max(0, now-due)
	return late, due + (late/pause+1)*pause
}

// randomPart returns a random part of d, more than 0 and at most d: the second
// tick comes so long after the first, and then the phases of processes that were
// started together differ. It does not use the global generator of math/rand,
// which a program may have seeded with the same number in each of its processes.
func randomPart(d time.Duration) time.Duration {
	random := new(maphash.Hash).Sum64()
	return time.Duration(random%uint64(d)) + 1
}
