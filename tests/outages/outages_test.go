// Package outages tests what happens to a service, and to what it publishes,
// while its StatsD server is away: each host is a process of its own, the
// servers and the resolver are the test's, or a real StatsD.
//
// The host counts the library's ticks and sends the count as a gauge, so what
// arrived and what is missing is known tick by tick.
package outages

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// service starts the host that counts its ticks.
func service(t *testing.T, args ...string) *harness.Process {
	t.Helper()
	return harness.Host{Program: "service", Race: true, Args: append([]string{"--metric-prefix=svc", "--pause=100ms"}, args...)}.Start(t)
}

// ticks returns the number of the host's last tick. That tick may not have been
// sent yet; the next one has not begun.
func ticks(t *testing.T, p *harness.Process) int64 {
	t.Helper()
	n, err := strconv.ParseInt(p.Do("ticks"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tick returns the number of the tick that a datagram belongs to.
func tick(t *testing.T, d harness.Datagram) int64 {
	t.Helper()
	n, ok := d.Value("svc.runtimemetrics.ticks")
	if !ok {
		t.Fatalf("there is no svc.runtimemetrics.ticks in\n%s", d.Text)
	}
	return n
}

// waitTicks waits until the host has ticked so often.
func waitTicks(t *testing.T, p *harness.Process, n int64) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("tick %d", n), func() bool { return ticks(t, p) >= n })
}

// behind stops the host, which hears of its last tick but of tick heard, and returns by
// how much its count is behind the library's: while the source that counts is still
// busy with one tick, which on a busy machine takes it long, the next one goes without.
func behind(t *testing.T, p *harness.Process, s server, heard int64) int64 {
	t.Helper()
	if got := p.Do("stop"); got != "ok" {
		t.Errorf("Stop: %s", got)
	}
	return max(heard, s.last()) - ticks(t, p)
}

// complaints returns what the library has logged beside its start lines.
func complaints(p *harness.Process) (lines []string) {
	for _, line := range p.Stderr() {
		if strings.Contains(line, "runtimemetrics: ") && !strings.Contains(line, "runtimemetrics: publishing ") {
			lines = append(lines, line)
		}
	}
	return lines
}

var worksAgain = regexp.MustCompile(`^tick (\d+): runtimemetrics: sending to .* works again; ticks lost: (\d+)$`)

// server is what a test turns on and off.
type server struct {
	addr string         // for --statsd
	args []string       // more arguments for the host
	up   func()         // makes it reachable
	down func()         // and unreachable
	next func() int64   // the number of the next tick that arrives
	take func() []int64 // those that have arrived and were not asked for yet
	last func() int64   // the number of the last tick before the zeros of Stop, 0 if none was left
}

func of(t *testing.T, s *harness.Server) server {
	return server{
		addr: s.Addr(), up: s.Up, down: s.Down,
		next: func() int64 { return tick(t, s.Next()) },
		take: func() (all []int64) {
			for _, d := range s.Take() {
				all = append(all, tick(t, d))
			}
			return all
		},
		last: func() (last int64) {
			for {
				n, ok := s.Next().Value("svc.runtimemetrics.ticks")
				if !ok {
					return last
				}
				last = n
			}
		},
	}
}

func udp(t *testing.T) server {
	return of(t, harness.ListenUDP(t))
}

func udp6(t *testing.T) server {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here: ", err)
	}
	conn.Close()
	return of(t, harness.Listen(t, "udp6", "[::1]:0"))
}

func unix(t *testing.T) server {
	dir, err := os.MkdirTemp("", "statsd") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return of(t, harness.Listen(t, "unixgram", filepath.Join(dir, "sock")))
}

// named is a server behind a name that does not resolve while it is down.
func named(t *testing.T) server {
	s := harness.ListenUDP(t)
	dns := harness.Resolve(t, "127.0.0.1")
	named := of(t, s)
	named.addr = harness.Name + ":" + s.Port()
	named.args = []string{"--dns=" + dns.Addr}
	named.up = func() { dns.Answer("127.0.0.1") }
	named.down = func() { dns.Answer() }
	return named
}

func statsd(t *testing.T) server {
	s := harness.RealStatsD(t)
	real := of(t, s.Repeats)
	real.addr, real.up, real.down = s.Addr(), s.Up, s.Down
	s.Up()
	return real
}

