//go:build go1.25

package runtimemetrics

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link/fakenet"
)

// errUnreachable is what a write says when there is no way to the server.
var errUnreachable = errors.New("network is unreachable")

func TestWithPublishingOffNothingRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false")
		s.parse()
		s.auto()
		time.Sleep(time.Second)
		if s.running() || s.fake.Dialled() != 0 {
			t.Error("a goroutine or a socket remains")
		}
		// Off wins over Start.
		s.start(t, Config{})
		time.Sleep(time.Second)
		if s.running() || s.fake.Dialled() != 0 {
			t.Error("Start has started something")
		}
		// A flag that is set later turns it on.
		s.setFlag(t, publishFlag, "true")
		time.Sleep(time.Second)
		if len(s.fake.Sent()) == 0 {
			t.Error("nothing was sent after publishing was turned on")
		}
		s.setFlag(t, publishFlag, "false")
		time.Sleep(time.Second)
		if s.fake.Sockets() != 0 || s.running() {
			t.Error("publishing was turned off, but something remains")
		}
		s.setFlag(t, publishFlag, "true")
		time.Sleep(time.Second)
		if s.fake.Sockets() != 1 {
			t.Error("publishing was turned on again in vain")
		}
		s.stop()
		s.setFlag(t, publishFlag, "true")
		s.setFlag(t, pauseFlag, "1")
		time.Sleep(time.Minute)
		if s.fake.Sockets() != 0 || s.running() {
			t.Error("something started by itself after Stop")
		}
	})
}

func TestAFlagThatIsSetLaterReconfigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.start(t, Config{Pause: time.Second})
		time.Sleep(3 * time.Second)
		before := len(s.fake.Sent())
		s.setFlag(t, prefixFlag, "new")
		time.Sleep(20 * time.Millisecond)
		s.setFlag(t, memFlag, "false")
		time.Sleep(time.Second)
		after := s.fake.Sent()[before:]
		if v := values(after[0].Text)["go.web1.example.com.cpu.goroutines"]; v != "" && v != "0" {
			after = after[1:] // a tick that came while the flags settled
		}
		if v := values(after[0].Text); v["go.web1.example.com.cpu.goroutines"] != "0" || v["go.web1.example.com.mem.total"] != "" {
			t.Errorf("the old prefix was not ended: %v", v)
		}
		if v := values(after[1].Text); v["new.cpu.goroutines"] == "" || len(v) != 2 {
			t.Errorf("the new settings are not used: %v", v)
		}
		s.setFlag(t, prefixFlag, "new") // changes nothing
		time.Sleep(100 * time.Millisecond)
		expectLogs(t, s, "publishing 27 gauges every 1s to udp 10.0.0.1:8125 as go.web1.example.com.*", "publishing 2 gauges every 1s to udp 10.0.0.1:8125 as new.*")
		if s.fake.Sockets() != 1 {
			t.Errorf("%d sockets are open", s.fake.Sockets())
		}
		s.stop()
	})
}

func TestStartReplacesAnAutomaticStartAndStopEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.setFlag(t, statsdFlag, "10.0.0.1")
		s.parse()
		s.auto()
		time.Sleep(time.Second)
		s.start(t, Config{Prefix: "hand"})
		if err := s.publisher.start(Config{}); err == nil || !strings.Contains(err.Error(), "Stop") {
			t.Errorf("a second Start returned %v", err)
		}
		time.Sleep(time.Second)
		s.stop()
		s.stop()
		sent := s.fake.Sent()
		if last := values(sent[len(sent)-1].Text); last["hand.cpu.goroutines"] != "0" {
			t.Errorf("the last datagram is %v", last)
		}
		n := len(sent)
		time.Sleep(time.Hour)
		if len(s.fake.Sent()) != n || s.fake.Sockets() != 0 {
			t.Error("something was sent, or is open, after Stop")
		}
		s.start(t, Config{Prefix: "again"})
		time.Sleep(time.Second)
		sent = s.fake.Sent()
		if values(sent[len(sent)-1].Text)["again.cpu.goroutines"] == "" {
			t.Error("Start after Stop publishes nothing")
		}
		s.stop()
	})
}

