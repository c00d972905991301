//go:build go1.25

package runtimemetrics

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link/fakenet"
)

func TestPublishingStartsSoonAfterParsing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "")
		s.setFlag(t, statsdFlag, "10.0.0.1")
		s.auto()
		time.Sleep(3*time.Second + 7*time.Millisecond) // the program takes its time
		if s.fake.Dialled() != 0 {
			t.Fatal("published before the flags were parsed")
		}
		s.parse() // package flag says so before it sets any
		parsed := time.Now()
		time.Sleep(5 * time.Millisecond)
		s.setFlag(t, prefixFlag, "late")
		time.Sleep(6 * time.Second)
		s.stop()
		sent := s.fake.Sent()
		// Twice the time that the program took, and the second of an automatic start.
		if wait := sent[0].At.Sub(parsed); wait < time.Second || wait > 5*time.Second {
			t.Errorf("the first tick came %v after flag.Parse", wait)
		}
		if !strings.HasPrefix(sent[0].Text, "late.cpu.goroutines:") {
			t.Errorf("a flag that was being set is not used: %q", sent[0].Text)
		}
		expectLogs(t, s, "publishing 27 gauges every 10s to udp 10.0.0.1:8125 as late.*")
	})
}

func TestTheEnvironmentAloneStartsAProgramThatNeverParses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "10.0.0.1:9125")
		start := time.Now()
		s.auto()
		time.Sleep(7 * time.Second)
		s.stop()
		if sent := s.fake.Sent(); len(sent) == 0 || sent[0].At.Sub(start) != 6*time.Second || sent[0].Peer != "10.0.0.1:9125" {
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
		s.setFlag(t, statsdFlag, "10.0.0.1") // as cobra does
		set := time.Now()
		time.Sleep(time.Second)
		s.setFlag(t, prefixFlag, "cobra")
		time.Sleep(10 * time.Second)
		s.stop()
		sent := s.fake.Sent()
		if len(sent) == 0 || sent[0].At.Sub(set) != 7*time.Second || !strings.HasPrefix(sent[0].Text, "cobra.") {
			t.Errorf("sent %v", sent)
		}
		expectLogs(t, s, "publishing 27 gauges")
	})
}

func TestAProgramInWhichNothingStartsIsToldOnceHow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PAUSE", "x")
		s.setFlag(t, statsdFlag, "10.0.0.1")
		s.auto()
		time.Sleep(59 * time.Second)
		expectLogs(t, s)
		time.Sleep(2 * time.Second)
		expectLogs(t, s, "RUNTIMEMETRICS_PAUSE", "flag.Parse")
		time.Sleep(time.Hour)
		expectLogs(t, s)
		s.parse() // very late
		time.Sleep(2 * time.Hour)
		expectLogs(t, s, "publishing 27 gauges")
		s.stop()
	})
}

// TestWhatEndsAtOnceSendsAndSaysNothing is a -version, or a health probe.
func TestWhatEndsAtOnceSendsAndSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.setFlag(t, statsdFlag, "10.0.0.1")
		s.parse()
		s.auto()
		time.Sleep(900 * time.Millisecond)
		s.stop() // or the process ends
		if sent := s.fake.Sent(); len(sent) != 0 {
			t.Errorf("sent %v", sent)
		}
		expectLogs(t, s)
	})
}

// TestAFlagThatIsSetLaterDoesNotHurryAnAutomaticStart is a command that sets one from
// its configuration file.
func TestAFlagThatIsSetLaterDoesNotHurryAnAutomaticStart(t *testing.T) {
	for _, server := range []string{"10.0.0.1", "stats"} {
		synctest.Test(t, func(t *testing.T) {
			s := newService("RUNTIMEMETRICS_STATSD", server)
			s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) {
				time.Sleep(100 * time.Millisecond)
				return fakenet.Addrs("10.0.0.1"), nil
			}
			s.parse()
			s.auto()
			start := time.Now()
			time.Sleep(150 * time.Millisecond)
			s.setFlag(t, prefixFlag, "p")
			time.Sleep(150 * time.Millisecond)
			s.setFlag(t, prefixFlag, "q")
			time.Sleep(time.Second)
			s.stop()
			sent := s.fake.Sent()
			if len(sent) == 0 || !strings.HasPrefix(sent[0].Text, "q.") || sent[0].At.Sub(start) < firstTick {
				t.Errorf("of %s: sent %v", server, sent)
			}
		})
	}
}

func TestTheNameIsResolvedWhileAnAutomaticStartWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService()
		s.setFlag(t, statsdFlag, "stats")
		s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			time.Sleep(700 * time.Millisecond)
			return fakenet.Addrs("10.0.0.7"), nil
		}
		s.parse()
		s.auto()
		time.Sleep(time.Second + 2*quiet)
		s.stop()
		// The last one is of zeros. The second may come at once after the first.
		if got := len(s.ticks("go.web1.example.com.cpu.goroutines")); got < 2 {
			t.Errorf("%d ticks", got)
		}
	})
}

// TestWhatIsNotUnderstoodAsASwitchIsOff is the switch in the environment.
func TestWhatIsNotUnderstoodAsASwitchIsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "never", "RUNTIMEMETRICS_STATSD", "10.0.0.1")
		s.parse()
		s.auto()
		time.Sleep(time.Minute)
		if s.running() || s.fake.Dialled() != 0 {
			t.Error("something is published")
		}
		expectLogs(t, s, "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS: must be true or false; using false")
	})
}

// TestANameThatResolvesAtOnceDoesNotHurryAnAutomaticStart keeps a command that ends
// at once silent.
func TestANameThatResolvesAtOnceDoesNotHurryAnAutomaticStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService("RUNTIMEMETRICS_STATSD", "stats")
		s.fake.Lookup = func(context.Context, string) ([]netip.Addr, error) {
			time.Sleep(100 * time.Millisecond)
			return fakenet.Addrs("10.0.0.7"), nil
		}
		s.auto()
		start := time.Now()
		time.Sleep(7 * time.Second)
		s.stop()
		if sent := s.fake.Sent(); len(sent) == 0 || sent[0].At.Sub(start) != 6*time.Second {
			t.Errorf("sent %v", sent)
		}
	})
}
