package main

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

var (
	epoch  = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	sender = netip.MustParseAddrPort("127.0.0.1:40001")
)

// feed is a store and the clock of the test.
type feed struct {
	*store
	now  moment
	p    *parser
	port uint16 // see live
}

func newFeed() *feed {
	return &feed{store: newStore(), now: moment{run: 5000, wall: epoch.UnixMilli()}, p: newParser()}
}

// send puts in a datagram as it arrives from a port.
func (f *feed) send(port uint16, lines ...string) {
	f.add(f.now, netip.AddrPortFrom(sender.Addr(), port), f.p.parse(strings.Join(lines, "\n")))
}

func netipPort(port uint16) netip.AddrPort { return netip.AddrPortFrom(sender.Addr(), port) }

func (f *feed) after(d time.Duration) { f.now = f.now.plus(d.Milliseconds()) }

// ids returns the services that the page lists, those that are gone in
// parentheses.
func (f *feed) ids() string {
	var ids []string
	for _, s := range f.answer(f.now, query{}, "").Services {
		if s.Gone != nil {
			s.ID = "(" + s.ID + ")"
		}
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

// curve returns what the page shows of a gauge of a service.
func (f *feed) curve(id, key string) string {
	a := f.answer(f.now, query{id: id, span: history}, "")
	if a.Shown == nil || a.Shown.ID != id {
		return "no such service"
	}
	b, err := a.Shown.Values[key].MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func want[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPrefixIsWhatStandsBeforeAKnownGauge(t *testing.T) {
	for _, tt := range []struct {
		name, prefix, gauge string
		ok                  bool
	}{
		{"go.web1.cpu.goroutines", "go.web1", "cpu.goroutines", true},
		{"go.web1.eu.example.net.mem.heap.alloc", "go.web1.eu.example.net", "mem.heap.alloc", true},
		{"mem.gc.count", "", "mem.gc.count", true},
		{"go.mem.mem.sys", "go.mem", "mem.sys", true}, // a host called mem
		{"go.mem.heap.sys", "go", "mem.heap.sys", true},
		{"gomem.heap.sys", "", "", false}, // no dot before it
		{"go.web1.proc.rss.bytes", "", "", false},
		{"goroutines", "", "", false},
		{".mem.sys", "", "mem.sys", true},
		{"", "", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			prefix, gauge, ok := splitName(tt.name)
			want(t, fmt.Sprint(prefix, "|", gauge, "|", ok), fmt.Sprint(tt.prefix, "|", tt.gauge, "|", tt.ok))
		})
	}
}

func TestNoKnownGaugeEndsInAnother(t *testing.T) {
	for a := range known {
		for b := range known {
			if strings.HasSuffix(a, "."+b) {
				t.Errorf("%s ends in %s: where a prefix ends would be a guess", a, b)
			}
		}
	}
}

func TestServicesAreToldApartByPrefixSenderAndTags(t *testing.T) {
	f := newFeed()
	f.send(1, "go.a.cpu.goroutines:1|g")
	f.send(2, "go.b.cpu.goroutines:2|g")
	f.send(3, "go.a.cpu.goroutines:3|g|#env:prod")
	f.add(f.now, netip.MustParseAddrPort("[::ffff:10.0.0.9]:5"), f.p.parse("go.a.cpu.goroutines:4|g"))
	want(t, f.ids(), "go.a go.a~2 go.a~3 go.b")
	want(t, f.curve("go.a", "cpu.goroutines|"), "[1]")
	want(t, f.curve("go.a~2", "cpu.goroutines|"), "[3]")
	want(t, f.curve("go.a~3", "cpu.goroutines|"), "[4]")
	want(t, f.services[3].sentFrom(), "10.0.0.9:5")
}

func TestFurtherGaugesBelongToTheLongestPrefixOfTheirSender(t *testing.T) {
	f := newFeed()
	f.send(1, "go.a.cpu.goroutines:1|g", "go.a.shop.carts:5|g")
	f.send(2, "go.a.b.cpu.goroutines:1|g", "go.a.b.shop.carts:6|g")
	f.send(3, "temperature:20|g")
	f.add(f.now, netip.MustParseAddrPort("10.0.0.9:1"), f.p.parse("go.a.shop.carts:7|g"))
	want(t, f.ids(), "go.a go.a.b other gauges other gauges~2")
	want(t, f.curve("go.a", "shop.carts|"), "[5]")
	want(t, f.curve("go.a.b", "shop.carts|"), "[6]")
	want(t, f.curve("other gauges", "temperature|"), "[20]")
	want(t, f.curve("other gauges~2", "go.a.shop.carts|"), "[7]")
}

func TestGaugesThatCameBeforeTheirPrefixWasKnownAreClaimed(t *testing.T) {
	f := newFeed()
	f.send(1, "go.a.shop.carts:5|g")
	want(t, f.ids(), "other gauges")
	f.send(1, "go.a.cpu.goroutines:1|g")
	want(t, f.ids(), "go.a")
	want(t, f.total, 1)
	f.send(1, "go.a.shop.carts:6|g")
	want(t, f.curve("go.a", "shop.carts|"), "[6]")
}

func TestAServiceWithoutPrefixDoesNotTakeWhatOthersSend(t *testing.T) {
	f := newFeed()
	f.send(1, "cpu.goroutines:1|g", "shop.carts:5|g")
	f.send(2, "temperature:20|g")
	want(t, f.ids(), "no prefix other gauges")
	want(t, f.curve("no prefix", "shop.carts|"), "[5]")
}

func TestSignedGaugesAreChanges(t *testing.T) {
	f := newFeed()
	for _, lines := range []string{"x:-5|g", "x:+7|g", "x:10|g", "x:0|g\nx:-3|g", "x:-1|g|#a:b"} {
		f.send(1, lines)
		f.after(time.Second)
	}
	want(t, f.curve("other gauges", "x|"), "[-5,2,10,-3,null]")
	want(t, f.curve("other gauges", "x{a:b}|"), "[null,null,null,null,-1]")
}

func TestATickThatIsSplitIsOneFrame(t *testing.T) {
	f := newFeed()
	for i := range 3 {
		f.send(1, fmt.Sprintf("a.cpu.goroutines:%d|g", i))
		f.after(2 * time.Millisecond)
		f.send(1, fmt.Sprintf("a.mem.sys:%d|g", 10+i))
		f.after(998 * time.Millisecond)
	}
	want(t, f.curve("a", "cpu.goroutines|"), "[0,1,2]")
	want(t, f.curve("a", "mem.sys|"), "[10,11,12]")
}

func TestARedialOrARestartGoesOnWithTheSameCurve(t *testing.T) {
	f := newFeed()
	for i := range 6 {
		f.send(uint16(1+i/3), fmt.Sprintf("a.cpu.goroutines:%d|g", i)) // another port after 3 s
		f.after(time.Second)
	}
	want(t, f.ids(), "a")
	f.after(20 * time.Second)
	want(t, f.ids(), "(a)")
	f.send(9, "a.cpu.goroutines:6|g")
	want(t, f.ids(), "a")
	want(t, f.curve("a", "cpu.goroutines|"), "[0,1,2,3,4,5,6]")
}

func TestAServiceThatStopsIsGoneAfterThreeOfItsIntervals(t *testing.T) {
	for _, tt := range []struct{ pause, after time.Duration }{
		{100 * time.Millisecond, 3 * time.Second}, // never sooner
		{time.Second, 3 * time.Second},
		{10 * time.Second, 30 * time.Second},
		{time.Minute, 3 * time.Minute},
	} {
		t.Run(tt.pause.String(), func(t *testing.T) {
			f := newFeed()
			f.send(1, "a.cpu.goroutines:1|g")
			f.after(tt.pause / 7) // the second tick comes after a random part
			for range 50 {
				f.send(1, "a.cpu.goroutines:1|g")
				f.after(tt.pause)
			}
			f.after(tt.after - tt.pause - 10*time.Millisecond)
			want(t, f.ids(), "a")
			f.after(tt.pause + 100*time.Millisecond)
			want(t, f.ids(), "(a)")
			gone := f.answer(f.now, query{}, "").Services[0].Gone
			if *gone < tt.after.Seconds() {
				t.Errorf("gone since %v s, sooner than %v", *gone, tt.after)
			}
		})
	}
}

func TestAFreshServiceIsNotTakenForGoneBetweenItsFirstTicks(t *testing.T) {
	f := newFeed()
	f.send(1, "a.cpu.goroutines:1|g")
	f.after(1200 * time.Millisecond)
	f.send(1, "a.cpu.goroutines:1|g")
	for range 10 {
		want(t, f.ids(), "a")
		f.after(time.Second)
	}
}

func TestWhatIsGoneForAnHourIsForgotten(t *testing.T) {
	f := newFeed()
	f.send(1, "a.cpu.goroutines:1|g")
	f.after(history / 2)
	f.send(2, "b.cpu.goroutines:1|g")
	f.after(history/2 + time.Second)
	want(t, f.ids(), "(b)")
	f.after(history)
	want(t, f.ids(), "")
	want(t, f.total, 0)
	if a := f.answer(f.now, query{}, ""); a.Shown != nil {
		t.Errorf("there is nothing left to show, but %v is", a.Shown.ID)
	}
}

func TestAGaugeThatNoLongerComesIsForgottenAfterAnHour(t *testing.T) {
	f := newFeed()
	f.send(1, "a.cpu.goroutines:1|g", "a.shop.carts:1|g")
	for range int(history/time.Minute) + 3 {
		f.after(time.Minute)
		f.send(1, "a.cpu.goroutines:1|g")
	}
	want(t, f.total, 1)
}

func TestServicesAreLimitedAndTheLongestGoneMakesRoom(t *testing.T) {
	f := newFeed()
	f.send(1, "old.cpu.goroutines:1|g")
	f.after(time.Minute)
	for i := range maxServices - 1 {
		f.send(uint16(2+i), fmt.Sprintf("s%d.cpu.goroutines:1|g", i))
	}
	want(t, len(f.services), maxServices)
	f.send(1000, "new.cpu.goroutines:1|g")
	if ids := f.ids(); !strings.Contains(ids, "new") || strings.Contains(ids, "old") {
		t.Errorf("new has not taken the place of old: %s", ids)
	}
	f.send(1001, "another.cpu.goroutines:1|g")
	want(t, len(f.services), maxServices)
	want(t, len(f.answer(f.now, query{}, "").Notices), 1)
}

func TestGaugesAreLimited(t *testing.T) {
	f := newFeed()
	f.send(1, "a.cpu.goroutines:1|g")
	f.send(2, "b.cpu.goroutines:1|g")
	for i := range 2 * maxOwn {
		f.send(1, fmt.Sprintf("a.x%d:1|g", i))
	}
	want(t, f.total, maxOwn+1)
	f.send(2, "b.y:1|g")
	want(t, f.total, maxOwn+2)
	want(t, len(f.answer(f.now, query{}, "").Notices), 1)
}

// real is a service that ticks once a second while others flood the store.
func (f *feed) real(seconds int, flood func(second int)) {
	for i := range seconds {
		f.send(40000, fmt.Sprintf("go.real.mem.total:%d|g", f.now.run), "go.real.cpu.goroutines:1|g")
		if flood != nil {
			flood(i)
		}
		f.after(time.Second)
	}
}

func (f *feed) find(id string) *service {
	for _, svc := range f.services {
		if svc.id == id {
			return svc
		}
	}
	return &service{}
}

// flood sends gauges of services that nobody knows, n of them, one in each datagram.
func (f *feed) flood(port uint16, first, n int) {
	for i := range n {
		f.send(port, fmt.Sprintf("e%d.mem.alloc:1|g", first+i))
	}
}

func TestAFloodOfNamesLeavesARealServiceItsPlaceAndItsPast(t *testing.T) {
	for _, tt := range []struct {
		name   string
		within func(f *feed)
		frames int // that it has at least
	}{
		{"while it ticks", func(f *feed) {
			f.real(600, nil)
			f.flood(1, 0, 100_000)
		}, 600},
		{"while it restarts", func(f *feed) {
			f.real(600, nil)
			f.flood(1, 0, 1000)
			f.after(4 * time.Second)
			f.flood(1, 10_000, 1000)
			f.real(10, nil)
		}, 610},
		{"each half a minute, since before it came", func(f *feed) {
			for range 10 {
				f.flood(1, 0, maxServices)
				f.after(29 * time.Second)
			}
			f.real(600, func(i int) {
				if i%29 == 0 {
					f.flood(1, 0, maxServices)
				}
			})
		}, 600},
		{"a new name in each moment", func(f *feed) {
			n := 0
			f.real(600, func(int) {
				f.flood(1, n, 50)
				n += 50
			})
		}, 600},
		{"of names that came once, a minute ago", func(f *feed) {
			f.flood(1, 0, maxServices)
			f.after(time.Minute)
			f.real(60, nil)
		}, 60},
		{"from 5,000 ports in its own name", func(f *feed) {
			f.real(3600, nil)
			for port := range uint16(5000) {
				f.send(port+1, "go.real.mem.alloc:1|g")
			}
		}, 3599},
		{"from 5,000 ports, each with a shorter past", func(f *feed) {
			f.real(3600, nil)
			for port := range uint16(5000) {
				f.send(port+1, fmt.Sprintf("go.real.mem.total:%d|g", 5000-int(port)))
			}
			f.real(30, nil)
		}, 3500},
		{"from 5,000 ports, each with another past", func(f *feed) {
			f.real(3600, nil)
			for port := range uint16(5000) {
				f.send(port+1, fmt.Sprintf("go.real.mem.total:%d|g", int(port)*7919%1000))
			}
			f.real(30, nil)
		}, 3599},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed()
			tt.within(f)
			svc := f.find("go.real")
			if len(svc.times) < tt.frames || len(svc.series) < 2 {
				t.Errorf("it has %d frames and %d gauges, want at least %d and 2", len(svc.times), len(svc.series), tt.frames)
			}
			if covers := int(f.now.run-svc.times[0]) / 1000; covers < tt.frames-1 {
				t.Errorf("its past is %d s, want %d", covers, tt.frames-1)
			}
			if !slices.IsSorted(svc.times) {
				t.Error("its points are not in the order of time")
			}
			if n := len(f.services); n > maxServices {
				t.Errorf("%d services", n)
			}
		})
	}
}

func TestGaugesThatHaveEndedMakeRoom(t *testing.T) {
	for _, tt := range []struct {
		name  string
		flood func(f *feed)
	}{
		{"which came once, from four addresses", func(f *feed) {
			for i := range maxSeries {
				from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i/maxOwn)}), 9)
				f.add(f.now, from, f.p.parse(fmt.Sprintf("x.g%d:1|g", i)))
			}
			f.after(time.Second)
		}},
		{"which came often, and have ended", func(f *feed) {
			for range 20 {
				for i := range maxSeries {
					from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i/maxOwn)}), 9)
					f.add(f.now, from, datagram{samples: []sample{{name: fmt.Sprintf("x.g%d", i), value: 1}}})
				}
				f.after(time.Second)
			}
			f.after(20 * time.Second)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed()
			tt.flood(f)
			want(t, f.total, maxSeries)
			f.real(1, nil)
			want(t, len(f.find("go.real").series), 2)
			want(t, f.total, maxSeries)
			want(t, len(f.answer(f.now, query{}, "").Notices), 0)
		})
	}
}

