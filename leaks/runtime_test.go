package leaks

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// A test that needs goroutines of its own has a process of its own: what has
// leaked stays, and would be found by the tests that follow.
var children = map[string]func(){
	"leaks":   leakInEachWay,
	"healthy": waitInEachHealthyWay,
	"overlap": leakAndOverlap,
	"nothing": func() { report(check()) },
	"parked":  parkMain,
	"misses":  missInEachWay,
}

const childVariable = "RUNTIMEMETRICS_LEAKS_TEST"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		children[name]()
		return
	}
	os.Exit(m.Run())
}

// child runs one of children and returns what it wrote.
func child(t *testing.T, name string, env ...string) (string, error) {
	t.Helper()
	if why := cannot(); why != "" {
		t.Skip(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), childVariable+"="+name), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// report writes a result in a form that is easy to compare.
func report(r result) {
	if r.err != nil {
		fmt.Println(r.err)
		return
	}
	lines := []string{}
	for p, n := range r.places {
		lines = append(lines, fmt.Sprintf("%d %s: %s", n, short(p.function), p.waitsFor))
	}
	sort.Strings(lines)
	fmt.Printf("leaked: %d\n%s\n", r.goroutines, strings.Join(lines, "\n"))
}

// short leaves out the path of the package.
func short(function string) string {
	return function[strings.LastIndexByte(function, '/')+1:]
}

// leakInEachWay leaks goroutines in each way there is, a known number in each.
// Nobody but the goroutine itself has what it waits for.
func leakInEachWay() {
	for i := 0; i < 2; i++ {
		leakSend()
		leakReceive()
		leakRange()
		leakSelect()
		leakNothingToSelect()
		leakNilChannel()
		leakMutex()
		leakRLock()
		leakRWLock()
		leakWaitGroup()
		leakCond()
		leakOnce()
		leakContext()
		leakInLibrary()
		leakReflect()
	}
	report(checkUntil(2 * len(waysToLeak)))
}

// checkUntil checks until so many are found, or for long. Goroutines come to
// where they wait when they get a processor, and Go is known to find fewer now
// and then, but never more.
func checkUntil(want int) result {
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		r := check()
		if r.err != nil || r.goroutines >= want || time.Since(begun) > 5*time.Minute {
			return r
		}
	}
}

// waysToLeak is what the check has to find of each two.
var waysToLeak = []string{
	"leaks.leakSend.func1: chan send",
	"leaks.leakReceive.func1: chan receive",
	"leaks.leakRange.func1: chan receive",
	"leaks.leakSelect.func1: select",
	"leaks.leakNothingToSelect.func1: select without cases",
	"leaks.leakNilChannel.func1: chan receive",
	"leaks.leakMutex.func1: sync.Mutex",
	"leaks.leakRLock.func1: sync.RWMutex",
	"leaks.leakRWLock.func1: sync.RWMutex",
	"leaks.leakWaitGroup.func1: sync.WaitGroup",
	"leaks.leakCond.func1: sync.Cond",
	"leaks.leakOnce.func1.1: chan receive",
	"leaks.leakOnce.func2: sync.Once",
	"leaks.leakContext.func1: chan receive",
	"leaks.leakInLibrary.func1: select",
	"leaks.leakReflect.func1: select",
}

// waysNotFound are known not to be found, with Go 1.26 and 1.27.
var waysNotFound = map[string]func(){
	captured: func() {
		x := len(os.Args)
		c := make(chan int)
		go func() { c <- x }()
	},
	"beside a live ticker": func() {
		tick := time.NewTicker(time.Hour)
		go func() {
			for {
				select {
				case <-tick.C:
				case <-make(chan int):
				}
			}
		}()
	},
	"in a global variable": func() {
		forgotten = make(chan int)
		go func() { <-forgotten }()
	},
	"by the finalizer of what lives": func() {
		c := make(chan int)
		runtime.SetFinalizer(lives, func(*[64]byte) { close(c) })
		go func() { <-c }()
	},
}

const captured = "the sender of a variable that its function literal has captured"

var (
	forgotten chan int
	lives     = new([64]byte)
)

func missInEachWay() {
	if how := os.Getenv("MISS"); how != "" {
		waysNotFound[how]()
	}
	leakReceive() // is found, once the other one is where it waits
	var r result
	for i := 0; i < 20; i++ {
		time.Sleep(10 * time.Millisecond)
		r = checkUntil(1)
	}
	report(r)
	runtime.KeepAlive(lives)
}

