//go:build go1.25

//go:debug asynctimerchan=0

package runtimemetrics

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// service is a publisher in a test's bubble of time, on a fake network, with
// the lines that it logs.
type service struct {
	*publisher
	*fakeNet
	flagsParsed bool
	logs        []string
}

func newService(pairs ...string) *service {
	s := &service{publisher: newPublisher(env(pairs...)), fakeNet: &fakeNet{}}
	s.publisher.net = s.fakeNet.calls()
	s.host = testHost
	s.parsed = func() bool {
		s.fakeNet.mu.Lock()
		defer s.fakeNet.mu.Unlock()
		return s.flagsParsed
	}
	s.opts.changed = s.flagSet
	return s
}

func (s *service) logf(format string, args ...any) {
	s.set(func() { s.logs = append(s.logs, fmt.Sprintf(format, args...)) })
}

// logged returns and forgets the lines so far.
func (s *service) logged() []string {
	s.fakeNet.mu.Lock()
	defer s.fakeNet.mu.Unlock()
	lines := s.logs
	s.logs = nil
	return lines
}

// register is Register for this service.
func (s *service) register(collect func(gauge func(string, int64)), cumulative []string) func() {
	return s.sources.add(newSource(func(t *Tick) {
		collect(func(name string, value int64) {
			if slices.Contains(cumulative, name) {
				t.Cumulative(name, value)
			} else {
				t.Gauge(name, value)
			}
		})
	}))
}

// auto starts the service as init does.
func (s *service) auto() {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	s.startByItself = true
	s.spawn(Config{Logf: s.logf}, true)
}

// begin starts the service by hand at an address that needs no resolver.
func (s *service) begin(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.StatsD == "" {
		cfg.StatsD = "10.0.0.1"
	}
	cfg.Logf = s.logf
	if err := s.start(cfg); err != nil {
		t.Fatal(err)
	}
}

// sockets returns how many sockets are open, and dialled how many ever were.
func (s *service) sockets() (n int) { s.set(func() { n = s.open }); return n }
func (s *service) dialled() (n int) { s.set(func() { n = len(s.dials) }); return n }

// life returns the run that is under way, or nil.
func (s *service) life() *run {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	return s.run
}

// values returns the gauges of a datagram.
func values(datagram string) map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(datagram, "\n") {
		name, value, _ := strings.Cut(line, ":")
		m[name] = strings.TrimSuffix(value, "|g")
	}
	return m
}

func expectLogs(t *testing.T, s *service, want ...string) {
	t.Helper()
	got := s.logged()
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.HasPrefix(got[i], "runtimemetrics: ") && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("logged %q, want lines with %q", got, want)
	}
}

func TestPublishingStartsWithinATenthOfASecondOfParsing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "")
		s.opts.statsd.text = "10.0.0.1"
		s.auto()
		time.Sleep(3*time.Second + 7*time.Millisecond) // the program takes its time
		if s.dialled() != 0 {
			t.Fatal("published before the flags were parsed")
		}
		s.set(func() { s.flagsParsed = true }) // package flag says so before it sets any
		parsed := time.Now()
		time.Sleep(5 * time.Millisecond)
		s.opts.prefix.Set("late")
		time.Sleep(time.Second)
		s.stopByHand()
		sent := s.sent()
		if wait := sent[0].at.Sub(parsed); wait > 100*time.Millisecond {
			t.Errorf("the first tick came %v after flag.Parse", wait)
		}
		if !strings.HasPrefix(sent[0].text, "late.cpu.goroutines:") {
			t.Errorf("a flag that was being set is not in force: %q", sent[0].text)
		}
		expectLogs(t, s, "publishing 27 gauges every 10s to udp 10.0.0.1:8125 as late.*")
	})
}

func TestTheEnvironmentAloneStartsAProgramThatNeverParses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "10.0.0.1:9125")
		start := time.Now()
		s.auto()
		time.Sleep(6 * time.Second)
		s.stopByHand()
		if sent := s.sent(); len(sent) == 0 || sent[0].at.Sub(start) != 5*time.Second || sent[0].peer != "10.0.0.1:9125" {
			t.Errorf("sent %v", sent)
		}
		expectLogs(t, s, "publishing 27 gauges")
	})
}