func TestAServiceLivesWithoutItsServerAndIsHeardSoonAfterItComesUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server func(*testing.T) server
		within int64 // ticks after the server came up; 0 means some time
		pause  string
		ticks  int64 // while it is away
	}{
		{"nobody listens", udp, 1, "100ms", 100},
		{"nobody listens on IPv6", udp6, 1, "100ms", 100},
		{"real StatsD is down", statsd, 1, "100ms", 100},
		{"the unix socket is missing", unix, 1, "100ms", 100},
		{"the name does not resolve", named, 0, "100ms", 100},
		// A name is looked up once a second at most, beside the tick that asks
		// for it: the second tick finds the answer.
		{"the name does not resolve, at a pause that is longer than that between two lookups", named, 2, "2s", 5},
		{"the name does not resolve, at a pause that is as long as that between two lookups", named, 2, "1s", 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			s.down()
			p := service(t, append(s.args, "--statsd="+s.addr, "--pause="+test.pause)...)
			waitTicks(t, p, test.ticks)
			away := complaints(p)
			if len(away) < 1 || len(away) > 2 {
				t.Errorf("in %d ticks the library logged %q, want 1 or 2 lines", test.ticks, away)
			}

			s.up()
			before := ticks(t, p)
			first := s.next()
			if first <= test.ticks {
				t.Fatalf("tick %d arrived while the server was down", first)
			}

			// All ticks before that one are lost, and said to be.
			p.WaitLog("works again; ticks lost")
			last := first
			for range 3 {
				last = s.next()
			}
			log := complaints(p)
			match := worksAgain.FindStringSubmatch(log[len(log)-1])
			if match == nil || match[2] != fmt.Sprint(first-1) {
				t.Errorf("the first tick heard is %d, and the library logged %q", first, log)
			}
			if len(log) > len(away)+1 {
				t.Errorf("the library logged %q", log)
			}
			t.Logf("up at tick %d, heard from tick %d on; logged:\n%s", before, first, strings.Join(p.Stderr(), "\n"))
			// One more may have been sent, and not been counted yet, when the server came up.
			before += behind(t, p, s, last) + 1
			if test.within > 0 && first > before+test.within {
				t.Errorf("the server came up before tick %d, and heard tick %d first", before, first)
			}
			p.End()
		})
	}
}

func TestAServiceLivesWithAServerThatNeverComesUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, addr string }{
		{"a name that the machine's own resolver does not find", "statsd.invalid"},
		{"a port that nobody listens on", "[::1]:1"},
		{"an address that leads nowhere", "[100::1]:8125"}, // RFC 6666: discarded
		{"a path in a folder that does not exist", "unix:///nonexistent/statsd.sock"},
		{"a path that is no socket", "unix:///dev/null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := service(t, "--statsd="+test.addr)
			waitTicks(t, p, 100)
			if log := complaints(p); len(log) > 2 {
				t.Errorf("in 100 ticks the library logged %q, want at most 2 lines", log)
			}
			t.Logf("logged:\n%s", strings.Join(p.Stderr(), "\n"))
			if got := p.Do("stop"); got != "ok" {
				t.Errorf("Stop: %s", got)
			}
			p.End()
		})
	}
}

func TestTheFirstTickAfterEachReturnOfTheServerArrives(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server func(*testing.T) server
	}{
		{"a UDP server", udp},
		{"a UDP server on IPv6", udp6},
		{"a unix socket", unix},
		{"real StatsD", statsd},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := test.server(t)
			p := service(t, append(s.args, "--statsd="+s.addr)...)
			last := s.next()
			var missing, over []int64
			const rounds = 10
			for round := range rounds {
				s.down()
				for _, n := range s.take() {
					last = n
				}
				waitTicks(t, p, ticks(t, p)+1+int64(round%3))
				s.up()
				before := ticks(t, p)
				first := s.next()
				over = append(over, first-(before+1))
				for n := last + 1; n < first; n++ {
					missing = append(missing, n)
				}
				last = s.next()
			}
			// They are one outage, unless it went well for two seconds; then those after
			// it wait for ten minutes to be reported.
			p.WaitLog("works again; ticks lost")
			log := complaints(p)
			if len(log) != 2 {
				t.Fatalf("the library logged %q, want 2 lines", log)
			}
			match := worksAgain.FindStringSubmatch(log[1])
			logged, _ := strconv.ParseInt(match[1], 10, 64)
			lost, _ := strconv.ParseInt(match[2], 10, 64)
			missed := int64(0)
			for _, n := range missing {
				if n < logged {
					missed++
				}
			}
			// One tick may have been under way each time that the server went down.
			if lost < missed-rounds || lost > missed {
				t.Errorf("%d ticks are missing before tick %d, and the library logged %q", missed, logged, log)
			}
			// One may have been sent, and not been counted yet, when the server came up: in few
			// rounds.
			uncounted := behind(t, p, s, last)
			late := slices.DeleteFunc(slices.Clone(over), func(n int64) bool { return n <= uncounted })
			if len(late) > rounds/4 || len(late) > 0 && slices.Max(late) > uncounted+1 {
				t.Errorf("when the server had come up, it did not hear the next %d ticks in the rounds, with %d that were not counted", over, uncounted)
			}
			p.End()
		})
	}
}