// TestWhatIsNotFound holds what this package's documentation says. Where it fails
// because a release of Go finds more, the documentation can say so.
func TestWhatIsNotFound(t *testing.T) {
	for how := range waysNotFound {
		t.Run(how, func(t *testing.T) {
			if how == captured && raceDetector() {
				t.Skip("the race detector's code sends a copy, and is found")
			}
			out, err := child(t, "misses", "MISS="+how)
			if want := "leaked: 1\n1 leaks.leakReceive.func1: chan receive\n"; err != nil || out != want {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}

// raceDetector reports whether this binary has it.
func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

func leakSend()            { go func() { make(chan int) <- 1 }() }
func leakReceive()         { go func() { <-make(chan int) }() }
func leakNothingToSelect() { go func() { select {} }() }
func leakNilChannel()      { go func() { var c chan int; <-c }() }

func leakRange() {
	go func() {
		for range make(chan int) {
			fmt.Println("never")
		}
	}()
}

func leakSelect() {
	go func() {
		select {
		case <-make(chan int):
		case make(chan int) <- 1:
		}
	}()
}

// guarded is a lock with what it guards. A mutex that stands alone has 8 bytes,
// and shares its place in memory with other small things: if one of them lives,
// the leak is not found.
type guarded struct {
	sync.Mutex
	sync.Once
	name string
}

func leakMutex() {
	g := &guarded{name: "it"}
	g.Lock()
	go func() { g.Lock() }()
}

func leakRLock() {
	var mu sync.RWMutex
	mu.Lock()
	go func() { mu.RLock() }()
}

func leakRWLock() {
	var mu sync.RWMutex
	mu.RLock()
	go func() { mu.Lock() }()
}

func leakWaitGroup() {
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { wg.Wait() }()
}

func leakCond() {
	go func() {
		c := sync.NewCond(new(sync.Mutex))
		c.L.Lock()
		c.Wait()
	}()
}

// leakOnce leaks two: one in the function that never returns, one that waits
// for it.
func leakOnce() {
	g := &guarded{name: "it"}
	inside := make(chan int)
	go func() {
		g.Do(func() { close(inside); <-make(chan int) })
	}()
	<-inside
	go func() { g.Do(func() {}) }()
}

// leakContext forgets to cancel.
func leakContext() {
	ctx, cancel := context.WithCancel(context.Background())
	_ = cancel
	go func() { <-ctx.Done() }()
}

// leakInLibrary waits in a function of the standard library.
func leakInLibrary() {
	r, _ := io.Pipe()
	go func() { r.Read(make([]byte, 1)) }()
}

func leakReflect() {
	go func() {
		reflect.Select([]reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(make(chan int))}})
	}()
}

func TestEachWayToLeakIsFoundAndNamed(t *testing.T) {
	out, err := child(t, "leaks")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := fmt.Sprintf("leaked: %d\n", 2*len(waysToLeak))
	lines := []string{}
	for _, way := range waysToLeak {
		lines = append(lines, "2 "+way)
	}
	sort.Strings(lines)
	if want += strings.Join(lines, "\n") + "\n"; out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestAProgramWithoutLeaksHasNone(t *testing.T) {
	if out, err := child(t, "nothing"); err != nil || out != "leaked: 0\n\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// parkMain leaves the main goroutine where it waits for ever.
func parkMain() {
	go func() {
		r := check()
		for begun := time.Now(); pprof.Lookup(profileName).Count() == 0 && time.Since(begun) < time.Minute; r = check() {
			time.Sleep(time.Millisecond) // the main goroutine is on its way
		}
		report(r)
		fmt.Println("the runtime counts", pprof.Lookup(profileName).Count())
		os.Exit(0)
	}()
	switch os.Getenv("PARK") {
	case "select":
		select {}
	case "receive":
		<-make(chan bool)
	case "WaitGroup":
		var wg sync.WaitGroup
		wg.Add(1)
		wg.Wait()
	}
}

func TestAMainGoroutineThatWaitsForEverIsNoLeak(t *testing.T) {
	for _, how := range []string{"select", "receive", "WaitGroup"} {
		t.Run(how, func(t *testing.T) {
			out, err := child(t, "parked", "PARK="+how)
			if want := "leaked: 0\n\nthe runtime counts 1\n"; err != nil || out != want {
				t.Errorf("%v\ngot\n%s\nwant\n%s", err, out, want)
			}
		})
	}
}
