//go:build linux

package interop_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

// allocated is what each of the jobs allocates when it works.
const allocated = 64 << 20

// TestAJobInStatsD: what StatsD tells Graphite at every flush once a job has ended.
// The job ticks once, before it works.
func TestAJobInStatsD(t *testing.T) {
	program := built(t, "./internal/job")
	for _, c := range []struct {
		name, config string
		stop         bool // does the job call Stop?
		ends         bool // do its gauges end?
	}{
		{"without Stop, its last values stay", "", false, false},
		{"with Stop, zeros and what only grows stay", "", true, false},
		{"without Stop, its gauges end with deleteGauges", "deleteGauges: true, gaugesMaxTTL: 3,", false, true},
		{"with Stop, its gauges end with deleteGauges", "deleteGauges: true, gaugesMaxTTL: 3,", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			statsd, flush := startStatsD(t, c.config)
			// With a TTL, what was sent before the job ended may end before it as
			// well: so it goes on ticking there.
			pause := "1000h"
			if c.ends {
				pause = "100ms"
			}
			end := startJob(t, program, "--statsd="+statsd, "--pause="+pause, "--stop="+strconv.FormatBool(c.stop))
			var first map[string]float64
			harness.Poll(t, "StatsD has the job's first tick", func() error {
				if first = flush(); len(first) != 27 {
					return fmt.Errorf("there are %v", first)
				}
				return nil
			})
			end()

			if c.ends {
				harness.Poll(t, "the job's gauges end", func() error {
					if left := flush(); len(left) > 0 {
						return fmt.Errorf("there are %v", left)
					}
					return nil
				})
				return
			}
			heap := first["mem.heap.alloc"]
			if c.stop {
				heap = 0
				harness.Poll(t, "StatsD has what Stop sends", func() error {
					if now := flush(); now["mem.heap.alloc"] > 0 {
						return fmt.Errorf("there are %v", now)
					}
					return nil
				})
			}
			for i := range 5 {
				now := flush()
				if len(now) != 27 || now["mem.heap.alloc"] != heap || now["mem.total"] != first["mem.total"] {
					t.Fatalf("of the first tick, %v, and heap.alloc %v, flush %d has %v", first, heap, i, now)
				}
			}
			if first["mem.total"] > 1<<19 {
				t.Errorf("mem.total is %v, but the job had not begun to work", first["mem.total"])
			}
		})
	}
}

// TestAJobInStatsDExporter is the same for statsd_exporter.
func TestAJobInStatsDExporter(t *testing.T) {
	program := built(t, "./internal/job")
	exporter := built(t, "github.com/prometheus/statsd_exporter")
	for _, c := range []struct {
		name, mapping string
		ends          bool
	}{
		{"its last values stay", "defaults:\n  match_type: glob\n", false},
		{"its gauges end with ttl", "defaults:\n  match_type: glob\n  ttl: 2s\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			mapping := write(t, filepath.Join(harness.Dir(t), "mapping.yml"), "%s", c.mapping)
			var addr, url string
			harness.Daemon(t, func() (*exec.Cmd, func() error) {
				udp, tcp := harness.UDPPort(t), harness.TCPPorts(t, 1)[0]
				addr, url = fmt.Sprintf("127.0.0.1:%d", udp), fmt.Sprintf("http://127.0.0.1:%d", tcp)
				return exec.Command(exporter, "--statsd.listen-udp="+addr, "--statsd.listen-tcp=", "--statsd.mapping-config="+mapping,
						fmt.Sprintf("--web.listen-address=127.0.0.1:%d", tcp)), func() error {
						_, err := get(url + "/-/healthy")
						return err
					}
			})
			pause := "1000h"
			if c.ends {
				pause = "100ms"
			}
			end := startJob(t, program, "--statsd="+addr, "--pause="+pause)
			jobs := func() map[string]float64 {
				values := map[string]float64{}
				for name, family := range metrics(t, url+"/metrics") {
					if name, ok := strings.CutPrefix(name, "job_"); ok {
						values[name] = family.Metric[0].GetGauge().GetValue()
					}
				}
				return values
			}
			harness.Poll(t, "the exporter has the job's gauges", func() error {
				if now := jobs(); len(now) != 27 {
					return fmt.Errorf("there are %v", now)
				}
				return nil
			})
			end()
			if c.ends {
				harness.Poll(t, "the job's gauges end", func() error {
					if left := jobs(); len(left) > 0 {
						return fmt.Errorf("there are %v", left)
					}
					return nil
				})
				return
			}
			// The exporter looks for what has outlived its TTL once a second.
			before := jobs()
			time.Sleep(3 * time.Second)
			now := jobs()
			if len(now) != 27 || now["mem_total"] != before["mem_total"] || now["mem_heap_alloc"] == 0 {
				t.Errorf("first there are %v, then %v", before, now)
			}
		})
	}
}

