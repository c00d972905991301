//go:build go1.25

package runtimemetrics

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link/fakenet"
)

// second is what most tests here start the service with: a tick a second of two
// gauges beside those of the sources.
var second = Config{Prefix: "p", Pause: time.Second, DisableMem: true}

func TestStopSetsLevelsToZeroAndLeavesWhatIsCumulative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) {
			t.Gauge("queue.depth", 17)
			t.GaugeFloat("load", 0.5)
			t.Cumulative("requests", 1000)
			t.CumulativeFloat("seconds", 1.5)
		})
		s.start(t, Config{Prefix: "p"})
		time.Sleep(time.Second)
		s.stop()
		for name, want := range map[string]string{
			"cpu.goroutines": "0", "mem.alloc": "0", "mem.gc.pause": "0", "queue.depth": "0", "load": "0",
			"requests": "1000", "seconds": "1.5",
		} {
			if got := s.last("p." + name); got != want {
				t.Errorf("the server is left with %s = %q, want %q", name, got, want)
			}
		}
		for _, name := range []string{"cpu.cgo_calls", "mem.total", "mem.gc.count", "mem.gc.last"} {
			if sent := s.fake.Sent(); values(sent[len(sent)-1].Text)["p."+name] != "" {
				t.Errorf("%s was set to 0", name)
			}
		}
	})
}

// panicsAgain is an error whose text panics with itself.
type panicsAgain struct{}

func (e panicsAgain) Error() string { panic(e) }

func TestASourceThatFailsIsLeftOutAndTheOthersGoOn(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func()
		line string
	}{
		{"panic", func() { panic("broken") }, "panicked and is left out from now on: broken"},
		{"panic with an error", func() { panic(errors.New("an error")) }, "panicked and is left out from now on: an error"},
		{"panic whose text panics", func() { panic(panicsAgain{}) }, "panicked and is left out from now on: a runtimemetrics.panicsAgain whose text panics as well"},
		{"Goexit", runtime.Goexit, "called runtime.Goexit and is left out from now on"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				s.register(func(t *Tick) { t.Gauge("before", 1) })
				s.register(func(t *Tick) { t.Gauge("half", 2); tt.fail() })
				s.register(func(t *Tick) { t.Gauge("after", 3) })
				s.start(t, second)
				time.Sleep(10 * time.Second)
				ticks := len(s.ticks("p.cpu.goroutines"))
				if before, after := s.history("p.before"), s.history("p.after"); len(before) != ticks || len(after) != ticks {
					t.Errorf("%d ticks, %d of the source before, %d of the one after", ticks, len(before), len(after))
				}
				if got := s.history("p.half"); !slices.Equal(got, []string{"2", "0"}) {
					t.Errorf("the source that failed: %v", got)
				}
				s.stop()
				expectLogs(t, s, "publishing 2 gauges, and those of 3 sources,", tt.line)
			})
		})
	}
}

func TestASourceThatBlocksHoldsUpNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		calls := 0
		s.register(func(t *Tick) { t.Gauge("before", 1) })
		s.register(func(t *Tick) {
			t.Gauge("queue", int64(calls))
			if calls++; calls == 3 {
				<-block
			}
		})
		s.register(func(t *Tick) { t.Gauge("after", 1) })
		s.start(t, second)
		time.Sleep(20 * time.Second)
		ticks := s.ticks("p.cpu.goroutines")
		for i := 2; i < len(ticks); i++ {
			if wait := ticks[i].At.Sub(ticks[i-1].At); wait != time.Second {
				t.Errorf("tick %d came after %v", i, wait)
			}
		}
		// The tick in which it blocks and the two after it go without the others.
		for _, name := range []string{"p.before", "p.after"} {
			if got := len(s.history(name)); got != len(ticks)-3 {
				t.Errorf("%d ticks, %d of %s", len(ticks), got, name)
			}
		}
		expectLogs(t, s, "publishing", "(guest_test.go:")
		close(block)
		time.Sleep(3 * time.Second)
		if got := s.last("p.queue"); got == "0" || got == "1" || got == "2" {
			t.Errorf("the source that has returned is not called again: %v", s.history("p.queue"))
		}
		if got := s.history("p.queue"); got[2] != "2" {
			t.Errorf("what it had added when it was stuck is lost: %v", got)
		}
		s.stop()
		if got := s.last("p.queue"); got != "0" {
			t.Errorf("the server is left with queue = %q", got)
		}
		expectLogs(t, s)
	})
}

