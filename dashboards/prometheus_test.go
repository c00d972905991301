//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

type service struct{ name, host string }

// What Prometheus is told of.
var (
	// The service of the demonstration, running.
	running = service{"files", "real.example.com"}
	// One with all gauges that the dashboard reads: levels and rates.
	madeUp = service{"api", "web-1.example.com"}
	// One without limits. A pattern for the one above finds its host, too, if the
	// dots in it stand for any character.
	unlimited = service{"api", "web-1xexample.com"}
	// One without a service label, whose goroutines grow.
	growing = service{"", "other.example.com"}
	// Two with few goroutines, one of them beside madeUp.
	few, fewer = service{"", "idle.example.com"}, service{"batch", madeUp.host}
)

// levels and rates are what madeUp says, not being real so that it has what few
// machines have, such as a CPU quota: what stays as it is, and what grows by so
// much a second, having done so for age.
var levels = map[string]float64{
	"cgroup.cpu.quota_millicores":            2500,
	"cgroup.memory.limit.bytes":              512 << 20,
	"cgroup.memory.high.bytes":               480 << 20,
	"cgroup.memory.tightest.limit.bytes":     1000 << 20,
	"cgroup.memory.tightest.used.bytes":      250 << 20,
	"cgroup.memory.working_set.bytes":        200 << 20,
	"cgroup.pids":                            30,
	"cgroup.pids_limit":                      100,
	"cgroup.pids.tightest.limit":             200,
	"cgroup.pids.tightest.used":              150,
	"cpu.goroutines":                         42,
	"leaks.goroutines":                       7,
	"mem.gc.next":                            210 << 20,
	"mem.gc.pause":                           250e3,
	"mem.heap.alloc":                         150 << 20,
	"mem.heap.idle":                          50 << 20,
	"mem.heap.inuse":                         160 << 20,
	"mem.heap.released":                      30 << 20,
	"proc.fds":                               256,
	"proc.fds_limit":                         1024,
	"proc.rss.bytes":                         220 << 20,
	"proc.start_time.seconds":                1.7e9,
	"proc.threads":                           12,
	"runtime.gc.gomemlimit.bytes":            400 << 20,
	"runtime.gc.heap.live.bytes":             100 << 20,
	"runtime.sched.gomaxprocs":               4,
	"runtime.sched.latencies.ns.p99":         1.5e6,
	"runtime.sched.latencies.ns.upper":       12e6,
	"runtime.sched.pauses.total.gc.ns.upper": 800e3,
}

var rates = map[string]float64{
	"cgroup.cpu.periods":                    10,
	"cgroup.cpu.throttled_periods":          1,
	"cgroup.memory.high_events":             0.2,
	"cgroup.memory.oom_kills":               0.01,
	"cgroup.pressure.cpu.some.ns":           20e6,
	"cgroup.pressure.io.full.ns":            3e6,
	"cgroup.pressure.io.some.ns":            5e6,
	"cgroup.pressure.memory.full.ns":        0.5e6,
	"cgroup.pressure.memory.some.ns":        1e6,
	"mem.frees":                             4000,
	"mem.gc.count":                          0.5,
	"mem.malloc":                            5000,
	"mem.total":                             64 << 20,
	"proc.cpu.sys.ns":                       0.25e9,
	"proc.cpu.user.ns":                      1.5e9,
	"proc.uptime.seconds":                   1,
	"runtime.cpu.classes.gc.mark.assist.ns": 0.04e9,
	"runtime.cpu.classes.gc.mark.idle.ns":   0.1e9,
	"runtime.cpu.classes.gc.total.ns":       0.3e9,
	"runtime.cpu.classes.total.ns":          4e9,
	"runtime.sync.mutex.wait.total.ns":      0.5e9,
	"runtimemetrics.lost":                   0.01,
	"runtimemetrics.ticks":                  0.1,
}

const age = 1e8 // seconds, beside which those that the test takes are nothing

