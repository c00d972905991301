//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

func TestCluster(t *testing.T) {
	c := start(t)
	if err := eventually(func() error { return c.fresh(5) }); err != nil {
		t.Fatalf("not all gauges of all processes arrive: %v", err)
	}
	t.Run("a line of a datagram goes to one StatsD, with its tags and its sign", func(t *testing.T) { throughProxy(t, c) })
	t.Run("a StatsD is killed", func(t *testing.T) { killStatsD(t, c) })
	t.Run("a carbon-cache is killed", func(t *testing.T) { killCarbon(t, c) })
}

func throughProxy(t *testing.T, c *cluster) {
	defer runtimemetrics.Register(func(t *runtimemetrics.Tick) { t.Gauge("degrees", -5) })()
	defer runtimemetrics.Stop()
	err := runtimemetrics.Start(runtimemetrics.Config{
		StatsD: "127.0.0.1:" + c.ports["STATSD_PORT"],
		Prefix: "e2e",
		Tags:   []string{"service:api"},
		Pause:  250 * time.Millisecond,
		Logf:   t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = eventually(func() error {
		holder, busy, degrees := map[string]string{}, 0, ""
		for _, name := range statsds {
			held, err := c.inStatsD(name, "e2e.")
			if err != nil {
				return err
			}
			for gauge, value := range held {
				if other, ok := holder[gauge]; ok {
					// Or from one to the other, if the proxy has had to wait for an answer: then
					// the first one lets go of it.
					return fmt.Errorf("%s has gone to StatsD %s and %s", gauge, other, name)
				}
				holder[gauge] = name
				if gauge == "e2e.degrees;service=api" {
					degrees = value
				}
			}
			if len(held) > 0 {
				busy++
			}
		}
		switch {
		case len(holder) != 28:
			return fmt.Errorf("%d gauges of 28 have arrived", len(holder))
		case busy < 2:
			return errors.New("all gauges have gone to one StatsD")
		case degrees != "-5":
			return fmt.Errorf("degrees is %q, want -5", degrees)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// again lets a fault happen until it has cost nothing where it cannot: on a busy
// machine another part is late by itself, and what that costs is not the fault's.
func again(t *testing.T, fault func(wrong, elsewhere *complaints)) {
	t.Helper()
	for try := 1; ; try++ {
		var wrong, elsewhere complaints
		fault(&wrong, &elsewhere)
		switch {
		case len(elsewhere) == 0 && len(wrong) == 0:
			return
		case len(elsewhere) == 0:
			t.Fatal(wrong)
		case try == 3:
			t.Fatalf("for the third time: %v", append(elsewhere, wrong...))
		}
		t.Logf("once more: %v", append(elsewhere, wrong...))
	}
}

type complaints []string

func (c *complaints) add(format string, args ...any) { *c = append(*c, fmt.Sprintf(format, args...)) }

func (c complaints) String() string {
	return fmt.Sprintf("%d complaints, among them\n%s", len(c), strings.Join(c[:min(len(c), 10)], "\n"))
}

func killStatsD(t *testing.T, c *cluster) {
	again(t, func(wrong, elsewhere *complaints) {
		before := map[string]map[string]string{}
		err := eventually(func() error {
			all := 0
			for _, name := range statsds {
				held, err := c.inStatsD(name, "fleet.")
				if err != nil {
					return err
				}
				if len(held) == 0 {
					return fmt.Errorf("StatsD %s has no gauges", name)
				}
				before[name] = held
				all += len(held)
			}
			if all != gauges {
				return fmt.Errorf("the StatsD have %d gauges, want one of each of %d", all, gauges)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l := measure(t, c, statsdKilled)
		for gauge, seconds := range l.lost {
			if _, ok := before["b"][strings.TrimPrefix(gauge, below)]; !ok {
				elsewhere.add("%s has gaps %v s after the kill, though another StatsD had it", gauge, seconds)
			}
			// The proxy's check, the next tick, the next flush: a second each. Less
			// than the time for which b was away is what the proxy is for.
			if last := slices.Max(seconds); last > 7 {
				wrong.add("%s has a gap %d s after the kill", gauge, last)
			}
		}
		for gauge, seconds := range l.old {
			if _, ok := before["b"][strings.TrimPrefix(gauge, below)]; !ok {
				elsewhere.add("%s goes back %v s after the kill, though it never left its StatsD", gauge, seconds)
			}
		}
		// The gauges are back where they were, and nobody else repeats them.
		err = eventually(func() error {
			for _, name := range statsds {
				held, err := c.inStatsD(name, "fleet.")
				if err != nil {
					return err
				}
				for gauge := range held {
					if _, ok := before[name][gauge]; !ok {
						return fmt.Errorf("StatsD %s repeats %s, which is not its own", name, gauge)
					}
				}
				if len(held) != len(before[name]) {
					return fmt.Errorf("StatsD %s has %d gauges, and had %d", name, len(held), len(before[name]))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func killCarbon(t *testing.T, c *cluster) {
	in := map[string]map[string]bool{}
	for _, name := range []string{"a", "b"} {
		held, err := c.inCarbon(name)
		if err != nil {
			t.Fatal(err)
		}
		in[name] = held
	}
	if n := len(in["a"]) + len(in["b"]); n != gauges {
		t.Errorf("the caches have %d files, want one of each of %d gauges", n, gauges)
	}
	again(t, func(wrong, elsewhere *complaints) {
		l := measure(t, c, carbonKilled)
		if len(l.lost) == 0 {
			wrong.add("nothing was lost: the cache can have had nothing in memory")
		}
		for gauge, seconds := range l.lost {
			if !in["b"][gauge] {
				elsewhere.add("%s has gaps %v s after the kill, though it is in cache a", gauge, seconds)
			}
			// What the cache had in memory and what was on its way to it. The time
			// for which it was away is in the relay's queue.
			if first, last := seconds[0], slices.Max(seconds); first == -before || last > 2 {
				wrong.add("%s has gaps %v s after the kill", gauge, seconds)
			}
		}
		for gauge, seconds := range l.old {
			if !in["b"][gauge] {
				elsewhere.add("%s goes back %v s after the kill, though it is in cache a", gauge, seconds)
			} else {
				wrong.add("%s goes back %v s after the kill", gauge, seconds)
			}
		}
	})
}

func measure(t *testing.T, c *cluster, f fault) *loss {
	t.Helper()
	l, err := c.measure(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s\n%v", header, l)
	return l
}

// start has up start a cluster on free ports, in a directory of its own.
func start(t *testing.T) *cluster {
	t.Helper()
	s := stacktest.Up(t, "..")
	c, err := open(s.Work, s.Env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
