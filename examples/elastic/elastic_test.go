//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v2"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

// The programs are built by the first test that needs them, and are gone at the
// end, also at that of Ctrl-C.
var (
	ctx, interrupted = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	built            = sync.OnceValues(func() (*rig, error) { return newRig(ctx) })
	wasBuilt         bool
)

func TestMain(m *testing.M) {
	code := m.Run()
	interrupted()
	if wasBuilt {
		if r, err := built(); err == nil {
			r.close()
		}
	}
	os.Exit(code)
}

func programs(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("SKIPPED: builds and runs Metricbeat; not with -short")
	}
	wasBuilt = true
	r, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) forTest(t *testing.T, edits map[string][]string) *metricbeat {
	t.Helper()
	m, err := r.metricbeat(edits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	return m
}

func (r *rig) serviceForTest(t *testing.T, m *metricbeat, args ...string) {
	t.Helper()
	stop, err := r.service(m, append([]string{"--admin=127.0.0.1:0", "--pause=250ms"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

func (m *metricbeat) mustWait(t *testing.T, what string, done func() bool) {
	t.Helper()
	if err := m.wait(what, done); err != nil {
		t.Fatal(err)
	}
}

// sent returns the datagrams of one tick of a service with these flags.
func (r *rig) sent(t *testing.T, args ...string) []string {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r.serviceForTest(t, &metricbeat{statsd: c.LocalAddr().String()}, args...)
	c.SetReadDeadline(time.Now().Add(patience))
	var datagrams []string
	buf := make([]byte, 1<<16)
	for {
		n, _, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		// The first tick lacks what is a difference to the one before.
		if datagram := string(buf[:n]); strings.HasPrefix(datagram, "go.cpu.goroutines") {
			if len(datagrams) > 0 && strings.Contains(strings.Join(datagrams, "\n"), "go.runtimemetrics.ticks:2|") {
				return datagrams
			}
			datagrams = nil
		}
		datagrams = append(datagrams, string(buf[:n]))
	}
}

// names returns the names of the gauges in datagrams, without tags.
func names(datagrams []string) map[string]bool {
	all := map[string]bool{}
	for _, line := range strings.Split(strings.Join(datagrams, "\n"), "\n") {
		name, _, _ := strings.Cut(line, ":")
		name, _, _ = strings.Cut(name, ",")
		all[name] = true
	}
	return all
}

// tagged returns the newest event of the statsd module with just these labels,
// once some ticks are in it: a negative gauge that adds up would show.
func (m *metricbeat) tagged(t *testing.T, ticks string, labels map[string]string) event {
	t.Helper()
	var newest event
	m.mustWait(t, fmt.Sprintf("there are gauges with the labels %v", labels), func() bool {
		events := m.find(func(e event) bool {
			n, _ := e.number(ticks)
			got := map[string]string{}
			for field, value := range e {
				if label, ok := strings.CutPrefix(field, "labels."); ok {
					got[label] = fmt.Sprint(value)
				}
			}
			return n >= 4 && maps.Equal(got, labels)
		})
		if len(events) > 0 {
			newest = events[len(events)-1]
		}
		return newest != nil
	})
	return newest
}

// values returns the fields of the statsd module, as a name would be that has
// them.
func (e event) values() map[string]bool {
	all := map[string]bool{}
	for field := range e {
		if name, ok := strings.CutPrefix(field, "statsd."); ok {
			all[strings.TrimSuffix(name, ".value")] = true
		}
	}
	return all
}

// missing returns what a has and b has not, sorted.
func missing(a, b map[string]bool) []string {
	var names []string
	for name := range a {
		if !b[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func without(prefix string, names map[string]bool) map[string]bool {
	all := map[string]bool{}
	for name := range names {
		all[strings.TrimPrefix(name, prefix)] = true
	}
	return all
}

func TestEveryFieldOfHeap(t *testing.T) {
	r := programs(t)
	exact, err := r.sidesThatAgree(true)
	if err != nil {
		t.Fatal(err)
	}
	lagging, err := r.sidesThatAgree(false)
	if err != nil {
		t.Fatal(err)
	}
	lag := false
	for _, p := range lagging {
		lag = lag || p.cached && p.ours < p.theirs.(float64)
	}
	if !lag {
		t.Error("nothing lags without --metric-exact, so that the table does not show it")
	}
	var table bytes.Buffer
	printTable(&table, exact, lagging)
	t.Logf("\n%s", &table)

	// What the real module documents.
	const beats = "github.com/elastic/beats/v7" // of which no test needs a package
	if out, err := exec.Command("go", "mod", "download", beats).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dir, err := exec.Command("go", "list", "-m", "-f={{.Dir}}", beats).Output()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "metricbeat/module/golang/heap/_meta/fields.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var documented []node
	if err := yaml.Unmarshal(text, &documented); err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, n := range documented[0].Fields {
		want = n.leaves(want, "")
	}
	for _, f := range fields {
		got = append(got, f.name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("the table has the fields\n%q, Metricbeat documents\n%q", got, want)
	}
}

// node is a field in a fields.yml.
type node struct {
	Name   string
	Fields []node
}

func (n node) leaves(all []string, before string) []string {
	if n.Fields == nil {
		return append(all, before+n.Name)
	}
	for _, inner := range n.Fields {
		all = inner.leaves(all, before+n.Name+".")
	}
	return all
}

func TestMappedGauges(t *testing.T) {
	r := programs(t)
	m := r.forTest(t, map[string][]string{"statsd.yml": nil})
	want := without("go.", names(r.sent(t)))
	const tags = "--metric-tags=host:web1.example.com,service:shop,form:"
	r.serviceForTest(t, m)
	for _, form := range []string{"datadog", "influx", "graphite"} {
		r.serviceForTest(t, m, tags+form, "--metric-tag-format="+form)
	}
	for form, labels := range map[string]map[string]string{
		"plain":   {},
		"datadog": {"host": "web1.example.com", "service": "shop", "form": "datadog"},
		"influx":  {"host": "web1.example.com", "service": "shop", "form": "influx"},
	} {
		e := m.tagged(t, "statsd.runtimemetrics.ticks.value", labels)
		if lost, more := missing(want, e.values()), missing(e.values(), want); lost != nil || more != nil {
			t.Errorf("%s: %d gauges are lost: %q; not sent: %q", form, len(lost), lost, more)
		}
		for field, value := range map[string]float64{"own.negative": -5, "expvar.balance": -2.25, "expvar.orders": 3} {
			if got, ok := e.number("statsd." + field + ".value"); !ok || got != value {
				t.Errorf("%s: %s is %v, not %v", form, field, got, value)
			}
		}
		t.Logf("%s: %d gauges arrive, labels %v", form, len(e.values()), labels)
	}
	if e := m.find(func(e event) bool { return e["labels.form"] == "graphite" }); e != nil {
		t.Errorf("gauges with tags in the form of Graphite arrive: %v", e[0])
	}
}

// TestUnmappedGauges is the statsd module without mappings.
func TestUnmappedGauges(t *testing.T) {
	r := programs(t)
	m := r.forTest(t, map[string][]string{"statsd.yml": {"statsd.mappings:", "no.mappings:"}})
	want := map[string]bool{}
	for name := range names(r.sent(t)) {
		want[strings.ReplaceAll(name, ".", "_")] = true
	}
	r.serviceForTest(t, m, "--metric-tags=service:shop")
	e := m.tagged(t, "statsd.go_runtimemetrics_ticks.value", map[string]string{"service": "shop"})
	if lost, more := missing(want, e.values()), missing(e.values(), want); lost != nil || more != nil {
		t.Errorf("%d gauges are lost: %q; not sent: %q", len(lost), lost, more)
	}
	if got, _ := e.number("statsd.go_own_negative.value"); got != -5 {
		t.Errorf("own.negative is %v, not -5", got)
	}

	r.serviceForTest(t, m, "--metric-tags=service:shop", "--metric-tag-format=graphite")
	m.mustWait(t, "the tags of Graphite are part of the name", func() bool {
		return m.find(func(e event) bool { return e["statsd.go_own_negative;service=shop.value"] == -5.0 }) != nil
	})
}

func TestPacketLimit(t *testing.T) {
	r := programs(t)
	stock := []string{"receive_buffer_size: 65507", "# its own default"}
	for _, test := range []struct {
		name  string
		edits []string
		args  []string
		whole bool
	}{
		{"its own limit", stock, nil, false},
		{"its own limit and --metric-packet-size=1024", stock, []string{"--metric-packet-size=1024"}, true},
		{"as in modules.d", nil, nil, true},
		{"as in modules.d and --metric-packet-size=65507", nil, []string{"--metric-packet-size=65507"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := r.forTest(t, map[string][]string{"statsd.yml": test.edits})
			args := append(test.args, "--metric-tags=service:shop")
			datagrams := r.sent(t, args...)
			want := without("go.", names(datagrams))
			r.serviceForTest(t, m, args...)
			if test.whole {
				e := m.tagged(t, "statsd.runtimemetrics.ticks.value", map[string]string{"service": "shop"})
				if lost := missing(want, e.values()); lost != nil {
					t.Errorf("%d gauges are lost: %q", len(lost), lost)
				}
				return
			}
			// Nothing of what stands behind the limit can ever be there.
			if len(datagrams[0]) < 1350 {
				t.Fatalf("datagrams of %d bytes, and none far larger than the limit", lengths(datagrams))
			}
			lines := strings.Split(datagrams[0][1100:1300], "\n")
			beyond := without("go.", names(lines[1:len(lines)-1]))
			m.mustWait(t, "it complains", func() bool {
				return len(m.find(func(e event) bool { return e["error.message"] != nil })) >= 4
			})
			arrived := map[string]bool{}
			var complaint any
			for _, e := range m.find(func(event) bool { return true }) {
				maps.Copy(arrived, e.values())
				if e["error.message"] != nil {
					complaint = e["error.message"]
				}
			}
			for name := range beyond {
				if arrived[name] {
					t.Errorf("%s arrives from behind the limit", name)
				}
			}
			t.Logf("%d of %d gauges arrive, in datagrams of %d bytes; %q", len(want)-len(missing(want, arrived)), len(want), lengths(datagrams), complaint)
		})
	}
}

func lengths(datagrams []string) []int {
	var all []int
	for _, d := range datagrams {
		all = append(all, len(d))
	}
	return all
}

// TestExpvars is both ways of the program's own numbers.
func TestExpvars(t *testing.T) {
	r := programs(t)
	admin, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	m := r.forTest(t, map[string][]string{"statsd.yml": nil, "golang.yml": {"127.0.0.1:6060", admin}})
	r.serviceForTest(t, m, "--admin="+admin)
	var asked event
	m.mustWait(t, "golang/expvar has been asked", func() bool {
		events := m.find(func(e event) bool { return e["metricset.name"] == "expvar" && e["error.message"] == nil })
		if len(events) > 0 {
			asked = events[0]
		}
		return asked != nil
	})
	pushed := m.tagged(t, "statsd.runtimemetrics.ticks.value", map[string]string{})
	for name, want := range map[string]float64{"orders": 3, "balance": -2.25} {
		theirs, _ := asked.number("golang.service." + name)
		ours, _ := pushed.number("statsd.expvar." + name + ".value")
		if theirs != want || ours != want {
			t.Errorf("%s is %v in golang/expvar and %v in statsd, not %v", name, theirs, ours, want)
		}
	}
	for field := range asked {
		if strings.HasPrefix(field, "golang.service.memstats") {
			t.Fatalf("golang/expvar has %s", field)
		}
	}
}

func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if row := fmt.Sprintf("\n| `%s` | %s | ", f.name, f.counterpart()); !strings.Contains(string(text), row) {
			t.Errorf("README.md has no row %q", row)
		}
	}
}
