// Package cost weighs the binary and counts what a tick costs: stop-the-world
// events and heap allocations, never time. Each count is taken in a process of its
// own, without the race detector, which allocates.
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

// TestAThousandTicks makes them one after the other. It reports how two kinds
// compare in time, and asserts what can be counted.
func TestAThousandTicks(t *testing.T) {
	t.Parallel()
	ns := map[string]int{}
	for _, test := range []struct {
		name, program string
		env           []string
		lines         int // 0: does not matter
		datagrams     int // 0: as few as the bytes take
		stops         int
	}{
		{"of the 27", "costthe27", nil, 27, 1, 0},
		{"with more garbage collections behind them than the runtime remembers", "costthe27", []string{"COLLECTIONS=300"}, 27, 1, 0},
		{"in exact mode", "costthe27", []string{"RUNTIMEMETRICS_METRIC_EXACT=true"}, 27, 1, 1000},
		{"in exact mode, with a long history", "costthe27", []string{"RUNTIMEMETRICS_METRIC_EXACT=true", "COLLECTIONS=300"}, 27, 1, 1000},
		{"of more than a datagram", "costthe27", []string{"RUNTIMEMETRICS_METRIC_PACKET_SIZE=600"}, 27, 2, 0},
		{"with a long prefix", "costthe27", []string{"RUNTIMEMETRICS_METRIC_PREFIX=" + strings.Repeat("x", 128)}, 27, 3, 0},
		{"with all there is", "costall", nil, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := harness.Host{Program: test.program, Env: append([]string{"GOMAXPROCS=1"}, test.env...)}.Start(t)
			p.End()
			line := strings.Join(p.Stdout(), "\n")
			t.Log(line)
			var lines, datagrams, bytes, stops, allocations, took int
			if _, err := fmt.Sscanf(line, "lines %d datagrams %d bytes %d stops %d allocations %d ns %d", &lines, &datagrams, &bytes, &stops, &allocations, &took); err != nil {
				t.Fatal(err)
			}
			if stops != test.stops || allocations != 0 {
				t.Errorf("a thousand ticks stopped the world %d times, want %d, and allocated %d times, want 0", stops, test.stops, allocations)
			}
			if test.lines != 0 && (lines != test.lines || datagrams != test.datagrams) {
				t.Errorf("%d gauges in %d datagrams, want %d in %d", lines, datagrams, test.lines, test.datagrams)
			}
			if most := bytes/1300 + 1; test.datagrams == 0 && datagrams > most {
				t.Errorf("%d bytes in %d datagrams, want at most %d", bytes, datagrams, most)
			}
			ns[test.name] = took
		})
	}
	if all, the27 := ns["with all there is"], ns["of the 27"]; all > 0 && the27 > 0 {
		t.Logf("a tick with all there is takes %.1f times as long as one of the 27", float64(all)/float64(the27))
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

// TestTicksThatComeByThemselves includes the wait between two ticks, and what
// garbage collections in between change.
func TestTicksThatComeByThemselves(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args []string
	}{
		{"do not stop the world", []string{"-count=stops"}},
		{"allocate nothing", []string{"-count=allocations", "-between=2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			counts := counted(t, test.args...)
			// The runtime allocates for itself now and then.
			least := counts[:len(counts)*3/4]
			if test.args[0] == "-count=stops" {
				least = counts
			}
			if total := sum(least); total != 0 {
				t.Errorf("%d ticks cost %d in all, want 0", len(least), total)
			}
		})
	}
}

func sum(counts []int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}
