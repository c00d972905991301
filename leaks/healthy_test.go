package leaks

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"reflect"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"
)

// What goroutines of a healthy service wait for is reachable from here, from a
// goroutine that runs, from a timer, or by the kernel.
var reachable struct {
	send, receive, closed chan int
	mu                    sync.Mutex
	rw                    sync.RWMutex
	wg                    sync.WaitGroup
	cond                  *sync.Cond
	once                  sync.Once
	byKey                 map[string]any
	syncMap               sync.Map
	closure               func()
}

type key struct{}

// waitInEachHealthyWay waits in all of them at once while an HTTP server is
// under load, and checks all the while.
func waitInEachHealthyWay() {
	r := &reachable
	r.send, r.receive = make(chan int), make(chan int)
	r.cond = sync.NewCond(&r.mu)
	r.byKey = map[string]any{}
	release := make(chan int) // reachable from this stack until the end

	wait := func(what string, f func()) {
		go pprof.Do(context.Background(), pprof.Labels("healthy", what), func(context.Context) { f() })
	}

	wait("send to a global", func() { r.send <- 1 })
	wait("receive from a global", func() { <-r.receive })
	wait("receive from a stack that lives", func() { <-release })
	wait("select with one reachable case of two", func() {
		select {
		case <-make(chan int):
		case <-r.receive:
		}
	})
	wait("select by reflection", func() {
		reflect.Select([]reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r.receive)}})
	})
	wait("nil channel beside a reachable one", func() {
		var never chan int
		select {
		case <-never:
		case <-r.receive:
		}
	})

	r.wg.Add(1)
	wait("WaitGroup", r.wg.Wait)
	r.rw.Lock()
	wait("RWMutex, reading", r.rw.RLock)
	wait("RWMutex, writing", r.rw.Lock)
	wait("Cond", func() { r.mu.Lock(); defer r.mu.Unlock(); r.cond.Wait() })
	inOnce := make(chan int)
	wait("inside a Once", func() { r.once.Do(func() { close(inOnce); <-release }) })
	<-inOnce
	wait("for a Once", func() { r.once.Do(func() {}) })

	held := new(sync.Mutex)
	locked := make(chan int)
	wait("sleeping with a mutex", func() { held.Lock(); close(locked); time.Sleep(time.Hour); held.Unlock() })
	<-locked
	wait("a mutex whose holder sleeps", held.Lock)

	first, second := make(chan int), make(chan int)
	wait("end of a chain", func() { <-first })
	wait("middle of a chain", func() { <-second; close(first) })
	wait("beginning of a chain", func() { <-r.receive; close(second) })

	wait("Sleep", func() { time.Sleep(time.Hour) })
	wait("After", func() { <-time.After(time.Hour) })
	wait("Timer", func() { <-time.NewTimer(time.Hour).C })
	wait("Ticker in a select", func() {
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-tick.C:
			case <-make(chan int):
			}
		}
	})
	fired := make(chan int)
	time.AfterFunc(time.Hour, func() { close(fired) })
	wait("AfterFunc", func() { <-fired })
	timeout, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	wait("context with a timeout", func() { <-timeout.Done() })
	parent, cancelParent := context.WithCancel(context.Background())
	defer cancelParent()
	value, cancelValue := context.WithCancel(context.WithValue(parent, key{}, 1))
	_ = cancelValue
	wait("child of a context that is held", func() { <-value.Done() })

	inMap, inSyncMap, inClosure, asKey := make(chan int), make(chan int), make(chan int), make(chan int)
	r.byKey["channel"], r.closure = inMap, func() { close(inClosure) }
	r.syncMap.Store(asKey, inSyncMap)
	wait("channel in a map", func() { <-inMap })
	wait("channel in a closure", func() { <-inClosure })
	wait("channel in a sync.Map", func() { <-inSyncMap })
	wait("channel as a key", func() { <-asKey })

	finalized := make(chan int)
	object := &[64]byte{}
	runtime.SetFinalizer(object, func(*[64]byte) { close(finalized) })
	wait("finalizer of what lives", func() { <-finalized })

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	wait("signal", func() { <-signals })
	stopped, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	_ = stop
	wait("signal's context", func() { <-stopped.Done() })

	pipe, w, err := os.Pipe()
	must(err)
	defer w.Close()
	wait("file", func() { pipe.Read(make([]byte, 1)) })
	reader, writer := io.Pipe()
	wait("io.Pipe", func() { io.ReadAll(reader) })
	wait("who writes to io.Pipe", func() { io.Copy(writer, pipe) })

	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	quiet, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	wait("Accept", func() { quiet.Accept() })
	silent, err := net.Dial("tcp", quiet.Addr().String())
	must(err)
	read := make(chan int)
	wait("network", func() { silent.Read(make([]byte, 1)); close(read) })
	wait("who reads from the network", func() { <-read })

	wait("locked thread", func() { runtime.LockOSThread(); <-r.receive })

	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		answer := make(chan string)
		go func() { answer <- req.URL.Path }()
		select {
		case a := <-answer:
			fmt.Fprint(w, a)
		case <-req.Context().Done():
			<-answer
		}
	})}
	go server.Serve(l)
	requests := make(chan int, 100)
	for i := 0; i < 8; i++ {
		go func() {
			for {
				resp, err := http.Get("http://" + l.Addr().String() + "/healthy")
				must(err)
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				requests <- 1
			}
		}()
	}

	length, err := time.ParseDuration(os.Getenv("RUNTIMEMETRICS_LEAKS_HEALTHY"))
	if err != nil {
		length = 5 * time.Second
	}
	checks, answered := 0, 0
	for begun := time.Now(); time.Since(begun) < length || checks < 3; checks++ {
		found := check()
		if found.err != nil || found.goroutines > 0 {
			report(found)
			pprof.Lookup(profileName).WriteTo(os.Stdout, 1)
			os.Exit(1)
		}
		for wait := time.After(100 * time.Millisecond); wait != nil; {
			select {
			case <-requests:
				answered++
			case <-wait:
				wait = nil
			}
		}
	}
	runtime.KeepAlive(object)
	fmt.Printf("none in %d checks beside %d requests\n", checks, answered)
	close(release)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func TestNoneIsFoundInAServiceThatWaitsInEveryHealthyWay(t *testing.T) {
	out, err := child(t, "healthy")
	if err != nil || !strings.HasPrefix(out, "none in ") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
}

