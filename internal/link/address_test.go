package link

import (
	"runtime"
	"strings"
	"testing"
)

func TestEachFormOfAnAddressIsTaken(t *testing.T) {
	tests := []struct {
		name, text string
		want       Address
	}{
		{"host and port", "stats:9125", Address{"udp", "stats", 9125}},
		{"a host alone", "stats", Address{"udp", "stats", 8125}},
		{"a host with a final dot", "stats.example.:9125", Address{"udp", "stats.example.", 9125}},
		{"a host of the longest length", strings.Repeat("a", 253), Address{"udp", strings.Repeat("a", 253), 8125}},
		{"a host with an underscore", "stats_d", Address{"udp", "stats_d", 8125}},
		{"a port alone is one of this machine", ":9125", Address{"udp", "localhost", 9125}},
		{"a port alone, with the scheme", "udp://:9125", Address{"udp", "localhost", 9125}},
		{"the largest port", "stats:65535", Address{"udp", "stats", 65535}},
		{"IPv4 alone", "10.0.0.1", Address{"udp", "10.0.0.1", 8125}},
		{"IPv4 and port", "10.0.0.1:1", Address{"udp", "10.0.0.1", 1}},
		{"IPv6 in brackets and port", "[::1]:1", Address{"udp", "::1", 1}},
		{"IPv6 in brackets", "[::1]", Address{"udp", "::1", 8125}},
		{"bare IPv6", "::1", Address{"udp", "::1", 8125}},
		{"bare IPv6 of all parts", "2001:db8:1:2:3:4:5:8125", Address{"udp", "2001:db8:1:2:3:4:5:8125", 8125}},
		{"bare IPv6 that can only end in 8125", "2001:db8::8125", Address{"udp", "2001:db8::8125", 8125}},
		{"IPv4 in the form of IPv6", "::ffff:10.0.0.1", Address{"udp", "::ffff:10.0.0.1", 8125}},
		{"IPv6 with a zone", "[fe80::1%eth0]:1", Address{"udp", "fe80::1%eth0", 1}},
		{"bare IPv6 with a zone", "fe80::1%eth0", Address{"udp", "fe80::1%eth0", 8125}},
		{"a scheme, host and port", "udp://stats:1", Address{"udp", "stats", 1}},
		{"a scheme and a host", "udp://stats", Address{"udp", "stats", 8125}},
		{"a scheme and bare IPv6", "udp://::1", Address{"udp", "::1", 8125}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := ParseAddress(tt.text); err != nil || got != tt.want {
				t.Errorf("ParseAddress(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
			}
			if err := CheckAddress(tt.text); err != nil {
				t.Errorf("CheckAddress(%q): %v", tt.text, err)
			}
		})
	}
}

