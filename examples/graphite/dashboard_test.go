//go:build linux

package graphite_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	process "github.com/runtimemetrics/runtimemetrics/process/catalogue"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

const (
	// As by default on a machine whose host name has dots.
	realService = "go.web-1.example.com"
	// Nobody runs here: see madeUpCgroup.
	madeUpService = "go.made-up.example.com"
)

// TestDashboards renders every target of both dashboards against what a real
// service sent, and wants points in all of them.
//
// A machine without a CPU quota, or without cgroup v2, has nothing to say of
// throttling, pressure and memory limits. The targets that read cgroup.* are
// therefore rendered for a host that does not exist and whose values are made up
// here: that proves the target, and not that a kernel fills it.
func TestDashboards(t *testing.T) {
	s := startStack(t)
	s.runDemoService(t)
	s.feed(t, madeUpService, madeUpCgroup())

	dashboards := map[string][]string{ // targets, with PREFIX for the prefix
		"graphite": readGraphite(t),
		"grafana":  readGrafana(t),
	}
	var pending []string
	for name, targets := range dashboards {
		t.Logf("%s: %d targets", name, len(targets))
		if len(targets) < 30 {
			t.Errorf("only %d targets in the dashboard for %s", len(targets), name)
		}
		pending = append(pending, targets...)
	}
	slices.Sort(pending)
	pending = slices.Compact(pending) // many are the same in both
	all := len(pending)
	s.eventually(t, "every target has points", func() error {
		var left []string
		pending = slices.DeleteFunc(pending, func(target string) bool {
			prefix := serviceFor(target)
			err := s.hasPoints(strings.ReplaceAll(target, "PREFIX", prefix), prefix)
			if err == nil {
				// All services at once, of which some have not all gauges.
				err = s.hasPoints(strings.ReplaceAll(target, "PREFIX", "**"), prefix)
			}
			if err != nil {
				left = append(left, err.Error())
			}
			return err == nil
		})
		if len(left) > 0 {
			return fmt.Errorf("%d of %d targets are empty:\n%s", len(left), all, strings.Join(left, "\n"))
		}
		return nil
	})
	t.Logf("%d different targets rendered, for one service and for all; 0 are empty", all)

	t.Run("Values", s.testValues)
	t.Run("Overrides", s.testOverrides)
	t.Run("Template", s.testTemplate)
	t.Run("Variable", s.testVariable)
}

// testValues holds the arithmetic of the targets to what was made up, where it
// does not depend on when StatsD flushes.
func (s *stack) testValues(t *testing.T) {
	want := map[string]float64{
		"throttled":       10,
		"quota":           1.5,
		"working set":     200 << 20,
		"container limit": 512 << 20,
		"memory.high":     480 << 20,
		"limit":           100,
	}
	for _, target := range readGraphite(t) {
		series, err := s.render(strings.ReplaceAll(target, "PREFIX", madeUpService))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range series {
			label := strings.TrimSuffix(one.Target, " "+madeUpService)
			value, ok := want[label]
			if !ok {
				continue
			}
			delete(want, label)
			for _, point := range one.Datapoints {
				if point[0] != nil && math.Abs(*point[0]-value) > 1e-9*value {
					t.Errorf("%s is %v, want %v", label, *point[0], value)
				}
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("no series of %v", want)
	}
}

// testOverrides holds that what Grafana draws in another way (a limit, an area, the
// right-hand axis) is what one query returned, and nothing beside it.
func (s *stack) testOverrides(t *testing.T) {
	overrides := 0
	for _, panel := range readPanels(t) {
		var names [][]string // of the series of each query
		for _, target := range panel.Targets {
			prefix := serviceFor(target.Target)
			series, err := s.render(strings.ReplaceAll(target.Target, "$host", prefix))
			if err != nil {
				t.Fatal(err)
			}
			var own []string
			for _, one := range series {
				own = append(own, one.Target)
			}
			names = append(names, own)
		}
		for _, override := range panel.FieldConfig.Overrides {
			overrides++
			pattern := regexp.MustCompile(strings.Trim(override.Matcher.Options, "/"))
			queries := 0
			for _, own := range names {
				matches := 0
				for _, name := range own {
					if pattern.MatchString(name) {
						matches++
					}
				}
				if matches > 0 {
					queries++
					if matches < len(own) {
						t.Errorf("%s: %s matches %d of %q", panel.Title, pattern, matches, own)
					}
				}
			}
			if queries != 1 {
				t.Errorf("%s: %s matches series of %d queries: %q", panel.Title, pattern, queries, names)
			}
		}
	}
	if overrides == 0 {
		t.Error("no overrides")
	}
}

// serviceFor returns the service that has data for a target.
func serviceFor(target string) string {
	if strings.Contains(target, ".cgroup.") || strings.Contains(target, ".leaks.") {
		return madeUpService
	}
	return realService
}

// testTemplate asks graphite-web for the dashboard as its page does, and for the
// graphs.
func (s *stack) testTemplate(t *testing.T) {
	var loaded struct {
		State graphiteState
	}
	if err := s.get("/dashboard/load_template/go-runtime/"+realService, &loaded); err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, graph := range loaded.State.Graphs {
		var g struct {
			Target []string
		}
		if err := json.Unmarshal(graph[1], &g); err != nil {
			t.Fatal(err)
		}
		targets = append(targets, g.Target...)

		// As the page does: the graph's own parameters over the dashboard's.
		query := url.Values{"width": {"480"}, "height": {"290"}}
		for name, value := range loaded.State.Defaults {
			query.Set(name, value)
		}
		var own map[string]any
		if err := json.Unmarshal(graph[1], &own); err != nil {
			t.Fatal(err)
		}
		for name, value := range own {
			if text, ok := value.(string); ok {
				query.Set(name, text)
			}
		}
		query["target"] = g.Target
		// gunicorn's own limit; a longer address would be refused by servers
		// that are not set up as ours is.
		if path := "/render?" + query.Encode(); len(path) > 4094 {
			t.Errorf("the address of %s has %d bytes", own["title"], len(path))
		} else if response, err := http.Get(s.web + path); err != nil {
			t.Error(err)
		} else {
			head, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK || !strings.HasPrefix(string(head), "\x89PNG") {
				t.Errorf("%s: %s, %.100q", own["title"], response.Status, head)
			}
		}
	}
	want := readGraphite(t)
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "PREFIX", realService)
	}
	if !slices.Equal(targets, want) {
		t.Errorf("graphite-web has\n%s\nwant\n%s", strings.Join(targets, "\n"), strings.Join(want, "\n"))
	}
}

