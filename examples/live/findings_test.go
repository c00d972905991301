package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

// world is what a service sends: each gauge by the seconds since it was started.
type world map[string]func(second float64) float64

func is(v float64) func(float64) float64 { return func(float64) float64 { return v } }

// grows is a cumulative gauge.
func grows(perSecond float64) func(float64) float64 {
	return func(t float64) float64 { return math.Floor(perSecond * t) }
}

const mega = 1 << 20

// healthy is a service with waves, rushes and a saw-tooth.
func healthy() world {
	wave := func(low, high, period float64) func(float64) float64 {
		return func(t float64) float64 { return math.Floor(low + (high-low)*(0.5+0.5*math.Sin(2*math.Pi*t/period))) }
	}
	return world{
		"cpu.goroutines":                        wave(12, 90, 48),
		"mem.malloc":                            grows(30_000),
		"mem.total":                             grows(9 * mega),
		"mem.sys":                               is(80 * mega),
		"mem.heap.sys":                          is(70 * mega),
		"mem.heap.alloc":                        func(t float64) float64 { return (20 + 25*math.Mod(t, 5)/5) * mega },
		"mem.gc.count":                          grows(0.2),
		"runtime.gc.heap.live.bytes":            wave(18*mega, 26*mega, 37),
		"runtime.gc.gomemlimit.bytes":           is(320 * mega),
		"runtime.gc.limiter.last-enabled":       is(0),
		"runtime.cpu.classes.total.ns":          grows(2e9),
		"runtime.cpu.classes.gc.total.ns":       grows(0.03e9),
		"runtime.cpu.classes.gc.mark.idle.ns":   grows(0.01e9),
		"runtime.cpu.classes.gc.mark.assist.ns": grows(0.005e9),
		"runtime.sched.latencies.ns.p99":        wave(20e3, 9e6, 13),
		"proc.fds":                              wave(20, 60, 100),
		"proc.fds_limit":                        is(1024),
		"cgroup.cpu.periods":                    grows(10),
		"cgroup.cpu.throttled_periods":          grows(0.2),
		"cgroup.memory.working_set.bytes":       wave(60*mega, 90*mega, 300),
		"cgroup.memory.limit.bytes":             is(400 * mega),
		"cgroup.memory.tightest.used.bytes":     wave(60*mega, 90*mega, 300),
		"cgroup.memory.tightest.limit.bytes":    is(400 * mega),
		"cgroup.memory.high.bytes":              is(0),
		"cgroup.memory.high_events":             is(0),
		"cgroup.memory.oom_kills":               is(2),
		"cgroup.pressure.memory.some.ns":        grows(0.01e9),
		"cgroup.pids.tightest.used":             is(20),
		"cgroup.pids.tightest.limit":            is(500),
		"proc.cpu.user.ns":                      grows(0.05e9),
		"proc.cpu.sys.ns":                       grows(0.01e9),
		"cgroup.cpu.quota_millicores":           is(2000),
		"proc.rss.bytes":                        wave(40*mega, 60*mega, 70),
		"proc.rss.anon.bytes":                   wave(30*mega, 50*mega, 70),
		"proc.rss.file.bytes":                   is(10 * mega),
		"proc.rss.bytes.upper":                  is(61 * mega),
		"leaks.goroutines":                      is(0),
		"leaks.checks":                          grows(0.01),
	}
}

// live sends a service's gauges each second from the second from until to.
func (f *feed) live(w world, from, to int, each func(second int)) {
	for second := from; second < to; second++ {
		var d datagram
		for name, value := range w {
			d.samples = append(d.samples, sample{name: "go.a." + name, value: value(float64(second))})
		}
		f.add(f.now, netipPort(7+f.port), d)
		if each != nil {
			each(second)
		}
		f.after(time.Second)
	}
}

// found returns the findings of a service as one text.
func (f *feed) found(id string) string {
	var all []string
	for _, found := range f.find(id).judge(f.now) {
		all = append(all, found.ID+": "+found.Text)
	}
	return strings.Join(all, "\n")
}

