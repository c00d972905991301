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

// again lets a fault happen until it costs what it is said to. On a busy machine
// another part may be late by itself, and what that costs is not the fault's; what is
// the fault's comes each time.
func again(t *testing.T, fault func() (wrong []string)) {
	t.Helper()
	for try := 1; ; try++ {
		wrong := fault()
		if len(wrong) == 0 {
			return
		}
		text := strings.Join(wrong[:min(len(wrong), 10)], "\n")
		if try == 3 {
			t.Fatalf("%d are wrong, for the third time, among them\n%s", len(wrong), text)
		}
		t.Logf("%d are wrong, among them\n%s", len(wrong), text)
	}
}

func killStatsD(t *testing.T, c *cluster) {
	again(t, func() (wrong []string) {
		complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
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
				complain("%s has gaps %v s after the kill, though another StatsD had it", gauge, seconds)
			}
			// The proxy's check, the next tick, the next flush: a second each. Less
			// than the time for which b was away is what the proxy is for.
			if last := slices.Max(seconds); last > 7 {
				complain("%s has a gap %d s after the kill", gauge, last)
			}
		}
		for gauge, seconds := range l.old {
			if _, ok := before["b"][strings.TrimPrefix(gauge, below)]; !ok {
				complain("%s goes back %v s after the kill, though it never left its StatsD", gauge, seconds)
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
		return wrong
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
	again(t, func() (wrong []string) {
		complain := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
		l := measure(t, c, carbonKilled)
		if len(l.lost) == 0 {
			complain("nothing was lost: the cache can have had nothing in memory")
		}
		for gauge, seconds := range l.lost {
			if !in["b"][gauge] {
				complain("%s has gaps %v s after the kill, though it is in cache a", gauge, seconds)
			}
			// What the cache had in memory and what was on its way to it. The time
			// for which it was away is in the relay's queue.
			if first, last := seconds[0], slices.Max(seconds); first == -before || last > 2 {
				complain("%s has gaps %v s after the kill", gauge, seconds)
			}
		}
		if len(l.old) > 0 {
			complain("gauges go back: %v", l.old)
		}
		return wrong
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