func TestIPv4IsPreferred(t *testing.T) {
	t.Parallel()
	t.Run("where a resolver knows both", func(t *testing.T) {
		t.Parallel()
		s := harness.ListenUDP(t)
		dns := harness.Resolve(t, "::1", "127.0.0.1")
		p := service(t, "--dns="+dns.Addr, "--statsd="+harness.Name+":"+s.Port())
		tick(t, s.Next())
		want := fmt.Sprintf("publishing 30 gauges, and those of 1 source, every 100ms to udp %s as svc.*", s.Addr())
		if got := p.WaitLog("^publishing"); got != want {
			t.Errorf("the library logged %q, want %q", got, want)
		}
		p.End()
	})

	t.Run("where the hosts file has ::1 localhost first", func(t *testing.T) {
		t.Parallel()
		hosts := filepath.Join(t.TempDir(), "hosts")
		if err := os.WriteFile(hosts, []byte("::1 localhost\n127.0.0.1 localhost\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		// In a mount namespace of its own, the host sees another hosts file.
		in := []string{"unshare", "--mount", "--map-root-user", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts}
		if out, err := exec.Command(in[0], append(in[1:], "true")...).CombinedOutput(); err != nil {
			t.Skipf("no mount namespace of our own: %v: %s", err, out)
		}
		s := harness.ListenUDP(t)
		p := harness.Host{Program: "service", Race: true, Wrapper: in,
			Args: []string{"--metric-prefix=svc", "--pause=100ms", "--statsd=localhost:" + s.Port()}}.Start(t)
		for range 3 {
			tick(t, s.Next())
		}
		p.End()
	})
}

func TestANameThatMovesIsFollowedWithinAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	if runtime.GOOS != "linux" {
		t.Skip("there is one loopback address only")
	}
	t.Parallel()
	old := harness.ListenUDP(t)
	moved := harness.Listen(t, "udp4", "127.0.0.2:"+old.Port())
	dns := harness.Resolve(t, "127.0.0.1")
	p := service(t, "--dns="+dns.Addr, "--statsd="+harness.Name+":"+old.Port())
	first := tick(t, old.Next())
	// On a busy machine the first lookup may take longer than the first tick
	// waits, which is reported.
	if first > 1 {
		p.WaitLog("works again; ticks lost")
	}
	waitTicks(t, p, first+20)
	reported := len(complaints(p))

	dns.Answer("127.0.0.2")
	here := tick(t, moved.Next())
	before := old.TakeAll()
	if last := tick(t, before[len(before)-1]); last+1 != here || int(last-first) != len(before) {
		t.Errorf("the old address heard %d ticks, from %d to %d; the new one hears %d first", len(before)+1, first, last, here)
	}
	if here > 600+200 { // ticks of a minute, and of the longest lookup that there is
		t.Errorf("the new address hears tick %d first, want one within a minute", here)
	}

	// A resolver that fails takes away nothing.
	dns.Answer()
	waitTicks(t, p, here+20)
	if log := complaints(p)[reported:]; len(log) > 0 {
		t.Errorf("the library logged %q", log)
	}
	p.End()
}

func TestAResolverThatDoesNotAnswerDelaysNoTick(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	dns := harness.Resolve(t, "127.0.0.1")
	dns.Silence()
	p := service(t, "--dns="+dns.Addr, "--statsd="+harness.Name+":"+s.Port())
	// One lookup is under way all the time; ticks go on.
	harness.Eventually(t, "the resolver is asked", func() bool { return dns.Asked() > 0 })
	asked := ticks(t, p)
	waitTicks(t, p, asked+20)
	// The line of the outage is for its cause, which nobody knows yet. A real
	// resolver gives up after some seconds, and package net with it.
	dns.Answer("127.0.0.1")
	tick(t, s.Next())
	p.End()
}

func TestAUnixSocketWhoseReaderStallsLosesTicksAndNothingElse(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "statsd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := service(t, "--statsd=unix://"+path)
	line := p.WaitLog("fails, ticks are lost")
	t.Log(line)
	stalled := ticks(t, p)
	waitTicks(t, p, stalled+10)
	if log := complaints(p); len(log) != 1 {
		t.Errorf("the library logged %q, want one line", log)
	}

	// The reader goes on: what had been queued arrives, then what is sent now.
	conn.SetReadDeadline(time.Now().Add(harness.Patience))
	buf := make([]byte, 1<<16)
	for last := int64(0); last <= stalled+10; {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		last = tick(t, harness.Datagram{Text: string(buf[:n])})
	}
	go func() {
		for err := error(nil); err == nil; { // until conn is closed
			_, err = conn.Read(buf)
		}
	}()
	p.WaitLog("works again; ticks lost")
	if got := p.Do("stop"); got != "ok" {
		t.Errorf("Stop: %s", got)
	}
	p.End()
}