// testVariable does what Grafana does to fill the list of services: it asks for
// the paths and cuts the prefix out of each.
func (s *stack) testVariable(t *testing.T) {
	for _, variable := range readVariables(t) {
		if variable.Name != "host" {
			continue
		}
		query, ok := strings.CutPrefix(variable.Query, "expand(")
		query, ok2 := strings.CutSuffix(query, ")")
		if !ok || !ok2 {
			t.Fatalf("the query is %s", variable.Query)
		}
		var answer struct {
			Results []string
		}
		if err := s.get("/metrics/expand?query="+url.QueryEscape(query), &answer); err != nil {
			t.Fatal(err)
		}
		pattern := regexp.MustCompile(strings.Trim(variable.Regex, "/"))
		var services []string
		for _, path := range answer.Results {
			if match := pattern.FindStringSubmatch(path); match != nil {
				services = append(services, match[1])
			}
		}
		if !slices.Equal(services, []string{realService}) {
			t.Errorf("Grafana would list %q, want %q", services, realService)
		}
		return
	}
	t.Error("the dashboard has no variable host")
}

type rendered struct {
	Target     string
	Datapoints [][2]*float64 // value or null, time in seconds
}

func (s *stack) render(target string) ([]rendered, error) {
	var series []rendered
	query := url.Values{"format": {"json"}, "from": {"-15minutes"}, "target": {target}}
	err := s.get("/render?"+query.Encode(), &series)
	return series, err
}

