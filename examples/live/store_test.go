package main

import (
	"fmt"
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
	now time.Time
	p   *parser
}

func newFeed() *feed { return &feed{newStore(), epoch, newParser()} }

// send puts in a datagram as it arrives from a port.
func (f *feed) send(port uint16, lines ...string) {
	f.add(f.now, netip.AddrPortFrom(sender.Addr(), port), f.p.parse(strings.Join(lines, "\n")))
}

func (f *feed) after(d time.Duration) { f.now = f.now.Add(d) }

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

func TestTwoProcessesUnderOnePrefixAreToldApartOnceTheFirstIsBack(t *testing.T) {
	f := newFeed()
	for i := range 5 {
		for _, port := range []uint16{1, 2, 3} {
			f.send(port, fmt.Sprintf("a.cpu.goroutines:%d|g", 100*int(port)+i))
			f.after(300 * time.Millisecond)
		}
		f.after(100 * time.Millisecond)
	}
	want(t, f.ids(), "a a~2 a~3")
	want(t, f.curve("a", "cpu.goroutines|"), "[100,101,102,103,104]")
	want(t, f.curve("a~2", "cpu.goroutines|"), "[200,201,202,203,204]")
	want(t, f.curve("a~3", "cpu.goroutines|"), "[300,301,302,303,304]")
	// One of them redials: it is the one that is overdue.
	f.after(300 * time.Millisecond)
	f.send(2, "a.cpu.goroutines:205|g")
	f.after(300 * time.Millisecond)
	f.send(3, "a.cpu.goroutines:305|g")
	f.after(400 * time.Millisecond)
	f.send(7, "a.cpu.goroutines:106|g")
	want(t, f.curve("a", "cpu.goroutines|"), "[100,101,102,103,104,106]")
	want(t, f.ids(), "a a~2 a~3")
}

func TestTheRestartOfOneOfTwoUnderOnePrefixFindsItsOwnCurve(t *testing.T) {
	f := newFeed()
	both := func(a, b uint16, n int) {
		for range n {
			f.send(a, "a.cpu.goroutines:1|g")
			f.after(500 * time.Millisecond)
			f.send(b, "a.cpu.goroutines:2|g")
			f.after(500 * time.Millisecond)
		}
	}
	both(1, 2, 5)
	for range 10 { // the first is gone
		f.send(2, "a.cpu.goroutines:2|g")
		f.after(time.Second)
	}
	want(t, f.ids(), "(a) a~2")
	both(8, 2, 3)
	want(t, f.ids(), "a a~2")
	if c := f.curve("a~2", "cpu.goroutines|"); strings.Contains(c, "1") {
		t.Errorf("a~2 has got values of a: %s", c)
	}
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
	for range int(history/time.Minute) + 2 {
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
	want(t, f.counts.RefusedSeries, maxOwn+1)
	want(t, len(f.answer(f.now, query{}, "").Notices), 1)
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
				got := derive(tt.how, tt.times, tt.values, from, gap)
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