func TestAFlagThatIsSetStartsAProgramThatNeverParses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.auto()
		time.Sleep(10 * time.Second)
		s.opts.statsd.Set("10.0.0.1") // as cobra does
		set := time.Now()
		time.Sleep(time.Second)
		s.opts.prefix.Set("cobra")
		time.Sleep(10 * time.Second)
		s.stopByHand()
		sent := s.sent()
		if len(sent) == 0 || sent[0].at.Sub(set) < 6*time.Second || sent[0].at.Sub(set) > 6100*time.Millisecond || !strings.HasPrefix(sent[0].text, "cobra.") {
			t.Errorf("sent %v", sent)
		}
		expectLogs(t, s, "publishing 27 gauges")
	})
}

func TestAProgramInWhichNothingStartsIsToldOnceHow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PAUSE", "x")
		s.opts.statsd.text = "10.0.0.1"
		s.auto()
		time.Sleep(59 * time.Second)
		expectLogs(t, s)
		time.Sleep(2 * time.Second)
		expectLogs(t, s, "RUNTIMEMETRICS_PAUSE", "flag.Parse")
		time.Sleep(time.Hour)
		expectLogs(t, s)
		s.set(func() { s.flagsParsed = true }) // very late
		time.Sleep(2 * time.Second)
		expectLogs(t, s, "publishing 27 gauges")
		s.stopByHand()
	})
}

func TestWithPublishingOffNothingRemains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false")
		s.flagsParsed = true
		s.auto()
		r := s.life()
		time.Sleep(time.Second)
		if !closed(r.done) || s.dialled() != 0 {
			t.Error("a goroutine or a socket remains")
		}
		// Off wins over Start.
		s.begin(t, Config{})
		time.Sleep(time.Second)
		if s.life() != nil || s.dialled() != 0 {
			t.Error("Start has started something")
		}
		// A flag that is set later brings it in force.
		s.opts.publish.Set("true")
		time.Sleep(time.Second)
		if len(s.sent()) == 0 {
			t.Error("nothing was sent after publishing was turned on")
		}
		s.opts.publish.Set("false")
		time.Sleep(time.Second)
		if s.sockets() != 0 || !closed(s.life().done) {
			t.Error("publishing was turned off, but something remains")
		}
		s.opts.publish.Set("true")
		time.Sleep(time.Second)
		if s.sockets() != 1 {
			t.Error("publishing was turned on again in vain")
		}
		s.stopByHand()
		s.opts.publish.Set("true")
		s.opts.pause.Set("1")
		time.Sleep(time.Minute)
		if s.sockets() != 0 || s.life() != nil {
			t.Error("something started by itself after Stop")
		}
	})
}

func TestAFlagThatIsSetLaterReconfigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.begin(t, Config{Pause: time.Second})
		time.Sleep(3 * time.Second)
		before := len(s.sent())
		s.opts.prefix.Set("new")
		time.Sleep(20 * time.Millisecond)
		s.opts.mem.Set("false")
		time.Sleep(time.Second)
		after := s.sent()[before:]
		if v := values(after[0].text)["go.web1.example.com.cpu.goroutines"]; v != "" && v != "0" {
			after = after[1:] // a tick that came while the flags settled
		}
		if v := values(after[0].text); v["go.web1.example.com.cpu.goroutines"] != "0" || v["go.web1.example.com.mem.total"] != "" {
			t.Errorf("the old prefix was not ended: %v", v)
		}
		if v := values(after[1].text); v["new.cpu.goroutines"] == "" || len(v) != 2 {
			t.Errorf("the new settings are not in force: %v", v)
		}
		s.opts.prefix.Set("new") // changes nothing
		time.Sleep(100 * time.Millisecond)
		expectLogs(t, s, "publishing 27 gauges every 1s to udp 10.0.0.1:8125 as go.web1.example.com.*", "publishing 2 gauges every 1s to udp 10.0.0.1:8125 as new.*")
		if s.sockets() != 1 {
			t.Errorf("%d sockets are open", s.sockets())
		}
		s.stopByHand()
	})
}