func TestAServiceWithTooManyGaugesKeepsTheSameOnes(t *testing.T) {
	f := newFeed()
	var lines []string
	for i := range maxOwn + 10 {
		lines = append(lines, fmt.Sprintf("a.x%04d:1|g", i))
	}
	lines[0] = "a.cpu.goroutines:1|g"
	var kept string
	for i := range 30 {
		f.send(1, lines...)
		f.after(time.Second)
		if i == 0 {
			kept = strings.Join(slices.Sorted(maps.Keys(f.find("a").series)), " ")
		}
	}
	if got := strings.Join(slices.Sorted(maps.Keys(f.find("a").series)), " "); got != kept {
		t.Error("they are others than at first")
	}
	want(t, len(f.find("a").series), maxOwn)
	want(t, len(f.answer(f.now, query{}, "").Notices), 1)
	f.after(2 * time.Minute)
	want(t, len(f.answer(f.now, query{}, "").Notices), 0) // it is over
}

func TestTheClockOnTheWallIsSet(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -10 * time.Second, 2 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			f := newFeed()
			for i := range 600 {
				if i == 300 {
					f.now.wall += step.Milliseconds()
				}
				f.send(1, fmt.Sprintf("a.cpu.goroutines:%d|g", i))
				f.after(time.Second)
			}
			svc := f.find("a")
			want(t, len(svc.times), 600)
			want(t, svc.times[599]-svc.times[0], 599_000)
			want(t, f.ids(), "a")
		})
	}
}

