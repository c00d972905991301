//go:build race

package runtimemetrics

import (
	"runtime"
	"sync/atomic"
	"time"
)

// afterMain orders what follows after what the program has done so far, for the
// race detector alone: main may have set time.Local or net.DefaultResolver before
// its flags were parsed, which no channel of ours was told. It rests on how the
// detector treats finalizers: what happened before a garbage collection happened
// before they run.
func afterMain() {
	var done atomic.Bool
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) { done.Store(true) })
	// A finalizer of the program's that blocks holds up all others.
	for tries := 0; tries < 100 && !done.Load(); tries++ {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
}