// TestLevelsThatAStuckGuestHasNotReportedEndAtZero has a source whose first call is
// followed by one that never returns, and one that is late with a name fewer than
// the source has by then.
func TestLevelsThatAStuckGuestHasNotReportedEndAtZero(t *testing.T) {
	for _, returns := range []bool{false, true} {
		t.Run(fmt.Sprintf("returns=%v", returns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				block := make(chan struct{})
				calls := 0
				s.register(func(t *Tick) {
					t.Gauge("one", 1)
					if calls++; calls > 2 && returns {
						t.Gauge("two", 2)
					}
				})
				s.register(func(t *Tick) { t.Gauge("stuck", 3); <-block })
				s.start(t, second)
				time.Sleep(20 * time.Second)
				if returns {
					close(block)
					time.Sleep(20 * time.Second)
				}
				s.stop()
				for _, name := range []string{"p.one", "p.two"} {
					if got := s.last(name); got != "0" && (returns || name == "p.one") {
						t.Errorf("the server is left with %s = %q", name, got)
					}
				}
				if !returns {
					close(block)
				}
			})
		})
	}
}

// TestLevelsOfLinesThatASessionDroppedEndAtZero has a setting change while a source
// holds up the lines of another.
func TestLevelsOfLinesThatASessionDroppedEndAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		s.register(func(t *Tick) { t.Gauge("one", 1) })
		s.register(func(*Tick) { <-block })
		s.start(t, Config{Prefix: "p", DisableMem: true})
		time.Sleep(10 * time.Millisecond)
		s.setFlag(t, pauseFlag, "1")
		time.Sleep(time.Second)
		close(block)
		time.Sleep(5 * time.Second)
		s.stop()
		if got := s.history("p.one"); len(got) < 2 || got[len(got)-1] != "0" {
			t.Errorf("p.one was %v", got)
		}
	})
}

// TestSlowSourcesAreNotTakenForAStuckOne has sources which take longer together
// than one of them may.
func TestSlowSourcesAreNotTakenForAStuckOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		for i := 0; i < 5; i++ {
			s.register(func(t *Tick) { time.Sleep(1500 * time.Millisecond); t.Gauge(fmt.Sprintf("slow.%d", i), 1) })
		}
		s.start(t, second)
		time.Sleep(time.Minute)
		for i := 0; i < 5; i++ {
			if got := len(s.history(fmt.Sprintf("p.slow.%d", i))); got < 5 {
				t.Errorf("source %d was published %d times in a minute", i, got)
			}
		}
		s.stop()
		time.Sleep(10 * time.Second)
		expectLogs(t, s, "publishing")
	})
}

// TestASourceThatIsALittleSlowEachTimeIsNotTakenForAStuckOne has one that always
// returns before the next tick but one.
func TestASourceThatIsALittleSlowEachTimeIsNotTakenForAStuckOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) { time.Sleep(1500 * time.Millisecond); t.Gauge("slow", 1) })
		s.start(t, second)
		time.Sleep(time.Minute)
		s.stop()
		time.Sleep(2 * time.Second)
		expectLogs(t, s, "publishing")
	})
}

// TestAGuestThatIsLateDoesNotReleaseTheOther has a source return from a call that was
// given up while another one is running; that one is called at ticks only.
func TestAGuestThatIsLateDoesNotReleaseTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		var once sync.Once
		s.register(func(*Tick) { once.Do(func() { <-block }) })
		var calls []time.Time
		s.register(func(*Tick) {
			calls = append(calls, time.Now())
			if len(calls) == 1 {
				close(block)
			}
			time.Sleep(2500 * time.Millisecond)
		})
		s.start(t, second)
		time.Sleep(30 * time.Second)
		s.stop()
		time.Sleep(3 * time.Second)
		synctest.Wait() // for the source, which nobody else waits for
		if len(calls) < 5 {
			t.Fatalf("%d calls", len(calls))
		}
		for i, call := range calls {
			if !slices.ContainsFunc(s.ticks("p.cpu.goroutines"), func(d fakenet.Datagram) bool { return d.At.Equal(call) }) {
				t.Errorf("call %d came between ticks", i)
			}
		}
	})
}

