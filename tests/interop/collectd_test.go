//go:build linux

package interop_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestCollectd(t *testing.T) {
	harness.Test(t, harness.Server{
		Name:  "collectd",
		Start: startCollectd,
		Outcomes: map[string]harness.Outcome{
			"plain":    harness.Arrives,
			"datadog":  harness.Refused, // each line with one line in collectd's log
			"influx":   harness.Mangled, // the tags become part of the name
			"graphite": harness.Mangled,
		},
		Largest: 4095,
	})
}

// startCollectd starts collectd with its plugin statsd. Its values come out by
// its plugin csv: one file for each gauge and day.
func startCollectd(t *testing.T) (string, func(string) ([]harness.Gauge, error)) {
	program := installed(t, "/usr/sbin/collectd")
	var addr, values string
	harness.Daemon(t, func() (*exec.Cmd, func() error) {
		work, port := harness.Dir(t), harness.UDPPort(t)
		addr = fmt.Sprintf("127.0.0.1:%d", port)
		values = filepath.Join(work, "values", "interop", "statsd")
		config := write(t, filepath.Join(work, "collectd.conf"), `
Hostname "interop"
FQDNLookup false
BaseDir %[1]q
PIDFile "%[1]s/pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
ReadThreads 1
WriteThreads 1
LoadPlugin logfile
<Plugin logfile>
	File stderr
</Plugin>
LoadPlugin statsd
<Plugin statsd>
	Host "127.0.0.1"
	Port "%[2]d"
</Plugin>
LoadPlugin csv
<Plugin csv>
	DataDir "%[1]s/values"
</Plugin>
`, work, port)
		cmd := exec.Command(program, "-f", "-C", config)
		return cmd, func() error { return listening(port) }
	})
	return addr, func(prefix string) ([]harness.Gauge, error) {
		files, err := filepath.Glob(filepath.Join(values, "gauge-"+prefix+"*"))
		if err != nil {
			return nil, err
		}
		newest := map[string]harness.Gauge{} // the files of a day follow those of the day before
		for _, file := range files {
			const date = "-2006-01-02"
			name := strings.TrimPrefix(filepath.Base(file), "gauge-")
			name = name[:len(name)-len(date)]
			value, err := lastOfCSV(file)
			if err != nil {
				return nil, err
			}
			newest[name] = harness.Gauge{Name: name, Value: value}
		}
		var gauges []harness.Gauge
		for _, g := range newest {
			gauges = append(gauges, g)
		}
		return gauges, nil
	}
}

// lastOfCSV returns the value of the last whole line, which is "time,value".
func lastOfCSV(file string) (float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	end := strings.LastIndexByte(string(text), '\n')
	if end < 0 {
		return 0, errors.New(file + " has no whole line yet")
	}
	line := string(text[:end])
	_, value, _ := strings.Cut(line[strings.LastIndexByte(line, '\n')+1:], ",")
	if value == "value" {
		return 0, errors.New(file + " has no value yet")
	}
	return strconv.ParseFloat(value, 64)
}

// listening returns nil when somebody listens on a UDP port.
func listening(port int) error {
	sockets, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return err
	}
	if !strings.Contains(string(sockets), fmt.Sprintf(":%04X 00000000:0000 ", port)) {
		return fmt.Errorf("nobody listens on UDP port %d", port)
	}
	return nil
}