// drawn is what each query has to make of them, in the unit of its panel.
var drawn = map[string]float64{
	"GC pause: ":                                   0.25,
	"Goroutines: ":                                 42,
	"GC count: ":                                   0.5 * age,
	"Allocations: allocated":                       5000,
	"Allocations: freed":                           4000,
	"Alive: ticks":                                 6,
	"Alive: lost":                                  0.6,
	"Uptime and restarts: up":                      age / 3600,
	"CPU: user":                                    1.5,
	"CPU: system":                                  0.25,
	"CPU: quota":                                   2.5,
	"CPU: GOMAXPROCS":                              4,
	"Throttling and pressure: throttled":           10,
	"Throttling and pressure: CPU":                 2,
	"Throttling and pressure: memory":              0.1,
	"Throttling and pressure: disk":                0.5,
	"Throttling and pressure: memory, all":         0.05,
	"Throttling and pressure: disk, all":           0.3,
	"Scheduler latency: p99":                       1.5,
	"Scheduler latency: upper":                     12,
	"Goroutines: the five highest of all: ":        42,
	"Goroutines: the five highest of all: chosen:": 42,
	"Memory and its limits: working set":           200 << 20,
	"Memory and its limits: RSS":                   220 << 20,
	"Memory and its limits: container limit":       512 << 20,
	"Memory and its limits: memory.high":           480 << 20,
	"Memory and its limits: GOMEMLIMIT":            400 << 20,
	"Tightest limits: memory":                      25,
	"Tightest limits: threads":                     75,
	"OOM kills and memory.high: OOM kills":         0.6,
	"OOM kills and memory.high: memory.high":       12,
	"Threads: process":                             12,
	"Threads: container":                           30,
	"Threads: limit":                               100,
	"Leaked goroutines: ":                          7,
	"Live heap: live":                              100 << 20,
	"Live heap: heap":                              150 << 20,
	"Live heap: next GC":                           210 << 20,
	"Allocation rate: ":                            64 << 20,
	"GC's share of CPU, over 10 minutes: GC":       5,
	"GC's share of CPU, over 10 minutes: assist":   1,
	"Garbage collections: GCs":                     30,
	"Garbage collections: longest pause":           0.8,
	"Descriptors: ":                                25,
	"Lock waiters: ":                               0.5,
	"Heap by state: objects":                       150 << 20,
	"Heap by state: between":                       10 << 20,
	"Heap by state: kept":                          20 << 20,
	"Heap by state: released":                      30 << 20,
	"Starts: ":                                     1.7e12, // milliseconds
}

// noLimits is what unlimited says; nothing of it but the goroutines is drawn.
var noLimits = map[string]float64{
	"cgroup.cpu.periods":                 0,
	"cgroup.cpu.quota_millicores":        0,
	"cgroup.cpu.throttled_periods":       0,
	"cgroup.memory.limit.bytes":          0,
	"cgroup.memory.high.bytes":           0,
	"cgroup.memory.tightest.used.bytes":  0,
	"cgroup.memory.tightest.limit.bytes": 0,
	"cgroup.pids_limit":                  0,
	"cgroup.pids.tightest.used":          0,
	"cgroup.pids.tightest.limit":         0,
	"cpu.goroutines":                     10e3,
	"mem.gc.next":                        0,
	"proc.fds":                           12,
	"proc.fds_limit":                     0,
	"proc.start_time.seconds":            0, // stopped
	"runtime.gc.gomemlimit.bytes":        0,
}

// TestPrometheus asks a real Prometheus each query of the dashboard, as Grafana
// would, and holds the answers to what Prometheus has been told.
func TestPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		const hint = "no prometheus here: apt-get install --no-install-recommends prometheus"
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	d := readPrometheusDashboard(t)
	p := startPrometheus(t, program, serveMetrics(t, runService(t)))

	t.Run("Points", func(t *testing.T) { d.testPoints(t, p) })
	t.Run("Values", func(t *testing.T) { d.testValues(t, p) })
	t.Run("Overrides", func(t *testing.T) { d.testOverrides(t, p) })
	t.Run("Variables", func(t *testing.T) { d.testVariables(t, p) })
}

// testPoints wants each query to have an answer for one service, for two and for
// all, and not of others. The running service answers what is not of a container,
// since it need not run in one, and nothing of package leaks, which it does not import.
func (d prometheusDashboard) testPoints(t *testing.T, p prometheus) {
	eventually(t, func() (left []string) {
		for _, q := range d.queries {
			want := running
			if strings.Contains(q.expr, "_cgroup_") || strings.Contains(q.expr, "_leaks_") {
				want = madeUp
			}
			for _, chosen := range [][]service{{want}, {running, madeUp}, nil} {
				answer := p.ask(t, q.expr, chosen)
				if _, ok := answer[want]; !ok {
					left = append(left, fmt.Sprintf("%s: nothing of %v with %v chosen", q.name, want, chosen))
				}
				for of := range answer {
					if chosen != nil && !slices.Contains(chosen, of) && q.name != theHighest {
						t.Errorf("%s: %v is drawn with %v chosen", q.name, of, chosen)
					}
				}
			}
		}
		return left
	})
	t.Logf("%d queries have points for one service, for two and for all", len(d.queries))
}

