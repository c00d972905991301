package outages

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestAServerThatListensOnOneOfItsNamesAddressesIsHeard(t *testing.T) {
	t.Parallel()
	for _, listens := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "[::1]"} {
		t.Run(listens, func(t *testing.T) {
			t.Parallel()
			network := "udp4"
			if listens == "[::1]" {
				udp6(t) // or this is skipped
				network = "udp6"
			}
			s := harness.Listen(t, network, listens+":0")
			dns := harness.Resolve(t, "127.0.0.1", "127.0.0.2", "127.0.0.3", "::1")
			p := service(t, "--dns="+dns.Addr, "--statsd="+harness.Name+":"+s.Port())
			first := tick(t, s.Next())
			for i := range int64(10) { // and it stays with that one
				if next := tick(t, s.Next()); next != first+i+1 {
					t.Errorf("tick %d arrived as number %d after tick %d", next, i+1, first)
				}
			}
			p.End()
		})
	}
}

func TestLocalhostIsBothOfItsAddresses(t *testing.T) {
	t.Parallel()
	t.Run("StatsD listens on ::1 only", func(t *testing.T) {
		t.Parallel()
		s := udp6(t)
		_, port, _ := strings.Cut(s.addr, "]:")
		p := service(t, "--statsd=localhost:"+port)
		first := s.next()
		for i := range int64(10) {
			if next := s.next(); next != first+i+1 {
				t.Errorf("tick %d arrived as number %d after tick %d", next, i+1, first)
			}
		}
		p.End()
	})

	// A container may hold nothing but the program: no hosts file, no resolver.
	t.Run("where there is no hosts file", func(t *testing.T) {
		t.Parallel()
		in := []string{"unshare", "--mount", "--map-root-user", "sh", "-c", `mount -t tmpfs none /etc && exec "$@"`, "sh"}
		if out, err := exec.Command(in[0], append(in[1:], "true")...).CombinedOutput(); err != nil {
			t.Skipf("no mount namespace of our own: %v: %s", err, out)
		}
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "service", Race: true, Wrapper: in,
			Args: []string{"--metric-prefix=svc", "--pause=100ms", "--statsd=localhost:" + s.Port()}}.Start(t)
		if first := tick(t, s.Next()); first != 1 {
			t.Errorf("the first tick heard is %d", first)
		}
		p.End()
	})
}

// The port of those that name none is StatsD's, which is free in a namespace.
func TestEachFormOfAnAddressReachesItsServer(t *testing.T) {
	t.Parallel()
	n := harness.NewNamespace(t)
	var v4, v6 *harness.Server
	n.Do(func() {
		v4 = harness.Listen(t, "udp4", "127.0.0.1:8125")
		v6 = harness.Listen(t, "udp6", "[::1]:8125")
	})
	for form, s := range map[string]*harness.Server{
		"127.0.0.1": v4, "127.0.0.1:8125": v4, "localhost": v4, "localhost:8125": v4, ":8125": v4,
		"udp://localhost": v4, "udp://:8125": v4, "::ffff:127.0.0.1": v4,
		"::1": v6, "[::1]": v6, "[::1]:8125": v6, "udp://[::1]:8125": v6, "udp://::1": v6, "0:0:0:0:0:0:0:1": v6,
	} {
		prefix := fmt.Sprintf("form%x", form)
		p := n.Start(harness.Host{Program: "service", Args: []string{"--pause=100ms", "--statsd=" + form, "--metric-prefix=" + prefix}})
		s.NextWith(prefix)
		p.End()
	}
	u := unix(t)
	for _, scheme := range []string{"unix", "unixgram"} {
		p := service(t, "--statsd="+scheme+strings.TrimPrefix(u.addr, "unix"))
		u.next()
		p.End()
		u.take()
	}
}

func TestAnAddressThatMayMeanTwoThingsOrAStreamIsRefused(t *testing.T) {
	t.Parallel()
	for address, says := range map[string]string{
		"::1:8125":                  "write [::1]:8125 for that port",
		"2001:db8::7:8125":          "write [2001:db8::7]:8125 for that port",
		"tcp://localhost:8125":      "tcp is a stream",
		"unixstream:///run/s":       "unixstream is a stream",
		"localhost:statsd":          "is not a number from 1 to 65535",
		"http://localhost:8125/abc": "is neither udp nor unix",
	} {
		p := harness.Host{Program: "service", Args: []string{"--statsd=" + address}}.Start(t)
		if code := p.Exit(); code != 2 || !strings.Contains(p.Stderr()[0], says) {
			t.Errorf("%s: exit code %d and %q, want 2 and %q", address, code, p.Stderr()[0], says)
		}
	}
}
