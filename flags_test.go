package runtimemetrics

import (
	"bytes"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/names"
)

// env is an environment for newOptions.
func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// testProcess is the process of the tests.
var testProcess = names.Process{
	Hostname:   func() (string, error) { return "web1.example.com", nil },
	Executable: func() (string, error) { return "/usr/local/bin/shop.v2", nil },
	Pid:        func() int { return 42 },
	Getenv:     func(string) string { return "" },
	Build:      func() (string, string) { return "", "" },
}

// address parses an address that is valid.
func address(t *testing.T, text string) link.Address {
	t.Helper()
	addr, err := link.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func newFlagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.define(fs, o.list...)
	return fs
}

func TestDefaultsAreThoseOfGoRuntimeMetrics(t *testing.T) {
	got, err := (&Config{}).resolve(newOptions(env()), testProcess)
	want := settings{
		wire: wire{
			addr:   address(t, "localhost:8125"),
			prefix: "go.web1.example.com",
			cpu:    true, mem: true, gc: true, tagFormat: "datadog",
		},
		pause: 10 * time.Second, publish: true, packetSize: 1432, log: "std",
	}
	if err != nil || *got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestConfigWinsOverFlagOverEnvironment(t *testing.T) {
	o := newOptions(env("RUNTIMEMETRICS_PAUSE", "20", "RUNTIMEMETRICS_STATSD", "env.example", "RUNTIMEMETRICS_METRIC_PREFIX", "env", "RUNTIMEMETRICS_MEM", "false"))
	fs := newFlagSet(o)
	if err := fs.Parse([]string{"--statsd=flag.example:1", "-pause", "500ms", "--gc=false", "--metric-exact"}); err != nil {
		t.Fatal(err)
	}
	got, err := (&Config{StatsD: "config.example:2", DisableCPU: true}).resolve(o, testProcess)
	want := settings{
		wire:  wire{addr: address(t, "config.example:2"), prefix: "env", tagFormat: "datadog"},
		pause: 500 * time.Millisecond, publish: true, exact: true, packetSize: 1432, log: "std",
	}
	if err != nil || *got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if !o.list[statsdFlag].fromEnv {
		t.Error("RUNTIMEMETRICS_STATSD is set, but it was not noticed")
	}
	if f := fs.Lookup("mem"); f.DefValue != "false" {
		t.Errorf("the default of --mem is shown as %q, the environment says false", f.DefValue)
	}
}

func TestBadInputSaysWhatWouldBeRight(t *testing.T) {
	tests := []struct{ flag, value, want string }{
		{"pause", "0", "at least 100ms"},
		{"pause", "-1", "at least 100ms"},
		{"pause", "-9223372036854775808", "at least 100ms"},
		{"pause", "99ms", "at least 100ms"},
		{"pause", "1ns", "at least 100ms"},
		{"pause", "x", "500ms"},
		{"pause", "", "500ms"},
		{"pause", "9223372037", "too long"},
		{"pause", "1e3", "whole seconds"},
		{"metric-prefix", "a:b", "':'"},
		{"metric-prefix", "a|b", "'|'"},
		{"metric-prefix", "a@b", "'@'"},
		{"metric-prefix", "a#b", "'#'"},
		{"metric-prefix", "a b", "' '"},
		{"metric-prefix", "a\nb", `'\n'`},
		{"metric-prefix", "a/b", "'/'"},
		{"metric-prefix", "größe", "'ö'"},
		{"metric-prefix", "a{hostname}", "{host}, {exe}"},
		{"metric-prefix", ".a", "dot"},
		{"metric-prefix", "a..b", "dot"},
		{"metric-prefix", "a..", "dot"},
		{"metric-prefix", strings.Repeat("a", 129), "128 bytes"},
		{"metric-prefix", "{e{host}xe}", `"{e{host}"`},
		{"metric-tags", "a:" + strings.Repeat("x", 254), "255 bytes"},
		{"metric-packet-size", "255", "256 to 65507"},
		{"metric-packet-size", "65508", "256 to 65507"},
		{"metric-packet-size", "-1", "256 to 65507"},
		{"metric-packet-size", "x", "256 to 65507"},
		{"statsd", "tcp://localhost:8125", "datagrams"},
		{"statsd", "localhost:0", "port"},
		{"cpu", "maybe", "true or false"},
		{"mem", "2", "true or false"},
		{"gc", "", "true or false"},
		{"publish-runtime-stats", "never", "true or false"},
		{"metric-exact", "x", "true or false"},
		{"metric-runtime", "sched", "begin with '/'"},
		{"metric-runtime", "/gc heap", "' '"},
		{"metric-runtime", "default,", "empty"},
		{"metric-tags", "prod", "lacks"},
		{"metric-tags", "env:", "lacks"},
		{"metric-tags", ":prod", "lacks"},
		{"metric-tags", "env:prod,", "lacks"},
		{"metric-tags", "1env:prod", "letter"},
		{"metric-tags", "name:x", "Graphite"},
		{"metric-tags", "a:1,a:2", "twice"},
		{"metric-tags", "a:b:c", "':'"},
		{"metric-tags", "a:b|c", "'|'"},
		{"metric-tags", "a:b;c=d", "';'"},
		{"metric-tags", "a:b c", "' '"},
		{"metric-tags", "a:{hostname}", "{host}, {exe}"},
		{"metric-tags", "{host}:a", "letter"},
		{"metric-tags", "a:{e{host}xe}", `{e{host}`},
		{"metric-tags", "größe:a", "'ö'"},
		{"metric-tag-format", "prometheus", "datadog"},
		{"metric-log", "syslog", "std (package log), stderr or off"},
	}
	for _, tt := range tests {
		o := newOptions(env())
		before, _ := (&Config{}).resolve(o, testProcess)
		err := newFlagSet(o).Parse([]string{"-" + tt.flag + "=" + tt.value})
		if err == nil || !strings.Contains(err.Error(), "invalid") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("-%s=%q: error %v, want one with %q", tt.flag, tt.value, err, tt.want)
		}
		if after, _ := (&Config{}).resolve(o, testProcess); *after != *before {
			t.Errorf("-%s=%q changed the settings, though it is refused", tt.flag, tt.value)
		}
		if tt.value == "" {
			continue // means "not set" in the environment
		}

		name := "RUNTIMEMETRICS_" + strings.ToUpper(strings.ReplaceAll(tt.flag, "-", "_"))
		o = newOptions(env(name, tt.value))
		notes := o.takeNotes()
		if len(notes) != 1 || !strings.Contains(notes[0], name) || !strings.Contains(notes[0], tt.want) {
			t.Errorf("%s=%q: log lines %q, want one with the name and %q", name, tt.value, notes, tt.want)
		}
		switch tt.flag { // whoever set a switch did not mean on
		case "publish-runtime-stats":
			before.publish = false
		case "cpu":
			before.cpu = false
		case "mem":
			before.mem, before.gc = false, false
		case "gc":
			before.gc = false
		}
		if after, _ := (&Config{}).resolve(o, testProcess); *after != *before {
			t.Errorf("%s=%q: a switch should be off, anything else at its default", name, tt.value)
		}
	}
}