// changed returns a gauge that is another from a second on.
func changed(was func(float64) float64, at float64, by func(since float64) float64) func(float64) float64 {
	return func(t float64) float64 {
		if t < at {
			return was(t)
		}
		return was(t) + by(t-at)
	}
}

// TestFaultsAreFound has each fault begin after some ten minutes in a healthy service,
// what the page then says, and within how many seconds.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	const begin = 800
	fault := func(w world, gauge string, by func(since float64) float64) { w[gauge] = changed(w[gauge], begin, by) }
	for _, tt := range []struct {
		name   string
		fault  func(w world)
		want   string // of the finding, when it appears
		within int    // seconds
	}{
		{"goroutines leak", func(w world) { fault(w, "cpu.goroutines", grows(10)) },
			"RuntimemetricsGoroutineLeak: The least number of goroutines has risen for 6 minutes", 361},
		{"files leak", func(w world) { fault(w, "proc.fds", grows(0.5)) },
			"RuntimemetricsDescriptorLeak: The least number of open files has risen for 6 minutes", 400},
		{"the live heap leaks", func(w world) {
			fault(w, "runtime.gc.heap.live.bytes", func(s float64) float64 { return s * 2.1 * mega / 60 })
		},
			"RuntimemetricsHeapLeak: The heap's floor has risen for 6 minutes", 800},
		{"the live heap leaks fast", func(w world) {
			fault(w, "runtime.gc.heap.live.bytes", func(s float64) float64 { return s * 12 * mega / 60 })
		},
			"RuntimemetricsHeapLeak: The heap's floor has risen for 6 minutes", 361},
		{"the heap leaks in a service that sends the 27 only", func(w world) {
			delete(w, "runtime.gc.heap.live.bytes")
			fault(w, "mem.heap.alloc", func(s float64) float64 { return s * 12 * mega / 60 })
		}, "RuntimemetricsHeapLeak: The heap's floor has risen for 6 minutes", 361},
		{"the live heap is at its limit, and is collected all the time", func(w world) {
			fault(w, "runtime.gc.heap.live.bytes", is(290*mega))
			fault(w, "runtime.cpu.classes.gc.total.ns", grows(0.6e9))
		}, "RuntimemetricsGCDeathSpiral: GC takes", 45},
		{"the GC gives up its limit", func(w world) {
			w["runtime.gc.heap.live.bytes"] = is(200 * mega)
			fault(w, "runtime.gc.limiter.last-enabled", grows(0.1))
		},
			"RuntimemetricsGCLimiterEngaged: Go has cut garbage collection short, 3 times within 10 minutes", 31},
		{"goroutines help the GC", func(w world) { fault(w, "runtime.cpu.classes.gc.mark.assist.ns", grows(0.4e9)) },
			"RuntimemetricsAssistPressure: Goroutines that allocate spend 10 % of the CPU on helping the garbage collector.", 100},
		{"more runs than there are processors", func(w world) { fault(w, "runtime.sched.latencies.ns.p99", is(300e6)) },
			"RuntimemetricsSchedulerSaturation: Goroutines wait 3", 62},
		{"the CPU quota is used up", func(w world) {
			fault(w, "runtime.sched.latencies.ns.p99", is(40e6))
			fault(w, "cgroup.cpu.throttled_periods", grows(3))
		}, "RuntimemetricsCPUThrottled: Goroutines wait 4", 62},
		{"the container's memory is nearly full", func(w world) { fault(w, "cgroup.memory.tightest.used.bytes", is(330*mega)) },
			"RuntimemetricsContainerNearOOM: The working set is", 200},
		{"the same where nothing is known of levels", func(w world) {
			delete(w, "cgroup.memory.tightest.used.bytes")
			delete(w, "cgroup.memory.tightest.limit.bytes")
			fault(w, "cgroup.memory.working_set.bytes", is(330*mega))
		}, "RuntimemetricsContainerNearOOM: The working set is", 200},
		{"the kernel kills", func(w world) { fault(w, "cgroup.memory.oom_kills", is(1)) },
			"RuntimemetricsOOMKilled: The kernel has killed a process in its container because memory ran out, once within 15 minutes.", 2},
		{"threads wait for memory", func(w world) { fault(w, "cgroup.pressure.memory.some.ns", grows(0.7e9)) },
			"RuntimemetricsMemoryStall: Threads wait for memory 40 % of the time.", 100},
		{"memory.high is used up", func(w world) {
			fault(w, "cgroup.memory.high.bytes", is(64*mega))
			fault(w, "cgroup.memory.high_events", grows(5))
		}, "RuntimemetricsMemoryThrottled: memory.high is used up", 300},
		{"threads are nearly as many as may be", func(w world) { fault(w, "cgroup.pids.tightest.used", is(450)) },
			"RuntimemetricsPidsNearLimit: 470 of 500 threads and processes are there", 32},
		{"descriptors are nearly used up", func(w world) { fault(w, "proc.fds", is(950)) },
			"RuntimemetricsDescriptorsNearLimit: 9", 100},
		{"a goroutine can never be woken", func(w world) { fault(w, "leaks.goroutines", is(1)) },
			"RuntimemetricsGoroutinesLeaked: 1 goroutine leaked: nobody can wake it any more (see the log).", 2},
		{"several can never be woken", func(w world) { fault(w, "leaks.goroutines", is(7)) },
			"RuntimemetricsGoroutinesLeaked: 7 goroutines leaked", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := healthy()
			tt.fault(w)
			f := newFeed()
			f.live(w, 0, begin, nil)
			want(t, f.found("go.a"), "")
			at := -1
			f.live(w, begin, begin+tt.within+1, func(second int) {
				if text := f.found("go.a"); at < 0 && text != "" {
					at = second - begin
					if !strings.HasPrefix(text, tt.want) || strings.Contains(text, "\n") {
						t.Errorf("got  %s\nwant %s", text, tt.want)
					}
				}
			})
			if at < 0 {
				t.Errorf("it was not found within %d s", tt.within)
			}
			t.Logf("after %d s", at)
		})
	}
}

