// Victim shows what collecting gauges does to goroutines that have nothing to do
// with it. On every P a goroutine allocates and measures the gaps in its own
// time, while gauges are collected a hundred times a second, a thousand times as
// often as in production: without collecting at all, by this library, by it in exact
// mode, and by go-runtime-metrics. Beside the gaps stand the runtime's own count and
// time of stop-the-worlds that were not the garbage collector's.
//
//	go run ./victim
//	go run ./victim -picture victim/victim.png
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/bits"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	ancestor "github.com/bmhatfield/go-runtime-metrics/collector"
	"gonum.org/v1/plot/plotter"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/chart"
)

// pause is the time between two collections.
const pause = 10 * time.Millisecond

// long is a gap that a request would notice.
const long = time.Millisecond

var collectors = []struct {
	name string
	run  func(gauge func(string, uint64))
}{
	{"nothing", func(func(string, uint64)) {}},
	{"runtimemetrics", func(gauge func(string, uint64)) { ours(gauge, false) }},
	{"runtimemetrics-exact", func(gauge func(string, uint64)) { ours(gauge, true) }},
	{"go-runtime-metrics", func(gauge func(string, uint64)) {
		c := ancestor.New(gauge)
		c.PauseDur = pause
		c.Run()
	}},
}

func ours(gauge func(string, uint64), exact bool) {
	c := collector.New(gauge)
	c.PauseDur, c.Exact = pause, exact
	c.Run()
}

// gaps counts gaps by length, to an eighth of it.
type gaps struct {
	counts [64 * 8]uint64
	n      uint64
	long   time.Duration // the sum of long ones
	max    time.Duration
}

func (g *gaps) add(gap time.Duration) {
	if gap < 8 {
		gap = 8
	}
	// The highest bit, and the three that follow.
	high := bits.Len64(uint64(gap)) - 1
	g.counts[high*8+int(uint64(gap)>>(high-3)&7)]++
	g.n++
	g.max = max(g.max, gap)
	if gap > long {
		g.long += gap
	}
}

func (g *gaps) merge(other *gaps) {
	for i, n := range other.counts {
		g.counts[i] += n
	}
	g.n += other.n
	g.long += other.long
	g.max = max(g.max, other.max)
}

// edge returns the upper edge of a bucket.
func edge(bucket int) time.Duration {
	return time.Duration(uint64(8+bucket%8+1) << (bucket/8 - 3))
}

// quantile returns the upper edge of the bucket in which the quantile lies.
func (g *gaps) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(g.n)))
	for i, n := range g.counts {
		if n >= rank {
			return edge(i)
		}
		rank -= n
	}
	return g.max
}

// work allocates until stop is set, and measures.
func work(stop *atomic.Bool) *gaps {
	var g gaps
	var kept [1 << 12][]byte
	start := time.Now()
	last := time.Since(start)
	for i := 0; !stop.Load(); i++ {
		kept[i%len(kept)] = make([]byte, 16<<(i%7))
		now := time.Since(start)
		g.add(now - last)
		last = now
	}
	return &g
}

// stops returns the number of stop-the-worlds that were not the garbage
// collector's, and how long they took, to the width of the runtime's buckets.
func stops() (n uint64, total time.Duration) {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	for i, count := range h.Counts {
		if low, high := h.Buckets[i], h.Buckets[i+1]; count > 0 && !math.IsInf(low, 0) && !math.IsInf(high, 0) {
			n += count
			total += time.Duration(float64(count) * (low + high) / 2 * float64(time.Second))
		}
	}
	return n, total
}

// outcome is what a process that measures prints.
type outcome struct {
	Row    []float64 // of the table
	Counts []uint64  // of gaps, by bucket
}