func TestASettingThatChangesNoNameLeavesTheLevelsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		calls := 0
		s.register(func(t *Tick) {
			if calls++; calls == 1 {
				t.Gauge("once", 1)
			}
		})
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Second)
		s.setFlag(t, pauseFlag, "1")
		time.Sleep(10 * time.Second)
		if zeros := s.history("p.mem.alloc"); slices.Contains(zeros, "0") {
			t.Errorf("mem.alloc was %v", zeros)
		}
		if n := len(s.ticks("p.cpu.goroutines")); n < 10 {
			t.Errorf("%d ticks in ten seconds", n)
		}
		s.stop()
		if got := s.last("p.once"); got != "0" {
			t.Errorf("a level of the session before was left at %q", got)
		}
	})
}

// TestLevelsThatArrivedInSpiteOfARefusalEndAtZero has a server that came after the
// first tick: what the second one is told is that the first was lost.
func TestLevelsThatArrivedInSpiteOfARefusalEndAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		writes := 0
		s.fake.WriteErr = func(string) error {
			if writes++; writes == 1 {
				return fakenet.ErrRefused
			}
			return nil
		}
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Millisecond)
		if got := s.last("p.mem.alloc"); got == "" {
			t.Fatal("nothing was sent")
		}
		s.stop()
		if got := s.last("p.mem.alloc"); got != "0" {
			t.Errorf("the server is left with mem.alloc = %q", got)
		}
	})
}

// TestATickOfWhichADatagramIsLostIsLost has the first of several refused.
func TestATickOfWhichADatagramIsLostIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		writes := 0
		s.fake.WriteErr = func(string) error {
			if writes++; writes == 1 {
				return fakenet.ErrRefused
			}
			return nil
		}
		s.start(t, Config{Prefix: "p", Pause: time.Second, PacketSize: 256, Self: true})
		time.Sleep(3 * time.Second)
		if got := s.last("p.runtimemetrics.lost"); got != "1" {
			t.Errorf("%s ticks are lost", got)
		}
		s.stop()
	})
}

// TestNoDeadlineOutlivesATick: its timer would wake the process.
func TestNoDeadlineOutlivesATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) { t.Gauge("queue", 5) })
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Minute)
		s.fake.Set(func() {
			if n := len(s.fake.Deadlines); n < 2 || s.fake.Deadlines[0].IsZero() || !s.fake.Deadlines[n-1].IsZero() {
				t.Errorf("deadlines %v", s.fake.Deadlines)
			}
		})
		s.stop()
	})
}

// TestZerosOfASourceThatIsUnregisteredDuringAnOutageFollow has a server that goes on
// living while it cannot be reached.
func TestZerosOfASourceThatIsUnregisteredDuringAnOutageFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		unregister := s.register(func(t *Tick) { t.Gauge("level", 5) })
		s.start(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(3 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		time.Sleep(3 * time.Second)
		unregister()
		time.Sleep(3 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = nil })
		time.Sleep(3 * time.Second)
		if got := s.last("p.level"); got != "0" {
			t.Errorf("the server is left with level = %q", got)
		}
		zeros := len(s.history("p.level"))
		time.Sleep(10 * time.Second)
		if n := len(s.history("p.level")); n != zeros {
			t.Error("the zeros are sent again and again")
		}
		s.stop()
	})
}

func TestSourcesThatComeAndGoDuringAnOutageAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		s.start(t, Config{Prefix: "p", Pause: time.Second})
		const atOnce = 100
		for i := 0; i < 120; i++ {
			var unregister []func()
			for i := range atOnce {
				unregister = append(unregister, s.register(func(t *Tick) { t.Gauge(fmt.Sprint("connection", i), 1) }))
				unregister = append(unregister, s.register(func(t *Tick) { t.Cumulative(fmt.Sprint("requests", i), 1) }))
			}
			time.Sleep(time.Second)
			for _, unregister := range unregister {
				unregister()
			}
		}
		synctest.Wait()
		kept := len(s.session.guests.levels)
		if most := maxNames + 3*atOnce; kept > most {
			t.Errorf("%d sources are kept, want at most %d", kept, most)
		}
		s.fake.Set(func() { s.fake.WriteErr = nil })
		before := len(s.fake.Sent())
		time.Sleep(2 * time.Second) // datagrams that are many are spread
		zeros := 0
		for _, d := range s.fake.Sent()[before:] {
			zeros += strings.Count(d.Text, ":0|g")
		}
		if most := maxNames + 3*atOnce; zeros > most {
			t.Errorf("the outage ends with %d zeros, want at most %d", zeros, most)
		}
		s.stop()
	})
}

