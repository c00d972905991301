package runtimemetrics

import (
	"testing"
	"time"
)

func TestTheScheduleKeepsItsPhase(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name            string
		due, now, pause time.Duration
		late, next      time.Duration
	}{
		{"on time", 10 * s, 10 * s, 10 * s, 0, 20 * s},
		{"a little late", 10 * s, 10*s + 7, 10 * s, 7, 20 * s},
		{"a timer that fires early is not late", 10 * s, 10*s - 7, 10 * s, 0, 20 * s},
		{"just before the next", 10 * s, 20*s - 1, 10 * s, 10*s - 1, 20 * s},
		{"when the next was due", 10 * s, 20 * s, 10 * s, 10 * s, 30 * s},
		{"ticks that were slept through are left out", 10 * s, 75 * s, 10 * s, 65 * s, 80 * s},
	}
	for _, tt := range tests {
		if late, next := schedule(tt.due, tt.now, tt.pause); late != tt.late || next != tt.next {
			t.Errorf("%s: late by %v, next at %v; want %v and %v", tt.name, late, next, tt.late, tt.next)
		}
	}
}

func TestARandomPartIsAPart(t *testing.T) {
	for i := 0; i < 1000; i++ {
		if d := randomPart(3); d < 1 || d > 3 {
			t.Fatalf("a random part of 3 is %d", d)
		}
	}
}