// measure is one case, in a process of its own.
func measure(run func(func(string, uint64)), length time.Duration) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all gaps
	var sum uint64
	go run(func(_ string, value uint64) { sum += value })
	time.Sleep(10 * pause) // the first collection sets things up
	n0, total0 := stops()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			g := work(&stop)
			mu.Lock()
			defer mu.Unlock()
			all.merge(g)
		})
	}
	time.Sleep(length)
	stop.Store(true)
	wg.Wait()
	n1, total1 := stops()

	seconds := length.Seconds()
	share := all.long.Seconds() / seconds / float64(runtime.GOMAXPROCS(0))
	err := json.NewEncoder(os.Stdout).Encode(outcome{Counts: all.counts[:], Row: []float64{
		float64(n1-n0) / seconds, (total1 - total0).Seconds() * 1e3 / seconds,
		float64(all.quantile(0.999)) / 1e3, float64(all.quantile(0.99999)) / 1e3, float64(all.max) / 1e6, share * 100,
	}})
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	log.SetFlags(0)
	who := flag.String("collector", "", "measure this one only, and print bare numbers")
	length := flag.Duration("for", 4*time.Second, "how long to measure each case in each round")
	rounds := flag.Int("rounds", 3, "number of rounds")
	picture := flag.String("picture", "", "also draw the distributions into this PNG")
	flag.Parse()
	if *who != "" {
		for _, c := range collectors {
			if c.name == *who {
				measure(c.run, *length)
			}
		}
		return
	}

	fmt.Println("| GOMAXPROCS | collector | stops a second | stopped, ms a second | gap p99.9, us | p99.999, us | longest gap, ms | time in gaps over 1 ms |")
	fmt.Println("|--:|---|--:|--:|--:|--:|--:|--:|")
	var panels []chart.Panel
	for _, procs := range []int{2, 8} {
		rows := make([][][]float64, len(collectors)) // of each collector, its rounds
		all := make([]gaps, len(collectors))         // of each collector, in all rounds
		for range *rounds {
			for i, c := range collectors {
				o, err := child(c.name, procs, *length)
				if err != nil {
					log.Fatalf("%s: %v", c.name, err)
				}
				rows[i] = append(rows[i], o.Row)
				for bucket, n := range o.Counts {
					all[i].counts[bucket] += n
				}
			}
		}
		for i, c := range collectors {
			m := medians(rows[i])
			fmt.Printf("| %d | %s | %.0f | %.2f | %.1f | %.0f | %.1f | %.2f %% |\n", procs, c.name, m[0], m[1], m[2], m[3], m[4], m[5])
		}
		panels = append(panels, panel(procs, all, length.Seconds()*float64(*rounds)))
	}
	if *picture != "" {
		if err := chart.Write(*picture, panels...); err != nil {
			log.Fatal(err)
		}
	}
}

// panel draws how many gaps a second are longer than so long.
func panel(procs int, all []gaps, seconds float64) chart.Panel {
	p := chart.Panel{
		Title:  fmt.Sprintf("GOMAXPROCS=%d: gaps a second that are longer than …", procs),
		X:      chart.Axis{Log: true, Min: 1e-6, Max: 0.1, Format: func(v float64) string { return time.Duration(math.Round(v * 1e9)).String() }},
		Y:      chart.Axis{Log: true, Min: 0.1, Max: 1e6, Format: count},
		Legend: true,
	}
	for i, c := range collectors {
		p.Curves = append(p.Curves, chart.Curve{Name: c.name, Color: i, Points: all[i].longer(seconds)})
	}
	return p
}

func count(v float64) string {
	if v >= 1 {
		v = math.Round(v)
	}
	return strconv.FormatFloat(v, 'g', 7, 64)
}

// longer returns how many gaps a second are longer than the edge of each bucket.
// Gaps of less than a microsecond, nearly all, are the loop itself.
func (g *gaps) longer(seconds float64) (points plotter.XYs) {
	var n uint64
	for i, count := range slices.Backward(g.counts[:]) {
		if count == 0 && n == 0 {
			continue // nothing is as long as this
		}
		if edge(i) < time.Microsecond {
			break
		}
		if n > 0 {
			points = append(points, plotter.XY{X: edge(i).Seconds(), Y: float64(n) / seconds})
		}
		n += count
	}
	slices.Reverse(points)
	return points
}

// child measures in a process of its own.
func child(who string, procs int, length time.Duration) (o outcome, err error) {
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	run := exec.Command(self, "-collector="+who, "-for="+length.String())
	run.Env, run.Stderr = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs)), os.Stderr
	out, err := run.Output()
	if err != nil {
		return o, err
	}
	return o, json.Unmarshal(out, &o)
}

// medians returns the median of each column.
func medians(rows [][]float64) []float64 {
	result := make([]float64, len(rows[0]))
	for column := range result {
		var values []float64
		for _, row := range rows {
			values = append(values, row[column])
		}
		slices.Sort(values)
		result[column] = values[len(values)/2]
	}
	return result
}