// TestStopAfterATickThatWasLostSendsZeros: the network works again, and the server
// has gone on living.
func TestStopAfterATickThatWasLostSendsZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Minute)
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		time.Sleep(10 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = nil })
		s.stop()
		if got := s.last("p.cpu.goroutines"); got != "0" {
			t.Errorf("the server is left with cpu.goroutines = %q", got)
		}
	})
}

// closing is a socket whose Close waits.
type closing struct {
	net.Conn
	wait <-chan struct{}
}

func (c closing) Close() error { <-c.wait; return c.Conn.Close() }

// TestStopWhileASessionHandsOverLeavesNoLevel holds the hand-over up until Stop has
// come.
func TestStopWhileASessionHandsOverLeavesNoLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		wait := make(chan struct{})
		s.net.Dial = func(network, peer string) (net.Conn, error) {
			conn, err := s.fake.Dial(network, peer)
			return closing{conn, wait}, err
		}
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Second)
		s.setFlag(t, pauseFlag, "1s")
		time.Sleep(2 * quiet)
		if s.fake.Sockets() != 1 || s.last("p.cpu.goroutines") == "0" {
			t.Fatal("the session that was ended by the flag is not at its end")
		}
		s.publisher.mu.Lock()
		s.halt()
		s.publisher.mu.Unlock()
		close(wait)
		s.stop()
		if got := s.last("p.cpu.goroutines"); got != "0" {
			t.Errorf("the server is left with cpu.goroutines = %q", got)
		}
	})
}

// TestStartKeepsNothingOfItsCallers: what is given to it may be used for something
// else afterwards.
func TestStartKeepsNothingOfItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		tags, metrics := []string{"env:prod"}, []string{"/sched/gomaxprocs:threads"}
		s.start(t, Config{Prefix: "p", Tags: tags, Runtime: metrics})
		tags[0], metrics[0] = "no tag", "["
		time.Sleep(time.Second)
		s.setFlag(t, pauseFlag, "1s")
		time.Sleep(10 * time.Second)
		s.stop()
		if n := len(s.ticks("p.cpu.goroutines")); n < 10 {
			t.Errorf("%d ticks", n)
		}
		for _, d := range s.fake.Sent() {
			if !strings.HasSuffix(d.Text, "|#env:prod") || !strings.Contains(d.Text, "p.runtime.sched.gomaxprocs:") {
				t.Errorf("sent %q", d.Text)
			}
		}
	})
}

// TestAServiceMayBeTestedInOneBubbleAfterAnother: a channel of the one before must
// not be touched.
func TestAServiceMayBeTestedInOneBubbleAfterAnother(t *testing.T) {
	s := newService()
	for i := 0; i < 3; i++ {
		synctest.Test(t, func(t *testing.T) {
			before := len(s.ticks("p.cpu.goroutines"))
			s.register(func(t *Tick) { t.Gauge("custom", 1) })
			s.start(t, Config{Prefix: "p"})
			time.Sleep(time.Minute)
			s.setFlag(t, pauseFlag, fmt.Sprint(i+5))
			time.Sleep(time.Minute)
			s.stop()
			if len(s.ticks("p.cpu.goroutines")) < before+10 {
				t.Errorf("nothing was published in bubble %d", i)
			}
		})
	}
}

// TestAFlagThatIsSetWhileASessionEndsIsNotForgotten has a program that never parses
// its flags.
func TestAFlagThatIsSetWhileASessionEndsIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.byItself = true
		ending := s.newSession(&Config{})
		close(ending.done)
		s.session = ending
		s.setFlag(t, statsdFlag, "10.0.0.1")
		s.ended(ending)
		time.Sleep(10 * time.Second)
		if len(s.fake.Sent()) == 0 {
			t.Error("nothing is published")
		}
		s.stop()
	})
}