func TestStartReplacesAnAutomaticStartAndStopEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.opts.statsd.text = "10.0.0.1"
		s.flagsParsed = true
		s.auto()
		time.Sleep(time.Second)
		s.begin(t, Config{Prefix: "hand"})
		if err := s.start(Config{}); err == nil || !strings.Contains(err.Error(), "Stop") {
			t.Errorf("a second Start returned %v", err)
		}
		time.Sleep(time.Second)
		s.stopByHand()
		s.stopByHand()
		sent := s.sent()
		if last := values(sent[len(sent)-1].text); last["hand.cpu.goroutines"] != "0" {
			t.Errorf("the last datagram is %v", last)
		}
		n := len(sent)
		time.Sleep(time.Hour)
		if len(s.sent()) != n || s.sockets() != 0 {
			t.Error("something was sent, or is open, after Stop")
		}
		s.begin(t, Config{Prefix: "again"})
		time.Sleep(time.Second)
		sent = s.sent()
		if values(sent[len(sent)-1].text)["again.cpu.goroutines"] == "" {
			t.Error("Start after Stop publishes nothing")
		}
		s.stopByHand()
	})
}

func TestTheFirstTickIsImmediateThenEachProcessHasItsPhase(t *testing.T) {
	const fleet = 200
	var early int
	for i := 0; i < fleet; i++ {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			start := time.Now()
			s.begin(t, Config{Pause: 10 * time.Second})
			time.Sleep(time.Minute)
			s.stopByHand()
			sent := s.sent()
			if wait := sent[0].at.Sub(start); wait != 0 {
				t.Errorf("the first tick came after %v", wait)
			}
			phase := sent[1].at.Sub(start)
			if phase <= 0 || phase > 10*time.Second {
				t.Errorf("the second tick came after %v, want a part of the pause", phase)
			}
			if phase < 5*time.Second {
				early++
			}
			for i := 2; i < len(sent)-1; i++ {
				if wait := sent[i].at.Sub(sent[i-1].at); wait != 10*time.Second {
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

func TestMissedTicksAreLeftOut(t *testing.T) {
	const slow, pause = 35 * time.Second, 10 * time.Second
	for held := 0; held < 4; held++ { // the tick that is held up
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			n := 0
			s.register(func(gauge func(string, int64)) {
				if n == held {
					time.Sleep(slow) // or the process was stopped
				}
				n++
			}, nil)
			s.begin(t, Config{Pause: pause})
			time.Sleep(100 * time.Second)
			s.stopByHand()
			sent := s.sent()
			var at []time.Duration // since the tick that was held up
			for _, d := range sent[held : len(sent)-1] {
				at = append(at, d.at.Sub(sent[held].at))
			}
			// The ticker fired meanwhile, which brings one more at once; then
			// the phase goes on as if nothing had been.
			if len(at) < 4 || at[1] != 0 {
				t.Fatalf("tick %d was held up, those after it came at %v", held, at)
			}
			if at[2] <= 0 || at[2] > pause {
				t.Errorf("tick %d was held up, those after it came at %v", held, at)
			}
			for i := 3; i < len(at); i++ {
				if at[i]-at[i-1] != pause {
					t.Errorf("tick %d was held up, those after it came at %v: they should be %v apart again", held, at, pause)
				}
			}
			if held == 0 && at[2] == pause {
				t.Errorf("the first tick was held up, and what held it up now sets the phase")
			}
			// From the second tick on, the phase is known.
			if held > 0 && at[2] != 4*pause-slow {
				t.Errorf("tick %d was held up, those after it came at %v: the phase is lost", held, at)
			}
		})
	}
}

// TestLatenessSurvivesATickAtTheEdge has a tick just before and one just after
// the moment at which the next is due, as a ticker that was not read in time
// brings them.
func TestLatenessSurvivesATickAtTheEdge(t *testing.T) {
	r := newTestRun(t, Config{})
	const pause = time.Hour // newTestRun's
	start := time.Now()
	r.phase, r.due = steady, start.Add(pause)
	r.schedule(start.Add(2*pause + time.Microsecond))
	r.schedule(start.Add(2*pause + 2*time.Microsecond))
	for i := 3; i < 6; i++ {
		const late = 3 * time.Second
		r.schedule(start.Add(time.Duration(i)*pause + late))
		if r.late != late {
			t.Errorf("tick %d came %v late, but was found to be %v late", i, late, r.late)
		}
	}
}

func TestTheTickerEndsWithTheRun(t *testing.T) {
	r := newTestRun(t, Config{})
	r.ticker.Reset(time.Millisecond)
	r.end()
	select { // what fired before the end
	case <-r.ticker.C:
	default:
	}
	time.Sleep(20 * time.Millisecond)
	select {
	case <-r.ticker.C:
		t.Error("the ticker goes on after the end")
	default:
	}
}

func TestPublishingBeginsWhenTheNameResolves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, fmt.Errorf("lookup %s: no such host", host)
		}
		s.begin(t, Config{StatsD: "stats", Pause: time.Second})
		time.Sleep(100 * time.Second)
		expectLogs(t, s, "sending to udp stats:8125 fails, ticks are lost until it works again: lookup stats: no such host")
		s.set(func() {
			s.lookup = func(context.Context, string) ([]netip.Addr, error) { return addrs("::1", "10.0.0.7"), nil }
		})
		resolves := time.Now()
		time.Sleep(5 * time.Second)
		sent := s.sent()
		if len(sent) == 0 || sent[0].peer != "10.0.0.7:8125" || sent[0].at.Sub(resolves) > 2*time.Second {
			t.Fatalf("sent %v", sent)
		}
		expectLogs(t, s, "publishing 27 gauges every 1s to udp 10.0.0.7:8125", "sending to udp 10.0.0.7:8125 works again; ticks lost: 10")
		s.stopByHand()
	})
}

func TestASlowResolverDelaysNoTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.lookup = func(context.Context, string) ([]netip.Addr, error) { return addrs("10.0.0.7"), nil }
		s.begin(t, Config{StatsD: "stats", Pause: time.Second})
		time.Sleep(10 * time.Millisecond)
		s.set(func() {
			s.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		})
		time.Sleep(10 * time.Minute)
		s.stopByHand()
		sent := s.sent()
		for i := 2; i < len(sent)-1; i++ {
			if wait := sent[i].at.Sub(sent[i-1].at); wait != time.Second {
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
				s.lookup = func(context.Context, string) ([]netip.Addr, error) {
					time.Sleep(tt.takes)
					return addrs("10.0.0.7"), nil
				}
				start := time.Now()
				s.begin(t, Config{StatsD: "stats"})
				time.Sleep(time.Minute)
				s.stopByHand()
				if first := s.sent()[0].at.Sub(start); first < tt.takes || first > tt.want {
					t.Errorf("the first tick was sent after %v, want %v at most", first, tt.want)
				}
			})
		})
	}
}

func TestALongOutageIsTwoLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.begin(t, Config{Pause: time.Second})
		time.Sleep(10 * time.Second)
		s.set(func() { s.writeErr = func(string) error { return syscall.ENETUNREACH } })
		time.Sleep(time.Hour)
		s.set(func() { s.writeErr = nil })
		time.Sleep(10 * time.Second)
		s.stopByHand()
		expectLogs(t, s, "publishing", "fails, ticks are lost until it works again: network is unreachable", "works again; ticks lost: 3600")
		if s.sockets() != 0 {
			t.Errorf("%d sockets are open", s.sockets())
		}
	})
}

func TestStopSetsLevelsToZeroAndLeavesWhatIsCumulative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(gauge func(string, int64)) {
			gauge("queue.depth", 17)
			gauge("requests", 1000)
		}, []string{"requests"})
		s.begin(t, Config{})
		time.Sleep(time.Second)
		s.stopByHand()
		sent := s.sent()
		last := values(sent[len(sent)-1].text)
		for name, want := range map[string]string{
			"cpu.goroutines": "0", "mem.alloc": "0", "mem.gc.pause": "0", "queue.depth": "0",
			"cpu.cgo_calls": "", "mem.total": "", "mem.gc.count": "", "mem.gc.last": "", "requests": "",
		} {
			if got := last["go.web1.example.com."+name]; got != want {
				t.Errorf("%s is %q in the last datagram, want %q", name, got, want)
			}
		}
	})
}

func TestStopBeforeTheFirstDatagramSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.lookup = func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() }
		s.begin(t, Config{StatsD: "stats"})
		s.stopByHand() // ends the lookup too, or the bubble would deadlock
		if sent := s.sent(); len(sent) != 0 {
			t.Errorf("sent %v", sent)
		}
	})
}