// TestAJobInPushgateway runs examples/job, which has the collector alone, and looks
// at what the Pushgateway then shows to Prometheus.
func TestAJobInPushgateway(t *testing.T) {
	program := built(t, "../../examples/job")
	deps, err := exec.Command("go", "list", "-deps", "../../examples/job").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, deps)
	}
	for _, p := range strings.Fields(string(deps)) {
		if p == "github.com/runtimemetrics/runtimemetrics" || strings.Contains(p, "statsd") || strings.Contains(p, "prometheus") {
			t.Errorf("the job links %s", p)
		}
	}
	if _, err := exec.LookPath("prometheus-pushgateway"); err != nil {
		harness.Missing(t, "prometheus-pushgateway")
	}
	var url string
	harness.Daemon(t, func() (*exec.Cmd, func() error) {
		port := harness.TCPPorts(t, 1)[0]
		url = fmt.Sprintf("http://127.0.0.1:%d", port)
		return exec.Command("prometheus-pushgateway", fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--persistence.file="), func() error {
			_, err := get(url + "/-/healthy")
			return err
		}
	})
	run := func(megabytes int) string {
		t.Helper()
		out, err := exec.Command(program, "--pushgateway="+url, fmt.Sprintf("--megabytes=%d", megabytes)).CombinedOutput()
		if err != nil {
			t.Fatalf("the job: %v\n%s", err, out)
		}
		return string(out)
	}
	// of returns what there is of the job, by the names of the collector.
	of := func() map[string]float64 {
		t.Helper()
		values := map[string]float64{}
		pushed := metrics(t, url+"/metrics")
		for _, g := range collector.Gauges() {
			family := pushed["runtimemetrics_"+strings.ReplaceAll(g.Name, ".", "_")]
			for _, m := range family.GetMetric() {
				for _, label := range m.Label {
					if label.GetName() == "job" && label.GetValue() == "compress" && m.Gauge != nil {
						values[g.Name] = m.Gauge.GetValue()
					}
				}
			}
		}
		return values
	}

	if out := run(allocated >> 20); out != "" {
		t.Fatalf("the job says %q", out)
	}
	whole := of()
	if len(whole) != 27 {
		t.Fatalf("of the 27 there are %v", whole)
	}
	// All that the job has done, and what it had at its end.
	if whole["mem.total"] < allocated || whole["mem.gc.count"] < 1 || whole["mem.heap.alloc"] <= 0 || whole["cpu.goroutines"] < 1 {
		t.Errorf("of a job that has allocated %d bytes there are %v", allocated, whole)
	}
	t.Logf("mem.total %.0f, mem.gc.count %.0f, mem.heap.alloc %.0f", whole["mem.total"], whole["mem.gc.count"], whole["mem.heap.alloc"])

	if out := run(1); out != "" {
		t.Fatalf("the job says %q", out)
	}
	if small := of(); len(small) != 27 || small["mem.total"] >= whole["mem.total"] {
		t.Errorf("the next run did not replace it: %v", small)
	}

	// Nothing ends by itself, only by a request.
	request, err := http.NewRequest(http.MethodDelete, url+"/metrics/job/compress", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := web.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	harness.Poll(t, "the job's gauges end", func() error {
		if left := of(); len(left) > 0 {
			return fmt.Errorf("there are %v", left)
		}
		return nil
	})

	// The job does not fail with the Pushgateway.
	url += "/nowhere"
	if out := run(1); !strings.Contains(out, "not pushed: 404") {
		t.Errorf("where there is no Pushgateway, the job says %q", out)
	}
	silent, err := net.Listen("tcp4", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	url = "http://" + silent.Addr().String()
	if out := run(1); !strings.Contains(out, "not pushed: ") {
		t.Errorf("where the Pushgateway does not answer, the job says %q", out)
	}
}

// built builds a program and returns its path.
func built(t *testing.T, pkg string) string {
	t.Helper()
	program := filepath.Join(harness.Dir(t), filepath.Base(pkg))
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, pkg).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// startJob starts a job, and returns what has it work and waits for its end.
func startJob(t *testing.T, program string, args ...string) (end func()) {
	t.Helper()
	cmd := exec.Command(program, append(args, "--metric-prefix=job")...)
	cmd.Env = harness.Environment()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := sync.OnceValue(func() error {
		in.Close()
		return cmd.Wait()
	})
	harness.AtEnd(t, func() {
		cmd.Process.Kill()
		ended()
	})
	return func() {
		t.Helper()
		if err := ended(); err != nil {
			t.Fatalf("the job ended with %v", err)
		}
	}
}

// metrics reads a page of Prometheus' text format.
func metrics(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	page, err := get(url)
	if err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(page)))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// startStatsD starts StatsD as it comes, but for config and its flush interval of
