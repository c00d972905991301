// Package cost counts what a tick costs: stop-the-world events and heap
// allocations, never time. Each count is taken in a process of its own, without
// the race detector, which allocates.
package cost

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

func TestAThousandTicksOfTheCollector(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		// 27 gauges, for the first tick and four times a thousand.
		{"do not stop the world and allocate nothing", nil, "gauges 108027 stops 0 allocations 0"},
		{"nor with more garbage collections behind them than the runtime remembers", []string{"-collections=300"}, "gauges 108027 stops 0 allocations 0"},
		{"stop the world once each in exact mode, and allocate nothing", []string{"-exact"}, "gauges 108027 stops 1000 allocations 0"},
		{"the same with a long history", []string{"-exact", "-collections=300"}, "gauges 108027 stops 1000 allocations 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := harness.Host{Program: "costcollector", Args: test.args}.Start(t)
			p.End()
			got := strings.Join(p.Stdout(), "\n")
			t.Log(got)
			if got != test.want {
				t.Errorf("the program counted %q, want %q", got, test.want)
			}
		})
	}
}

// counted runs the library in a process and returns what each tick cost, in
// growing order.
func counted(t *testing.T, args ...string) []int {
	t.Helper()
	s := harness.ListenUDP(t)
	p := harness.Host{
		Program: "costroot",
		Args:    append([]string{"--statsd=" + s.Addr(), "--metric-prefix=go.cost", "--pause=100ms"}, args...),
		Env:     []string{"GOMAXPROCS=1"},
	}.Start(t)
	p.End()
	var counts []int
	for _, line := range p.Stdout() {
		n, err := strconv.Atoi(line)
		if err != nil {
			t.Fatalf("the program printed %q", line)
		}
		counts = append(counts, n)
	}
	if len(counts) == 0 {
		t.Fatal("the program printed nothing")
	}
	slices.Sort(counts)
	t.Log("counted in each tick:", counts)
	return counts
}

func TestWholeTicks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"do not stop the world", []string{"-count=stops"}, 0},
		{"stop the world once in exact mode", []string{"-count=stops", "--metric-exact"}, 1},
		{"allocate nothing", []string{"-count=allocations"}, 0},
		{"allocate nothing with a long history", []string{"-count=allocations", "-collections=300"}, 0},
		{"allocate nothing after garbage collections", []string{"-count=allocations", "-between=2"}, 0},
		{"allocate nothing in exact mode", []string{"-count=allocations", "--metric-exact"}, 0},
		{"allocate nothing when a tick is two datagrams", []string{"-count=allocations", "--metric-packet-size=1000"}, 0},
		{"allocate nothing with a long prefix", []string{"-count=allocations", "--metric-prefix=" + strings.Repeat("x", 128)}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			counts := counted(t, test.args...)
			if test.args[0] == "-count=allocations" {
				// The runtime allocates for itself now and then.
				counts = counts[:len(counts)*3/4]
			}
			if total := sum(counts); total != test.want*len(counts) {
				t.Errorf("%d ticks cost %d in all, want %d each", len(counts), total, test.want)
			}
		})
	}
}

// TestAThousandWholeTicks reports how the two compare in time, and asserts what
// can be counted.
func TestAThousandWholeTicks(t *testing.T) {
	t.Parallel()
	var ns [2]int
	for i, program := range []string{"costthe27", "costall"} {
		p := harness.Host{Program: program, Env: []string{"GOMAXPROCS=1"}}.Start(t)
		p.End()
		line := strings.Join(p.Stdout(), "\n")
		t.Log(program, line)
		var lines, datagrams, bytes, stops, allocations int
		_, err := fmt.Sscanf(line, "lines %d datagrams %d bytes %d stops %d allocations %d ns %d", &lines, &datagrams, &bytes, &stops, &allocations, &ns[i])
		if err != nil {
			t.Fatal(err)
		}
		if stops != 0 || allocations != 0 {
			t.Errorf("%s: a thousand ticks stopped the world %d times and allocated %d times", program, stops, allocations)
		}
		if most := bytes/1300 + 1; datagrams > most {
			t.Errorf("%s: %d bytes in %d datagrams, want at most %d", program, bytes, datagrams, most)
		}
		if program == "costthe27" && (lines != 27 || datagrams != 1) {
			t.Errorf("%d gauges in %d datagrams, want 27 in 1", lines, datagrams)
		}
	}
	t.Logf("a tick with everything takes %.1f times as long as one of the 27", float64(ns[1])/float64(ns[0]))
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}