func TestASourceThatFailsIsLeftOutAndTheTickGoesOn(t *testing.T) {
	for name, fail := range map[string]func(){
		"panicked: broken":       func() { panic("broken") },
		"called runtime.Goexit":  runtime.Goexit,
		"panicked: a nil error ": func() { panic(fmt.Errorf("a nil error ")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				s.register(func(gauge func(string, int64)) { gauge("before", 1) }, nil)
				s.register(func(gauge func(string, int64)) { gauge("half", 2); fail() }, nil)
				s.register(func(gauge func(string, int64)) { gauge("after", 3) }, nil)
				s.begin(t, Config{Prefix: "p", Pause: time.Second})
				time.Sleep(10 * time.Second)
				s.stopByHand()
				sent := s.sent()
				if len(sent) < 10 {
					t.Fatalf("%d datagrams in ten seconds", len(sent))
				}
				first := values(sent[0].text)
				if first["p.before"] != "1" || first["p.after"] != "3" || first["p.half"] != "0" {
					t.Errorf("the first tick: %v", first)
				}
				second := values(sent[1].text)
				if second["p.before"] != "1" || second["p.after"] != "3" || second["p.half"] != "" || second["p.cpu.goroutines"] == "" {
					t.Errorf("the second tick: %v", second)
				}
				expectLogs(t, s, "life_test.go:", "publishing 30 gauges")
			})
		})
	}
}

func TestASourceThatBlocksHoldsUpTicksButNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		calls := 0
		s.register(func(gauge func(string, int64)) {
			if calls++; calls == 2 {
				<-block
			}
			gauge("queue", 1)
		}, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(10 * time.Second)
		if n := len(s.sent()); n != 1 {
			t.Fatalf("%d datagrams, want the first one only", n)
		}
		start := time.Now()
		s.stopByHand()
		if took := time.Since(start); took > time.Second {
			t.Errorf("Stop took %v", took)
		}
		sent := s.sent()
		if last := values(sent[len(sent)-1].text); len(sent) != 2 || last["p.cpu.goroutines"] != "0" || last["p.queue"] != "0" {
			t.Errorf("Stop sent %v", last)
		}
		// A second life passes over the source while the first is waiting.
		s.begin(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(5 * time.Second)
		if n := len(s.sent()); n < 6 {
			t.Errorf("%d datagrams: the second life is held up too", n)
		}
		close(block)
		time.Sleep(5 * time.Second)
		sent = s.sent()
		if last := values(sent[len(sent)-1].text); last["p.queue"] != "1" {
			t.Errorf("the source is not called again: %v", last)
		}
		s.stopByHand()
	})
}

func TestStopAndRegisterMayBeCalledFromASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		var once sync.Once
		s.register(func(gauge func(string, int64)) {
			once.Do(func() { s.register(func(gauge func(string, int64)) { gauge("late", 1) }, nil) })
			gauge("a", 1)
		}, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(3 * time.Second)
		sent := s.sent()
		if values(sent[len(sent)-1].text)["p.late"] != "1" {
			t.Error("a source that a source registered is not called")
		}
		s.register(func(func(string, int64)) { s.stopByHand() }, nil)
		time.Sleep(5 * time.Second)
		if s.sockets() != 0 || s.life() != nil {
			t.Error("Stop from a source did not end publishing")
		}
	})
}

func TestASourceThatIsTakenBackEndsWithZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		back := s.register(func(gauge func(string, int64)) { gauge("level", 5); gauge("total", 6) }, []string{"total"})
		s.begin(t, Config{Prefix: "p", Pause: time.Second, DisableMem: true})
		time.Sleep(3 * time.Second)
		back()
		back()
		before := len(s.sent())
		time.Sleep(3 * time.Second)
		after := s.sent()[before:]
		if v := values(after[0].text); v["p.level"] != "0" || v["p.total"] != "" {
			t.Errorf("the tick after it was taken back: %v", v)
		}
		if v := values(after[1].text); len(v) != 2 {
			t.Errorf("the tick after that: %v", v)
		}
		s.stopByHand()
	})
}

// lastValues returns the last value that was sent of each gauge: what the
// server is left with.
func lastValues(s *service) map[string]string {
	last := map[string]string{}
	for _, d := range s.sent() {
		for name, value := range values(d.text) {
			last[name] = value
		}
	}
	return last
}

