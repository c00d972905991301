package runtimemetrics

import (
	"log"
	"os"
	"sync"
)

// maxLines is how many lines wait at most while the one before them is written.
const maxLines = 64

// stderr is standard error, whatever the program makes of os.Stderr later.
var stderr = os.Stderr

// logger writes lines one after the other, on a goroutine that exists while there
// are any: Logf and the writers of package log are the program's, and may block.
type logger struct {
	mu    sync.Mutex
	lines []func() // those to write, each a call
	busy  bool     // the goroutine exists
}

// print writes line to where it goes. It does not wait.
func (l *logger) print(to func(line string), line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) >= maxLines {
		return
	}
	l.lines = append(l.lines, func() { to(line) })
	if !l.busy {
		l.busy = true
		go l.drain()
	}
}

// drain writes lines until there are none. One that panics or calls
// runtime.Goexit ends this goroutine; another one goes on with the next.
func (l *logger) drain() {
	ended := false
	defer func() {
		if _ = recover(); !ended {
			go l.drain()
		}
	}()
	for write := l.next(); write != nil; write = l.next() {
		write()
	}
	ended = true
}

// next takes the next line to write. If there is none, the goroutine shall end.
func (l *logger) next() func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines) == 0 {
		l.busy, l.lines = false, nil
		return nil
	}
	write := l.lines[0]
	l.lines = l.lines[1:]
	return write
}

// logTo returns where lines go: to Logf if there is one, else where flag
// --metric-log says.
func logTo(logf func(string, ...any), destination string) func(line string) {
	switch {
	case logf != nil:
		return func(line string) { logf("runtimemetrics: %s", line) }
	case destination == "off":
		return func(string) {}
	case destination == "stderr":
		return func(line string) { log.New(raw{stderr}, "", log.LstdFlags).Print("runtimemetrics: " + line) }
	}
	return func(line string) {
		l := log.Default()
		if f, ok := l.Writer().(*os.File); ok {
			l = log.New(raw{f}, l.Prefix(), l.Flags())
		}
		l.Print("runtimemetrics: " + line)
	}
}