// TestTheTextOfALeakIsItsPace has a leak that has gone on for longer than what is
// looked back at first.
func TestTheTextOfALeakIsItsPace(t *testing.T) {
	w := healthy()
	w["runtime.gc.heap.live.bytes"] = func(t float64) float64 { return 20*mega + t*2.1*mega/60 }
	w["cpu.goroutines"] = func(t float64) float64 { return math.Floor(20 + t/3) }
	w["proc.fds"] = func(t float64) float64 { return math.Floor(20 + t/6) }
	f := newFeed()
	f.live(w, 0, 1900, nil)
	want(t, f.found("go.a"), `RuntimemetricsGoroutineLeak: The least number of goroutines has risen for 24 minutes, 20 a minute, and the work has not.
RuntimemetricsHeapLeak: The heap's floor has risen for 24 minutes, 2.1 MiB a minute, and the work has not. At this pace GOMEMLIMIT is 114 minutes away.
RuntimemetricsDescriptorLeak: The least number of open files has risen for 24 minutes, 10 a minute, and the work has not.`)
	w["runtime.gc.gomemlimit.bytes"] = is(120 * mega)
	f.live(w, 1900, 1901, nil)
	if text := f.found("go.a"); !strings.Contains(text, "At this pace GOMEMLIMIT is 19 minutes away.") {
		t.Error(text)
	}
}

func TestAnHourOfAHealthyServiceIsWithoutAFinding(t *testing.T) {
	t.Parallel()
	f := newFeed()
	f.live(healthy(), 0, 3700, func(second int) {
		if text := f.found("go.a"); text != "" {
			t.Fatalf("after %d s: %s", second, text)
		}
	})
}