// TestASessionAfterStopKnowsNoLevelsOfTheOneBefore has another prefix in the second
// session, and one source fewer.
func TestASessionAfterStopKnowsNoLevelsOfTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		unregister := s.register(func(t *Tick) { t.Gauge("queue", 5) })
		s.start(t, second)
		time.Sleep(2 * time.Second)
		s.stop()
		unregister()
		s.start(t, Config{Prefix: "new", Pause: time.Second})
		time.Sleep(3 * time.Second)
		s.stop()
		if got := s.history("new.queue"); got != nil {
			t.Errorf("a gauge that was never set was sent: %v", got)
		}
	})
}

func TestASourceThatIsSlowerThanThePauseIsPublishedAllTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		n := int64(0)
		s.register(func(t *Tick) { time.Sleep(10 * time.Second); n++; t.Gauge("slow", n) })
		s.register(func(t *Tick) { t.Gauge("quick", 1) })
		s.start(t, second)
		time.Sleep(100 * time.Second)
		if got := s.history("p.slow"); len(got) < 8 || !slices.IsSorted(got[:8]) {
			t.Errorf("the slow source: %v", got)
		}
		if got := len(s.history("p.quick")); got < 60 {
			t.Errorf("the quick one came %d times in 100 ticks", got)
		}
		s.stop()
		time.Sleep(10 * time.Second)
		if got := s.last("p.slow"); got != "0" {
			t.Errorf("the server is left with slow = %q", got)
		}
		expectLogs(t, s, "publishing", "has not returned for 3 ticks")
	})
}

func TestStopWaitsForNoSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		s.register(func(t *Tick) { t.Gauge("queue", 1); <-block })
		s.start(t, second)
		time.Sleep(10 * time.Second)
		start := time.Now()
		s.stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("Stop took %v", took)
		}
		// A second session passes over the source while the first is in it.
		before := len(s.fake.Sent())
		s.start(t, second)
		time.Sleep(5 * time.Second)
		if n := len(s.fake.Sent()) - before; n < 5 {
			t.Errorf("%d datagrams: the second session is held up too", n)
		}
		if got := s.history("p.queue"); got != nil {
			t.Errorf("what it had added before was sent: %v", got)
		}
		close(block)
		time.Sleep(5 * time.Second)
		if got := s.last("p.queue"); got != "1" {
			t.Errorf("the source is not called again: %q", got)
		}
		s.stop()
	})
}

func TestASourceMayCallWhateverTheLibraryHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		var once sync.Once
		var unregister func()
		unregister = s.register(func(t *Tick) {
			once.Do(func() { s.register(func(t *Tick) { t.Gauge("late", 1) }) })
			t.Gauge("a", 1)
			unregister()
		})
		s.start(t, second)
		time.Sleep(3 * time.Second)
		if got := s.last("p.late"); got != "1" {
			t.Errorf("a source that a source registered: %q", got)
		}
		if got := s.history("p.a"); !slices.Equal(got, []string{"1", "0"}) {
			t.Errorf("a source that unregistered itself: %q", got)
		}
		s.register(func(*Tick) {
			s.stop()
			if err := s.publisher.start(Config{StatsD: "10.0.0.1", Prefix: "again", Logf: s.logf}); err != nil {
				t.Error(err)
			}
			s.stop()
		})
		time.Sleep(5 * time.Second)
		if s.fake.Sockets() != 0 || s.running() {
			t.Error("Stop from a source did not end publishing")
		}
	})
}

func TestWhatTurnsFromALevelIntoACumulativeIsLeftByStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		calls := 0
		s.register(func(t *Tick) {
			if calls++; calls == 1 {
				t.Gauge("jobs", 1)
			} else {
				t.Cumulative("jobs", 2)
			}
		})
		s.start(t, second)
		time.Sleep(3 * time.Second)
		s.stop()
		if got := s.last("p.jobs"); got != "2" {
			t.Errorf("the server is left with jobs = %q", got)
		}
	})
}

