package main

import (
	"testing"
	"time"
)

func TestGapsAreCountedToAnEighth(t *testing.T) {
	var g gaps
	for i := range 1000 {
		g.add(time.Duration(1+i) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.999: 999 * time.Microsecond, 1: time.Millisecond} {
		if got := g.quantile(q); got < want || got > want*9/8 {
			t.Errorf("quantile %v is %v, want %v to an eighth", q, got, want)
		}
	}
	g.add(2 * time.Millisecond)
	var sum gaps
	sum.merge(&g)
	if sum.n != 1001 || sum.max != 2*time.Millisecond || sum.long != 2*time.Millisecond {
		t.Errorf("%d gaps, longest %v, long ones %v", sum.n, sum.max, sum.long)
	}
}
