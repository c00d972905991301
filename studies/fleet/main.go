// Fleet pushes the gauges of many simulated processes to one real StatsD over
// loopback and counts what is lost: all ticking together or each in a phase of
// its own, with go-runtime-metrics' 27 datagrams a tick or with this library's one.
//
//	studies/fleet/run
//
// It prints a table; README.md says what it shows. Linux only.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// interval is between two ticks of a process, and between two flushes.
const interval = 10 * time.Second

// alone is the size above which a fleet is measured while no other is: smaller
// ones share the machine, their bursts a second apart.
const alone = 1000

// mode is how a fleet pushes.
type mode struct {
	name   string
	style  style
	phases bool
}

var modes = []mode{
	{"together, 27 datagrams", ancestor, false},
	{"together, 1 datagram", ours, false},
	{"phases, 27 datagrams", ancestor, true},
	{"phases, 1 datagram", ours, true},
}

// experiment is a fleet and its StatsD.
type experiment struct {
	statsd *statsd
	fleet  *fleet
	n      int
}

// run measures each mode in turn, for so many rounds.
func (e *experiment) run(ctx context.Context, rounds int) (results [][]result, err error) {
	// An interval begins half way between two flushes, so that a burst meets
	// none, while phases meet every one. What is left of it after the last
	// process has ticked is for counting.
	over := e.statsd.flush * 39 / 40
	start := e.statsd.afterFlush(0.5)

	// To StatsD all gauges are new, and until its first flush it cannot be asked
	// what it has counted: this interval is not measured.
	if _, err := e.fleet.send(ctx, ours, e.n, start, over*9/10); err != nil {
		return nil, err
	}
	results = make([][]result, len(modes))
	for range rounds {
		for i, m := range modes {
			start = start.Add(e.statsd.flush)
			if err := sleepUntil(ctx, start.Add(over-e.statsd.flush)); err != nil {
				return nil, err
			}
			res, err := e.interval(ctx, m, start, over)
			if err != nil {
				return nil, err
			}
			log.Printf("%6d processes, %-22s: lost %d of %d lines (%d datagrams dropped, %d elsewhere), StatsD %v, waited %v, blocked %.0f ms, peak %d in %v, late by %v",
				e.n, m.name, res.lost, res.lines, res.drops, res.elsewhere, res.cpu, res.waited.Round(time.Millisecond), res.blocked, res.peak, peakWindow, res.late.Round(time.Millisecond))
			results[i] = append(results[i], res)
		}
	}
	return results, nil
}

// interval measures one interval from start on.
func (e *experiment) interval(ctx context.Context, m mode, start time.Time, over time.Duration) (result, error) {
	pid := e.statsd.cmd.Process.Pid
	used, waited, err := cpuTime(pid)
	if err != nil {
		return result{}, err
	}
	res, err := measure(ctx, e.statsd, e.n*gauges, func() (sending, error) {
		spread := over
		if !m.phases {
			spread = 0
		}
		out, err := e.fleet.send(ctx, m.style, e.n, start, spread)
		return out, cmp.Or(err, sleepUntil(ctx, start.Add(over)))
	})
	if err != nil {
		return res, err
	}
	used1, waited1, err := cpuTime(pid)
	res.cpu, res.waited = used1-used, waited1-waited
	return res, err
}

// begins returns the largest number of processes that can tick together without
// a loss in so many bursts. It is less than the fleet's size, or equal to it if
// no loss is found.
func (e *experiment) begins(ctx context.Context, s style, bursts int) (int, error) {
	good, bad := 0, e.n+1
	for bad-good > 1 {
		n := (good + bad) / 2
		lost := 0
		for range bursts {
			// A second away from any flush.
			if at := e.statsd.afterFlush(0.1); time.Until(at) < e.statsd.flush/5 {
				if err := sleepUntil(ctx, at); err != nil {
					return 0, err
				}
			}
			res, err := measure(ctx, e.statsd, n*gauges, func() (sending, error) {
				return e.fleet.send(ctx, s, n, time.Now(), 0)
			})
			if err != nil {
				return 0, err
			}
			if lost += res.lost; lost > 0 {
				log.Printf("%6d processes, together: lost %d of %d lines (%d datagrams dropped, %d elsewhere)", n, res.lost, res.lines, res.drops, res.elsewhere)
				break
			}
		}
		if lost > 0 {
			bad = n
		} else {
			good = n
		}
	}
	return good, nil
}

func newExperiment(ctx context.Context, with setup, n int, ticks [styles]tick) (e *experiment, err error) {
	e = &experiment{n: n}
	if e.statsd, err = startStatsD(ctx, with); err != nil {
		return nil, err
	}
	if e.fleet, err = newFleet(n, e.statsd.udp, ticks); err != nil {
		e.statsd.stop()
		return nil, err
	}
	return e, nil
}

func (e *experiment) close() {
	e.fleet.close()
	e.statsd.stop()
}

// outcome is what is known of a fleet in the end.
type outcome struct {
	n       int
	results [][]result // of each mode, its rounds
}