func TestASourceThatIsUnregisteredEndsWithZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		unregister := s.register(func(t *Tick) { t.Gauge("level", 5); t.Cumulative("total", 6) })
		s.start(t, second)
		time.Sleep(3 * time.Second)
		unregister()
		unregister()
		before := len(s.fake.Sent())
		time.Sleep(3 * time.Second)
		after := s.fake.Sent()[before:]
		if v := values(after[0].Text); v["p.level"] != "0" || v["p.total"] != "" {
			t.Errorf("the tick after it was unregistered: %v", v)
		}
		for _, d := range after[1:] {
			if v := values(d.Text); len(v) != 2 {
				t.Errorf("a tick after that: %v", v)
			}
		}
		s.stop()
	})
}

func TestSourcesThatAreUnregisteredAreNotKeptAlive(t *testing.T) {
	s := newService()
	var ticks, freed atomic.Int32
	defer s.register(func(t *Tick) { t.Gauge("stays", 1); ticks.Add(1) })()
	const connections = 20
	var unregister []func()
	for i := range connections {
		buffer := new([1 << 10]byte) // a connection's
		runtime.SetFinalizer(buffer, func(*[1 << 10]byte) { freed.Add(1) })
		unregister = append(unregister, s.register(func(t *Tick) { t.Gauge(fmt.Sprint("connection", i), int64(buffer[0])) }))
	}
	s.start(t, Config{Prefix: "p", Pause: minPause})
	defer s.stop()
	eventually(t, "two ticks", func() bool { return ticks.Load() >= 2 })
	for _, unregister := range unregister {
		unregister()
	}
	unregister = nil
	eventually(t, "the memory of sources that are gone is freed", func() bool {
		runtime.GC()
		return freed.Load() == connections
	})
}

func TestALevelOfASourceThatIsUnregisteredWhileItIsStuckEndsAtZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		block := make(chan struct{})
		calls := 0
		unregister := s.register(func(t *Tick) {
			t.Gauge("level", 5)
			if calls++; calls == 2 {
				<-block
			}
		})
		s.start(t, second)
		time.Sleep(3 * time.Second)
		unregister()
		time.Sleep(10 * time.Second)
		if got := s.last("p.level"); got != "0" {
			t.Errorf("while it is stuck, the server has level = %q", got)
		}
		close(block)
		time.Sleep(3 * time.Second)
		if got := s.last("p.level"); got != "0" {
			t.Errorf("after it has returned, the server has level = %q", got)
		}
		expectLogs(t, s, "publishing", "has not returned for 3 ticks")
		s.stop()
	})
}

func TestASourceMayTakeOverTheNamesOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		unregister := s.register(func(t *Tick) { t.Gauge("queue", 5) })
		s.start(t, second)
		time.Sleep(3 * time.Second)
		unregister()
		s.register(func(t *Tick) { t.Gauge("queue", 7) })
		time.Sleep(2 * time.Second)
		if got := s.last("p.queue"); got != "7" {
			t.Errorf("the server has queue = %q", got)
		}
		s.stop()
	})
}

func TestNoSourceIsCalledAfterStopOrAfterItWasUnregistered(t *testing.T) {
	for _, how := range []string{"Stop", "unregister"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				block := make(chan struct{})
				var over atomic.Bool
				s.register(func(*Tick) { <-block })
				unregister := s.register(func(*Tick) {
					if over.Load() {
						t.Error("the second source was called")
					}
				})
				s.start(t, second)
				time.Sleep(2 * time.Second)
				over.Store(true)
				if how == "Stop" {
					s.stop()
				} else {
					unregister()
				}
				close(block)
				time.Sleep(time.Second)
				s.stop()
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

func TestAPanicWhoseTextBlocksHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		ready := make(chan struct{})
		s.register(func(*Tick) { panic(slowError{ready}) })
		s.register(func(t *Tick) { t.Gauge("other", 1) })
		s.start(t, second)
		time.Sleep(10 * time.Second)
		if got := len(s.history("p.other")); got < 7 {
			t.Errorf("the other source came %d times", got)
		}
		start := time.Now()
		s.stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("Stop took %v", took)
		}
		close(ready)
	})
}

func TestATickIsOfNoUseAfterItsCall(t *testing.T) {
	new(Tick).Gauge("a zero Tick", 1)
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		kept := make(chan *Tick, 10)
		s.register(func(t *Tick) { kept <- t })
		s.start(t, second)
		time.Sleep(100 * time.Millisecond)
		stray := <-kept
		stray.Gauge("stray", 1)
		stray.CumulativeFloat("stray", 1)
		time.Sleep(3 * time.Second)
		s.stop()
		stray.Gauge("stray", 1)
		if got := s.history("p.stray"); got != nil {
			t.Errorf("a stray gauge was sent: %q", got)
		}
	})
}

