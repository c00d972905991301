package leaks

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
)

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name                 string
		overdue, since, took time.Duration
		goroutines           int
		want                 verdict
	}{
		{"it is not due", -time.Millisecond, time.Minute, 0, 10, notYet},
		{"it is due", 0, time.Minute, 0, 10, checkNow},
		{"the last check took a hundredth of the time since", 0, time.Minute, 600 * time.Millisecond, 10, checkNow},
		{"it took more", 0, time.Minute, 601 * time.Millisecond, 10, lastTookLong},
		{"it took more, and that was long ago", time.Minute, 2 * time.Minute, 601 * time.Millisecond, 10, checkNow},
		{"as many goroutines as may be", 0, time.Minute, 0, 100_000, checkNow},
		{"one more", 0, time.Minute, 0, 100_001, tooMany},
		{"too many, but not due", -time.Second, time.Second, 0, 100_001, notYet},
		{"the first one", 0, time.Hour, 0, 10, checkNow},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := decide(test.overdue, test.since, test.took, test.goroutines); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestTheIntervalIsKeptThoughTicksAreNotOnTime(t *testing.T) {
	r := newRig(30 * time.Second)
	r.tick(0)
	checks := 0
	for tick := 1; tick <= 60; tick++ { // ten minutes
		after := 10 * time.Second
		if tick%2 == 1 { // one late, the next one not
			after += 2 * time.Millisecond
		} else {
			after -= 2 * time.Millisecond
		}
		r.tick(after)
		if r.running != nil {
			r.clock = r.clock.Add(5 * time.Millisecond)
			r.finish(result{took: 5 * time.Millisecond})
			r.clock = r.clock.Add(-5 * time.Millisecond)
			checks++
		}
	}
	if checks != 20 {
		t.Errorf("%d checks in ten minutes, want one each half a minute", checks)
	}
}

func TestChecksThatWereLeftOutAreNotMadeUpFor(t *testing.T) {
	r := newRig(time.Minute)
	r.tick(0)
	r.tick(time.Hour) // the machine slept
	r.finish(result{})
	r.tick(10 * time.Second)
	if r.running != nil {
		t.Error("a check is followed by another one before its time")
	}
	r.tick(50 * time.Second)
	if r.running == nil {
		t.Error("there is no check a minute after the last one")
	}
}

// rig is a source whose clock, checks and log are the test's.
type rig struct {
	*source
	clock   time.Time
	checked int         // checks that were started
	results chan result // what they find
	ended   chan int    // one for each that has ended
	lines   []string
}

func newRig(interval time.Duration) *rig {
	r := &rig{clock: time.Unix(1e9, 0), results: make(chan result), ended: make(chan int)}
	r.source = newSource(func() time.Duration { return interval }, func(format string, args ...any) {
		r.lines = append(r.lines, fmt.Sprintf(format, args...))
	})
	r.cannot = ""
	r.now = func() time.Time { return r.clock }
	r.goroutines = func() int { return 10 }
	started := make(chan int)
	r.check = func() result {
		started <- 1
		return <-r.results
	}
	go func() {
		for range started {
			r.checked++
			r.ended <- 1
		}
	}()
	return r
}

// sent is a sink that keeps what it is given.
type sent map[string]int64

func (s sent) Gauge(name string, value int64)      { s[name] = value }
func (s sent) Cumulative(name string, value int64) { s[name] = value }

// tick advances the clock and collects.
func (r *rig) tick(after time.Duration) sent {
	r.clock = r.clock.Add(after)
	got := sent{}
	r.collect(got)
	return got
}

// finish ends the check that is under way, and waits until it can be collected.
func (r *rig) finish(found result) {
	<-r.ended
	found.ended = r.clock
	r.results <- found
	for len(r.running) == 0 {
		time.Sleep(time.Millisecond)
	}
}

func (r *rig) wantLines(t *testing.T, want ...string) {
	t.Helper()
	if len(want) == 0 && len(r.lines) == 0 {
		return
	}
	if !reflect.DeepEqual(r.lines, want) {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(r.lines, "\n"), strings.Join(want, "\n"))
	}
}

func want(t *testing.T, got, want sent) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

var somewhere = place{"chan send", "main.ask.func1", "faults.go", 31, "main.ask.func1"}

func TestWithoutAnIntervalNothingHappens(t *testing.T) {
	r := newRig(0)
	r.source.cannot = "this release is too old" // not even this is said
	for i := 0; i < 3; i++ {
		want(t, r.tick(time.Hour), sent{})
	}
	r.wantLines(t)
}

func TestTheFirstCheckComesAnIntervalAfterTheFirstTick(t *testing.T) {
	r := newRig(time.Minute)
	want(t, r.tick(0), sent{"leaks.checks": 0})
	want(t, r.tick(59*time.Second), sent{"leaks.checks": 0})
	if r.running != nil {
		t.Error("a check has begun before an interval is over")
	}
	want(t, r.tick(time.Second), sent{"leaks.checks": 0})
	r.finish(result{goroutines: 7, took: 50 * time.Millisecond, places: map[place]int{somewhere: 7}})
	want(t, r.tick(10*time.Second), sent{"leaks.checks": 1, "leaks.goroutines": 7, "leaks.check.ns": 50_000_000})
	r.wantLines(t, "7 goroutines have leaked: they wait for ever for chan send in main.ask.func1 (faults.go:31); net/http/pprof has the stacks, at /debug/pprof/goroutineleak")
}

