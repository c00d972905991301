//go:build linux

package interop_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestStatsDExporter(t *testing.T) {
	harness.Test(t, harness.Server{
		Name:  "statsd_exporter",
		Start: startExporter,
		Outcomes: map[string]harness.Outcome{
			"plain":    harness.Arrives,
			"datadog":  harness.Arrives,
			"influx":   harness.Arrives,
			"graphite": harness.Mangled, // the tags become part of the name
		},
		Largest: 65507,
		Spell:   strings.NewReplacer(".", "_", "-", "_").Replace,
	})
}

// startExporter builds statsd_exporter as go.mod has it and starts it as it
// comes, but for its addresses.
func startExporter(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
	program := built(t, "github.com/prometheus/statsd_exporter")
	var addr, url string
	harness.Daemon(t, func() (*exec.Cmd, func() error) {
		udp, tcp := harness.UDPPort(t), harness.TCPPorts(t, 1)[0]
		addr, url = fmt.Sprintf("127.0.0.1:%d", udp), fmt.Sprintf("http://127.0.0.1:%d", tcp)
		cmd := exec.Command(program, "--statsd.listen-udp="+addr, "--statsd.listen-tcp=",
			fmt.Sprintf("--web.listen-address=127.0.0.1:%d", tcp))
		return cmd, func() error {
			_, err := get(url + "/-/healthy")
			return err
		}
	})
	return addr, func(prefix string) ([]harness.Gauge, error) {
		page, err := get(url + "/metrics")
		if err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(string(page)))
		if err != nil {
			return nil, err
		}
		var gauges []harness.Gauge
		for name, family := range families {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			for _, m := range family.Metric {
				g := harness.Gauge{Name: name, Value: m.GetGauge().GetValue()}
				for _, label := range m.Label {
					if g.Tags == nil {
						g.Tags = map[string]string{}
					}
					g.Tags[label.GetName()] = label.GetValue()
				}
				gauges = append(gauges, g)
			}
		}
		return gauges, nil
	}
}