func TestAgesAreByTheClockOfTheMoment(t *testing.T) {
	f := newFeed()
	for i := range 4 {
		if i == 2 {
			f.now.wall -= historyMS
		}
		f.send(1, fmt.Sprintf("a.mem.gc.last:%d|g", (f.now.wall-5000)*1e6))
		f.after(time.Second)
	}
	want(t, f.curve("a", "mem.gc.last|age"), "[5000000000,5000000000,5000000000,5000000000]")
}

// TestTheTwoClocks has what they show in milliseconds: the monotonic one, the one
// on the wall, and how much time has passed.
func TestTheTwoClocks(t *testing.T) {
	for _, tt := range []struct {
		name            string
		monotonic, wall int64
		want            int64
	}{
		{"both go on", 1000, 1000, 1000},
		{"the wall's is set back an hour", 1000, 1000 - 3_600_000, 1000},
		{"the wall's is a little ahead", 1000, 31_000, 1000},
		{"the machine has slept for eight hours", 1000, 1000 + 8*3_600_000, 1000 + 8*3_600_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &clock{last: moment{run: 0, wall: 1_800_000_000_000}}
			got := c.advance(tt.monotonic, 1_800_000_000_000+tt.wall)
			want(t, got, moment{tt.want, 1_800_000_000_000 + tt.wall})
			next := c.advance(tt.monotonic+1000, 1_800_000_000_000+tt.wall+1000)
			want(t, next.run-got.run, 1000)
		})
	}
}

