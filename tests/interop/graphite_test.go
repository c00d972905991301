//go:build linux

package interop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestStatsDAndGraphite(t *testing.T) {
	harness.Test(t, harness.Server{
		Name:  "StatsD 0.9.0 and Graphite",
		Start: startGraphite,
		Outcomes: map[string]harness.Outcome{
			"plain":    harness.Arrives,
			"datadog":  harness.Arrives,
			"influx":   harness.Mangled, // StatsD drops ',' and '=' from names
			"graphite": harness.Arrives,
		},
		Largest: 65507,
	})
}

// startGraphite starts the stack of examples/graphite on ports and in a folder
// of its own. Gauges come out by graphite-web's render API, found by their tags:
// those that have none have their name as the only one.
func startGraphite(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
	scripts, err := filepath.Abs("../../examples/graphite")
	if err != nil {
		t.Fatal(err)
	}
	work := harness.Dir(t)
	env := append(harness.Environment(), "RUNTIMEMETRICS_GRAPHITE_DIR="+work)
	script := func(args ...string) ([]byte, error) {
		cmd := exec.Command(filepath.Join(scripts, args[0]), args[1:]...)
		cmd.Env = env
		return cmd.CombinedOutput()
	}
	harness.AtEnd(t, func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(work, "log", "*.log"))
			for _, log := range logs {
				t.Logf("%s:\n%s", filepath.Base(log), harness.Tail(log))
			}
		}
		if out, err := script("down", "--purge"); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	})

	var statsd, graphite string
	harness.Attempt(t, func() (again bool, err error) {
		port := harness.UDPPort(t)
		ports := harness.TCPPorts(t, 4)
		statsd, graphite = fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", ports[0])
		env = append(env,
			fmt.Sprintf("STATSD_PORT=%d", port), fmt.Sprintf("GRAPHITE_PORT=%d", ports[0]),
			fmt.Sprintf("CARBON_PORT=%d", ports[1]), fmt.Sprintf("CARBON_QUERY_PORT=%d", ports[2]),
			fmt.Sprintf("STATSD_MGMT_PORT=%d", ports[3]))
		out, err := script("up", "--stack", "--no-install")
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 3 {
			harness.Missing(t, string(bytes.TrimSpace(out)))
		}
		if err != nil {
			err = fmt.Errorf("up: %w\n%s", err, out)
		}
		return bytes.Contains(out, []byte("in use")) || bytes.Contains(out, []byte("EADDRINUSE")), err
	})

	return statsd, func(prefix string) ([]harness.Gauge, error) {
		const before = "stats.gauges."
		target := "seriesByTag('name=~^" + regexp.QuoteMeta(before+prefix) + "')"
		body, err := get(graphite + "/render?" + url.Values{
			"format": {"json"}, "from": {"-1minutes"}, "noNullPoints": {"true"}, "target": {target},
		}.Encode())
		if err != nil {
			return nil, err
		}
		var series []struct {
			Tags       map[string]any
			Datapoints [][2]float64 // value, time in seconds
		}
		if err := json.Unmarshal(body, &series); err != nil {
			return nil, err
		}
		var gauges []harness.Gauge
		for _, s := range series {
			if len(s.Datapoints) == 0 {
				continue
			}
			g := harness.Gauge{Value: s.Datapoints[len(s.Datapoints)-1][0]}
			for tag, value := range s.Tags {
				if tag == "name" {
					g.Name = strings.TrimPrefix(fmt.Sprint(value), before)
					continue
				}
				if g.Tags == nil {
					g.Tags = map[string]string{}
				}
				g.Tags[tag] = fmt.Sprint(value)
			}
			gauges = append(gauges, g)
		}
		return gauges, nil
	}
}
