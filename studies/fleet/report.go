package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/chart"
)

// report is what is printed, written and drawn.
type report struct {
	machine  string
	with     setup
	rounds   int
	ticks    [styles]tick
	outcomes []outcome   // by size
	limits   [styles]int // processes that can tick together without a loss
}

// newReport describes the machine as it is before the experiment.
func newReport(with setup, rounds int) (*report, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(with.js), "package.json"))
	if err != nil {
		return nil, err
	}
	var statsd struct{ Version string }
	if err := json.Unmarshal(text, &statsd); err != nil {
		return nil, err
	}
	node, err := exec.Command("node", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("node --version: %w", err)
	}
	release, _, _ := strings.Cut(proc("sys/kernel/osrelease"), "-")
	load, _, _ := strings.Cut(proc("loadavg"), " ")
	return &report{with: with, rounds: rounds, machine: fmt.Sprintf(
		"%s: StatsD %s on Node.js %s, %s, Linux %s, %d cores, a load of %s before the start",
		time.Now().Format("2 January 2006"), statsd.Version, strings.TrimSpace(string(node)), runtime.Version(),
		release, runtime.NumCPU(), load)}, nil
}

func proc(file string) string {
	text, err := os.ReadFile("/proc/" + file)
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(text))
}

// of returns the median, the smallest and the largest of a number.
func of[N int | float64](results []result, number func(result) N) (median, low, high N) {
	var all []N
	for _, r := range results {
		all = append(all, number(r))
	}
	slices.Sort(all)
	return all[len(all)/2], all[0], all[len(all)-1]
}

func loss(r result) float64 { return 100 * float64(r.lost) / float64(r.lines) }
func cpu(r result) float64  { return 100 * r.cpu.Seconds() / interval.Seconds() }

func (r *report) String() string {
	var b strings.Builder
	backend, buffer := "no backend but the one that counts", fmt.Sprintf("of %d bytes, asked for", r.with.buffer)
	if r.with.graphite {
		backend = "the Graphite backend"
	}
	if r.with.buffer == 0 {
		buffer = fmt.Sprintf("of the default size, %s bytes", proc("sys/net/core/rmem_default"))
	}
	fmt.Fprintf(&b, "%s. StatsD has %s and a receive buffer %s.\n\n", r.machine, backend, buffer)
	fmt.Fprintln(&b, "| ticks | processes | datagrams/s | peak/s | gauges lost | in each interval | StatsD's CPU | flush blocks |")
	fmt.Fprintln(&b, "|---|--:|--:|--:|--:|--:|--:|--:|")
	var late, used, waited time.Duration
	elsewhere := 0
	for i, m := range modes {
		for _, o := range r.outcomes {
			results := o.results[i]
			for _, res := range results {
				late, elsewhere = max(late, res.late), elsewhere+res.elsewhere
				used, waited = used+res.cpu, waited+res.waited
			}
			lost, _, _ := of(results, func(r result) int { return r.lost })
			percent, low, high := of(results, loss)
			percentCPU, _, _ := of(results, cpu)
			blocked, _, _ := of(results, func(r result) float64 { return r.blocked })
			peak, _, _ := of(results, func(r result) int { return r.peak * int(time.Second/peakWindow) })
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s = %s | %s to %s | %.1f %% | %.0f ms |\n",
				m.name, thousands(o.n), rate(float64(results[0].datagrams)/interval.Seconds()), thousands(peak),
				thousands(lost), percentage(percent), percentage(low), percentage(high), percentCPU, blocked)
		}
	}
	fmt.Fprintf(&b, "\nMedians of %d intervals of %v. ", r.rounds, interval)
	fmt.Fprintf(&b, "Most processes that ticked together ten times without a loss: %s with 27 datagrams, %s with one. ",
		atLeast(r.limits[ancestor]), atLeast(r.limits[ours]))
	fmt.Fprintf(&b, "A tick has %d bytes in %d datagrams, or %d in %d. ",
		r.ticks[ancestor].of(0).size(), len(r.ticks[ancestor]), r.ticks[ours].of(0).size(), len(r.ticks[ours]))
	fmt.Fprintf(&b, "For each second that the StatsDs ran, they waited %.2f s for a core; the simulator was at most %d ms behind its timetable. ",
		waited.Seconds()/max(used, clockTick).Seconds(), late.Milliseconds())
	if elsewhere == 0 {
		fmt.Fprint(&b, "StatsD's counts and the kernel's drops at its socket add up to what was sent, in every interval.\n")
	} else {
		fmt.Fprintf(&b, "**%d datagrams were neither counted by StatsD nor dropped at its socket**: lost elsewhere in the kernel.\n", elsewhere)
	}
	return b.String()
}

func (t tick) size() (n int) {
	for _, datagram := range t {
		n += len(datagram)
	}
	return n
}

func atLeast(n int) string {
	if n >= alone {
		return fmt.Sprintf("all %s", thousands(n))
	}
	return thousands(n)
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func rate(perSecond float64) string {
	if perSecond < 10 {
		return fmt.Sprintf("%.1f", perSecond)
	}
	return thousands(int(perSecond + 0.5))
}

// percentage never rounds a loss to none.
func percentage(p float64) string {
	switch {
	case p == 0:
		return "0"
	case p < 0.01:
		return "< 0.01 %"
	case p < 1:
		return fmt.Sprintf("%.2f %%", p)
	}
	return fmt.Sprintf("%.0f %%", p)
}

// writeInto puts the report between the marks of a file.
func (r *report) writeInto(file string) error {
	const begin, end = "<!-- fleet -->\n", "<!-- end fleet -->"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q", file, strings.TrimSpace(begin), end)
	}
	return os.WriteFile(file, []byte(before+begin+r.String()+end+after), 0o644)
}

// draw writes the picture: losses, and StatsD's CPU, over the size of the fleet.
func (r *report) draw(file string) error {
	processes := chart.Axis{Label: "processes", Log: true, Min: 1, Max: 1e4, Format: func(v float64) string { return thousands(int(v)) }}
	percent := func(v float64) string { return fmt.Sprintf("%g %%", v) }
	lost := chart.Panel{Title: "Gauges lost", X: processes, Legend: true, LegendLeft: true,
		Y: chart.Axis{Min: 0, Max: 100, Step: 20, Format: percent}}
	used := chart.Panel{Title: "StatsD's CPU, of a core", X: processes,
		Y: chart.Axis{Log: true, Min: 0.1, Max: 100, Format: percent}}
	for i, m := range modes {
		curve := chart.Curve{Name: m.name, Color: 1, Dashed: m.phases, Marks: true}
		if m.style == ancestor {
			curve.Color = 3
		}
		curve2 := curve
		for _, o := range r.outcomes {
			y, _, _ := of(o.results[i], loss)
			y2, _, _ := of(o.results[i], cpu)
			curve.Points = append(curve.Points, plotter.XY{X: float64(o.n), Y: y})
			curve2.Points = append(curve2.Points, plotter.XY{X: float64(o.n), Y: max(y2, used.Y.Min)})
		}
		lost.Curves, used.Curves = append(lost.Curves, curve), append(used.Curves, curve2)
	}
	return chart.Write(file, lost, used)
}
