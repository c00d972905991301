package runtimemetrics

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lines is where a test's lines go.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, line)
}

func (l *lines) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

// eventually waits for what must happen.
func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("this has not happened: %s", what)
		}
	}
}

func TestLinesAreLoggedInTheirOrderAndNoGoroutineRemains(t *testing.T) {
	var l logger
	var got lines
	var want []string
	for i := 0; i < 1000; i++ {
		line := fmt.Sprint(i)
		want = append(want, line)
		l.print(got.add, line)
		if i%10 == 0 {
			eventually(t, "the lines are written", func() bool { return len(got.get()) == i+1 })
		}
	}
	eventually(t, "the lines are written", func() bool { return len(got.get()) == 1000 })
	if !slices.Equal(got.get(), want) {
		t.Error("the lines are not in their order")
	}
	eventually(t, "the goroutine ends", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return !l.busy
	})
}

func TestALineThatWasWrittenIsNotKeptAlive(t *testing.T) {
	var l logger
	var freed atomic.Bool
	owner := new([1 << 10]byte) // of Logf
	runtime.SetFinalizer(owner, func(*[1 << 10]byte) { freed.Store(true) })
	l.print(func(string) { owner[0]++ }, "")
	eventually(t, "the logger's memory is freed", func() bool {
		runtime.GC()
		return freed.Load()
	})
	runtime.KeepAlive(&l)
}

func TestALoggerThatFailsLosesItsLineOnly(t *testing.T) {
	for name, fail := range map[string]func(){"panics": func() { panic("logger") }, "calls Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			var l logger
			var got lines
			for i := 0; i < 10; i++ {
				l.print(func(string) { fail() }, "")
				l.print(got.add, fmt.Sprint(i))
			}
			eventually(t, "the other lines are written", func() bool { return len(got.get()) == 10 })
			eventually(t, "the goroutine ends", func() bool {
				l.mu.Lock()
				defer l.mu.Unlock()
				return !l.busy
			})
		})
	}
}

func TestALoggerThatBlocksHoldsNobodyUp(t *testing.T) {
	var l logger
	var got lines
	block := make(chan struct{})
	begun := make(chan struct{})
	l.print(func(string) { close(begun); <-block }, "")
	<-begun
	for i := 0; i < 10_000; i++ {
		l.print(got.add, fmt.Sprint(i))
	}
	close(block)
	eventually(t, "the lines that found room are written", func() bool { return len(got.get()) == maxLines })
	if last := got.get()[maxLines-1]; last != fmt.Sprint(maxLines-1) {
		t.Errorf("the last line that found room is %s", last)
	}
}

func TestWhereLinesGo(t *testing.T) {
	var std bytes.Buffer
	log.SetOutput(&std)
	flags, prefix := log.Flags(), log.Prefix()
	log.SetFlags(0)
	log.SetPrefix("svc ")
	defer func() {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
		log.SetPrefix(prefix)
	}()
	logTo(nil, "std")("one")
	logTo(nil, "off")("two")
	if got := std.String(); got != "svc runtimemetrics: one\n" {
		t.Errorf("package log wrote %q", got)
	}
	var logf lines
	for _, destination := range []string{"std", "stderr", "off"} { // Logf wins
		logTo(func(format string, args ...any) { logf.add(fmt.Sprintf(format, args...)) }, destination)("100 %d")
	}
	if got := logf.get(); len(got) != 3 || got[2] != "runtimemetrics: 100 %d" {
		t.Errorf("Logf got %q", got)
	}
}

// TestBlockedLoggersHoldUpNeitherTicksNorStop goes the whole way.
func TestBlockedLoggersHoldUpNeitherTicksNorStop(t *testing.T) {
	server := listen(t, "127.0.0.1:0")
	block := make(chan struct{})
	defer close(block)
	p := newPublisher(env())
	if err := p.start(Config{StatsD: server.LocalAddr().String(), Prefix: "p", Pause: minPause, Logf: func(string, ...any) { <-block }}); err != nil {
		t.Fatal(err)
	}
	for tick := 0; tick < 5; tick++ {
		receive(t, server)
	}
	p.stop()
	for {
		if got := receive(t, server); strings.Contains(got, "p.mem.alloc:0|g") {
			return
		}
	}
}

// TestALineThatComesWhileTheGoroutineEndsStartsOneOther has the goroutine and the
// lines wait for the same lock, one after the other.
func TestALineThatComesWhileTheGoroutineEndsStartsOneOther(t *testing.T) {
	for i := 0; i < 10; i++ {
		var l logger
		var got lines
		var atATime, printed sync.Mutex
		slow := func(line string) {
			if !atATime.TryLock() {
				t.Error("two lines are written at a time")
				return
			}
			defer atATime.Unlock()
			time.Sleep(5 * time.Millisecond)
			got.add(line)
		}
		writing, write := make(chan struct{}), make(chan struct{})
		l.print(func(string) { close(writing); <-write }, "")
		<-writing
		l.mu.Lock()
		close(write)
		// When the goroutine has waited for a while, and in vain once, the lock goes
		// from one to the next in the order in which they came.
		time.Sleep(5 * time.Millisecond)
		l.mu.Unlock()
		l.mu.Lock()
		printed.Lock()
		go func() {
			defer printed.Unlock()
			l.print(slow, "one")
			l.print(slow, "two")
		}()
		time.Sleep(5 * time.Millisecond)
		l.mu.Unlock()
		printed.Lock()
		eventually(t, "the goroutine ends", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return !l.busy
		})
		if got := got.get(); !slices.Equal(got, []string{"one", "two"}) {
			t.Errorf("the lines are %q", got)
		}
	}
}
