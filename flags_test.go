package runtimemetrics

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
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

// testHost is the host of the tests.
var testHost = hostInfo{
	hostname:   func() (string, error) { return "web1.example.com", nil },
	executable: func() (string, error) { return "/usr/local/bin/shop.v2", nil },
}

func newFlagSet(o *options) *flag.FlagSet {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.register(fs)
	return fs
}

func TestDefaultsAreTheAncestors(t *testing.T) {
	got, err := Config{}.resolve(newOptions(env()), testHost)
	want := settings{
		addr:   address{network: "udp", host: "localhost", port: 8125},
		prefix: "go.web1.example.com", pause: 10 * time.Second,
		publish: true, cpu: true, mem: true, gc: true, packetSize: 1432, tagFormat: "datadog",
	}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestConfigWinsOverFlagOverEnvironment(t *testing.T) {
	o := newOptions(env("RUNTIMEMETRICS_PAUSE", "20", "RUNTIMEMETRICS_STATSD", "env.example", "RUNTIMEMETRICS_METRIC_PREFIX", "env", "RUNTIMEMETRICS_MEM", "false"))
	fs := newFlagSet(o)
	if err := fs.Parse([]string{"--statsd=flag.example:1", "-pause", "500ms", "--gc=false", "--metric-exact"}); err != nil {
		t.Fatal(err)
	}
	got, err := Config{StatsD: "config.example:2", DisableCPU: true}.resolve(o, testHost)
	want := settings{
		addr:   address{network: "udp", host: "config.example", port: 2},
		prefix: "env", pause: 500 * time.Millisecond,
		publish: true, exact: true, packetSize: 1432, tagFormat: "datadog",
	}
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if !o.statsdFromEnv {
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
		{"metric-prefix", "a{hostname}", "'{'"},
		{"metric-prefix", ".a", "dot"},
		{"metric-prefix", "a..b", "dot"},
		{"metric-prefix", "a..", "dot"},
		{"metric-prefix", strings.Repeat("a", 129), "128 bytes"},
		{"metric-prefix", "{host}.{exe}.{host}", "two placeholders"},
		{"metric-prefix", "{e{host}xe}", "'{'"},
		{"metric-tags", "a:" + strings.Repeat("x", 254), "255 bytes"},
		{"metric-packet-size", "255", "256 to 65507"},
		{"metric-packet-size", "65508", "256 to 65507"},
		{"metric-packet-size", "-1", "256 to 65507"},
		{"metric-packet-size", "x", "256 to 65507"},
		{"statsd", "", "host is missing"},
		{"statsd", ":8125", "host is missing"},
		{"statsd", "[]:8125", "host is missing"},
		{"statsd", "localhost:", "port"},
		{"statsd", "localhost:0", "port"},
		{"statsd", "localhost:65536", "port"},
		{"statsd", "localhost:statsd", "port"},
		{"statsd", "a:b:c", "[v6]:port"},
		{"statsd", "::1", "[::1]:8125"},
		{"statsd", "::1:8125", "[::1]:8125"},
		{"statsd", "tcp://localhost:8125", `"tcp" is neither udp nor unix`},
		{"statsd", "local host", "' '"},
		{"statsd", "localhost/path", "'/'"},
		{"statsd", "user@localhost:8125", "'@'"},
		{"statsd", "[::1]:x", "port"},
		{"statsd", strings.Repeat("a", 254), "253"},
		{"statsd", "unix://relative", "absolute"},
		{"statsd", "unix:///" + strings.Repeat("a", 107), "107"},
		{"cpu", "maybe", "true or false"},
		{"mem", "2", "true or false"},
		{"gc", "", "true or false"},
		{"publish-runtime-stats", "off", "true or false"},
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
		{"metric-tags", "a:{hostname}", "'{'"},
		{"metric-tags", "{host}:a", "letter"},
		{"metric-tags", "a:{e{host}xe}", "'{'"},
		{"metric-tags", "größe:a", "'ö'"},
		{"metric-tag-format", "prometheus", "datadog"},
	}
	for _, tt := range tests {
		o := newOptions(env())
		before, _ := Config{}.resolve(o, testHost)
		err := newFlagSet(o).Parse([]string{"-" + tt.flag + "=" + tt.value})
		if err == nil || !strings.Contains(err.Error(), "invalid") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("-%s=%q: error %v, want one with %q", tt.flag, tt.value, err, tt.want)
		}
		if after, _ := (Config{}).resolve(o, testHost); after != before {
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
		if after, _ := (Config{}).resolve(o, testHost); after != before {
			t.Errorf("%s=%q: the default should be used", name, tt.value)
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
		{"statsd", "stats", func(s *settings) { s.addr.host = "stats" }},
		{"statsd", "stats.example.:9125", func(s *settings) { s.addr.host, s.addr.port = "stats.example.", 9125 }},
		{"statsd", "udp://stats:1", func(s *settings) { s.addr.host, s.addr.port = "stats", 1 }},
		{"statsd", "10.0.0.1", func(s *settings) { s.addr.host = "10.0.0.1" }},
		{"statsd", "[::1]:1", func(s *settings) { s.addr.host, s.addr.port = "::1", 1 }},
		{"statsd", "[::1]", func(s *settings) { s.addr.host = "::1" }},
		{"statsd", "[fe80::1%eth0]:8125", func(s *settings) { s.addr.host = "fe80::1%eth0" }},
		{"statsd", "unix:///run/statsd.sock", func(s *settings) { s.addr = address{network: "unixgram", host: "/run/statsd.sock"} }},
		{"cpu", "false", func(s *settings) { s.cpu = false }},
		{"mem", "0", func(s *settings) { s.mem = false }},
		{"gc", "F", func(s *settings) { s.gc = false }},
		{"publish-runtime-stats", "false", func(s *settings) { s.publish = false }},
		{"metric-runtime", "default,/gc/*", func(s *settings) { s.runtime, s.self = "default,/gc/*", true }},
		{"metric-tags", "env:prod,host:{host}", func(s *settings) { s.tags = "env:prod,host:{host}" }},
		{"metric-tags", "", func(s *settings) {}},
		{"metric-tag-format", "graphite", func(s *settings) { s.tagFormat = "graphite" }},
		{"metric-exact", "true", func(s *settings) { s.exact = true }},
	}
	for _, tt := range tests {
		want, _ := Config{}.resolve(newOptions(env()), testHost)
		tt.want(&want)
		o := newOptions(env())
		if err := newFlagSet(o).Parse([]string{"-" + tt.flag + "=" + tt.value}); err != nil {
			t.Errorf("-%s=%q: %v", tt.flag, tt.value, err)
		}
		if got, _ := (Config{}).resolve(o, testHost); got != want {
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

func TestWhateverTheHostIsCalledThePrefixIsSafe(t *testing.T) {
	fails := errors.New("no name")
	tests := []struct {
		host    string
		hostErr error
		exe     string
		exeErr  error
		prefix  string
		want    string
	}{
		{"web1", nil, "/bin/shop", nil, detectHostname, "go.web1"},
		{"web1.example.com", nil, "/bin/shop", nil, detectHostname, "go.web1.example.com"},
		{"web1.example.com", nil, "/bin/shop", nil, "go.{host}.{exe}", "go.web1_example_com.shop"},
		{"", nil, "/bin/shop", nil, detectHostname, "go.unknown"},
		{"", fails, "", fails, "go.{host}.{exe}", "go.unknown.unknown"},
		{"münchen", nil, "/bin/größe", nil, "{host}-{exe}", "m_nchen-gr__e"},
		{".a..b.", nil, "/bin/shop", nil, detectHostname, "go.a.b"},
		{"...", nil, "/bin/shop", nil, detectHostname, "go._"},
		{"a:b|c@d#e f", nil, `C:\bin\shop.exe`, nil, "{host}.{exe}", "a_b_c_d_e_f.shop"},
		{strings.Repeat("h", 300), nil, "/bin/shop", nil, "{host}", strings.Repeat("h", 64)},
		{"\xff\xfe", nil, "/bin/shop", nil, detectHostname, "go.__"},
		{"web1", nil, "/bin/shop", nil, "{host}.", "web1"},
	}
	for _, tt := range tests {
		got := expandPrefix(tt.prefix, hostInfo{
			hostname:   func() (string, error) { return tt.host, tt.hostErr },
			executable: func() (string, error) { return tt.exe, tt.exeErr },
		})
		if got != tt.want {
			t.Errorf("host %q, executable %q, prefix %q: got %q, want %q", tt.host, tt.exe, tt.prefix, got, tt.want)
		}
		if err := checkPrefix(got); err != nil {
			t.Errorf("%q is not a valid prefix itself: %v", got, err)
		}
	}
}

func TestAFlagThatTheProgramHasDefinedIsLeftToIt(t *testing.T) {
	fs := flag.NewFlagSet("service", flag.ContinueOnError)
	theirs := fs.String("statsd", "theirs", "")
	o := newOptions(env("RUNTIMEMETRICS_STATSD", "env.example"))
	o.register(fs)
	if err := fs.Parse([]string{"-statsd=x y", "-pause=1"}); err != nil || *theirs != "x y" {
		t.Errorf("the program's flag has value %q, error %v", *theirs, err)
	}
	got, _ := Config{}.resolve(o, testHost)
	if got.addr.host != "env.example" || got.pause != time.Second {
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
	if s := (boolOption{}).String(); s != "" {
		t.Errorf("the String of a zero boolOption is %q", s)
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
		"metric-runtime": "", "metric-tags": "", "metric-tag-format": "datadog",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"queue.depth": "queue.depth", "": "_", ".": "_", "..": "_", "a": "a",
		".a": "a", "a.": "a", "a..b": "a.b", "a b": "a_b", "a/b:c|d": "a_b_c_d",
		"größe": "gr__e", "\x00": "_", "A-Z_09": "A-Z_09", "a.:.b": "a._.b",
	} {
		if got := safeName(name); got != want {
			t.Errorf("safeName(%q) = %q, want %q", name, got, want)
		}
		if isSafeName(name) != (name == want) {
			t.Errorf("isSafeName(%q) = %v", name, isSafeName(name))
		}
	}
}

func FuzzPrefix(f *testing.F) {
	for _, seed := range []string{"", ".", "go.{host}.{exe}", "<detect-hostname>", "a..b", "{host}{exe}", "a:b", "{", "ö"} {
		f.Add(seed, "web1.example.com", "/bin/shop")
	}
	f.Add("{exe}", "\xff", `C:\x.exe`)
	f.Fuzz(func(t *testing.T, text, host, exe string) {
		if checkPrefix(text) != nil {
			return
		}
		got := expandPrefix(text, hostInfo{
			hostname:   func() (string, error) { return host, nil },
			executable: func() (string, error) { return exe, nil },
		})
		if got != "" && !isSafeName(got) {
			t.Errorf("prefix %q on host %q in program %q becomes %q", text, host, exe, got)
		}
	})
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

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"localhost:8125", "[::1]:1", "::1", "udp://h:1", "unix:///a", "unix://", "a:b:c", "[", "]:1", "[]", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil {
			return
		}
		again, err := parseAddress(strings.Replace(strings.Replace(a.String(), "unix ", "unix://", 1), "udp ", "udp://", 1))
		if err != nil || again != a {
			t.Errorf("parseAddress(%q) = %+v, which reads as %+v, %v when written again", text, a, again, err)
		}
	})
}

func FuzzTags(f *testing.F) {
	for _, seed := range []string{"", "env:prod", "a:{host},b:{exe}", "a:", ":b", "a:b,a:c", "a:b|c", "{host}:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkTags(text) != nil {
			return
		}
		seen := map[string]bool{}
		for _, tag := range expandTags(text, testHost) {
			if tag[0] == "" || tag[1] == "" || strings.ContainsAny(tag[0]+tag[1], ":;,|=#@ \n") || seen[tag[0]] {
				t.Errorf("%q gives the tag %q", text, tag)
			}
			seen[tag[0]] = true
		}
	})
}