// TestAnHourOfTwentyServicesIsBounded sends more than an hour of ticks and
// counts what the store holds on to.
func TestAnHourOfTwentyServicesIsBounded(t *testing.T) {
	const services = 20
	f := newFeed()
	gauges := collector.Gauges()
	lines := make([]datagram, services)
	for i := range lines {
		for _, g := range gauges {
			lines[i].samples = append(lines[i].samples, sample{name: fmt.Sprintf("go.s%d.%s", i, g.Name), value: 1})
		}
	}
	hold := func() (sizes, heap uint64) {
		for _, svc := range f.services {
			for _, s := range svc.series {
				sizes += 8 * uint64(cap(s.values))
			}
		}
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return sizes, m.HeapAlloc
	}
	_, before := hold()
	tick := func(n int) {
		for range n {
			f.after(time.Second)
			for i := range lines {
				f.add(f.now, netip.AddrPortFrom(sender.Addr(), uint16(i+1)), lines[i])
			}
		}
	}
	tick(3700)
	size, heap := hold()
	tick(600)
	later, _ := hold()
	t.Logf("%d services with %d gauges: %.1f MiB of values, %.1f MiB of heap in all", services, len(gauges), mib(size), mib(heap-before))
	want(t, later, size)
	if limit := uint64(services * len(gauges) * maxFrames * 8); size > limit {
		t.Errorf("%d bytes are more than %d", size, limit)
	}
	for _, svc := range f.services {
		if covers := time.Duration(svc.times[len(svc.times)-1]-svc.times[0]) * time.Millisecond; covers < history-2*time.Second {
			t.Errorf("%s covers %v only", svc.id, covers)
		}
	}
}