// hasPoints renders a target and returns an error unless it has a point that is
// not null, and its series are called by the service.
func (s *stack) hasPoints(target, service string) error {
	series, err := s.render(target)
	if err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	for _, one := range series {
		if strings.Contains(one.Target, "stats.gauges") {
			return fmt.Errorf("%s: a series is called %s", target, one.Target)
		}
		if !strings.HasSuffix(one.Target, service) {
			continue
		}
		for _, point := range one.Datapoints {
			if point[0] != nil {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: no point of %s in %d series", target, service, len(series))
}

// runDemoService starts the service of the demonstration and keeps it busy, since
// nothing is collected in a process that idles.
func (s *stack) runDemoService(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < 200; i++ {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.txt", i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	addr := stacktest.FreeAddress(t)
	cmd := s.command(stacktest.Build(t, "./service"), "--addr="+addr, "--statsd="+s.statsd, "--pause=1",
		"--metric-prefix="+realService, "--metric-runtime=default")
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, "GOMEMLIMIT=64MiB")
	stacktest.Start(t, cmd)

	stop := make(chan struct{})
	done := make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if response, err := http.Get("http://" + addr + "/"); err == nil {
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}
	}()
}

// madeUpCgroup is what a program that leaks goroutines might say after n seconds, in
// a container with a quota of 1.5 cores and a limit of 512 MiB, one period in ten
// throttled.
func madeUpCgroup() func(n int64) map[string]int64 {
	level := map[string]int64{
		"cgroup.memory.usage.bytes":          300 << 20,
		"cgroup.memory.working_set.bytes":    200 << 20,
		"cgroup.memory.limit.bytes":          512 << 20,
		"cgroup.memory.high.bytes":           480 << 20,
		"cgroup.memory.tightest.used.bytes":  250 << 20,
		"cgroup.memory.tightest.limit.bytes": 1000 << 20,
		"cgroup.cpu.quota_millicores":        1500,
		"cgroup.pids":                        12,
		"cgroup.pids_limit":                  100,
		"cgroup.pids.tightest.used":          150,
		"cgroup.pids.tightest.limit":         200,
		"leaks.goroutines":                   7,
	}
	perSecond := map[string]int64{
		"cgroup.memory.oom_kills":        0,
		"cgroup.cpu.periods":             10,
		"cgroup.cpu.throttled_periods":   1,
		"cgroup.cpu.throttled.ns":        30e6,
		"cgroup.pressure.cpu.some.ns":    20e6,
		"cgroup.memory.high_events":      2,
		"cgroup.pressure.memory.some.ns": 1e6,
		"cgroup.pressure.memory.full.ns": 5e5,
		"cgroup.pressure.io.full.ns":     3e6,
		"cgroup.pressure.io.some.ns":     5e6,
	}
	return func(n int64) map[string]int64 {
		values := map[string]int64{}
		for _, g := range append(process.Gauges(), leaks.Gauges()...) {
			if strings.HasPrefix(g.Name, "proc.") {
				continue
			}
			if g.Kind == collector.Cumulative {
				values[g.Name] = n * perSecond[g.Name]
			} else {
				values[g.Name] = level[g.Name]
			}
		}
		return values
	}
}

// feed sends gauges as a service would, once a second.
func (s *stack) feed(t *testing.T, prefix string, values func(n int64) map[string]int64) {
	t.Helper()
	conn, err := net.Dial("udp", s.statsd)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	done := make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		<-done
		conn.Close()
	})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for n := int64(1); ; n++ {
			var packet strings.Builder
			for name, value := range values(n) {
				fmt.Fprintf(&packet, "%s.%s:%d|g\n", prefix, name, value)
			}
			io.WriteString(conn, packet.String())
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
}

// graphiteState is the state of a dashboard of graphite-web.
type graphiteState struct {
	Graphs   [][]json.RawMessage // title, parameters, address
	Defaults map[string]string   `json:"defaultGraphParams"`
}

// readGraphite returns the targets of the dashboard for Graphite.
func readGraphite(t *testing.T) []string {
	t.Helper()
	var state graphiteState
	readDashboard(t, "graphite.json", &state)
	var targets []string
	for _, graph := range state.Graphs {
		var g struct {
			Target []string
		}
		if err := json.Unmarshal(graph[1], &g); err != nil {
			t.Fatal(err)
		}
		for _, target := range g.Target {
			targets = append(targets, strings.ReplaceAll(target, "__VALUE__", "PREFIX"))
		}
	}
	return targets
}

// readGrafana returns the targets of the dashboard for Grafana, those of its
// annotations among them.
func readGrafana(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		Annotations struct {
			List []struct {
				Target grafanaQuery
			}
		}
	}
	readDashboard(t, "grafana-graphite.json", &dashboard)
	var targets []string
	for _, panel := range readPanels(t) {
		for _, target := range panel.Targets {
			targets = append(targets, target.Target)
		}
	}
	for _, annotation := range dashboard.Annotations.List {
		targets = append(targets, annotation.Target.Target)
	}
	for i := range targets {
		targets[i] = strings.ReplaceAll(targets[i], "$host", "PREFIX")
	}
	return targets
}

type grafanaQuery struct {
	Target string
}

type grafanaPanel struct {
	Title       string
	Targets     []grafanaQuery
	FieldConfig struct {
		Overrides []struct {
			Matcher struct {
				Options string
			}
		}
	}
}

func readPanels(t *testing.T) []grafanaPanel {
	t.Helper()
	var dashboard struct {
		Panels []grafanaPanel
	}
	readDashboard(t, "grafana-graphite.json", &dashboard)
	return dashboard.Panels
}

type grafanaVariable struct {
	Name, Query, Regex string
}

func readVariables(t *testing.T) []grafanaVariable {
	t.Helper()
	var dashboard struct {
		Templating struct {
			List []grafanaVariable
		}
	}
	readDashboard(t, "grafana-graphite.json", &dashboard)
	return dashboard.Templating.List
}

func readDashboard(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../dashboards", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
