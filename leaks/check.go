package leaks

import (
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"
)

// profileName is what the runtime calls the goroutines that have leaked.
const profileName = "goroutineleak"

// cannot returns why this program cannot be checked; "" if it can.
func cannot() string {
	switch {
	case runtime.GOOS == "windows":
		return "on Windows, Go's check can end a program whose input and output is asynchronous"
	case pprof.Lookup(profileName) == nil:
		return runtime.Version() + " cannot find them; Go 1.27 can"
	}
	return ""
}

// check has the runtime look for goroutines that have leaked, which takes one
// garbage collection.
//
// The profile's Count would say how many it found, but counts a main goroutine
// that stands at select {}, for which the profile has no stack.
func check() result {
	r := result{places: map[place]int{}}
	module := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		module = info.Main.Path
	}
	text := newStacks(func(goroutines int, pcs []uintptr) {
		stack := frames(pcs)
		if isMain(stack) { // it waits for ever in many a service, by design
			return
		}
		r.goroutines += goroutines
		r.places[placeOf(stack, module)] += goroutines
	})
	begun := time.Now()
	r.err = pprof.Lookup(profileName).WriteTo(text, 1)
	if r.err == nil {
		r.err = text.finish()
	}
	r.ended = time.Now()
	r.took = r.ended.Sub(begun)
	return r
}
