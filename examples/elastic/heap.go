//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

// field is one of the metricset golang/heap, with what the library has for it.
type field struct {
	name     string   // below golang.heap
	gauges   []string // nil: there is none
	how      string   // to be computed from the gauges; "" for as it is
	value    func(gauges []float64) float64
	cached   bool // lags without --metric-exact
	estimate bool // not the same figure
}

// counterpart says what the library has for the field.
func (f field) counterpart() string {
	text := "none"
	if f.gauges != nil {
		text = "`" + strings.Join(f.gauges, "`, `") + "`"
	}
	if f.how != "" {
		text += ": " + f.how
	}
	return text
}

func asItIs(gauges []float64) float64 { return gauges[0] }

// fields are all that golang/heap has, in the order of its documentation.
var fields = []field{
	{name: "cmdline", how: "it is no number; a tag `service:{exe}`"},
	{name: "gc.total_pause.ns", gauges: []string{"mem.gc.pause_total"}, value: asItIs},
	{name: "gc.total_count", gauges: []string{"mem.gc.count"}, value: asItIs},
	{name: "gc.next_gc_limit", gauges: []string{"mem.gc.next"}, value: asItIs},
	{name: "gc.cpu_fraction", gauges: []string{
		"runtime.cpu.classes.gc.total.ns", "runtime.cpu.classes.gc.mark.idle.ns", "runtime.cpu.classes.total.ns",
	}, how: "(1st − 2nd) / 3rd", value: func(g []float64) float64 { return (g[0] - g[1]) / g[2] }},
	{name: "gc.pause.count", gauges: []string{"mem.gc.count"}, how: "its growth in a period", value: asItIs},
	{name: "gc.pause.sum.ns", gauges: []string{"mem.gc.pause_total"}, how: "its growth in a period", value: asItIs},
	{name: "gc.pause.max.ns", gauges: []string{"runtime.sched.pauses.total.gc.ns.upper"},
		how: "single stops, of which a cycle has two, since the last tick", value: asItIs, estimate: true},
	{name: "gc.pause.avg.ns", gauges: []string{"mem.gc.pause_total", "mem.gc.count"},
		how: "growth of the 1st / growth of the 2nd", value: func(g []float64) float64 { return float64(int64(g[0]) / int64(g[1])) }},
	{name: "system.total", gauges: []string{"mem.sys"}, value: asItIs},
	{name: "system.obtained", gauges: []string{"mem.heap.sys"}, value: asItIs},
	{name: "system.stack", gauges: []string{"mem.stack.sys"}, value: asItIs},
	{name: "system.released", gauges: []string{"mem.heap.released"}, value: asItIs},
	{name: "allocations.mallocs", gauges: []string{"mem.malloc"}, value: asItIs, cached: true},
	{name: "allocations.frees", gauges: []string{"mem.frees"}, value: asItIs, cached: true},
	{name: "allocations.objects", gauges: []string{"mem.heap.objects"}, value: asItIs, cached: true},
	{name: "allocations.total", gauges: []string{"mem.total"}, value: asItIs, cached: true},
	{name: "allocations.allocated", gauges: []string{"mem.heap.alloc"}, value: asItIs, cached: true},
	{name: "allocations.idle", gauges: []string{"mem.heap.idle"}, value: asItIs},
	{name: "allocations.active", gauges: []string{"mem.heap.inuse"}, value: asItIs},
}

// pair is a field's value as golang/heap has it, and as the gauges have it.
type pair struct {
	field
	theirs any
	ours   float64
}