// TestWhatIsNoFault has what looks a little like one.
func TestWhatIsNoFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(w world)
	}{
		{"a cache that fills in the first minutes", func(w world) {
			w["runtime.gc.heap.live.bytes"] = func(t float64) float64 { return (20 + 100*min(1, t/400)) * mega }
		}},
		{"a morning, with more goroutines and as much more work", func(w world) {
			w["cpu.goroutines"] = func(t float64) float64 { return math.Floor(100 + 400*t/3600) }
			w["mem.malloc"] = func(t float64) float64 { return 20_000*t + 20_000*4*t*t/3600/2 }
		}},
		{"a live heap near GOMEMLIMIT that is hardly collected", func(w world) { w["runtime.gc.heap.live.bytes"] = is(300 * mega) }},
		{"a GC that is limited on a busy machine, far from GOMEMLIMIT", func(w world) { w["runtime.gc.limiter.last-enabled"] = grows(0.1) }},
		{"and without GOMEMLIMIT", func(w world) {
			w["runtime.gc.limiter.last-enabled"] = grows(0.1)
			w["runtime.gc.heap.live.bytes"] = is(300 * mega)
			w["runtime.gc.gomemlimit.bytes"] = is(0)
		}},
		{"much garbage with much room", func(w world) { w["runtime.cpu.classes.gc.total.ns"] = grows(0.6e9) }},
		{"collections on processors that have nothing else to do", func(w world) {
			w["runtime.gc.heap.live.bytes"] = is(300 * mega)
			w["runtime.cpu.classes.gc.total.ns"] = grows(0.6e9)
			w["runtime.cpu.classes.gc.mark.idle.ns"] = grows(0.5e9)
		}},
		{"a quota that is used well, and nobody waits", func(w world) { w["cgroup.cpu.throttled_periods"] = grows(5) }},
		{"a hiccup of a minute in ten", func(w world) {
			w["runtime.sched.latencies.ns.p99"] = func(t float64) float64 {
				if math.Mod(t, 600) < 50 {
					return 900e6
				}
				return 1e6
			}
		}},
		{"no limits at all", func(w world) {
			for gauge := range w {
				if strings.Contains(gauge, "limit") && gauge != "runtime.gc.limiter.last-enabled" {
					w[gauge] = is(0)
				}
			}
		}},
		{"nothing but the 27", func(w world) {
			for gauge := range w {
				if known[gauge] == 0 && !strings.HasPrefix(gauge, "cpu.") && !strings.HasPrefix(gauge, "mem.") {
					delete(w, gauge)
				}
			}
		}},
		{"a cache that is emptied every seven minutes", func(w world) {
			w["runtime.gc.heap.live.bytes"] = func(t float64) float64 { return (10 + 40*math.Mod(t, 420)/420) * mega }
		}},
		{"zeros", func(w world) {
			for gauge := range w {
				w[gauge] = is(0)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := healthy()
			tt.change(w)
			f := newFeed()
			f.live(w, 0, 2400, func(second int) {
				if second%5 > 0 {
					return
				}
				if text := f.found("go.a"); text != "" {
					t.Fatalf("after %d s: %s", second, text)
				}
			})
		})
	}
}

func TestFindingsStayShortWhateverIsSent(t *testing.T) {
	w := healthy()
	for gauge := range w {
		w[gauge] = is(math.MaxFloat64)
	}
	f := newFeed()
	f.live(w, 0, 1000, nil)
	for _, text := range strings.Split(f.found("go.a"), "\n") {
		if len(text) > 200 {
			t.Error(text)
		}
	}
}

func TestRestartsAreFoundUnlessTheySayGoodbye(t *testing.T) {
	for _, tt := range []struct {
		name    string
		lives   int
		pause   time.Duration
		goodbye bool
		want    string
	}{
		{"a crash loop", 4, 20 * time.Second, false, "RuntimemetricsCrashLoop: It has been restarted 3 times within 15 minutes."},
		{"one whose pauses are long", 6, 9 * time.Minute, false, "RuntimemetricsCrashLoop: It has been restarted 5 times within an hour."},
		{"two restarts", 3, 20 * time.Second, false, ""},
		{"a job that ends and begins again", 10, 20 * time.Second, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed()
			for life := range tt.lives {
				if life > 0 {
					f.after(tt.pause)
				}
				f.port++
				f.live(healthy(), 5, 45, nil)
				if tt.goodbye {
					f.send(7+f.port, "go.a.cpu.goroutines:0|g", "go.a.mem.heap.alloc:0|g")
				}
			}
			want(t, f.found("go.a"), tt.want)
		})
	}
}

