package expvar

import (
	"expvar"
	"fmt"
	"math"
	"net"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

// text is a variable of a type that package expvar does not know.
type text string

func (t text) String() string { return string(t) }

type stats struct {
	Open  int     `json:"open"`
	Ratio float64 `json:"ratio"`
	Name  string  `json:"name"`
}

var (
	requests = expvar.NewInt("test.requests")
	load     = expvar.NewFloat("test.load")
	codes    = expvar.NewMap("test.codes")
)

func init() {
	requests.Set(9007199254740993)
	load.Set(0.25)
	codes.Add("200", 17)
	codes.AddFloat("share", 0.5)
	inner := new(expvar.Map).Init()
	inner.Add("deep", -3)
	inner.Set("none", nil)
	codes.Set("inner", inner)
	expvar.NewString("test.name").Set("web")
	expvar.Publish("test.func.int", expvar.Func(func() any { return 7 }))
	expvar.Publish("test.func.uint8", expvar.Func(func() any { return uint8(8) }))
	expvar.Publish("test.func.int64", expvar.Func(func() any { return int64(-9) }))
	expvar.Publish("test.func.nil", expvar.Func(func() any { return nil }))
	expvar.Publish("test.func.bool", expvar.Func(func() any { return true }))
	expvar.Publish("test.func.nan", expvar.Func(func() any { return math.NaN() }))
	expvar.Publish("test.func.map", expvar.Func(func() any { return map[string]int{"a": 1, "b": 2} }))
	expvar.Publish("test.func.struct", expvar.Func(func() any { return stats{3, 0.75, "pool"} }))
	expvar.Publish("test.func.list", expvar.Func(func() any { return []int{1, 2} }))
	expvar.Publish("test.func.channel", expvar.Func(func() any { return make(chan int) }))
	expvar.Publish("test.text", text(`{"n": 9007199254740993, "x": [1], "s": "t", "o": {"f": 1.5e2}}`))
	expvar.Publish("test.garbage", text(`{"n":`))
	expvar.Publish("test.empty", text(""))
	expvar.Publish("test.version", text("1.2.3"))
	expvar.Publish("test.built", text("2026-11-27 07:00"))
	expvar.Publish("test.peer", text("10.0.0.7:80"))
}

// sent is a sink that keeps what it is given.
type sent map[string]string

func (s sent) Cumulative(name string, value int64)        { s[name] = fmt.Sprint(value) }
func (s sent) CumulativeFloat(name string, value float64) { s[name] = fmt.Sprint(value) }

func collect(r *reader) map[string]string {
	got := sent{}
	r.collect(got)
	return got
}

func TestEveryNumberIsAGauge(t *testing.T) {
	want := map[string]string{
		"expvar.test.requests":          "9007199254740993",
		"expvar.test.load":              "0.25",
		"expvar.test.codes.200":         "17",
		"expvar.test.codes.share":       "0.5",
		"expvar.test.codes.inner.deep":  "-3",
		"expvar.test.func.int":          "7",
		"expvar.test.func.uint8":        "8",
		"expvar.test.func.int64":        "-9",
		"expvar.test.func.nan":          "NaN", // which the root package does not send
		"expvar.test.func.map.a":        "1",
		"expvar.test.func.map.b":        "2",
		"expvar.test.func.struct.open":  "3",
		"expvar.test.func.struct.ratio": "0.75",
		"expvar.test.text.n":            "9007199254740993",
		"expvar.test.text.o.f":          "150",
	}
	r := newReader()
	for tick := 0; tick < 2; tick++ {
		got := collect(r)
		for name := range got {
			if strings.HasPrefix(name, "expvar.extra.") {
				delete(got, name)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("tick %d:\ngot  %v\nwant %v", tick, got, want)
		}
	}
}

func TestNewVariablesAppearByThemselves(t *testing.T) {
	r := newReader()
	collect(r)
	m := expvar.Get("test.codes").(*expvar.Map)
	m.Add("503", 1)
	defer m.Delete("503")
	if got := collect(r)["expvar.test.codes.503"]; got != "1" {
		t.Errorf("a new key of a map has value %q", got)
	}
}

// extra returns a name that is new each time: what is published stays.
func extra() string { return fmt.Sprint("extra.", extras.Add(1)) }

var extras atomic.Int32

func TestAFuncThatBlocksDoesNotBlockExpvar(t *testing.T) {
	block, called := make(chan struct{}), make(chan struct{}, 1)
	waits := true
	expvar.Publish(extra(), expvar.Func(func() any {
		if waits {
			called <- struct{}{}
			<-block
		}
		return nil
	}))
	collected := make(chan struct{})
	go func() { collect(newReader()); close(collected) }()
	<-called
	expvar.NewInt(extra()).Set(1) // would wait for ever
	expvar.Do(func(expvar.KeyValue) {})
	waits = false
	close(block)
	<-collected
}

func TestAFuncMayPublish(t *testing.T) {
	lazy := extra()
	expvar.Publish(extra(), expvar.Func(func() any {
		if expvar.Get(lazy) == nil {
			expvar.NewInt(lazy).Set(5)
		}
		return nil
	}))
	r := newReader()
	collect(r) // would wait for ever
	if got := collect(r)["expvar."+lazy]; got != "5" {
		t.Errorf("expvar.%s = %q", lazy, got)
	}
}

func TestMapsThatHoldThemselvesEnd(t *testing.T) {
	cycle := map[string]any{}
	cycle["a"], cycle["b"] = cycle, cycle
	own := new(expvar.Map).Init()
	own.Set("self", own)
	r := newReader()
	r.tick, r.prefix = new(runtimemetrics.Tick), "expvar"
	r.variable(expvar.KeyValue{Key: "cycle", Value: expvar.Func(func() any { return cycle })})
	r.variable(expvar.KeyValue{Key: "own", Value: own})
}

func TestNamesDoNotFillMemory(t *testing.T) {
	r := newReader()
	for i := 0; i < 3*maxNames; i++ {
		r.prefix = "expvar"
		r.name(fmt.Sprint(i))
	}
	if len(r.names) > maxNames {
		t.Errorf("%d names are kept", len(r.names))
	}
	clear(r.names)
	r.prefix = "expvar"
	r.within(r.name(strings.Repeat("x", 1<<20)), func() { r.name(strings.Repeat("y", 1<<20)) })
	for parts, name := range r.names {
		if len(name) <= maxName {
			t.Errorf("a name of a megabyte has become one of %d bytes, which can be sent", len(name))
		}
		if size := len(parts[1]) + len(name); size > 4*maxName {
			t.Errorf("%d bytes are kept of a name of a megabyte", size)
		}
	}
}

func TestVariablesThatAreDeletedAreNotKeptAlive(t *testing.T) {
	m := expvar.Get("test.codes").(*expvar.Map)
	var freed atomic.Int32
	const connections = 100
	for i := 0; i < connections; i++ {
		buffer := new([1 << 10]byte) // a connection's
		runtime.SetFinalizer(buffer, func(*[1 << 10]byte) { freed.Add(1) })
		m.Set(fmt.Sprint("connection", i), expvar.Func(func() any { return int(buffer[0]) }))
	}
	r := newReader()
	collect(r)
	for i := 0; i < connections; i++ {
		m.Delete(fmt.Sprint("connection", i))
	}
	collect(r)
	for tries := 0; tries < 1000 && freed.Load() < connections; tries++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	if n := freed.Load(); n < connections {
		t.Errorf("%d of %d variables that were deleted are kept alive", connections-n, connections)
	}
	runtime.KeepAlive(r)
}

// TestExpvarsArriveAtStatsD goes the whole way.
func TestExpvarsArriveAtStatsD(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err = runtimemetrics.Start(runtimemetrics.Config{
		StatsD: server.LocalAddr().String(), Prefix: "p", Pause: time.Hour, PacketSize: 65507, DisableCPU: true, DisableMem: true, Logf: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer runtimemetrics.Stop()
	server.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1<<16)
	n, _, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	got := string(buf[:n])
	for _, want := range []string{
		"p.expvar.test.load:0.25|g\n", "p.expvar.test.requests:9007199254740993|g",
		"p.expvar.test.codes.inner.deep:0|g\np.expvar.test.codes.inner.deep:-3|g\n",
	} {
		if !strings.Contains(got+"\n", want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "NaN") || strings.Contains(got, "memstats") || strings.Contains(got, "cmdline") {
		t.Errorf("what should not be sent is there:\n%s", got)
	}
}

// panicsAgain is an error whose text panics with itself.
type panicsAgain struct{}

func (e panicsAgain) Error() string { panic(e) }

// broken is a variable that is not an expvar.Func.
type broken struct{}

func (broken) String() string { panic("broken") }

// pointed is a variable whose nil pointer panics.
type pointed struct{ text string }

func (p *pointed) String() string { return p.text }

func TestNilVariablesAreLeftOutAndTheOthersGoOn(t *testing.T) {
	kinds := map[string]expvar.Var{
		"nothing": nil,
		"Int":     (*expvar.Int)(nil),
		"Float":   (*expvar.Float)(nil),
		"Map":     (*expvar.Map)(nil),
		"String":  (*expvar.String)(nil),
		"Func":    expvar.Func(nil),
		"other":   (*pointed)(nil),
	}
	for kind, v := range kinds {
		t.Run(kind, func(t *testing.T) {
			inner := new(expvar.Map).Init()
			inner.Set("b", v)
			inner.Add("c", 1)
			outer := new(expvar.Map).Init()
			outer.Set("a", v)
			outer.Set("inner", inner)
			outer.Add("last", 3)
			r := newReader()
			var lines []string
			r.log = func(line string) { lines = append(lines, line) }
			for tick := 0; tick < 3; tick++ {
				got := sent{}
				r.tick, r.prefix = got, "expvar"
				r.variable(expvar.KeyValue{Key: "first", Value: v})
				r.variable(expvar.KeyValue{Key: "outer", Value: outer})
				if want := (sent{"expvar.outer.inner.c": "1", "expvar.outer.last": "3"}); !reflect.DeepEqual(got, want) {
					t.Errorf("tick %d: got %v, want %v", tick, got, want)
				}
			}
			want := 0
			if kind == "other" { // which may be fine as a nil pointer, so it is called
				want = 3
			}
			if len(lines) != want {
				t.Errorf("logged %q", lines)
			}
		})
	}
}

func TestOnlyTheVariableThatPanicsIsLeftOut(t *testing.T) {
	inner := new(expvar.Map).Init()
	inner.Add("before", 1)
	inner.Set("function", expvar.Func(func() any { panic(panicsAgain{}) }))
	inner.Set("text", broken{})
	inner.Set("zzz", expvar.Func(func() any { return map[string]any{"after": 2} }))
	outer := new(expvar.Map).Init()
	outer.Set("inner", inner)
	outer.Add("last", 3)
	r := newReader()
	var lines []string
	r.log = func(line string) { lines = append(lines, line) }
	for tick := 0; tick < 3; tick++ {
		got := sent{}
		r.tick, r.prefix = got, "expvar"
		r.variable(expvar.KeyValue{Key: "outer", Value: outer})
		want := sent{"expvar.outer.inner.before": "1", "expvar.outer.inner.zzz.after": "2", "expvar.outer.last": "3"}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("tick %d: got %v, want %v", tick, got, want)
		}
	}
	want := []string{
		"the variable of gauge expvar.outer.inner.function panicked and is left out from now on: a expvar.panicsAgain whose text panics as well",
		"the variable of gauge expvar.outer.inner.text panicked and is left out from now on: broken",
	}
	if !reflect.DeepEqual(lines, want) {
		t.Errorf("logged %q, want %q", lines, want)
	}
}