func TestATickDoesNotWaitForACheck(t *testing.T) {
	r := newRig(time.Minute)
	r.tick(0)
	r.tick(time.Minute)
	for i := 0; i < 100; i++ { // nor does it begin another one
		want(t, r.tick(time.Minute), sent{"leaks.checks": 0})
	}
	r.finish(result{took: 100 * time.Minute})
	want(t, r.tick(0), sent{"leaks.checks": 1, "leaks.goroutines": 0, "leaks.check.ns": 6_000_000_000_000})
	if r.checked != 1 {
		t.Errorf("%d checks were started", r.checked)
	}
}

func TestACheckThatTakesLongStretchesTheInterval(t *testing.T) {
	r := newRig(10 * time.Second)
	r.tick(0)
	r.tick(10 * time.Second)
	r.finish(result{took: time.Second})
	for second := 10; second < 100; second += 10 {
		r.tick(10 * time.Second)
		if r.running != nil {
			t.Fatalf("a check that took a second is followed by another one %d s later", second)
		}
	}
	r.tick(10 * time.Second)
	if r.running == nil {
		t.Fatal("there is no check 100 s after one that took a second")
	}
	r.finish(result{took: time.Second})
	r.tick(50 * time.Second)
	r.wantLines(t, "a check for leaked goroutines took 1s; checks come 100 times as long after each other, not every 10s")
}

func TestWithTooManyGoroutinesThereIsNoCheck(t *testing.T) {
	r := newRig(time.Minute)
	r.goroutines = func() int { return 1_000_000 }
	r.tick(0)
	for i := 0; i < 10; i++ {
		want(t, r.tick(time.Minute), sent{"leaks.checks": 0})
	}
	r.wantLines(t, "there are 1000000 goroutines; while there are more than 100000, leaked ones are not looked for")
	r.goroutines = func() int { return 100 }
	r.tick(time.Second)
	r.finish(result{goroutines: 1})
	want(t, r.tick(time.Second), sent{"leaks.checks": 1, "leaks.goroutines": 1, "leaks.check.ns": 0})
}

func TestWhatCannotBeCheckedIsSaidOnceAndNothingIsSent(t *testing.T) {
	r := newRig(time.Minute)
	r.source.cannot = "go1.21.13 cannot find them; Go 1.27 can"
	for i := 0; i < 3; i++ {
		want(t, r.tick(time.Hour), sent{})
	}
	r.wantLines(t, "leaked goroutines are not counted: go1.21.13 cannot find them; Go 1.27 can")
}

func TestAProfileThatCannotBeReadIsNotTakenForNone(t *testing.T) {
	r := newRig(time.Minute)
	r.tick(0)
	r.tick(time.Minute)
	r.finish(result{err: errors.New("it has a form that is not known")})
	for i := 0; i < 3; i++ {
		want(t, r.tick(time.Hour), sent{})
	}
	r.wantLines(t, "leaked goroutines are not counted: it has a form that is not known")
}

func TestAPlaceIsLoggedOnceAndAtMostTwentyAre(t *testing.T) {
	r := newRig(time.Minute)
	at := func(line int) place { return place{"select", "main.f", "f.go", line, "main.g"} }
	ticks := func(places map[place]int) {
		r.tick(time.Minute)
		r.finish(result{places: places})
		r.tick(0)
	}
	said := func(goroutines string, line int) string {
		return fmt.Sprintf("%s for ever for select in main.f (f.go:%d), in a goroutine of main.g; net/http/pprof has the stacks, at /debug/pprof/goroutineleak", goroutines, line)
	}
	r.tick(0)
	ticks(map[place]int{at(1): 1, at(2): 5})
	ticks(map[place]int{at(1): 2})
	ticks(map[place]int{})
	ticks(map[place]int{at(1): 3, at(2): 7, at(4): 1, at(3): 1}) // of equals, the first by name
	r.wantLines(t, said("5 goroutines have leaked: they wait", 2), said("1 goroutine has leaked: it waits", 1),
		said("1 goroutine has leaked: it waits", 3), said("1 goroutine has leaked: it waits", 4))
	many := map[place]int{}
	for line := 1; line < 1000; line++ {
		many[at(line)] = 1000 - line
	}
	r.lines = nil
	ticks(many)
	ticks(many)
	if len(r.lines) != maxPlaces-4 || !strings.HasSuffix(r.lines[maxPlaces-5], "; no more places are logged") {
		t.Errorf("logged %d more lines:\n%s", len(r.lines), strings.Join(r.lines, "\n"))
	}
}

func TestTheCatalogueHasWhatIsPublished(t *testing.T) {
	r := newRig(time.Second)
	r.tick(0)
	r.tick(time.Second)
	r.finish(result{})
	got := kinds{}
	r.collect(got)
	want := kinds{}
	for _, g := range catalogue.Gauges() {
		want[g.Name] = g.Kind
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("published: %v; catalogue: %v", got, want)
	}
}

// kinds is a sink that keeps what kind a gauge is.
type kinds map[string]collector.Kind

func (k kinds) Gauge(name string, _ int64)      { k[name] = collector.Level }
func (k kinds) Cumulative(name string, _ int64) { k[name] = collector.Cumulative }
