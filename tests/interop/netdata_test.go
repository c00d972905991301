//go:build linux

package interop_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestNetdata(t *testing.T) {
	harness.Test(t, harness.Server{
		Name:  "netdata",
		Start: startNetdata,
		Outcomes: map[string]harness.Outcome{
			"plain":    harness.Arrives,
			"datadog":  harness.Untagged,
			"influx":   harness.Mangled, // the name and the first key, and no value
			"graphite": harness.Mangled,
		},
		Largest: 8999,
		// It keeps thousandths in 64 bits (its "decimal detail"), so that
		// mem.gc.last, nanoseconds since 1970, does not fit.
		Value: func(sent float64) float64 {
			if sent*1000 >= math.MaxInt64 {
				return math.MinInt64 / 1000
			}
			return sent
		},
	})
}

// startNetdata starts netdata with nothing but StatsD and its HTTP API.
func startNetdata(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
	program := installed(t, "/usr/sbin/netdata")
	var addr, api string
	harness.Daemon(t, func() (*exec.Cmd, func() error) {
		work, udp, tcp := harness.Dir(t), harness.UDPPort(t), harness.TCPPorts(t, 1)[0]
		for _, folder := range []string{"etc/statsd.d", "cache", "lib", "log", "plugins"} {
			if err := os.MkdirAll(filepath.Join(work, folder), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(work, "etc", ".opt-out-from-anonymous-statistics"), "")
		addr = fmt.Sprintf("127.0.0.1:%d", udp)
		api = fmt.Sprintf("http://127.0.0.1:%d/api/v1", tcp)
		self, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		config := write(t, filepath.Join(work, "netdata.conf"), `
[global]
	run as user = %[4]s
	hostname = interop
	process scheduling policy = keep
	OOM score = keep
[directories]
	config = %[1]s/etc
	stock config = %[1]s/etc
	cache = %[1]s/cache
	lib = %[1]s/lib
	log = %[1]s/log
	home = %[1]s
	plugins = %[1]s/plugins
[db]
	mode = ram
	retention = 300
	update every = 1
[logs]
	debug = none
	error = stderr
	access = none
[plugins]
	statsd = yes
	proc = no
	diskspace = no
	cgroups = no
	tc = no
	idlejitter = no
	timex = no
	netdata monitoring = no
	netdata monitoring extended = no
	enable running new plugins = no
[web]
	bind to = 127.0.0.1:%[3]d
[statsd]
	bind to = udp:127.0.0.1:%[2]d
[health]
	enabled = no
[ml]
	enabled = no
[cloud]
	enabled = no
[registry]
	enabled = no
`, work, udp, tcp, self.Username)
		cmd := exec.Command(program, "-D", "-c", config)
		cmd.Dir = work
		return cmd, func() error {
			_, err := get(api + "/info")
			return err
		}
	})
	return addr, func(prefix string) ([]harness.Gauge, error) {
		var charts map[string]struct {
			Dimensions map[string]struct{ Value *float64 }
		}
		if err := getJSON(api+"/allmetrics?format=json", &charts); err != nil {
			return nil, err
		}
		var gauges []harness.Gauge
		for chart, c := range charts {
			name, ok := strings.CutPrefix(chart, "statsd_"+prefix)
			value := c.Dimensions["gauge"].Value
			if name, isGauge := strings.CutSuffix(name, "_gauge"); ok && isGauge && value != nil {
				gauges = append(gauges, harness.Gauge{Name: prefix + name, Value: *value})
			}
		}
		return gauges, nil
	}
}
