package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestOnePortThatComesBackIsOneProcess has the kernel hand out a port again that
// the same process has had before.
func TestOnePortThatComesBackIsOneProcess(t *testing.T) {
	f := newFeed()
	for i, port := range []uint16{40000, 50000, 35000, 45000, 40000} {
		for range 6 {
			f.send(port, fmt.Sprintf("go.h.mem.alloc:5|g\ngo.h.mem.total:%d|g", 100+i))
			f.after(time.Second)
		}
	}
	want(t, f.ids(), "go.h")
	want(t, len(f.find("go.h").times), 30)
}

// TestTwentyDaysOfOneProcess redials each minute, is restarted now and then, and
// loses a datagram of a hundred: never is it taken for two, and never a point lost
// that came.
func TestTwentyDaysOfOneProcess(t *testing.T) {
	t.Parallel()
	for day := range 20 {
		t.Run(fmt.Sprint("day ", day), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(day), 7))
			f := newFeed()
			port, total, hour, restarts := uint16(0), 0.0, 0, 0
			for second := range 86_400 {
				if second%60 == 0 {
					port = uint16(32768 + random.IntN(28232))
				}
				if random.IntN(10_000) == 0 { // a restart, with a port of its own
					port, total = uint16(32768+random.IntN(28232)), 0
					restarts++
				}
				total += random.Float64() * 1e6
				if random.IntN(100) > 0 {
					hour++
					f.add(f.now, netipPort(port), datagram{samples: []sample{{name: "go.h.mem.total", value: total}, {name: "go.h.mem.malloc", value: total / 100}}})
				}
				f.after(time.Second)
				if second%3600 == 3599 {
					svc := f.find("go.h")
					if n := len(svc.times); n < hour-2 || !slices.IsSorted(svc.times) {
						t.Fatalf("after %d s: %d points of %d", second, n, hour)
					}
					hour = 0
				}
				if len(f.services) > 1 {
					t.Fatalf("after %d s: %s", second, f.ids())
				}
			}
			t.Logf("%d restarts", restarts)
		})
	}
}

func TestTwoProcessesUnderOnePrefixAreToldApartOnceTheFirstIsBack(t *testing.T) {
	f := newFeed()
	for i := range 6 {
		for _, port := range []uint16{3, 2, 1} {
			f.send(port, fmt.Sprintf("a.mem.total:%d|g", 100*int(port)+i))
			f.after(300 * time.Millisecond)
		}
		f.after(100 * time.Millisecond)
	}
	want(t, f.ids(), "a a~2 a~3")
	want(t, f.curve("a", "mem.total|per second"), "[null,1,1,1,1,1]")
	want(t, f.values("a", "mem.total"), "[300 301 302 303 304 305]")
	want(t, f.values("a~2", "mem.total"), "[200 201 202 203 204 205]")
	want(t, f.values("a~3", "mem.total"), "[100 101 102 103 104 105]")
	// One of them redials, and each goes on with its own.
	f.send(3, "a.mem.total:306|g")
	f.after(300 * time.Millisecond)
	f.send(7, "a.mem.total:206|g")
	f.after(300 * time.Millisecond)
	f.send(1, "a.mem.total:106|g")
	want(t, f.values("a~2", "mem.total"), "[200 201 202 203 204 205 206]")
	want(t, f.ids(), "a a~2 a~3")
}

// values returns a gauge as it is kept.
func (f *feed) values(id, gauge string) string {
	if g := f.find(id).series[gauge]; g != nil {
		return fmt.Sprint(g.values)
	}
	return "none"
}

// TestTwoProcessesByOtherSigns has what ports do not show: long pauses, at which
// each tick has a new one, and a relay, behind which all have the same.
func TestTwoProcessesByOtherSigns(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pause  time.Duration
		port   func() uint16
		within int // ticks
	}{
		{"a new port at each tick, a minute apart", time.Minute, func() uint16 { return uint16(1 + rand.IntN(60000)) }, 6},
		{"a relay, from which all come", time.Second, func() uint16 { return 9 }, 6},
		{"a relay, ten seconds apart", 10 * time.Second, func() uint16 { return 9 }, 6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed()
			for i := range tt.within {
				f.send(tt.port(), fmt.Sprintf("a.mem.total:%d|g\na.mem.malloc:%d|g", 5000+10*i, 700+i))
				f.after(tt.pause / 4)
				f.send(tt.port(), fmt.Sprintf("a.mem.total:%d|g\na.mem.malloc:%d|g", 300+10*i, 20+i))
				f.after(tt.pause * 3 / 4)
			}
			want(t, f.ids(), "a a~2")
			// Only the first of them may have gone to the other.
			for id, value := range map[string]int{"a": 5000, "a~2": 300} {
				svc := f.find(id)
				if n := len(svc.times); n < tt.within-1 || n > tt.within+1 {
					t.Errorf("%s has %d points of %d", id, n, tt.within)
				}
				for _, v := range svc.series["mem.total"].values[2:] {
					if v < float64(value) || v > float64(value+10*tt.within) {
						t.Errorf("%s has the value %v", id, v)
					}
				}
			}
		})
	}
}