func TestTheOnlySourceMayEndWithinItsFirstTick(t *testing.T) {
	for _, how := range []string{"panic", "unregister"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				var back func()
				back = s.register(func(gauge func(string, int64)) {
					gauge("half", 2)
					if how == "panic" {
						panic("broken")
					}
					back()
				}, nil)
				s.begin(t, Config{Prefix: "p", Pause: time.Second, DisableMem: true})
				time.Sleep(3 * time.Second)
				if got := lastValues(s)["p.half"]; got != "0" {
					t.Errorf("the server is left with p.half = %q", got)
				}
				s.stopByHand()
			})
		})
	}
}

func TestASourceMayTakeOverTheNamesOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		back := s.register(func(gauge func(string, int64)) { gauge("queue", 5) }, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second, DisableMem: true})
		time.Sleep(3 * time.Second)
		back()
		s.register(func(gauge func(string, int64)) { gauge("queue", 7) }, nil)
		time.Sleep(time.Second)
		for _, d := range s.sent() {
			if strings.Contains(d.text, "queue:0") {
				t.Errorf("sent %q", d.text)
			}
		}
		if got := lastValues(s)["p.queue"]; got != "7" {
			t.Errorf("the server is left with p.queue = %q", got)
		}
		s.stopByHand()
	})
}

func TestNoSourceIsCalledAfterStopOrAfterItWasTakenBack(t *testing.T) {
	for _, how := range []string{"Stop", "unregister"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				block := make(chan struct{})
				var over atomic.Bool
				s.register(func(func(string, int64)) { <-block }, nil)
				back := s.register(func(func(string, int64)) {
					if over.Load() {
						t.Error("the second source was called")
					}
				}, nil)
				s.begin(t, Config{Prefix: "p", Pause: time.Second})
				time.Sleep(3 * time.Second)
				if how == "Stop" {
					s.stopByHand()
				} else {
					back()
				}
				over.Store(true)
				close(block)
				time.Sleep(time.Second)
				s.stopByHand()
			})
		})
	}
}

// slowError is an error whose text takes its time.
type slowError struct{ ready chan struct{} }

func (e slowError) Error() string {
	<-e.ready
	return "slow"
}

func TestAPanicWhoseValueBlocksDoesNotHoldUpStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		ready := make(chan struct{})
		s.register(func(func(string, int64)) { panic(slowError{ready}) }, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(3 * time.Second)
		start := time.Now()
		s.stopByHand()
		if took := time.Since(start); took > time.Second {
			t.Errorf("Stop took %v", took)
		}
		close(ready)
	})
}

func TestAFlagThatIsSetWhileARunEndsIsNotLost(t *testing.T) {
	for i := 0; i < 300; i++ {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.begin(t, Config{Pause: time.Second})
			time.Sleep(time.Second)
			s.opts.publish.Set("false")
			time.Sleep(quiet)
			for j := 0; j < i; j++ { // some time, within the same instant
				_ = s.opts.publish.String()
			}
			s.opts.publish.Set("true")
			time.Sleep(time.Second)
			if s.sockets() == 0 {
				t.Error("publishing stayed off though the flag says true")
			}
			s.stopByHand()
		})
	}
}

func TestFlagsThatAreSetForEverDoNotHoldUpPublishing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.begin(t, Config{Pause: time.Second})
		for i := 0; i < 250; i++ {
			s.opts.pause.Set("1")
			time.Sleep(40 * time.Millisecond)
		}
		if n := len(s.sent()); n < 5 {
			t.Errorf("%d datagrams in ten seconds", n)
		}
		s.stopByHand()
	})
}

func TestNotesGoToTheLogfOfStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PAUSE", "x")
		s.publisher.mu.Lock()
		s.startByItself = true
		s.spawn(Config{}, true) // as init does
		s.publisher.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		s.begin(t, Config{})
		time.Sleep(time.Second)
		s.stopByHand()
		expectLogs(t, s, "RUNTIMEMETRICS_PAUSE", "publishing")
	})
}

func TestTheHintSparesWhoTurnedPublishingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false")
		s.auto()
		time.Sleep(2 * time.Minute)
		expectLogs(t, s)
		if !closed(s.life().done) {
			t.Error("a goroutine remains")
		}
	})
}

func TestAFaultDuringStopStaysInTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.begin(t, Config{Pause: time.Second})
		time.Sleep(3 * time.Second)
		s.set(func() { s.writeErr = func(string) error { panic("a fault") } })
		s.stopByHand()
		if s.sockets() != 0 {
			t.Error("a socket remains")
		}
	})
}

func TestReconfiguringKeepsTheBooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.set(func() { s.writeErr = func(string) error { return syscall.ENETUNREACH } })
		s.begin(t, Config{Pause: time.Second})
		time.Sleep(5500 * time.Millisecond)
		s.opts.cpu.Set("false")
		time.Sleep(5 * time.Second)
		s.set(func() { s.writeErr = nil })
		time.Sleep(5 * time.Second)
		s.stopByHand()
		// A tick a second, and one more for each start with its phase.
		got := s.logged()
		if len(got) != 3 || !strings.Contains(got[0], "fails") || !strings.Contains(got[1], "publishing") || !strings.Contains(got[2], "ticks lost: 1") {
			t.Errorf("logged %q", got)
		}
	})
}

func TestAGoroutineThatASourceLeftBehindHasNoGauges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		kept := make(chan func(string, int64), 10)
		s.register(func(gauge func(string, int64)) { kept <- gauge }, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second})
		time.Sleep(100 * time.Millisecond)
		keep := <-kept
		keep("stray", 1)
		time.Sleep(3 * time.Second)
		s.stopByHand()
		keep("stray", 1)
		for _, d := range s.sent() {
			if strings.Contains(d.text, "stray") {
				t.Errorf("a stray gauge was sent: %q", d.text)
			}
		}
	})
}

func TestAMillionNamesCostAMillionNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		tick := 0
		s.register(func(gauge func(string, int64)) {
			for i := 0; i < 1_000_000; i++ {
				gauge(fmt.Sprintf("n%d.%d", tick, i), int64(i))
			}
			for i := 0; i < 1_000_000; i++ {
				gauge("n0.1", int64(i))
			}
			gauge(strings.Repeat("x", 1<<20), 1)
			tick++
		}, nil)
		s.begin(t, Config{Prefix: "p", Pause: 1000 * time.Hour})
		time.Sleep(time.Second)
		lines := 0
		for _, d := range s.sent() {
			if len(d.text) > 1432 {
				t.Fatalf("a datagram of %d bytes", len(d.text))
			}
			lines += strings.Count(d.text, "\n") + 1
		}
		if lines != 27+maxNames {
			t.Errorf("%d gauges were sent, want %d", lines, 27+maxNames)
		}
		s.stopByHand()
		expectLogs(t, s, "own gauges are dropped, the first of them being \"n0.4096\"", "publishing 4123 gauges")
	})
}

func TestOwnNamesAndValuesAreMadeSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(gauge func(string, int64)) {
			gauge("a b|c:d@e#f\ng", 1)
			gauge("balance", -5)
		}, nil)
		s.begin(t, Config{Prefix: "p", DisableCPU: true, DisableMem: true})
		time.Sleep(time.Second)
		s.stopByHand()
		if got, want := s.sent()[0].text, "p.a_b_c_d_e_f_g:1|g\np.balance:0|g\np.balance:-5|g"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestGaugesThatFitIntoNoDatagramAreDroppedWithOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		long := strings.Repeat("x", 255)
		s.register(func(gauge func(string, int64)) { gauge(long, 1); gauge("short", 2) }, nil)
		s.begin(t, Config{Prefix: "p", Pause: time.Second, PacketSize: 256, DisableMem: true})
		time.Sleep(10 * time.Second)
		s.stopByHand()
		if v := values(s.sent()[0].text); v["p.short"] != "2" || v["p."+long] != "" {
			t.Errorf("sent %v", v)
		}
		expectLogs(t, s, "does not fit into a datagram of 256 bytes", "publishing 3 gauges")
	})
}

