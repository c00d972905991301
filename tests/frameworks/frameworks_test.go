// Package frameworks_test runs services of web frameworks that import the library,
// and have Prometheus' /metrics beside it.
package frameworks_test

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
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

func TestFrameworks(t *testing.T) {
	for _, framework := range []string{"iris", "gin", "echo"} {
		t.Run(framework, func(t *testing.T) {
			s := start(t, framework)
			if answer := s.get(t, "/hello/gopher"); answer != "hello gopher" {
				t.Errorf("a request is answered by %q", answer)
			}

			// What only grows has at /metrics a value between those of two ticks.
			before := s.tick(t)
			parser := expfmt.NewTextParser(model.UTF8Validation)
			page, err := parser.TextToMetricFamilies(strings.NewReader(s.get(t, "/metrics")))
			if err != nil {
				t.Fatal(err)
			}
			for gauge, family := range map[string]string{
				"mem.total":  "go_memstats_alloc_bytes_total",
				"mem.malloc": "go_memstats_mallocs_total",
			} {
				if len(page[family].GetMetric()) != 1 {
					t.Fatalf("%s is not at /metrics", family)
				}
				at := page[family].Metric[0].GetCounter().GetValue()
				if at < before[gauge] {
					t.Errorf("%s is %.0f, and later %.0f at /metrics", gauge, before[gauge], at)
				}
				after := s.tick(t)
				for end := time.Now().Add(patience); after[gauge] < at; after = s.tick(t) {
					if time.Now().After(end) {
						t.Fatalf("%s is still %.0f, and was %.0f at /metrics", gauge, after[gauge], at)
					}
				}
				t.Logf("%s: %.0f, at /metrics %.0f, then %.0f", gauge, before[gauge], at, after[gauge])
			}
		})
	}
}

type service struct {
	cmd   *exec.Cmd
	url   string
	ticks chan map[string]float64
}

// start builds a service and starts it. Each datagram is a whole tick.
func start(t *testing.T, name string) *service {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "./"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &service{ticks: make(chan map[string]float64)}
	go s.receive(conn)

	s.cmd = exec.Command(program, "--addr=127.0.0.1:0", "--statsd="+conn.LocalAddr().String(), "--metric-prefix=go", "--pause=100ms")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RUNTIMEMETRICS_") {
			s.cmd.Env = append(s.cmd.Env, v)
		}
	}
	log := new(strings.Builder)
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		if t.Failed() {
			t.Logf("its log:\n%s", log)
		}
	})
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("its address: %v", err)
	}
	s.url = "http://" + strings.TrimSpace(addr)
	return s
}

// receive hands out the ticks, those alone that are waited for: a tick that tick
// returns has come after the call.
func (s *service) receive(conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		gauges := map[string]float64{}
		for _, line := range strings.Split(strings.TrimSpace(string(buf[:n])), "\n") {
			name, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "go."), "|g"), ":")
			if gauges[name], err = strconv.ParseFloat(value, 64); err != nil {
				gauges["not a gauge: "+line] = 0
			}
		}
		select {
		case s.ticks <- gauges:
		default:
		}
	}
}

// tick returns the next tick.
func (s *service) tick(t *testing.T) map[string]float64 {
	t.Helper()
	select {
	case gauges := <-s.ticks:
		missing := map[string]bool{}
		for _, g := range collector.Gauges() {
			if _, ok := gauges[g.Name]; !ok {
				missing[g.Name] = true
			}
		}
		if len(missing) > 0 || len(gauges) != 27 {
			t.Fatalf("of the 27 gauges %v are missing, and there are %v", missing, gauges)
		}
		return gauges
	case <-time.After(patience):
		t.Fatal("no gauges arrive")
		return nil
	}
}

func (s *service) get(t *testing.T, path string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", response.Status)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(body)
}