func TestGoodInputIsTaken(t *testing.T) {
	tests := []struct {
		flag, value string
		want        func(*settings) // what differs from the defaults
	}{
		{"pause", "1", func(s *settings) { s.pause = time.Second }},
		{"pause", "100ms", func(s *settings) { s.pause = 100 * time.Millisecond }},
		{"pause", "1m30s", func(s *settings) { s.pause = 90 * time.Second }},
		{"pause", "9223372036", func(s *settings) { s.pause = 9223372036 * time.Second }},
		{"metric-prefix", "", func(s *settings) { s.prefix = "" }},
		{"metric-prefix", ".", func(s *settings) { s.prefix = "" }},
		{"metric-prefix", "go.demo", func(s *settings) { s.prefix = "go.demo" }},
		{"metric-prefix", "go.demo.", func(s *settings) { s.prefix = "go.demo" }},
		{"metric-prefix", "go.{host}.{exe}", func(s *settings) { s.prefix = "go.web1_example_com.shop_v2" }},
		{"metric-prefix", "<detect-hostname>", func(s *settings) {}},
		{"metric-packet-size", "256", func(s *settings) { s.packetSize = 256 }},
		{"metric-packet-size", "65507", func(s *settings) { s.packetSize = 65507 }},
		{"statsd", "stats.example.:9125", func(s *settings) { s.addr = address(t, "stats.example.:9125") }},
		{"statsd", ":8125", func(s *settings) {}},
		{"cpu", "false", func(s *settings) { s.cpu = false }},
		{"mem", "0", func(s *settings) { s.mem, s.gc = false, false }},
		{"mem", "off", func(s *settings) { s.mem, s.gc = false, false }},
		{"cpu", "No", func(s *settings) { s.cpu = false }},
		{"metric-exact", "ON", func(s *settings) { s.exact = true }},
		{"metric-log", "off", func(s *settings) { s.log = "off" }},
		{"pause", "0x10", func(s *settings) { s.pause = 16 * time.Second }},
		{"gc", "F", func(s *settings) { s.gc = false }},
		{"publish-runtime-stats", "false", func(s *settings) { s.publish = false }},
		{"metric-runtime", "default,/gc/*", func(s *settings) { s.runtime, s.self = "default,/gc/*", true }},
		{"metric-tags", "env:prod,host:{host}", func(s *settings) { s.tags = "env:prod,host:{host}" }},
		{"metric-tags", "", func(s *settings) {}},
		{"metric-tag-format", "graphite", func(s *settings) { s.tagFormat = "graphite" }},
		{"metric-exact", "true", func(s *settings) { s.exact = true }},
	}
	for _, tt := range tests {
		want, _ := (&Config{}).resolve(newOptions(env()), testProcess)
		tt.want(want)
		o := newOptions(env())
		if err := newFlagSet(o).Parse([]string{"-" + tt.flag + "=" + tt.value}); err != nil {
			t.Errorf("-%s=%q: %v", tt.flag, tt.value, err)
		}
		if got, _ := (&Config{}).resolve(o, testProcess); *got != *want {
			t.Errorf("-%s=%q:\ngot  %+v\nwant %+v", tt.flag, tt.value, got, want)
		}
	}
}