// together measures fleets at the same time.
func together(ctx context.Context, with setup, sizes []int, rounds int, ticks [styles]tick) ([]outcome, error) {
	var wg sync.WaitGroup
	outcomes, errs := make([]outcome, len(sizes)), make([]error, len(sizes))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i, n := range sizes {
		if i > 0 {
			// Their flushes, and so their bursts, are a second apart: StatsD takes
			// the time of its start in whole seconds.
			if err := sleepUntil(ctx, time.Now().Add(time.Second)); err != nil {
				break
			}
		}
		wg.Go(func() {
			errs[i] = func() error {
				e, err := newExperiment(ctx, with, n, ticks)
				if err != nil {
					return err
				}
				defer e.close()
				outcomes[i].n = n
				outcomes[i].results, err = e.run(ctx, rounds)
				return err
			}()
			if errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return outcomes, errors.Join(errs...)
}

func main() {
	log.SetFlags(0)
	sizes := flag.String("n", "1,10,100,300,1000,3000,10000", "sizes of fleets")
	rounds := flag.Int("rounds", 3, "intervals in each mode")
	backend := flag.String("backend", "graphite", "what StatsD flushes to: graphite or none")
	buffer := flag.Int("buffer", 0, "bytes of StatsD's receive buffer; 0 is the system's default, and all that stock StatsD offers")
	doc := flag.String("doc", "", "also write the table into this file, between the marks <!-- fleet --> and <!-- end fleet -->")
	picture := flag.String("picture", "", "also draw this PNG")
	parts := flag.Bool("parts", false, "instead, measure what a line costs StatsD's cluster proxy and carbon's relays and cache")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	js, err := statsdJS()
	switch {
	case err != nil:
	case *rounds < 1:
		err = fmt.Errorf("-rounds %d: at least 1", *rounds)
	case *backend != "graphite" && *backend != "none":
		err = fmt.Errorf("-backend %s: graphite or none", *backend)
	case *buffer < 0:
		err = fmt.Errorf("-buffer %d: bytes, or 0 for the system's default", *buffer)
	case *parts:
		err = capacity(ctx, js, *rounds)
	default:
		err = run(ctx, setup{js, interval, *backend == "graphite", *buffer}, *sizes, *rounds, *doc, *picture)
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted, nothing is written")
	}
	if err != nil {
		stop()
		log.Fatal("fleet: ", err)
	}
}

func run(ctx context.Context, with setup, list string, rounds int, doc, picture string) error {
	var small, large []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(field)
		switch {
		case err != nil || n < 1 || n > 10000:
			return fmt.Errorf("-n %s: sizes of fleets are numbers from 1 to 10000 with commas between, such as 10,1000", list)
		case n <= alone:
			small = append(small, n)
		default:
			large = append(large, n)
		}
	}
	if len(small) > 5 {
		return fmt.Errorf("-n %s: at most five fleets of up to %d, so that their bursts and flushes stay apart", list, alone)
	}
	report, err := newReport(with, rounds)
	if err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ticks, err := capture(ctx, dir)
	if err != nil {
		return err
	}
	report.ticks = ticks

	groups := [][]int{}
	if len(small) > 0 {
		groups = append(groups, small)
	}
	for _, n := range large {
		groups = append(groups, []int{n})
	}
	for _, group := range groups {
		log.Printf("fleets of %v: about %v", group, time.Duration(len(modes)*rounds+2)*interval)
		outcomes, err := together(ctx, with, group, rounds, ticks)
		if err != nil {
			return err
		}
		report.outcomes = append(report.outcomes, outcomes...)
	}
	slices.SortFunc(report.outcomes, func(a, b outcome) int { return a.n - b.n })
	if report.limits, err = limits(ctx, with, ticks); err != nil {
		return err
	}

	fmt.Print(report)
	if picture != "" {
		if err := report.draw(picture); err != nil {
			return err
		}
	}
	if doc != "" {
		return report.writeInto(doc)
	}
	return nil
}

// limits returns how many processes can tick together without a loss, in each
// style.
func limits(ctx context.Context, with setup, ticks [styles]tick) (limits [styles]int, err error) {
	log.Print("where loss begins when all tick together: about 30s")
	e, err := newExperiment(ctx, with, alone, ticks)
	if err != nil {
		return limits, err
	}
	defer e.close()
	for s := range styles {
		if limits[s], err = e.begins(ctx, s, 10); err != nil {
			return limits, err
		}
	}
	return limits, nil
}

// statsdJS returns the path of StatsD, from the environment.
func statsdJS() (string, error) {
	js := os.Getenv("STATSD_JS")
	if js == "" {
		return "", errors.New("STATSD_JS is not set: it is the path of stats.js of the npm package statsd, which examples/graphite/up --install installs; studies/fleet/run sets it")
	}
	if _, err := os.Stat(js); err != nil {
		return "", fmt.Errorf("STATSD_JS: %w; examples/graphite/up --install installs StatsD", err)
	}
	if _, err := exec.LookPath("node"); err != nil {
		return "", fmt.Errorf("StatsD runs on Node.js: %w", err)
	}
	return js, nil
}