// testValues holds each query to drawn, and wants nothing of limits that there
// are not.
func (d prometheusDashboard) testValues(t *testing.T, p prometheus) {
	// A rate wants some seconds to be exact, and is not where a scrape was late: each
	// is asked for until it is.
	pending := slices.Clone(d.queries)
	eventually(t, func() (left []string) {
		pending = slices.DeleteFunc(pending, func(q prometheusQuery) bool {
			want, ok := drawn[q.name]
			if !ok {
				t.Fatalf("%s: what is it to be?", q.name)
			}
			got := p.ask(t, q.expr, nil)[madeUp]
			right := math.Abs(got-want) <= 1e-4*want
			if !right {
				left = append(left, fmt.Sprintf("%s is %v, want %v", q.name, got, want))
			}
			return right
		})
		return left
	})
	if len(drawn) != len(d.queries) {
		t.Errorf("%d queries, and %d values that they are to have", len(d.queries), len(drawn))
	}
	for _, q := range d.queries {
		answer := p.ask(t, q.expr, []service{unlimited})
		switch {
		case q.name == theHighest:
			// The same five in all of the graph, though one grew into them.
			if _, low := answer[fewer]; len(answer) != 5 || low {
				t.Errorf("the five highest are %v", answer)
			}
		case strings.Contains(q.expr, metric("cpu.goroutines")):
			if len(answer) != 1 || answer[unlimited] != noLimits["cpu.goroutines"] {
				t.Errorf("%s: %v", q.name, answer)
			}
		case len(answer) > 0:
			t.Errorf("%s: %v, and there is no limit", q.name, answer)
		}
	}
}

// testOverrides holds that what is drawn in another way is what one query
// returned, and nothing beside it.
func (d prometheusDashboard) testOverrides(t *testing.T, p prometheus) {
	if len(d.overrides) == 0 {
		t.Error("no overrides")
	}
	for _, o := range d.overrides {
		var matched []string
		for _, q := range d.queries {
			if q.panel != o.panel {
				continue
			}
			answer, matches := p.ask(t, q.expr, nil), 0
			for of := range answer {
				legend := strings.NewReplacer("{{host}}", of.host, "{{service}}", of.name).Replace(q.legend)
				if o.pattern.MatchString(legend) {
					matches++
				}
			}
			if matches > 0 {
				matched = append(matched, q.name)
				if matches < len(answer) {
					t.Errorf("%s matches %d of %d series of %s", o.pattern, matches, len(answer), q.name)
				}
			}
		}
		if len(matched) != 1 {
			t.Errorf("%s: %s matches series of %q", o.panel, o.pattern, matched)
		}
	}
}

// testVariables fills the lists at the top of the dashboard.
func (d prometheusDashboard) testVariables(t *testing.T, p prometheus) {
	for _, test := range []struct {
		variable string
		chosen   []service
		want     []string
	}{
		{"service", nil, []string{"api", "batch", "files"}},
		{"host", nil, []string{"idle.example.com", "other.example.com", "real.example.com", "web-1.example.com", "web-1xexample.com"}},
		{"host", []service{running}, []string{"real.example.com"}},
		{"host", []service{running, madeUp}, []string{"real.example.com", "web-1.example.com", "web-1xexample.com"}},
	} {
		parts := labelValues.FindStringSubmatch(d.variables[test.variable])
		if parts == nil {
			t.Fatalf("the variable %s is %q", test.variable, d.variables[test.variable])
		}
		var got []string
		p.get(t, "/api/v1/label/"+parts[2]+"/values", url.Values{"match[]": {substitute(t, parts[1], test.chosen)}}, &got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s with %v chosen is %q, want %q", test.variable, test.chosen, got, test.want)
		}
	}
}

// theHighest is the query that does not mind what is chosen.
const theHighest = "Goroutines: the five highest of all: "

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

