// Package bench compares what a tick costs: of this library, of the one it
// succeeds, and of what else a Go program would push its gauges with.
package bench

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/drain"
)

var (
	every   = flag.Duration("every", 0, "time between two ticks; 0 ticks in a tight loop")
	reverse = flag.Bool("reverse", false, "run the subjects in reverse order: who comes later finds the process warmer")
)

// sink is where all subjects send.
var sink *drain.Drain

func TestMain(m *testing.M) {
	drain.Main()
	flag.Parse()
	var err error
	if sink, err = drain.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// A line of the log inside a benchmark's line would spoil it, and what the
	// drain has counted tells more than a log.
	log.SetOutput(io.Discard)
	code := m.Run()
	sink.Stop()
	os.Exit(code)
}

// sent makes some ticks and returns what one of them sends. Each is given the
// time that a client which sends by itself needs to do so.
func sent(tb testing.TB, s subject, tick func()) (datagrams, bytes float64) {
	const ticks = 5
	counts := func() (int, int) {
		d, b, err := sink.Counts()
		if err != nil {
			tb.Fatal(err)
		}
		return d, b
	}
	d0, b0 := counts()
	for range ticks {
		tick()
		time.Sleep(2 * s.flushes)
	}
	d1, b1 := counts()
	return float64(d1-d0) / ticks, float64(b1-b0) / ticks
}

// TestSubjectsSend sees to it that nobody is quick because he sends nothing.
func TestSubjectsSend(t *testing.T) {
	for _, s := range subjects[1:] { // all but "nothing"
		t.Run(s.name, func(t *testing.T) {
			tick := s.start(t, sink.Addr)
			tick()
			time.Sleep(2 * s.flushes)
			// 474 bytes of names and separators, 27 prefixes, a digit each.
			const least = 474 + 27*(len(prefix)+1)
			var datagrams, bytes float64
			for range 20 { // on a busy machine, what a goroutine sends may be late
				if datagrams, bytes = sent(t, s, tick); datagrams >= 1 && bytes >= float64(least) {
					return
				}
			}
			t.Errorf("a tick is %v datagrams with %v bytes, want at least %d bytes", datagrams, bytes, least)
		})
	}
}

// BenchmarkTick is a whole tick: collect, format, send. Its ns/op is, in a tight
// loop, the mean; with -every it is the median, and the pause does not count.
func BenchmarkTick(b *testing.B) {
	ordered := slices.Clone(subjects)
	if *reverse {
		slices.Reverse(ordered)
	}
	for _, s := range ordered {
		b.Run(s.name, func(b *testing.B) {
			tick := s.start(b, sink.Addr)
			tick() // the first one sets up what others use
			time.Sleep(2 * s.flushes)
			datagrams, bytes := sent(b, s, tick)

			var took []time.Duration
			if *every > 0 {
				took = make([]time.Duration, 0, 10_000) // an append that grows would count as the tick's
			}
			b.ReportAllocs()
			cpu := cpuTime()
			for b.Loop() {
				if *every == 0 {
					tick()
					continue
				}
				time.Sleep(*every)
				start := time.Now()
				tick()
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/tick")
			if len(took) > 0 {
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2]), "ns/op")
			}
			b.ReportMetric(datagrams, "datagrams/tick")
			b.ReportMetric(bytes, "bytes/tick")
		})
	}
}

// cpuTime returns the CPU time of this process so far, in nanoseconds: that of
// goroutines which send on a client's behalf is part of it.
func cpuTime() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // it has no reason to fail
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}
