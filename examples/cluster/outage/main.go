//go:build linux

// Command outage kills parts of the cluster that examples/cluster/up has started,
// brings them back, and prints what was lost. It is run by examples/cluster/faults.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A fault is what happens to one part.
type fault struct {
	name   string
	part   string
	signal syscall.Signal
	away   time.Duration // until it is brought back
}

var (
	statsdKilled = fault{"StatsD b killed", "statsd-b", syscall.SIGKILL, 10 * time.Second}
	carbonKilled = fault{"carbon-cache b killed", "carbon-b", syscall.SIGKILL, 10 * time.Second}
)

var faults = []fault{
	statsdKilled,
	carbonKilled,
	{"carbon-cache b stopped (SIGTERM)", "carbon-b", syscall.SIGTERM, 10 * time.Second},
	{"relay killed", "relay", syscall.SIGKILL, 5 * time.Second},
	{"proxy killed", "proxy", syscall.SIGKILL, 5 * time.Second},
}

// A loss is what a fault has cost.
type loss struct {
	fault
	killed, back, whole time.Time

	// In seconds after the kill, of each gauge that has any: points that are
	// missing, and points that are older than one before them.
	lost, old map[string][]int
}

func main() {
	log.SetFlags(0)
	work := flag.String("work", "", "work `directory` of examples/cluster/up")
	only := flag.String("only", "", "only the faults whose name contains this `text`")
	png := flag.String("png", "", "write Graphite's picture of the killed carbon-cache to this `file`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: examples/cluster/faults [flags]")
		flag.PrintDefaults()
	}
	flag.Parse()
	c, err := open(*work, os.Environ())
	if err != nil {
		log.Fatal(err)
	}
	for _, part := range []string{"graphite-web", "fleet"} {
		file, err := c.running(part)
		if err != nil {
			log.Fatal(err)
		}
		file.Close()
	}
	chosen := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return !strings.Contains(f.name, *only) })
	if len(chosen) == 0 {
		log.Fatalf("-only=%s: no fault has such a name; try StatsD, carbon, relay or proxy", *only)
	}
	fmt.Println(header)
	for _, f := range chosen {
		l, err := c.measure(f)
		if err != nil {
			log.Fatalf("%s: %v", f.name, err)
		}
		fmt.Println(l)
		if *png != "" && f == carbonKilled {
			if err := c.picture(l, *png); err != nil {
				log.Fatal(err)
			}
		}
	}
}

// before is for how many seconds there must be no gap when a fault begins, so that
// all there are come from it.
const before = 10

// measure lets one fault happen and waits until nothing is missing any more.
func (c *cluster) measure(f fault) (*loss, error) {
	if err := eventually(func() error { return c.fresh(before + 2) }); err != nil {
		return nil, fmt.Errorf("it was not whole before: %w", err)
	}
	l := &loss{fault: f, killed: time.Now()}
	if err := c.signal(f.part, f.signal); err != nil {
		return nil, err
	}
	time.Sleep(time.Until(l.killed.Add(f.away)))
	if err := c.up(); err != nil {
		return nil, err
	}
	l.back = time.Now()
	if err := eventually(func() error { return c.fresh(1) }); err != nil {
		return nil, err
	}
	l.whole = time.Now()
	// Old values come for gaugesMaxTTL flushes after the proxy has seen that a
	// StatsD is back.
	time.Sleep(10 * time.Second)
	from, until := l.killed.Add(-before*time.Second), time.Now().Add(-3*time.Second)
	all, err := c.points(from, until)
	if err != nil {
		return nil, err
	}
	// Graphite reads a file and then asks the cache: a point that is written in
	// between is in neither answer. It is lost if a second reading has it not.
	time.Sleep(2 * time.Second)
	again, err := c.points(from, until)
	if err != nil {
		return nil, err
	}
	for gauge, values := range again {
		for i, v := range values {
			if v == nil && all[gauge] != nil {
				values[i] = all[gauge][i]
			}
		}
	}
	l.lost, l.old = map[string][]int{}, map[string][]int{}
	for gauge, values := range again {
		highest := 0.0
		for i, v := range values {
			switch {
			case v == nil:
				l.lost[gauge] = append(l.lost[gauge], i-before)
			case *v < highest && clocks.MatchString(gauge):
				l.old[gauge] = append(l.old[gauge], i-before)
			default:
				highest = max(highest, *v)
			}
		}
	}
	return l, nil
}

const header = `| fault | back after | lost points, gauges of 1350 | of each | seconds after the kill | old values, gauges of 300 | of each | seconds after the kill | no gauge without a fresh point after |
|---|---|---|---|---|---|---|---|---|`

// String is a row of the table.
func (l *loss) String() string {
	return fmt.Sprintf("| %s | %.0f s | %s | %s | %.0f s |", l.name, l.back.Sub(l.killed).Seconds(),
		columns(l.lost), columns(l.old), l.whole.Sub(l.killed).Seconds())
}

// columns are how many gauges, how many points of each, and when.
func columns(of map[string][]int) string {
	if len(of) == 0 {
		return "0 | |"
	}
	var counts, seconds []int
	for _, one := range of {
		counts = append(counts, len(one))
		seconds = append(seconds, one...)
	}
	return fmt.Sprintf("%d | %s | %s", len(of), spread(counts), spread(seconds))
}

func spread(of []int) string {
	low, high := slices.Min(of), slices.Max(of)
	if low == high {
		return strconv.Itoa(low)
	}
	return fmt.Sprintf("%d to %d", low, high)
}

// picture has Graphite draw one clock of two processes of either carbon-cache
// across the time in which b was killed.
func (c *cluster) picture(l *loss, file string) error {
	query := url.Values{
		"width": {"900"}, "height": {"420"}, "lineWidth": {"2"}, "bgcolor": {"white"}, "fgcolor": {"black"},
		"title": {"Collections so far, of four processes, across the death of carbon-cache b"},
		// The lines are shifted, so that they do not lie on each other.
		"hideYAxis": {"true"}, "noCache": {"1"},
		"from":  {strconv.FormatInt(l.killed.Unix()-20, 10)},
		"until": {strconv.FormatInt(l.whole.Unix()+8, 10)},
	}
	height := 0
	for _, name := range []string{"a", "b"} {
		held, err := c.inCarbon(name)
		if err != nil {
			return err
		}
		drawn := 0
		for i := 0; i < processes && drawn < 2; i++ {
			gauge := fmt.Sprintf("%sfleet.p%02d.mem.gc.count", below, i)
			if held[gauge] {
				height -= 15
				query.Add("target", fmt.Sprintf(`alias(offset(%s,%d),"p%02d mem.gc.count, in cache %s")`, gauge, height, i, name))
				drawn++
			}
		}
	}
	query.Add("target", fmt.Sprintf(`alias(dashed(verticalLine("%d","","black")),"b killed")`, l.killed.Unix()))
	query.Add("target", fmt.Sprintf(`alias(dashed(verticalLine("%d","","gray")),"b is back")`, l.back.Unix()))
	png, err := c.render(query)
	if err != nil {
		return err
	}
	return os.WriteFile(file, png, 0o644)
}