func TestGoroutinesOfASourceMayUseItsTickWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(tick *Tick) {
			var all sync.WaitGroup
			for i := 0; i < 10; i++ {
				all.Add(1)
				go func() {
					defer all.Done()
					tick.Gauge(fmt.Sprintf("part.%d", i), 1)
				}()
			}
			all.Wait()
		})
		s.start(t, second)
		time.Sleep(100 * time.Millisecond)
		for i := 0; i < 10; i++ {
			if got := s.last(fmt.Sprintf("p.part.%d", i)); got != "1" {
				t.Errorf("part %d is %q", i, got)
			}
		}
		s.stop()
	})
}

func TestAMillionNamesCostAMillionNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) {
			for i := 0; i < 1_000_000; i++ {
				t.Gauge(fmt.Sprintf("n.%d", i), int64(i))
			}
			for i := 0; i < 1_000_000; i++ {
				t.Gauge("n.1", int64(i))
			}
			t.Gauge(strings.Repeat("x", 1<<20), 1)
		})
		s.start(t, Config{Prefix: "p", Pause: 1000 * time.Hour})
		time.Sleep(time.Second)
		lines := 0
		for _, d := range s.fake.Sent() {
			if len(d.Text) > 1432 {
				t.Fatalf("a datagram of %d bytes", len(d.Text))
			}
			lines += strings.Count(d.Text, "\n") + 1
		}
		if lines != 27+maxNames {
			t.Errorf("%d gauges were sent, want %d", lines, 27+maxNames)
		}
		s.stop()
		expectLogs(t, s, "publishing 27 gauges, and those of 1 source,", `custom gauges are dropped, the first of them being "n.4096"`)
	})
}

// TestNamesThatAreGoneMakeRoom has a source like an expvar.Map of which few keys
// are alive at a time.
func TestNamesThatAreGoneMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		n := 0
		s.register(func(t *Tick) {
			for i := 0; i < 50; i++ {
				t.Gauge(fmt.Sprintf("job.%d", n+i), 1)
			}
			n += 50
			t.Gauge("always", 1)
		})
		s.start(t, second)
		time.Sleep(1000 * time.Second)
		synctest.Wait() // for the source, which nobody else waits for
		if got := s.last(fmt.Sprintf("p.job.%d", n-1)); got != "1" {
			t.Errorf("the newest name is %q", got)
		}
		if slices.Contains(s.history("p.always"), "0") {
			t.Error("a name that is set at each tick made room")
		}
		if got := s.last("p.job.0"); got != "0" {
			t.Errorf("the oldest name is %q", got)
		}
		s.stop()
		// Whatever was sent of a level ended at 0.
		last := map[string]string{}
		for _, d := range s.fake.Sent() {
			for name, value := range values(d.Text) {
				last[name] = value
			}
		}
		for i := 0; i < n; i++ {
			if got := last[fmt.Sprintf("p.job.%d", i)]; got != "0" {
				t.Fatalf("the server is left with job %d of %d = %q", i, n, got)
			}
		}
		expectLogs(t, s, "publishing")
	})
}

// TestNamesThatAreGoneMakeRoomForAnotherSource has a source that once made many
// names up.
func TestNamesThatAreGoneMakeRoomForAnotherSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		n := 0
		s.register(func(t *Tick) {
			t.Gauge("always", 1)
			if n++; n == 1 {
				for i := 1; i < maxNames-1; i++ {
					t.Gauge(fmt.Sprintf("burst.%d", i), 1)
				}
			}
			if n%2 == 1 {
				t.Gauge("each.second.time", 1)
			}
		})
		s.register(func(t *Tick) { t.Gauge("other", 5) })
		s.start(t, second)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := s.last("p.other"); got != "5" {
			t.Errorf("the other source's gauge is %q", got)
		}
		if got := s.last("p.burst.1"); got != "0" {
			t.Errorf("a name that is gone is left at %q", got)
		}
		for _, name := range []string{"p.always", "p.each.second.time"} {
			if slices.Contains(s.history(name), "0") {
				t.Errorf("%s made room", name)
			}
		}
		s.stop()
		for _, name := range []string{"p.always", "p.each.second.time", "p.other"} {
			if got := s.last(name); got != "0" {
				t.Errorf("Stop leaves %s at %q", name, got)
			}
		}
		if got := s.history("p.burst.1"); len(got) != 2 {
			t.Errorf("the values of a name that is gone are %q, want one and a 0", got)
		}
		expectLogs(t, s, "publishing", `custom gauges are dropped, the first of them being "other"`)
	})
}

func TestNamesAndValuesAreMadeSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) {
			t.Gauge("a b|c:d@e#f\ng", 1)
			t.Gauge("balance", -5)
			t.GaugeFloat("load", 0.75)
			t.CumulativeFloat("nan", math.NaN())
			t.Gauge("whole", 1<<53+1)
		})
		s.start(t, Config{Prefix: "p", DisableCPU: true, DisableMem: true})
		time.Sleep(time.Second)
		s.stop()
		if got, want := s.fake.Sent()[0].Text, "p.a_b_c_d_e_f_g:1|g\np.balance:0|g\np.balance:-5|g\np.load:0.75|g\np.whole:9007199254740993|g"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestGaugesThatFitIntoNoDatagramAreDroppedWithOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		long := strings.Repeat("x", 255)
		s.register(func(t *Tick) { t.Gauge(long, 1); t.Gauge("short", 2) })
		cfg := second
		cfg.PacketSize = 256
		s.start(t, cfg)
		time.Sleep(10 * time.Second)
		s.stop()
		if s.history("p.short")[0] != "2" || s.history("p."+long) != nil {
			t.Errorf("sent %v", s.fake.Sent())
		}
		expectLogs(t, s, "publishing 2 gauges", "does not fit into a datagram of 256 bytes")
	})
}

// TestManyDatagramsAreSpread counts how many leave in the same millisecond.
func TestManyDatagramsAreSpread(t *testing.T) {
	most := func(s *service) (n int) {
		at := map[time.Time]int{}
		for _, d := range s.fake.Sent() {
			at[d.At]++
			n = max(n, at[d.At])
		}
		return n
	}
	for _, tt := range []struct {
		name   string
		gauges int
		pause  time.Duration
		most   int // datagrams at once
	}{
		{"few are sent at once", 600, 10 * time.Second, 100},
		{"many are spread", 4000, 10 * time.Second, 2},
		{"over half the pause", 4000, 100 * time.Millisecond, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				s.register(func(t *Tick) {
					for i := 0; i < tt.gauges; i++ {
						t.Gauge(fmt.Sprintf("a.name.of.thirty.characters.%04d", i), 1)
					}
				})
				s.start(t, Config{Prefix: "p", Pause: tt.pause, DisableMem: true})
				time.Sleep(tt.pause/2 + 2*time.Millisecond)
				if got := s.last(fmt.Sprintf("p.a.name.of.thirty.characters.%04d", tt.gauges-1)); got != "1" {
					t.Errorf("the last gauge was not sent within half a pause")
				}
				if n := most(s); n > tt.most {
					t.Errorf("%d datagrams were sent at once", n)
				}
				start := time.Now()
				s.stop()
				if took := time.Since(start); took > 500*time.Millisecond {
					t.Errorf("Stop took %v", took)
				}
				if got := s.last("p.a.name.of.thirty.characters.0000"); got != "0" {
					t.Errorf("the server is left with %q", got)
				}
			})
		})
	}
}

// TestAFaultOfTheLibraryAmongTheSourcesIsNotTheServices has a guest that meets a
// source without names.
func TestAFaultOfTheLibraryAmongTheSourcesIsNotTheServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.register(func(t *Tick) { t.Gauge("queue", 1) })
		s.start(t, second)
		time.Sleep(3 * time.Second)
		s.publisher.mu.Lock()
		s.publisher.sources = append(slices.Clip(s.publisher.sources), nil)
		s.publisher.mu.Unlock()
		before := len(s.ticks("p.cpu.goroutines"))
		time.Sleep(10 * time.Second)
		if n := len(s.ticks("p.cpu.goroutines")) - before; n < 9 {
			t.Errorf("%d ticks in ten seconds", n)
		}
		s.stop()
		if logged := s.logged(); len(logged) != 2 || !strings.Contains(logged[1], "internal error: ") {
			t.Errorf("logged %q", logged)
		}
	})
}