func TestTheFirstTickIsImmediateThenEachProcessHasItsPhase(t *testing.T) {
	const fleet = 200
	var early int
	for i := 0; i < fleet; i++ {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			start := time.Now()
			s.start(t, Config{Pause: 10 * time.Second})
			time.Sleep(time.Minute)
			s.stop()
			sent := s.fake.Sent()
			if wait := sent[0].At.Sub(start); wait != 0 {
				t.Errorf("the first tick came after %v", wait)
			}
			phase := sent[1].At.Sub(start)
			if phase <= 0 || phase > 10*time.Second {
				t.Errorf("the second tick came after %v, want a part of the pause", phase)
			}
			if phase < 5*time.Second {
				early++
			}
			for i := 2; i < len(sent)-1; i++ {
				if wait := sent[i].At.Sub(sent[i-1].At); wait != 10*time.Second {
					t.Errorf("tick %d came %v after the one before", i, wait)
				}
			}
		})
	}
	// A fair coin gives fewer than 60 of 200 once in 10^8 times.
	if early < 60 || early > fleet-60 {
		t.Errorf("%d of %d processes have their phase in the first half of the pause", early, fleet)
	}
}

func TestPublishingBeginsWhenTheNameResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, fmt.Errorf("lookup %s: no such host", host)
		}
		s.start(t, Config{StatsD: "stats", Pause: time.Second})
		time.Sleep(100 * time.Second)
		expectLogs(t, s, "sending to udp stats:8125 fails, ticks are lost until it works again: lookup stats: no such host")
		s.fake.Set(func() {
			s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) { return fakenet.Addrs("::1", "10.0.0.7"), nil }
		})
		resolves := time.Now()
		time.Sleep(5 * time.Second)
		sent := s.fake.Sent()
		if len(sent) == 0 || sent[0].Peer != "10.0.0.7:8125" || sent[0].At.Sub(resolves) > 2*time.Second {
			t.Fatalf("sent %v", sent)
		}
		expectLogs(t, s, "publishing 27 gauges every 1s to udp 10.0.0.7:8125", "sending to udp stats:8125 works again; ticks lost: 10")
		s.stop()
	})
}

// TestTheLineOfAnOutageIsForItsCause has a resolver that takes its time to say no.
func TestTheLineOfAnOutageIsForItsCause(t *testing.T) {
	for _, takes := range []time.Duration{1500 * time.Millisecond, 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.fake.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
				select {
				case <-ctx.Done():
				case <-time.After(takes):
				}
				return nil, fmt.Errorf("lookup %s: no such host", host)
			}
			s.start(t, Config{StatsD: "stats", Pause: time.Second})
			time.Sleep(time.Minute)
			s.stop()
			expectLogs(t, s, "fails, ticks are lost until it works again: lookup stats: no such host")
		})
	}
}

// TestTheLineOfAnOutageNamesTheServerAsItWasGiven: its error names the address that
// did not answer, of which there are two.
func TestTheLineOfAnOutageNamesTheServerAsItWasGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.WriteErr = func(peer string) error {
			if peer == "127.0.0.1:8125" {
				return fakenet.ErrRefused
			}
			return nil
		}
		s.start(t, Config{StatsD: "localhost", Pause: time.Second})
		time.Sleep(3 * time.Second)
		expectLogs(t, s, "sending to udp localhost:8125 fails", "publishing", "works again")
		s.stop()
	})
}

// TestAFlagThatIsSetWhileTheResolverIsDownCostsNothing has a server whose address is
// known from before.
func TestAFlagThatIsSetWhileTheResolverIsDownCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) { return fakenet.Addrs("10.0.0.7"), nil }
		s.start(t, Config{Prefix: "p", StatsD: "stats"})
		time.Sleep(time.Minute)
		s.fake.Set(func() { s.fake.Lookup = nil })
		s.setFlag(t, pauseFlag, "1s")
		time.Sleep(time.Second)
		before := len(s.ticks("p.cpu.goroutines"))
		time.Sleep(time.Minute)
		if n := len(s.ticks("p.cpu.goroutines")) - before; n < 59 {
			t.Errorf("%d ticks in the minute after the flag", n)
		}
		s.stop()
		if got := s.last("p.cpu.goroutines"); got != "0" {
			t.Errorf("Stop leaves a level at %q", got)
		}
		expectLogs(t, s, "publishing 27 gauges every 10s", "publishing 27 gauges every 1s")
	})
}