func mib(n uint64) float64 { return float64(n) / (1 << 20) }

func TestAStoreKeepsAnHourOfAServiceThatTicksFast(t *testing.T) {
	f := newFeed()
	for range 11 * 3600 {
		f.after(100 * time.Millisecond)
		f.add(f.now, sender, datagram{samples: []sample{{name: "a.cpu.goroutines", value: 1}}})
	}
	svc := f.services[0]
	if len(svc.times) > maxFrames || cap(svc.times) > maxFrames {
		t.Errorf("%d frames in room for %d; %d is the limit", len(svc.times), cap(svc.times), maxFrames)
	}
	covers := time.Duration(svc.times[len(svc.times)-1]-svc.times[0]) * time.Millisecond
	if covers < history-2*time.Second {
		t.Errorf("the frames cover %v only", covers)
	}
}

func TestDeriving(t *testing.T) {
	nan := math.NaN()
	every := func(ms ...int64) []int64 {
		for i := 1; i < len(ms); i++ {
			ms[i] += ms[i-1]
		}
		return ms
	}
	for _, tt := range []struct {
		name   string
		how    derivation
		times  []int64
		values []float64
		want   []float64
	}{
		{"a rate is the growth per second", perSecond, every(0, 1000, 2000, 500), []float64{10, 20, 20, 21}, []float64{nan, 10, 0, 2}},
		{"a restart, which counts from 0, is a gap", perSecond, every(0, 1000, 1000, 1000), []float64{10, 20, 5, 6}, []float64{nan, 10, nan, 1}},
		{"a rate does not bridge a gap", perSecond, every(0, 1000, 9000, 1000), []float64{10, 20, 90, 91}, []float64{nan, 10, nan, 1}},
		{"a value that did not come is bridged", perSecond, every(0, 1000, 1000), []float64{10, nan, 30}, []float64{nan, nan, 10}},
		{"per minute takes 30 s together", perMinute, every(0, 2000, 2000, 2000, 24000, 2000, 2000), []float64{0, 1, 1, 3, 15, 15, 16},
			[]float64{nan, nan, nan, 30, 30, 28, 30}},
		{"a share is a part of 1", share, every(0, 1000), []float64{0, 250e6}, []float64{nan, 0.25}},
		{"the age of nothing is none", age, []int64{5000, 6000}, []float64{0, 4e9}, []float64{nan, 2e9}},
		{"a limit of 0 is none", limit, []int64{0, 1000}, []float64{0, 5}, []float64{nan, 5}},
		{"thousandths", thousandths, []int64{0, 1000}, []float64{0, 500}, []float64{nan, 0.5}},
		{"an age is never negative", age, []int64{5000}, []float64{6e9}, []float64{0}},
		{"the age of seconds is in nanoseconds", ageOfSec, []int64{5000}, []float64{2}, []float64{3e9}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gap := int64(2500)
			if tt.how == perMinute {
				gap = 25_000
			}
			for from := range tt.values {
				got := derive(tt.how, tt.times, tt.times, tt.values, from, gap)
				if !slices.EqualFunc(got, tt.want[from:], func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-6 }) {
					t.Errorf("from %d: got %v, want %v", from, got, tt.want[from:])
				}
			}
		})
	}
}