// leakAndOverlap leaks a known number, and checks while others ask for the
// profile over HTTP, collect garbage and take the profile of all goroutines.
func leakAndOverlap() {
	const leaked = 40
	for i := 0; i < leaked; i++ {
		leakSend()
	}
	if r := checkUntil(leaked); r.goroutines != leaked {
		report(r)
		return
	}
	stop := make(chan int)
	var others sync.WaitGroup
	for _, other := range []func(){
		func() { pprof.Lookup(profileName).WriteTo(io.Discard, 0) },
		func() { pprof.Lookup(profileName).WriteTo(io.Discard, 1) },
		runtime.GC,
		func() { pprof.Lookup("goroutine").WriteTo(io.Discard, 1) },
	} {
		others.Add(1)
		go func(other func()) {
			defer others.Done()
			for {
				select {
				case <-stop:
					return
				default:
					other()
				}
			}
		}(other)
	}
	fewer, exact := 0, 0
	for i := 0; i < 100; i++ {
		switch r := check(); {
		case r.err != nil || r.goroutines > leaked:
			report(r)
			return
		case r.goroutines < leaked:
			fewer++
		default:
			exact++
		}
	}
	close(stop)
	others.Wait()
	fmt.Printf("of %d checks, %d found all, %d fewer\n", exact+fewer, exact, fewer)
}

func TestOthersWhoAskForTheProfileDoNotMakeItMore(t *testing.T) {
	out, err := child(t, "overlap")
	if err != nil || !strings.HasPrefix(out, "of 100 checks") || strings.Contains(out, " 0 found all") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Log(out)
}
