//go:build linux

package prometheus_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

// TestConfiguration has each program check the file that it is to read.
func TestConfiguration(t *testing.T) {
	for _, check := range [][]string{
		{"promtool", "check", "config", "prometheus.yml"},
		{"amtool", "check-config", "alertmanager.yml"},
		{stacktest.Build(t, "github.com/prometheus/statsd_exporter"), "--check-config", "--statsd.mapping-config=mapping.yml"},
	} {
		if _, err := exec.LookPath(check[0]); err != nil {
			missing(t, err.Error()+"; 'examples/prometheus/up --install' installs it")
		}
		out, err := exec.Command(check[0], check[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", check, err, out)
		}
		t.Logf("%s\n%s", strings.Join(check, " "), out)
	}
}

// TestLeak sees the alert on a service that leaks goroutines arrive at the
// webhook, and none on the service beside it, which does not.
func TestLeak(t *testing.T) {
	s := stack{stacktest.Up(t, ".", "--leak")}

	var began, arrived time.Time
	poll(t, patience, func() (err error) {
		log, err := os.ReadFile(filepath.Join(s.Work, "log", "leaky.log"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "the first goroutine is left behind") {
				began, err = time.ParseInLocation("2006/01/02 15:04:05", line[:19], time.Local)
				return err
			}
		}
		return fmt.Errorf("nothing has leaked yet")
	})

	const alert = "RuntimemetricsGoroutineLeak"
	var message json.RawMessage
	poll(t, 2*patience, func() error {
		messages, err := s.delivered()
		if err != nil {
			return err
		}
		for _, m := range messages {
			for _, a := range m.Alerts {
				if a.Status == "firing" && a.Labels["alertname"] == alert && a.Labels["service"] == "leaky" {
					message, arrived = m.raw, time.Now()
					return nil
				}
			}
		}
		return fmt.Errorf("%d messages have been delivered, none on the leak; leaky has %v goroutines",
			len(messages), s.query(t, `runtimemetrics_cpu_goroutines{service="leaky"}`))
	})
	var indented bytes.Buffer
	if err := json.Indent(&indented, message, "", "  "); err != nil {
		t.Fatal(err)
	}
	t.Logf("from the first goroutine to the alert: %v; as the webhook received it:\n%s",
		arrived.Sub(began).Round(time.Second), &indented)

	// After a scrape that took longer than a second there is nothing until the next.
	var healthy, leaking []float64
	poll(t, patience, func() error {
		healthy = s.query(t, `runtimemetrics_cpu_goroutines{service="service"}`)
		leaking = s.query(t, `runtimemetrics_cpu_goroutines{service="leaky"}`)
		if len(healthy) != 1 || len(leaking) != 1 {
			return fmt.Errorf("the healthy service has %v goroutines, the other one %v", healthy, leaking)
		}
		return nil
	})
	if healthy[0] >= leaking[0] {
		t.Errorf("the healthy service has %v goroutines, the other one %v", healthy, leaking)
	}
	t.Logf("goroutines of the healthy service: %v; of the other one: %v", healthy, leaking)
	if n := s.query(t, `count(ALERTS{alertname="`+alert+`", service!="leaky"})`); len(n) > 0 {
		t.Errorf("%v alerts %s, pending or firing, are not on the service that leaks", n, alert)
	}
	messages, err := s.delivered()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		for _, a := range m.Alerts {
			if a.Labels["service"] != "leaky" {
				t.Errorf("an alert on something else was delivered: %v", a.Labels)
			}
		}
	}
}

// missing ends a test for want of a part: skipped, unless the environment says
// that everything is there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
		t.Fatalf("%s, and RUNTIMEMETRICS_E2E=required", what)
	}
	t.Skip("SKIPPED: " + what)
}

// stack is what the script up has started.
type stack struct{ *stacktest.Stack }

func (s stack) url(port string) string { return "http://" + s.Address(port) }

// message is one of those that Alertmanager delivered.
type message struct {
	raw    json.RawMessage
	Alerts []struct {
		Status string
		Labels map[string]string
	}
}

func (s stack) delivered() ([]message, error) {
	text, err := get(s.url("WEBHOOK_PORT"))
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		return nil, err
	}
	messages := make([]message, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &messages[i]); err != nil {
			return nil, err
		}
		messages[i].raw = raw[i]
	}
	return messages, nil
}

// query returns the values that Prometheus has for an expression, in order.
func (s stack) query(t *testing.T, expression string) []float64 {
	t.Helper()
	text, err := get(s.url("PROMETHEUS_PORT") + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]json.RawMessage } // time, value in quotes
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, r := range answer.Data.Result {
		v, err := strconv.ParseFloat(strings.Trim(string(r.Value[1]), `"`), 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return values
}