// TestTwoProcessesAreNoCrashLoop has them fall and rise all the time.
func TestTwoProcessesAreNoCrashLoop(t *testing.T) {
	f := newFeed()
	for i := range 300 {
		f.send(1, fmt.Sprintf("go.a.mem.total:%d|g\ngo.a.cpu.goroutines:5|g", 9000+i))
		f.after(500 * time.Millisecond)
		f.send(2, fmt.Sprintf("go.a.mem.total:%d|g\ngo.a.cpu.goroutines:5|g", 1000+i))
		f.after(500 * time.Millisecond)
		if text := f.found("go.a"); text != "" {
			t.Fatalf("after %d s: %s", i, text)
		}
	}
}

// TestEachFindingHasAPlaceInTheDocumentation and a chart that shows it.
func TestEachFindingHasAPlaceInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var charts []string
	for _, s := range chartedSections {
		for _, c := range s.Charts {
			charts = append(charts, c.ID)
		}
	}
	for _, r := range rules {
		if !strings.Contains(string(text), "\n## "+r.alert+"\n") {
			t.Errorf("docs/alerts.md has no %s", r.alert)
		}
		if !slices.Contains(charts, r.chart) {
			t.Errorf("%s: there is no chart %s", r.alert, r.chart)
		}
		if r.next == "" {
			t.Errorf("%s does not say what to do", r.alert)
		}
	}
}

// TestAnHourOfTheSampleIsWithoutAFinding runs the sample service with the library
// for an hour by a clock that does not wait. What it measures of itself is real: the
// heap, the garbage collections, the waits. It has a tenth of its load and its
// cache, as it has no time to rest, and a process of its own, because the library's
// channels belong to that clock for good.
func TestAnHourOfTheSampleIsWithoutAFinding(t *testing.T) {
	t.Parallel()
	if os.Getenv("LIVE_SAMPLE") == "" {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestAnHourOfTheSampleIsWithoutAFinding$")
		cmd.Env = append(os.Environ(), "LIVE_SAMPLE=1")
		out, err := cmd.CombinedOutput()
		if t.Logf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	f := newFeed()
	received := make(chan bool, 10_000)
	done := make(chan bool)
	ticks := 0
	// That goroutines wait for a processor is so where others use the machine.
	said := map[string]bool{"RuntimemetricsSchedulerSaturation": true}
	go func() {
		defer close(done)
		for buf := make([]byte, 1<<16); ; {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := conn.Read(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// A tick is a datagram of the library's own gauges, and one of the others.
			// Nobody waits for ever for one that is lost.
			text := string(buf[:n])
			if err != nil || strings.Contains(text, ".mem.alloc:") {
				f.after(time.Second)
				ticks++
				received <- true
			}
			if err != nil {
				continue
			}
			f.add(f.now, netipPort(7), f.p.parse(text))
			for _, wrong := range f.find(samplePrefix).judge(f.now) {
				if !said[wrong.ID] {
					said[wrong.ID] = true
					t.Errorf("after %d ticks: %s: %s", ticks, wrong.ID, wrong.Text)
				}
			}
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(false)
		s.rate, s.limit = s.rate/10, s.limit/10
		err := runtimemetrics.Start(runtimemetrics.Config{StatsD: conn.LocalAddr().String(), Prefix: samplePrefix,
			Pause: time.Second, Runtime: []string{"default"}, PacketSize: 65507, Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		defer runtimemetrics.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var pace sync.WaitGroup
		defer pace.Wait()
		pace.Go(func() { // keeps the clock from running ahead of the datagrams
			for ctx.Err() == nil {
				time.Sleep(time.Second)
				select {
				case <-received:
				case <-ctx.Done():
				}
			}
		})
		s.run(ctx)
	})
	conn.Close()
	<-done
	t.Logf("%d ticks", ticks)
	if ticks < 3500 {
		t.Errorf("%d ticks of 3600 have come", ticks)
	}
}