func TestTheRestartOfOneOfTwoUnderOnePrefixFindsItsOwnCurve(t *testing.T) {
	f := newFeed()
	n := 0
	both := func(a, b uint16, ofA, ofB, times int) {
		for range times {
			n++
			f.send(a, fmt.Sprintf("a.mem.total:%d|g", ofA+n))
			f.after(500 * time.Millisecond)
			f.send(b, fmt.Sprintf("a.mem.total:%d|g", ofB+n))
			f.after(500 * time.Millisecond)
		}
	}
	both(1, 2, 5000, 1000, 5)
	for range 10 { // the first is gone
		n++
		f.send(2, fmt.Sprintf("a.mem.total:%d|g", 1000+n))
		f.after(time.Second)
	}
	want(t, f.ids(), "(a) a~2")
	both(8, 2, 0, 1000, 5)
	want(t, f.ids(), "a a~2")
	want(t, len(f.find("a~2").times), 19) // two of 20 were half a second apart
	want(t, len(f.find("a").times), 10)
}

// TestNoneOfTheseAreTwo has what looks a little like two processes.
func TestNoneOfTheseAreTwo(t *testing.T) {
	for _, tt := range []struct {
		name string
		send func(f *feed, random *rand.Rand)
	}{
		{"a crash loop of one tick each", func(f *feed, random *rand.Rand) {
			for range 300 {
				size := 900_000 + random.IntN(100_000)
				f.send(uint16(1+random.IntN(60000)), fmt.Sprintf("a.mem.total:%d|g\na.mem.malloc:%d|g\na.mem.gc.count:%d|g", size, 3000+random.IntN(300), random.IntN(2)))
				f.after(time.Duration(5+random.IntN(20)) * time.Second)
			}
		}},
		{"a crash loop of three ticks each", func(f *feed, random *rand.Rand) {
			for range 300 {
				port := uint16(1 + random.IntN(60000))
				for tick := range 3 {
					f.send(port, fmt.Sprintf("a.mem.total:%d|g\na.mem.malloc:%d|g", 900_000+random.IntN(100_000)+500_000*tick, 3000+random.IntN(300)+1000*tick))
					f.after(time.Second)
				}
			}
		}},
		{"a datagram in a hundred that arrives after the next", func(f *feed, random *rand.Rand) {
			for i := range 3000 {
				at := i
				if i%100 == 50 {
					at++
				} else if i%100 == 51 {
					at--
				}
				f.send(1, fmt.Sprintf("a.mem.total:%d|g", 1000*at))
				f.after(time.Second)
			}
		}},
		{"one script with a port for each gauge", func(f *feed, random *rand.Rand) {
			for i := range 500 {
				for _, gauge := range []string{"mem.total", "mem.malloc", "mem.frees", "mem.gc.count", "mem.alloc", "cpu.goroutines"} {
					f.send(uint16(1+random.IntN(60000)), fmt.Sprintf("a.%s:%d|g", gauge, 1000+i))
				}
				f.after(10 * time.Second)
			}
		}},
		{"a restart that has soon passed what was before", func(f *feed, random *rand.Rand) {
			for i := range 40 {
				for tick := range 30 {
					f.send(uint16(1+i%3), fmt.Sprintf("a.mem.total:%d|g", 5000*tick))
					f.after(time.Second)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(20) {
				f := newFeed()
				tt.send(f, rand.New(rand.NewPCG(seed, 1)))
				if n := len(f.services); n != 1 {
					t.Errorf("with seed %d: %s", seed, f.ids())
				}
				if svc := f.find("a"); !slices.IsSorted(svc.times) {
					t.Errorf("with seed %d: the points are not in the order of time", seed)
				}
			}
		})
	}
}