func TestStartRefusesABadConfig(t *testing.T) {
	for field, cfg := range map[string]Config{
		"StatsD":     {StatsD: "tcp://x"},
		"Prefix":     {Prefix: "a b"},
		"Pause":      {Pause: time.Millisecond},
		"PacketSize": {PacketSize: 70000},
		"Runtime":    {Runtime: []string{"x"}},
		"Tags":       {Tags: []string{"x"}},
		"TagFormat":  {TagFormat: "x"},
	} {
		err := newPublisher(env()).start(cfg)
		if err == nil || !strings.HasPrefix(err.Error(), "runtimemetrics: invalid value ") || !strings.Contains(err.Error(), "Config."+field) {
			t.Errorf("Config.%s: error %v", field, err)
		}
	}
}

func TestWhiteSpaceAroundAVariableIsNotMeant(t *testing.T) {
	o := newOptions(env("RUNTIMEMETRICS_PAUSE", " 20\n", "RUNTIMEMETRICS_STATSD", "\tstats ", "RUNTIMEMETRICS_CPU", " "))
	got, _ := (&Config{}).resolve(o, testProcess)
	if got.pause != 20*time.Second || got.addr != address(t, "stats") || !got.cpu || !o.list[statsdFlag].fromEnv || o.takeNotes() != nil {
		t.Errorf("settings %+v", got)
	}
}

func TestAFlagThatTheProgramHasDefinedIsLeftToIt(t *testing.T) {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	theirs := fs.String("statsd", "theirs", "")
	o := newOptions(env("RUNTIMEMETRICS_STATSD", "env.example"))
	o.define(fs, o.list...)
	if err := fs.Parse([]string{"-statsd=x y", "-pause=1"}); err != nil || *theirs != "x y" {
		t.Errorf("the program's flag has value %q, error %v", *theirs, err)
	}
	got, _ := (&Config{}).resolve(o, testProcess)
	if got.addr != address(t, "env.example") || got.pause != time.Second {
		t.Errorf("settings are %+v, want the environment's server and the flag's pause", got)
	}
	if notes := o.takeNotes(); len(notes) != 1 || !strings.Contains(notes[0], "--statsd") {
		t.Errorf("log lines %q, want one that names --statsd", notes)
	}
	if notes := o.takeNotes(); notes != nil {
		t.Errorf("the notes came twice: %q", notes)
	}
}

func TestFlagValuesBehaveAsPackageFlagExpects(t *testing.T) {
	if s := new(option).String(); s != "" {
		t.Errorf("the String of a zero option is %q", s)
	}
	fs := newFlagSet(newOptions(env("RUNTIMEMETRICS_PAUSE", "20")))
	var usage bytes.Buffer
	fs.SetOutput(&usage)
	fs.PrintDefaults()
	for _, want := range []string{"-cpu\n", "-pause interval\n", "(default 20)", "(default localhost:8125)", "(default <detect-hostname>)", "RUNTIMEMETRICS_METRIC_PACKET_SIZE"} {
		if !strings.Contains(usage.String(), want) {
			t.Errorf("the usage lacks %q:\n%s", want, &usage)
		}
	}
	got := map[string]any{}
	fs.VisitAll(func(f *flag.Flag) { got[f.Name] = f.Value.(flag.Getter).Get() })
	want := map[string]any{
		"statsd": "localhost:8125", "metric-prefix": "<detect-hostname>", "pause": "20",
		"publish-runtime-stats": true, "cpu": true, "mem": true, "gc": true,
		"metric-exact": false, "metric-packet-size": "1432",
		"metric-runtime": "", "metric-tags": "", "metric-tag-format": "datadog", "metric-log": "std",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func FuzzPause(f *testing.F) {
	for _, seed := range []string{"10", "500ms", "0", "-1", "9223372036854775807", "1h", "+5", "0x10", "1e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parsePause(text)
		if err == nil && d < minPause {
			t.Errorf("parsePause(%q) = %v without an error", text, d)
		}
	})
}