// substitute puts in what Grafana puts in for its variables: $__rate_interval is
// at least four scrapes. No services are all of them.
func substitute(t *testing.T, expr string, chosen []service) string {
	t.Helper()
	var names, hosts []string
	for _, s := range chosen {
		names = append(names, s.name)
		hosts = append(hosts, s.host)
	}
	expr = strings.NewReplacer(
		"$__rate_interval", "4s",
		"$__range", "60s",
		"$service", oneOf(names),
		"$host", oneOf(hosts),
	).Replace(expr)
	if left := regexp.MustCompile(`\$\w+`).FindString(expr); left != "" {
		t.Fatalf("Grafana knows no %s", left)
	}
	return expr
}

// oneOf is how Grafana writes the values of a variable of which one can choose
// several: a regular expression within a quoted string.
func oneOf(values []string) string {
	if len(values) == 0 {
		return ".*" // the dashboard's allValue
	}
	var escaped []string
	for _, v := range values {
		escaped = append(escaped, strings.ReplaceAll(regexp.QuoteMeta(v), `\`, `\\`))
	}
	if len(escaped) == 1 {
		return escaped[0]
	}
	return "(" + strings.Join(escaped, "|") + ")"
}

type (
	prometheusDashboard struct {
		queries   []prometheusQuery
		overrides []override
		variables map[string]string
	}
	prometheusQuery struct{ panel, name, expr, legend string }
	override        struct {
		panel   string
		pattern *regexp.Regexp
	}
)

// readPrometheusDashboard reads the file as Grafana would. A query is called by
// its panel and what is fixed in its legend.
func readPrometheusDashboard(t *testing.T) prometheusDashboard {
	t.Helper()
	type target struct{ Expr, LegendFormat string }
	var file struct {
		Panels []struct {
			Title       string
			Targets     []target
			FieldConfig struct {
				Overrides []struct{ Matcher struct{ Options string } }
			}
		}
		Annotations struct {
			List []struct {
				Name   string
				Target target
			}
		}
		Templating struct {
			List []struct{ Name, Query, AllValue string }
		}
	}
	text, err := os.ReadFile("grafana-prometheus.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	d := prometheusDashboard{variables: map[string]string{}}
	add := func(panel string, q target) {
		label, _, _ := strings.Cut(q.LegendFormat, "{{")
		d.queries = append(d.queries, prometheusQuery{
			panel, panel + ": " + strings.TrimSpace(label), q.Expr, q.LegendFormat,
		})
	}
	for _, p := range file.Panels {
		for _, q := range p.Targets {
			add(p.Title, q)
		}
		for _, o := range p.FieldConfig.Overrides {
			pattern := regexp.MustCompile(strings.Trim(o.Matcher.Options, "/"))
			d.overrides = append(d.overrides, override{p.Title, pattern})
		}
	}
	for _, a := range file.Annotations.List {
		add(a.Name, a.Target)
	}
	for _, v := range file.Templating.List {
		d.variables[v.Name] = v.Query
		if v.Name != "datasource" && v.AllValue != oneOf(nil) {
			t.Errorf("all of %s are %q", v.Name, v.AllValue)
		}
	}
	return d
}

// runService runs the service of the demonstration and keeps it busy, since
// nothing is collected in a process that idles. It returns what is known of its
// gauges.
func runService(t *testing.T) func() map[string]float64 {
	t.Helper()
	statsd, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { statsd.Close() })
	var mu sync.Mutex
	gauges := map[string]float64{}
	go func() {
		packet := make([]byte, 65536)
		for {
			n, _, err := statsd.ReadFrom(packet)
			if err != nil {
				return
			}
			mu.Lock()
			for _, line := range strings.Fields(string(packet[:n])) {
				name, text, _ := strings.Cut(line, ":")
				value, err := strconv.ParseFloat(strings.TrimSuffix(text, "|g"), 64)
				if err != nil {
					t.Errorf("a gauge is %q", line)
				}
				gauges[name] = value
			}
			mu.Unlock()
		}
	}()

	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "page.txt"), make([]byte, 10_000), 0o666); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../examples/graphite/service").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	addr := freeAddr(t)
	cmd := exec.Command(program, "--addr="+addr, "--statsd="+statsd.LocalAddr().String(),
		"--pause=200ms", "--metric-prefix=", "--metric-runtime=default")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOGC=10", "GOMEMLIMIT=64MiB")
	start(t, cmd)

	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	go func() {
		for {
			select {
			case <-ended:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if response, err := http.Get("http://" + addr + "/page.txt"); err == nil {
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}
	}()
	return func() map[string]float64 {
		mu.Lock()
		defer mu.Unlock()
		known := map[string]float64{}
		for name, value := range gauges {
			known[name] = value
		}
		return known
	}
}

// serveMetrics is what stands between a service and Prometheus: it serves the
// gauges under the names and with the labels that they have there. The values are
// those of the time that is beside them, so that rates are exact.
func serveMetrics(t *testing.T, ofRunning func() map[string]float64) (addr string) {
	var once sync.Once
	var began time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		once.Do(func() { began = now })
		told := now.Sub(began).Seconds()
		add := func(s service, gauges map[string]float64) {
			for name, value := range gauges {
				fmt.Fprintf(w, "%s{service=%q,host=%q} %v %d\n", metric(name), s.name, s.host, value, now.UnixMilli())
			}
		}
		add(running, ofRunning())
		add(madeUp, levels)
		for name, rate := range rates {
			add(madeUp, map[string]float64{name: rate * (age + told)})
		}
		add(unlimited, noLimits)
		add(growing, map[string]float64{"cpu.goroutines": 10 * told})
		add(few, map[string]float64{"cpu.goroutines": 2})
		add(fewer, map[string]float64{"cpu.goroutines": 1})
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// A prometheus is where one listens.
type prometheus string

func startPrometheus(t *testing.T, program, metrics string) prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte(`
global: {scrape_interval: 1s}
scrape_configs:
- {job_name: test, static_configs: [{targets: ["`+metrics+`"]}]}
`), 0o666); err != nil {
		t.Fatal(err)
	}
	for try := 1; ; try++ {
		addr := freeAddr(t)
		cmd := exec.Command(program, "--config.file="+config,
			"--storage.tsdb.path="+filepath.Join(dir, strconv.Itoa(try)), "--web.listen-address="+addr)
		ended, output := start(t, cmd)
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
			response, err := http.Get("http://" + addr + "/-/ready")
			if err == nil {
				response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return prometheus(addr)
				}
			}
			select {
			case <-ended:
			default:
				if time.Now().Before(deadline) {
					continue
				}
				t.Fatalf("prometheus is not ready:\n%s", output())
			}
			if try == 3 { // not each time somebody else has taken the port
				t.Fatalf("prometheus ends:\n%s", output())
			}
			break
		}
	}
}

// ask returns the last point of each service, as one line in a graph of the last
// minute.
func (p prometheus) ask(t *testing.T, expr string, chosen []service) map[service]float64 {
	t.Helper()
	now := time.Now().Unix()
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any // seconds, and the value in quotes
		}
	}
	p.get(t, "/api/v1/query_range", url.Values{
		"query": {substitute(t, expr, chosen)},
		"start": {strconv.FormatInt(now-60, 10)},
		"end":   {strconv.FormatInt(now, 10)},
		"step":  {"1"},
	}, &data)
	answer := map[service]float64{}
	for _, one := range data.Result {
		of := service{one.Metric["service"], one.Metric["host"]}
		if _, twice := answer[of]; twice {
			t.Errorf("%s: two lines of %v", expr, of)
		}
		for _, point := range one.Values {
			value, err := strconv.ParseFloat(fmt.Sprint(point[1]), 64)
			if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
				t.Errorf("%s: a point is %v", expr, point)
			}
			answer[of] = value
		}
	}
	return answer
}

func (p prometheus) get(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	response, err := http.Get("http://" + string(p) + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", query, response.Status, err, answer.Error)
	}
}

// start runs a program until the test ends. Its output can be asked for once it
// has ended.
func start(t *testing.T, cmd *exec.Cmd) (ended <-chan struct{}, output func() string) {
	t.Helper()
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			<-done
		}
	}
	t.Cleanup(stop)
	return done, func() string {
		stop()
		return text.String()
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// eventually waits until nothing is left.
func eventually(t *testing.T, left func() []string) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		what := left()
		if len(what) == 0 || t.Failed() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after two minutes:\n%s", strings.Join(what, "\n"))
		}
		time.Sleep(500 * time.Millisecond)
	}
}