// sides runs a service for three ticks, and returns all fields as Metricbeat has
// them by both ways. The memstats that golang/heap asks for are those of the
// moment of the third. As Metricbeat and the service are new, what golang/heap
// has since its last period is what there was since the service began.
func (r *rig) sides(exact bool) ([]pair, error) {
	admin, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	m, err := r.metricbeat(map[string][]string{
		"statsd.yml": nil,
		"golang.yml": {"127.0.0.1:6060/debug/vars", admin + "/debug/tick"},
	})
	if err != nil {
		return nil, err
	}
	defer m.stop()
	stop, err := r.service(m, "--admin="+admin, "--pause=5s", "--tick=3", "--metric-tags=side:ours", fmt.Sprintf("--metric-exact=%t", exact))
	if err != nil {
		return nil, err
	}
	defer stop()

	var theirs, ours event
	if err := m.wait("both ways are there", func() bool {
		heap := m.find(func(e event) bool { return e["metricset.name"] == "heap" && e["error.message"] == nil })
		// There are five seconds until the next tick, and Metricbeat writes each second.
		gauges := m.find(func(e event) bool {
			tick, _ := e.number("statsd.runtimemetrics.ticks.value")
			return e["labels.side"] == "ours" && tick == 3
		})
		if len(heap) == 0 || len(gauges) == 0 {
			return false
		}
		theirs, ours = heap[0], gauges[len(gauges)-1]
		return true
	}); err != nil {
		return nil, err
	}

	for name := range theirs {
		name, heap := strings.CutPrefix(name, "golang.heap.")
		if heap && !slices.ContainsFunc(fields, func(f field) bool { return f.name == name }) {
			return nil, fmt.Errorf("golang/heap has a field more: %s", name)
		}
	}
	var pairs []pair
	for _, f := range fields {
		p := pair{field: f}
		var ok bool
		if p.theirs, ok = theirs["golang.heap."+f.name]; !ok {
			return nil, fmt.Errorf("golang/heap has no field %s: %v", f.name, theirs)
		}
		var gauges []float64
		for _, name := range f.gauges {
			value, ok := ours.number("statsd." + name + ".value")
			if !ok {
				return nil, fmt.Errorf("statsd has no field %s: %v", name, ours)
			}
			gauges = append(gauges, value)
		}
		if f.value != nil {
			p.ours = f.value(gauges)
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// chunk is in what pieces the runtime obtains memory for its own needs: reading
// memstats is such a need, since it empties the allocation caches.
const chunk = 256 << 10

// agree returns nil if all is as it should be: the same to the last digit, but
// for estimates, and for what lags if that is not read exactly.
func agree(pairs []pair, exact bool) error {
	var wrong []string
	for _, p := range pairs {
		theirs, isNumber := p.theirs.(float64)
		switch {
		case p.value == nil || p.estimate:
		case !isNumber:
			return fmt.Errorf("%s is %v, which is no number", p.name, p.theirs)
		case p.cached && !exact && p.ours <= theirs:
		case p.name == "system.total" && !exact && theirs-p.ours == chunk:
		case p.name == "gc.cpu_fraction" && fmt.Sprintf("%.6f", p.ours) == fmt.Sprintf("%.6f", theirs):
		case p.ours != theirs:
			wrong = append(wrong, fmt.Sprintf("%s: golang/heap has %s, the gauges have %s", p.name, number(theirs), number(p.ours)))
		}
	}
	if wrong != nil {
		return fmt.Errorf("the two sides do not agree:\n%s", strings.Join(wrong, "\n"))
	}
	return nil
}

func number(n float64) string {
	if n == float64(int64(n)) {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatFloat(n, 'g', 6, 64)
}

// printTable writes the fields side by side, as a table in Markdown.
func printTable(w io.Writer, exact, lagging []pair) {
	fmt.Fprintln(w, "| golang.heap… | our gauge | golang/heap | ours, --metric-exact | golang/heap | ours, as it comes |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for i, p := range exact {
		cells := []string{"—", "—", "—", "—"}
		if p.value != nil {
			cells = []string{number(p.theirs.(float64)), number(p.ours), number(lagging[i].theirs.(float64)), number(lagging[i].ours)}
		}
		fmt.Fprintf(w, "| `%s` | %s | %s |\n", p.name, p.counterpart(), strings.Join(cells, " | "))
	}
}

// sidesThatAgree tries again when something has moved between the two readings
// of one tick: a goroutine of the service's HTTP server may allocate. It does so as
// well when Metricbeat has missed that tick, or its port was taken.
func (r *rig) sidesThatAgree(exact bool) (pairs []pair, err error) {
	for range 5 {
		if pairs, err = r.sides(exact); err == nil {
			err = agree(pairs, exact)
		}
		if err == nil || r.ctx.Err() != nil {
			return pairs, err
		}
	}
	return nil, err
}