func TestThePageGetsOnlyWhatItLacks(t *testing.T) {
	f := newFeed()
	for i := range 10 {
		f.send(1, fmt.Sprintf("a.cpu.goroutines:%d|g", i))
		f.after(time.Second)
	}
	all := f.answer(f.now, query{span: history}, "").Shown
	if len(all.Times) != 10 || len(all.Sections) != 1 {
		t.Fatalf("the first answer has %d frames and %d sections", len(all.Times), len(all.Sections))
	}
	f.send(1, "a.cpu.goroutines:10|g")
	more := f.answer(f.now, query{id: "a", version: all.Version, from: all.From + 9, span: history}, "").Shown
	if len(more.Times) != 2 || more.From != 9 || more.Sections != nil {
		t.Errorf("the second answer has %d frames from %d on and %d sections", len(more.Times), more.From, len(more.Sections))
	}
	short := f.answer(f.now, query{span: 5 * time.Second}, "").Shown
	if n := len(short.Times); n != 7 { // one more on the left, so that the line enters
		t.Errorf("a window of 5 s has %d frames", n)
	}
	f.send(1, "a.shop.carts:1|g")
	changed := f.answer(f.now, query{id: "a", version: all.Version, from: all.From + 9, span: history}, "").Shown
	if changed.Sections == nil || len(changed.Times) != 11 {
		t.Errorf("a new gauge does not bring a new layout and everything: %d frames", len(changed.Times))
	}
}