func TestABadAddressIsAnErrorThatSaysWhatIsWrong(t *testing.T) {
	noScheme := "neither udp nor unix"
	if !unixSockets {
		noScheme = "not udp"
	}
	tests := []struct{ name, text, want string }{
		{"nothing", "", "host is missing"},
		{"a scheme without a host", "udp://", "host is missing"},
		{"empty brackets", "[]:8125", "host is missing"},
		{"a colon without a port", "localhost:", "port"},
		{"a colon alone", ":", "port"},
		{"port 0", "localhost:0", "from 1 to 65535"},
		{"a port that is too large", "localhost:65536", "from 1 to 65535"},
		{"a port with a sign", "localhost:+1", "from 1 to 65535"},
		{"a port by its name", "localhost:statsd", `"statsd"`},
		{"a port by its name, with brackets", "[::1]:x", `"x"`},
		{"too many colons", "a:b:c", "[v6]:port"},
		{"a bracket that is not closed", "[::1", "[v6]:port"},
		{"a bracket that is not opened", "::1]:8125", "[v6]:port"},
		{"no IPv6 in the brackets", "[a:b]:1", "':'"},
		{"bare IPv6 that may end in the port", "::1:8125", "[::1]:8125"},
		{"the same of another address", "2001:db8::1:8125", "[2001:db8::1]:8125 for that port, or [2001:db8::1:8125]"},
		{"the unspecified address and the port", "::8125", "[::]:8125"},
		{"a zone and the port without brackets", "fe80::1%eth0:8125", "[fe80::1%eth0]:8125"},
		{"a zone and another port without brackets", "fe80::1%eth0:9125", "':'"},
		{"a zone that is no name", "fe80::1%a b", "' '"},
		{"a stream", "tcp://localhost:8125", "tcp is a stream"},
		{"a stream of a unix socket", "unixstream:///run/statsd.sock", "unixstream is a stream"},
		{"packets of a unix socket", "unixpacket:///run/statsd.sock", "unixpacket is a stream"},
		{"another scheme", "http://localhost:8125", `"http" is ` + noScheme},
		{"no scheme before its end", "://localhost", `"" is ` + noScheme},
		{"a space", "local host", "' '"},
		{"a line end", "localhost\n", `'\n'`},
		{"a path", "localhost/path", "'/'"},
		{"a user", "user@localhost:8125", "'@'"},
		{"a letter that is not ASCII", "größe", "'ö'"},
		{"a host that is too long", strings.Repeat("a", 254), "253"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckAddress(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "localhost:8125") {
				t.Errorf("CheckAddress(%q) = %v, want an error with %q and an example", tt.text, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "unix:///") != unixSockets {
				t.Errorf("CheckAddress(%q) = %v: unix sockets are advised where there are none, or not where there are", tt.text, err)
			}
		})
	}
}

func TestUnixSocketsAreTakenWhereThereAreSome(t *testing.T) {
	if !unixSockets {
		if err := CheckAddress("unix:///a"); err == nil || !strings.Contains(err.Error(), "do not exist on "+runtime.GOOS) {
			t.Errorf("error %v, want one that says that there are none", err)
		}
		t.Skip("there are no unix datagram sockets on " + runtime.GOOS)
	}
	longest := "/" + strings.Repeat("a", 106)
	for text, path := range map[string]string{
		"unix:///run/statsd.sock":     "/run/statsd.sock",
		"unixgram:///run/statsd.sock": "/run/statsd.sock",
		"unix:///run/a b:c/größe":     "/run/a b:c/größe",
		"unix://" + longest:           longest,
	} {
		if got, err := ParseAddress(text); err != nil || got != (Address{network: "unixgram", host: path}) {
			t.Errorf("ParseAddress(%q) = %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"unix://":                     "absolute",
		"unix://relative":             "absolute",
		"unixgram://@abstract":        "absolute",
		"unix:///a\x00b":              "absolute",
		"unix://" + longest + "a":     "107",
		"unixgram://" + longest + "a": "107",
	} {
		if err := CheckAddress(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "unix:///path") {
			t.Errorf("CheckAddress(%q) = %v, want an error with %q and an example", text, err, want)
		}
	}
}

func TestTheFormsInHelpTextsAreForms(t *testing.T) {
	fill := strings.NewReplacer("host", "stats", "port", "1", "v6", "::1", " of a datagram socket", "")
	for _, form := range strings.Split(fill.Replace(Forms), ", ") {
		if err := CheckAddress(form); err != nil {
			t.Errorf("%q: %v", form, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"localhost:8125", ":1", "[::1]:1", "::1", "::1:8125", "::8125", "udp://h:1", "unix:///a", "unixgram:///udp a", "unix://", "tcp://a", "a:b:c", "[", "]:1", "[]", "%", "fe80::1%eth0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if (CheckAddress(text) == nil) != (err == nil) {
			t.Errorf("%q: ParseAddress says %v, CheckAddress does not", text, err)
		}
		if err != nil {
			return
		}
		again, err := ParseAddress(strings.Replace(a.String(), " ", "://", 1))
		if err != nil || again != a {
			t.Errorf("ParseAddress(%q) = %+v, which reads as %+v, %v when written again", text, a, again, err)
		}
	})
}