func TestTheLibraryTellsOfItselfWithRuntimeMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.set(func() { s.writeErr = func(string) error { return syscall.ENETUNREACH } })
		s.begin(t, Config{Prefix: "p", Pause: 10 * time.Second, DisableCPU: true, DisableMem: true, Runtime: []string{"/sched/gomaxprocs", "/no/such"}})
		time.Sleep(25 * time.Second)
		s.set(func() { s.writeErr = nil })
		time.Sleep(60 * time.Second)
		s.stopByHand()
		sent := s.sent()
		for i, d := range sent[:len(sent)-1] {
			v := values(d.text)
			ticks, lost := v["p.runtimemetrics.ticks"], v["p.runtimemetrics.lost"]
			if len(v) != 4 || v["p.runtime.sched.gomaxprocs"] == "" || v["p.runtimemetrics.late.ns"] == "" {
				t.Errorf("datagram %d: %v", i, v)
			}
			n, _ := strconv.Atoi(ticks)
			if m, _ := strconv.Atoi(lost); m < 2 || n != i+1+m {
				t.Errorf("datagram %d says that of %s ticks %s were lost", i, ticks, lost)
			}
		}
		if v := values(sent[len(sent)-1].text); len(v) != 2 || v["p.runtimemetrics.late.ns"] != "0" || v["p.runtime.sched.gomaxprocs"] != "0" {
			t.Errorf("the last datagram: %v", v)
		}
		expectLogs(t, s, `pattern "/no/such" of --metric-runtime matches no metric`, "fails", "publishing 4 gauges", "works again")
	})
}

func TestHowLateATickComesIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		var once sync.Once
		s.register(func(gauge func(string, int64)) { once.Do(func() { time.Sleep(10*time.Second + 7*time.Millisecond) }) }, nil)
		s.begin(t, Config{Prefix: "p", Pause: 10 * time.Second, DisableMem: true, Runtime: []string{"/sched/gomaxprocs"}})
		time.Sleep(time.Minute)
		s.stopByHand()
		var late []string
		for _, d := range s.sent() {
			late = append(late, values(d.text)["p.runtimemetrics.late.ns"])
		}
		// The second tick was due at some part of the first ten seconds.
		second, _ := strconv.ParseInt(late[1], 10, 64)
		if late[0] != "0" || second < 7e6 || second > 10_007_000_000 || late[2] != "0" {
			t.Errorf("late by %v", late)
		}
	})
}

func TestFractionsAreSentAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.sources.add(newSource(func(tick *Tick) {
			tick.GaugeFloat("load", 0.75)
			tick.CumulativeFloat("nan", math.NaN())
			tick.Gauge("whole", 1<<53+1)
		}))
		s.begin(t, Config{Prefix: "p", DisableCPU: true, DisableMem: true})
		time.Sleep(time.Second)
		s.stopByHand()
		if got, want := s.sent()[0].text, "p.load:0.75|g\np.whole:9007199254740993|g"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestALogfThatPanicsHurtsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		if err := s.start(Config{StatsD: "10.0.0.1", Pause: time.Second, Logf: func(string, ...any) { panic("logger") }}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		s.stopByHand()
		if n := len(s.sent()); n < 10 {
			t.Errorf("%d datagrams in ten seconds", n)
		}
	})
}

func TestAFaultOfTheLibraryIsNotTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.begin(t, Config{Pause: time.Second})
		time.Sleep(10 * time.Second)
		s.set(func() { s.writeErr = func(string) error { panic("a fault") } })
		time.Sleep(10 * time.Second)
		expectLogs(t, s, "publishing", "internal error: a fault; nothing is published any more")
		if !closed(s.life().done) || s.sockets() != 0 {
			t.Error("a goroutine or a socket remains")
		}
		s.set(func() { s.writeErr = nil })
		s.stopByHand()
		s.begin(t, Config{Pause: time.Second})
		before := len(s.sent())
		time.Sleep(time.Second)
		if len(s.sent()) == before {
			t.Error("nothing is published after a new Start")
		}
		s.stopByHand()
	})
}

func TestADroppedRunNeverMeetsTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		for i := 0; i < 50; i++ {
			s.begin(t, Config{Prefix: fmt.Sprintf("p%d", i), Pause: time.Second})
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			s.stopByHand()
		}
		synctest.Wait()
		if s.sockets() != 0 {
			t.Errorf("%d sockets are open", s.sockets())
		}
		var order []string
		for _, d := range s.sent() {
			prefix, _, _ := strings.Cut(d.text, ".")
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
			t.Errorf("only %d of 50 lives have sent something", len(order))
		}
	})
}