// 200 ms. The second function returns the job's gauges of the next flush, as
// Graphite gets them.
func startStatsD(t *testing.T, config string) (string, func() map[string]float64) {
	js := os.Getenv("STATSD_JS")
	if js == "" {
		cache, _ := os.UserCacheDir()
		js = filepath.Join(cache, "runtimemetrics-statsd-0.9.0/node_modules/statsd/stats.js")
	}
	js = installed(t, js)
	carbon, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	harness.AtEnd(t, func() { carbon.Close() })
	flushes := make(chan map[string]float64)
	done := make(chan struct{})
	harness.AtEnd(t, func() { close(done) })
	go func() {
		for {
			conn, err := carbon.Accept()
			if err != nil {
				return
			}
			flush := map[string]float64{}
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				fields := strings.Fields(lines.Text())
				if name, ok := strings.CutPrefix(fields[0], "stats.gauges.job."); ok {
					flush[name], _ = strconv.ParseFloat(fields[1], 64)
				}
			}
			conn.Close()
			select {
			case flushes <- flush:
			case <-done:
				return
			default: // nobody waits for it
			}
		}
	}()
	var addr string
	harness.Daemon(t, func() (*exec.Cmd, func() error) {
		udp, mgmt := harness.UDPPort(t), harness.TCPPorts(t, 1)[0]
		addr = fmt.Sprintf("127.0.0.1:%d", udp)
		file := write(t, filepath.Join(harness.Dir(t), "config.js"), `{
			address: "127.0.0.1", port: %d, mgmt_address: "127.0.0.1", mgmt_port: %d,
			graphiteHost: "127.0.0.1", graphitePort: %d, graphite: {legacyNamespace: false},
			backends: ["./backends/graphite"], flushInterval: 200, %s }`,
			udp, mgmt, carbon.Addr().(*net.TCPAddr).Port, config)
		return exec.Command("node", js, file), func() error {
			conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", mgmt))
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, "health\n"); err != nil {
				return err
			}
			answer, err := bufio.NewReader(conn).ReadString('\n')
			if err == nil && !strings.Contains(answer, "up") {
				err = fmt.Errorf("its health is %q", answer)
			}
			return err
		}
	})
	return addr, func() map[string]float64 {
		t.Helper()
		select {
		case flush := <-flushes:
			return flush
		case <-time.After(harness.Patience):
			t.Fatal("StatsD does not flush")
			return nil
		}
	}
}
