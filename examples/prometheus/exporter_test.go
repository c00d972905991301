//go:build linux

// Package prometheus_test runs the library against real statsd_exporter,
// Prometheus and Alertmanager.
package prometheus_test

import (
	"expvar"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
	_ "github.com/runtimemetrics/runtimemetrics/expvar"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	_ "github.com/runtimemetrics/runtimemetrics/process"
	processes "github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

// patience is how long a test waits for what must happen; it says nothing about
// how long that takes.
const patience = time.Minute

// What the library sends beside what it measures.
func init() {
	runtimemetrics.Register(func(t *runtimemetrics.Tick) {
		t.Gauge("orders.in-flight", 42)
		t.Gauge("orders.balance", -5)
		t.Gauge("cache.mem.bytes", 1<<20) // ends like one of the library's
	})
	expvar.NewInt("requests").Set(7)
	expvar.NewFloat("below_zero").Set(-2.5)
	expvar.NewMap("cache").Add("hits", 3)
}

// split returns the tags of a text, none if it is empty.
func split(tags string) []string {
	if tags == "" {
		return nil
	}
	return strings.Split(tags, ",")
}

// TestShapes lets the library send all that it has, below prefixes and with tags
// of all shapes, and compares what the exporter has with what was sent.
func TestShapes(t *testing.T) {
	e := startExporter(t, "mapping.yml")
	for _, shape := range []struct {
		name, prefix, tags, format string
		host, service              string
		own                        bool // custom gauges keep their names
	}{
		{"the recommended one", "runtimemetrics", "host:web1.example.com,service:shop", "datadog", "web1.example.com", "shop", true},
		{"the same with influx tags", "runtimemetrics", "host:web2.example.com,service:shop", "influx", "web2.example.com", "shop", true},
		{"host and program in the prefix", "go.web3_example_com.shop", "", "", "web3_example_com", "shop", true},
		{"tags win over the prefix", "go.web4_example_com.shop", "host:web4.example.com,service:till", "datadog", "web4.example.com", "till", true},
		{"influx tags win as well", "go.web5_example_com.shop", "host:web5.example.com,service:till", "influx", "web5.example.com", "till", true},
		{"the default, host with dots", "go.web6.shop.example.com", "", "", "web6.shop.example.com", "", false},
		{"the default, host without dots", "go.web7", "", "", "web7", "", false},
		{"the default and a tag", "go.web8.shop.example.com", "service:shop", "datadog", "web8.shop.example.com", "shop", false},
		{"another prefix", "prod.shop", "", "", "", "prod.shop", false},
		{"another prefix with tags", "prod.shop", "host:web9,service:till", "datadog", "web9", "till", false},
		{"no prefix", ".", "host:web10,service:shop", "influx", "web10", "shop", false},
	} {
		t.Run(shape.name, func(t *testing.T) {
			sent, largest := e.publish(t, runtimemetrics.Config{
				Prefix: shape.prefix, Tags: split(shape.tags), TagFormat: shape.format,
				Runtime: []string{"all"}, Pause: 100 * time.Millisecond,
			})
			if n := len(sent); n < 100 {
				t.Fatalf("only %d gauges were sent", n)
			}
			if !shape.own {
				for _, own := range []string{"orders.in-flight", "orders.balance", "cache.mem.bytes"} {
					delete(sent, own)
				}
			}
			labels := map[string]string{"host": shape.host, "service": shape.service}
			e.eventually(t, func(page []series) error {
				got := map[string]float64{}
				for _, s := range page {
					if maps.Equal(s.labels, labels) {
						got[s.name] = s.value
					}
				}
				for name, value := range sent {
					switch arrived, ok := got[prometheusName(name)]; {
					case !ok:
						return fmt.Errorf("%s is not there as %s%v, but %v", name, prometheusName(name), labels, slices.Sorted(maps.Keys(got)))
					case arrived != value:
						return fmt.Errorf("%s is %v, not %v", name, arrived, value)
					}
				}
				return nil
			})
			t.Logf("%d gauges arrived with %v, in datagrams of up to %d bytes", len(sent), labels, largest)
		})
	}
	e.harmless(t)
}

// TestLines holds names that could be taken for something else.
func TestLines(t *testing.T) {
	e := startExporter(t, "mapping.yml")
	for _, c := range []struct{ line, name, host, service string }{
		{"go.web1.api.mem.heap.alloc:1|g", "runtimemetrics_mem_heap_alloc", "web1", "api"},
		{"go.web1.example.com.runtime.sched.latencies.ns.p99:1|g", "runtimemetrics_sched_latencies_ns_p99", "web1.example.com", ""},
		{"go.web1.example.com.runtimemetrics.ticks:1|g", "runtimemetrics_ticks", "web1.example.com", ""},
		{"runtimemetrics.runtimemetrics.ticks:1|g|#host:a.b,service:c", "runtimemetrics_ticks", "a.b", "c"},
		{"runtimemetrics.runtime.gc.heap.live.bytes,host=a.b,service=c:1|g", "runtimemetrics_gc_heap_live_bytes", "a.b", "c"},
		// Hosts and programs that are called like a group of gauges.
		{"go.mem.runtime.mem.alloc:1|g", "runtimemetrics_mem_alloc", "mem", "runtime"},
		{"go.web1.expvar.proc.fds:1|g", "runtimemetrics_proc_fds", "web1", "expvar"},
		{"go.cgroup.proc.cpu.mem.sys:1|g", "runtimemetrics_mem_sys", "cgroup.proc.cpu", ""},
		// Expvars and custom gauges that end like one of the library's.
		{"go.a.b.c.expvar.mem.alloc:1|g", "runtimemetrics_expvar_mem_alloc", "a.b.c", ""},
		{"go.web2.api.cache.mem.bytes:1|g", "runtimemetrics_cache_mem_bytes", "web2", "api"},
		{"go.web2.api.orders.in-flight:1|g", "runtimemetrics_orders_in_flight", "web2", "api"},
		// A host name of two parts cannot be told from a host and a program: a tag can.
		{"go.db1.local.mem.sys:1|g", "runtimemetrics_mem_sys", "db1", "local"},
		{"go.db1.local.mem.sys:1|g|#host:db1.local,service:api", "runtimemetrics_mem_sys", "db1.local", "api"},
	} {
		e.send(t, c.line)
		e.eventually(t, func(page []series) error {
			for _, s := range page {
				if s.name == c.name && s.labels["host"] == c.host && s.labels["service"] == c.service && len(s.labels) == 2 {
					return nil
				}
			}
			return fmt.Errorf("%s is not there as %s{host=%q, service=%q}", c.line, c.name, c.host, c.service)
		})
	}
	e.harmless(t)

	// The exporter keeps names in .count, .sum and .bucket for histograms.
	e.send(t, "runtimemetrics.queue:1|g\nruntimemetrics.queue.count:2|g\nruntimemetrics.queue.length:3|g")
	e.eventually(t, func(page []series) error {
		var got []string
		for _, s := range page {
			if strings.HasPrefix(s.name, "runtimemetrics_queue") {
				got = append(got, s.name)
			}
		}
		slices.Sort(got)
		if want := []string{"runtimemetrics_queue", "runtimemetrics_queue_length"}; !slices.Equal(got, want) {
			return fmt.Errorf("of queue, queue.count and queue.length there are %v, not %v", got, want)
		}
		return nil
	})

	// What others send is left as the exporter would have it.
	e.send(t, "nginx.requests:1|g")
	e.eventually(t, func(page []series) error {
		if !slices.ContainsFunc(page, func(s series) bool { return s.name == "nginx_requests" && len(s.labels) == 0 }) {
			return fmt.Errorf("nginx_requests is not there")
		}
		return nil
	})
}

// TestEveryName sends the gauges of packages process and leaks, of which no machine
// has all, below a prefix: each has to keep its name, and the prefix to be the service.
func TestEveryName(t *testing.T) {
	e := startExporter(t, "mapping.yml")
	want := map[string]bool{}
	for _, g := range append(processes.Gauges(), leaks.Gauges()...) {
		e.send(t, "prod.shop."+g.Name+":1|g")
		want[prometheusName(g.Name)] = true
	}
	if len(want) < 30 {
		t.Fatalf("only %d gauges", len(want))
	}
	e.eventually(t, func(page []series) error {
		left := maps.Clone(want)
		for _, s := range page {
			if s.labels["service"] == "prod.shop" && s.labels["host"] == "" {
				delete(left, s.name)
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("not there: %v", slices.Sorted(maps.Keys(left)))
		}
		return nil
	})
	e.harmless(t)
}

// TestTTL kills one of two services: its series end, those of the other one, which
// sends to a unix socket, stay.
func TestTTL(t *testing.T) {
	text, err := os.ReadFile("mapping.yml")
	if err != nil {
		t.Fatal(err)
	}
	short := strings.Replace(string(text), "ttl: 45s", "ttl: 2s", 1)
	if short == string(text) {
		t.Fatal("mapping.yml has no ttl of 45 s")
	}
	mapping := filepath.Join(t.TempDir(), "mapping.yml")
	if err := os.WriteFile(mapping, []byte(short), 0o644); err != nil {
		t.Fatal(err)
	}
	e := startExporter(t, mapping)
	program := stacktest.Build(t, "./service")
	run := func(service, statsd string) *exec.Cmd {
		cmd := exec.Command(program, "--addr=127.0.0.1:0", "--statsd="+statsd, "--pause=200ms",
			"--metric-prefix=runtimemetrics", "--metric-tags=host:{host},service:"+service, "--metric-runtime=default")
		cmd.Env = stacktest.Environment()
		stacktest.Start(t, cmd)
		return cmd
	}
	run("alive", "unix://"+e.socket)
	dead := run("dead", e.statsd)
	count := func(page []series, service string) (n int) {
		for _, s := range page {
			if s.labels["service"] == service {
				n++
			}
		}
		return n
	}
	var had int
	e.eventually(t, func(page []series) error {
		if had = count(page, "dead"); had < 50 || count(page, "alive") < 50 {
			return fmt.Errorf("there are %d and %d series", had, count(page, "alive"))
		}
		return nil
	})
	dead.Process.Kill()
	e.eventually(t, func(page []series) error {
		if n := count(page, "dead"); n > 0 {
			return fmt.Errorf("there are still %d series", n)
		}
		// Where the machine is busy, a tick of it may be late.
		if n := count(page, "alive"); n < 50 {
			return fmt.Errorf("of the other service, %d series are left", n)
		}
		return nil
	})
	t.Logf("%d series of the service that was killed have ended", had)
}

// prometheusName returns the name that a gauge has to have in Prometheus.
func prometheusName(gauge string) string {
	gauge, found := strings.CutPrefix(gauge, "runtimemetrics.")
	if !found {
		gauge, _ = strings.CutPrefix(gauge, "runtime.")
	}
	return "runtimemetrics_" + strings.NewReplacer(".", "_", "-", "_").Replace(gauge)
}

// exporter is a running statsd_exporter.
type exporter struct {
	statsd string // host:port
	socket string // its path
	web    string // http://host:port
}

func startExporter(t *testing.T, mapping string) *exporter {
	t.Helper()
	program := stacktest.Build(t, "github.com/prometheus/statsd_exporter")
	// Free ports are free only until somebody else takes them.
	for attempt := 1; ; attempt++ {
		web := stacktest.FreeAddress(t)
		e := &exporter{
			statsd: stacktest.FreeAddress(t),
			socket: filepath.Join(t.TempDir(), "statsd"),
			web:    "http://" + web,
		}
		log := stacktest.Start(t, exec.Command(program, "--statsd.mapping-config="+mapping,
			"--statsd.listen-udp="+e.statsd, "--statsd.listen-tcp=", "--statsd.listen-unixgram="+e.socket, "--web.listen-address="+web))
		deadline := time.Now().Add(patience)
		for time.Now().Before(deadline) {
			if _, err := get(e.web + "/-/healthy"); err == nil {
				return e
			}
			if strings.Contains(log.String(), "address already in use") {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		if attempt == 3 {
			t.Fatalf("statsd_exporter does not start:\n%s", log)
		}
	}
}

// publish lets the library send to the exporter for two ticks, and returns the
// last values sent, by name without the prefix, and the size of the largest
// datagram. Nothing more reaches the exporter afterwards.
func (e *exporter) publish(t *testing.T, c runtimemetrics.Config) (sent map[string]float64, largest int) {
	t.Helper()
	in, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := net.Dial("udp4", e.statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.StatsD, c.Logf = in.LocalAddr().String(), t.Logf
	if err := runtimemetrics.Start(c); err != nil {
		t.Fatal(err)
	}
	defer runtimemetrics.Stop()

	sent = map[string]float64{}
	in.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 1<<16)
	prefix := strings.TrimPrefix(c.Prefix+".", "..")
	for {
		n, _, err := in.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("no datagram of the library: %v", err)
		}
		lines := strings.Split(strings.TrimSuffix(string(buffer[:n]), "\n"), "\n")
		ticks := 0.0
		for _, line := range lines {
			name, value, err := parse(line, prefix)
			if err != nil {
				t.Fatal(err)
			}
			if name == "cpu.goroutines" { // the first of a tick
				ticks = sent["runtimemetrics.ticks"]
			}
			if ticks >= 2 {
				return sent, largest
			}
			sent[name] = value
		}
		if _, err := out.Write(buffer[:n]); err != nil {
			t.Fatal(err)
		}
		largest = max(largest, n)
	}
}

// parse takes a line apart: a name below prefix, a value, tags in either format.
func parse(line, prefix string) (name string, value float64, err error) {
	name, rest, _ := strings.Cut(line, ":")
	name, _, _ = strings.Cut(name, ",")
	name, below := strings.CutPrefix(name, prefix)
	number, _, gauge := strings.Cut(rest, "|g")
	value, err = strconv.ParseFloat(number, 64)
	if err != nil || !below || !gauge {
		return "", 0, fmt.Errorf("not a gauge below %q: %q", prefix, line)
	}
	return name, value, nil
}

func (e *exporter) send(t *testing.T, line string) {
	t.Helper()
	c, err := net.Dial("udp4", e.statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
}

// series is one line of the exporter's page.
type series struct {
	name   string
	labels map[string]string // those that are empty too
	value  float64
}

func (e *exporter) page() ([]series, error) {
	text, err := get(e.web + "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	var page []series
	for name, family := range families {
		for _, m := range family.Metric {
			s := series{name, map[string]string{}, m.GetGauge().GetValue() + m.GetCounter().GetValue()}
			for _, l := range m.Label {
				s.labels[l.GetName()] = l.GetValue()
			}
			page = append(page, s)
		}
	}
	return page, nil
}

// harmless holds that the exporter took all that came, and that its own metrics
// are its own.
func (e *exporter) harmless(t *testing.T) {
	t.Helper()
	page, err := e.page()
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for _, s := range page {
		if slices.ContainsFunc([]string{"go_", "process_", "promhttp_", "statsd_"},
			func(prefix string) bool { return strings.HasPrefix(s.name, prefix) }) {
			own++
			if host, ours := s.labels["host"]; ours {
				t.Errorf("%s of %s is among the exporter's own", s.name, host)
			}
		}
		switch s.name {
		case "statsd_exporter_events_conflict_total", "statsd_exporter_events_error_total",
			"statsd_exporter_sample_errors_total",
			"statsd_exporter_tag_errors_total", "statsd_exporter_udp_packet_drops_total":
			if s.value != 0 {
				t.Errorf("%s%v is %v", s.name, s.labels, s.value)
			}
		}
	}
	if own < 30 {
		t.Errorf("of its own, the exporter has only %d series", own)
	}
}

// eventually polls the exporter's page until it is as it has to be, for less than
// the TTL, so that what has arrived is there to be told of.
func (e *exporter) eventually(t *testing.T, check func([]series) error) {
	t.Helper()
	poll(t, patience/2, func() error {
		page, err := e.page()
		if err != nil {
			return err
		}
		return check(page)
	})
}

func poll(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %v", within, err)
		}
	}
}

func get(url string) (string, error) {
	client := http.Client{Timeout: patience}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), err
}
