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

func TestLongerGapsAreCounted(t *testing.T) {
	var g gaps
	for range 10 {
		g.add(500 * time.Nanosecond)
		g.add(100 * time.Microsecond)
	}
	g.add(2 * time.Millisecond)
	points := g.longer(2)
	for i, p := range points {
		want := 0.5
		if p.X < 100e-6 {
			want = 5.5
		}
		if p.Y != want || i > 0 && p.X <= points[i-1].X {
			t.Errorf("%v gaps a second are longer than %v s, want %v", p.Y, p.X, want)
		}
	}
	if n := len(points); n == 0 || points[0].X < 1e-6 || points[0].X > 1.2e-6 || points[n-1].X > 2e-3 || points[n-1].X < 1.5e-3 {
		t.Errorf("%d points: %v", n, points)
	}
}