// TestAnotherServerIsNotFollowedFromTheOneBefore sets the flag for it while the
// resolver is down.
func TestAnotherServerIsNotFollowedFromTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "stats")
		s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) { return fakenet.Addrs("10.0.0.7"), nil }
		s.auto()
		time.Sleep(time.Minute)
		s.fake.Set(func() { s.fake.Lookup = nil })
		s.setFlag(t, statsdFlag, "other")
		time.Sleep(time.Second)
		before := len(s.fake.Sent())
		time.Sleep(time.Minute)
		if n := len(s.fake.Sent()) - before; n > 0 {
			t.Errorf("%d datagrams were sent to the server before", n)
		}
		s.stop()
	})
}

func TestAResolverThatNeverAnswersIsACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		s.start(t, Config{StatsD: "stats", Pause: time.Second})
		time.Sleep(time.Minute)
		s.stop()
		expectLogs(t, s, "fails, ticks are lost until it works again: the lookup of stats has had no answer for 20s")
	})
}

func TestASlowResolverDelaysNoTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) { return fakenet.Addrs("10.0.0.7"), nil }
		s.start(t, Config{StatsD: "stats", Pause: time.Second})
		time.Sleep(10 * time.Millisecond)
		s.fake.Set(func() {
			s.fake.Lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		time.Sleep(10 * time.Minute)
		s.stop()
		sent := s.fake.Sent()
		for i := 2; i < len(sent)-1; i++ {
			if wait := sent[i].At.Sub(sent[i-1].At); wait != time.Second {
				t.Fatalf("tick %d came %v after the one before", i, wait)
			}
		}
		if len(sent) < 600 {
			t.Errorf("%d datagrams in ten minutes", len(sent))
		}
		expectLogs(t, s, "publishing")
	})
}

func TestTheFirstTickWaitsForTheNameButNotForEver(t *testing.T) {
	for name, tt := range map[string]struct{ takes, want time.Duration }{
		"a fast resolver": {30 * time.Millisecond, 30 * time.Millisecond},
		// Ticks after a second are lost; one comes at most a pause after the answer.
		"a slow resolver": {4 * time.Second, 14 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) {
					time.Sleep(tt.takes)
					return fakenet.Addrs("10.0.0.7"), nil
				}
				start := time.Now()
				s.start(t, Config{StatsD: "stats"})
				time.Sleep(time.Minute)
				s.stop()
				if first := s.fake.Sent()[0].At.Sub(start); first < tt.takes || first > tt.want {
					t.Errorf("the first tick was sent after %v, want %v at most", first, tt.want)
				}
			})
		})
	}
}

func TestALongOutageIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.start(t, Config{Pause: time.Second})
		time.Sleep(10 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		time.Sleep(time.Hour)
		s.fake.Set(func() { s.fake.WriteErr = nil })
		time.Sleep(10 * time.Second)
		s.stop()
		expectLogs(t, s, "publishing", "fails, ticks are lost until it works again: network is unreachable", "works again; ticks lost: 3600")
		if s.fake.Sockets() != 0 {
			t.Errorf("%d sockets are open", s.fake.Sockets())
		}
	})
}

// TestWhatIsSaidOfAServerIsNotSaidOfTheNext begins with a server that is down, of
// which the log has said so.
func TestWhatIsSaidOfAServerIsNotSaidOfTheNext(t *testing.T) {
	for _, tt := range []struct {
		name string
		next func(t *testing.T, s *service)
		want string
	}{
		{"whose name does not resolve", func(t *testing.T, s *service) { s.start(t, Config{StatsD: "stats"}) }, "stats:8125 fails"},
		{"which has never failed", func(t *testing.T, s *service) {
			s.stop()
			s.start(t, Config{StatsD: "10.0.0.2"})
		}, "publishing"},
		{"which a flag names", func(t *testing.T, s *service) { s.setFlag(t, statsdFlag, "10.0.0.2") }, "publishing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService("RUNTIMEMETRICS_STATSD", "10.0.0.9")
				s.fake.WriteErr = func(peer string) error {
					if peer == "10.0.0.9:8125" {
						return errUnreachable
					}
					return nil
				}
				s.parse()
				s.auto()
				time.Sleep(time.Minute)
				expectLogs(t, s, "10.0.0.9:8125 fails")
				synctest.Wait()
				lost := s.books.health.lost
				tt.next(t, s)
				time.Sleep(time.Minute)
				s.stop()
				expectLogs(t, s, tt.want)
				if s.books.health.lost < lost {
					t.Error("the cumulative gauge of lost ticks went back")
				}
			})
		})
	}
}

func TestStopBeforeTheFirstDatagramSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
		s.start(t, Config{StatsD: "stats"})
		s.stop() // ends the lookup too, or the bubble would deadlock
		if sent := s.fake.Sent(); len(sent) != 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

func TestAFlagThatIsSetWhileASessionEndsIsNotLost(t *testing.T) {
	for i := 0; i < 300; i++ {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.start(t, Config{Pause: time.Second})
			time.Sleep(time.Second)
			s.setFlag(t, publishFlag, "false")
			time.Sleep(quiet)
			for j := 0; j < i; j++ { // some time, within the same instant
				_ = s.opts.text(publishFlag)
			}
			s.setFlag(t, publishFlag, "true")
			time.Sleep(time.Second)
			if s.fake.Sockets() == 0 {
				t.Error("publishing stayed off though the flag says true")
			}
			s.stop()
		})
	}
}

func TestTheHintSparesWhoTurnedPublishingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false")
		s.auto()
		time.Sleep(2 * time.Minute)
		expectLogs(t, s)
		if s.running() {
			t.Error("a goroutine remains")
		}
	})
}

func TestNotesGoToTheLogfOfStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PAUSE", "x")
		s.begin(&Config{}) // as init does
		time.Sleep(5 * time.Millisecond)
		s.start(t, Config{})
		time.Sleep(time.Second)
		s.stop()
		expectLogs(t, s, "RUNTIMEMETRICS_PAUSE", "publishing")
	})
}

func TestStartSaysWhyNothingIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "enabled")
		s.begin(&Config{}) // as init does
		s.start(t, Config{})
		time.Sleep(time.Minute)
		if s.running() {
			t.Error("a goroutine remains")
		}
		expectLogs(t, s, "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS: must be true or false; using false")
	})
}

func TestAFaultDuringStopStaysInTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.start(t, Config{Pause: time.Second})
		time.Sleep(3 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { panic("a fault") } })
		s.stop()
		if s.fake.Sockets() != 0 {
			t.Error("a socket remains")
		}
	})
}

func TestReconfiguringKeepsTheBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		s.start(t, Config{Pause: time.Second})
		time.Sleep(5500 * time.Millisecond)
		s.setFlag(t, cpuFlag, "false")
		time.Sleep(5 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = nil })
		time.Sleep(5 * time.Second)
		s.stop()
		// A tick a second, and one more for each start with its phase.
		got := s.logged()
		if len(got) != 3 || !strings.Contains(got[0], "fails") || !strings.Contains(got[1], "publishing") || !strings.Contains(got[2], "ticks lost: 1") {
			t.Errorf("logged %q", got)
		}
	})
}

func TestTheLibraryReportsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { return errUnreachable } })
		s.start(t, Config{Prefix: "p", Pause: 10 * time.Second, DisableCPU: true, DisableMem: true, Runtime: []string{"/sched/gomaxprocs", "/no/such"}})
		time.Sleep(25 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = nil })
		time.Sleep(60 * time.Second)
		s.stop()
		sent := s.fake.Sent()
		for i, d := range sent[:len(sent)-1] {
			v := values(d.Text)
			ticks, lost := v["p.runtimemetrics.ticks"], v["p.runtimemetrics.lost"]
			if len(v) != 4 || v["p.runtime.sched.gomaxprocs"] == "" || v["p.runtimemetrics.late.ns"] == "" {
				t.Errorf("datagram %d: %v", i, v)
			}
			n, _ := strconv.Atoi(ticks)
			if m, _ := strconv.Atoi(lost); m < 2 || n != i+1+m {
				t.Errorf("datagram %d says that of %s ticks %s were lost", i, ticks, lost)
			}
		}
		if v := values(sent[len(sent)-1].Text); len(v) != 2 || v["p.runtimemetrics.late.ns"] != "0" || v["p.runtime.sched.gomaxprocs"] != "0" {
			t.Errorf("the last datagram: %v", v)
		}
		expectLogs(t, s, `pattern "/no/such" of --metric-runtime matches no metric`, "fails", "publishing 4 gauges", "works again")
	})
}

func TestAFaultOfTheLibraryIsNotTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.start(t, Config{Pause: time.Second})
		time.Sleep(10 * time.Second)
		s.fake.Set(func() { s.fake.WriteErr = func(string) error { panic("a fault") } })
		time.Sleep(10 * time.Second)
		expectLogs(t, s, "publishing", "internal error: a fault; nothing is published any more")
		if s.running() || s.fake.Sockets() != 0 {
			t.Error("a goroutine or a socket remains")
		}
		s.fake.Set(func() { s.fake.WriteErr = nil })
		s.stop()
		s.start(t, Config{Pause: time.Second})
		before := len(s.fake.Sent())
		time.Sleep(time.Second)
		if len(s.fake.Sent()) == before {
			t.Error("nothing is published after a new Start")
		}
		s.stop()
	})
}

func TestASessionNeverMeetsTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		for i := 0; i < 50; i++ {
			s.start(t, Config{Prefix: fmt.Sprintf("p%d", i), Pause: time.Second})
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			s.stop()
		}
		synctest.Wait()
		if s.fake.Sockets() != 0 {
			t.Errorf("%d sockets are open", s.fake.Sockets())
		}
		var order []string
		for _, d := range s.fake.Sent() {
			prefix, _, _ := strings.Cut(d.Text, ".")
			if len(order) == 0 || order[len(order)-1] != prefix {
				order = append(order, prefix)
			}
		}
		seen := map[string]bool{}
		for _, prefix := range order {
			if seen[prefix] {
				t.Errorf("%s was sent after its Stop: %v", prefix, order)
			}
			seen[prefix] = true
		}
		if len(order) < 49 { // the first one has no time to send
			t.Errorf("only %d of 50 sessions have sent something", len(order))
		}
	})
}

// TestSessionsComeToRestWhateverHappens plays lives of programs at random: flags
// that are parsed and set, Start, Stop, and time that passes. Each session resolves
// its settings, and whether flags have changed is looked at soon after one was set.
func TestSessionsComeToRestWhateverHappens(t *testing.T) {
	const atMost = 1000 // a life has some dozens
	for seed := range int64(1000) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewSource(seed))
			var pairs []string
			if random.Intn(2) == 0 {
				pairs = append(pairs, "RUNTIMEMETRICS_STATSD", "10.0.0.1")
			}
			if random.Intn(2) == 0 {
				pairs = append(pairs, "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false")
			}
			s := newService(pairs...)
			life := fmt.Sprint(pairs)
			var resolved atomic.Int32
			s.process.Hostname = func() (string, error) {
				if resolved.Add(1) > atMost {
					select {} // or the test would never end
				}
				return testProcess.Hostname()
			}
			set := func(flag int, texts ...string) {
				text := texts[random.Intn(len(texts))]
				life += fmt.Sprintf(" %s=%s", table[flag].Name, text)
				s.setFlag(t, flag, text)
			}
			started := false
			s.auto()
			for range 10 {
				switch random.Intn(16) {
				case 0:
					life += " parse"
					s.parse()
				case 1, 2:
					set(publishFlag, "true", "false")
				case 3:
					set(pauseFlag, "1s", "2s")
				case 4:
					set(statsdFlag, "10.0.0.3", "stats")
				case 5:
					life += " Start"
					started = true
					s.publisher.start(Config{StatsD: "10.0.0.2", Logf: s.logf}) // or it is started already
				case 6:
					life += " Stop"
					started = false
					s.stop()
				default:
					d := []time.Duration{0, time.Millisecond, quiet + pollEvery, 7 * time.Second, 2 * hintAfter}[random.Intn(5)]
					life += " " + d.String()
					time.Sleep(d)
				}
			}
			time.Sleep(2 * hintAfter)
			before := resolved.Load()
			time.Sleep(5 * time.Minute)
			if n := resolved.Load(); n > before || n > atMost {
				t.Errorf("life %d does not come to rest: %s", seed, life)
			}
			if on := isTrue(s.opts.text(publishFlag)); started && s.running() != on {
				t.Errorf("life %d: publishing: %v; a session runs: %v: %s", seed, on, !on, life)
			}
			s.stop()
		})
	}
}
