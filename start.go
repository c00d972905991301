package runtimemetrics

import (
	"flag"
	"math"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/mode"
)

const (
	// While a program waits for its flags to be parsed, it is looked whether they
	// are: this often at first, then each time that half as long has passed again.
	pollEvery = 20 * time.Millisecond

	// Flags are set one by one while a program parses them; this long after
	// the last one they count as settled.
	quiet = 50 * time.Millisecond

	// A program that never calls flag.Parse starts to publish this long after
	// init if RUNTIMEMETRICS_STATSD is set, or after one of the flags was set:
	// cobra sets flags without telling package flag.
	unparsedStart = 5 * time.Second

	// With package env, the environment is all that counts, and it is there from the
	// start; but until main has got that far, it may still replace what this library
	// is about to read. The first tick comes firstTick after init all the same.
	envStart = firstTick / 2

	// A program in which nothing has started is told how after this long.
	hintAfter = time.Minute

	// The first tick of an automatic start comes this long after the settings were
	// taken: a command that ends at once sends nothing. The first tick of Start
	// waits as long for the server's name to resolve.
	firstTick = time.Second

	// never is the time since a flag was set if none was.
	never = math.MaxInt64
)

// decide says whether publishing may begin, and if not, how long to wait before
// one asks again, and whether the program ought to be told how to start. It is
// asked again at once when a flag is set. parsed tells that package flag's flags
// are parsed, fromEnv that the environment names a server, sinceSet how long ago
// a flag was set or the parsing was noticed, and elapsed how long ago the program
// began.
func decide(parsed, fromEnv bool, sinceSet, elapsed time.Duration) (wait time.Duration, begin, hint bool) {
	// What is still to pass for each of the reasons to begin.
	settle := quiet
	if !parsed {
		settle = unparsedStart
	}
	left := settle - sinceSet // never is negative
	if sinceSet == never {
		left = never
	}
	if fromEnv {
		left = min(left, unparsedStart-elapsed)
	}
	if left <= 0 {
		return 0, true, false
	}
	wait = min(left, max(pollEvery, elapsed/2))
	if elapsed < hintAfter {
		return min(wait, hintAfter-elapsed), false, false
	}
	return wait, false, left == never
}

// flagsParsed is flag.Parsed without a report of the race detector. There is no
// way to ask from another goroutine that is not a data race, and none of it
// matters: at worst, the answer comes a poll later, and values are read through
// option, which is guarded. In a build for a debugger (-gcflags=-N -l) with -race,
// where Parsed is not inlined here, the detector may report it.
//
//go:norace
func flagsParsed() bool {
	return flag.CommandLine != nil && flag.CommandLine.Parsed()
}

// await waits until publishing may begin by itself; it returns false if it never
// shall. Until then main may replace time.Local, net.DefaultResolver, os.Stderr and
// more without a word to this goroutine, so nothing here reads them: it asks the
// time by time.Since alone.
func (s *session) await() (begin bool) {
	p := s.pub
	fromEnv := p.opts.list[statsdFlag].fromEnv
	// Not by NewTimer: what sends to its channel calls time.Now. (The race detector
	// does not even report that, but crashes.)
	look := make(chan struct{}, 1)
	timer := time.AfterFunc(envStart, func() {
		select {
		case look <- struct{}{}:
		default:
		}
	})
	defer timer.Stop()
	if mode.EnvOnly {
		select {
		case <-s.stop:
			return false
		case <-look:
			return fromEnv
		}
	}
	parsed, hinted := false, false
	set := time.Duration(-1) // when a flag was set, or the parsing noticed
	for {
		now := p.now()
		if !parsed && p.parsed() {
			parsed, set = true, now
		}
		sinceSet := time.Duration(never)
		if set >= 0 {
			sinceSet = now - set
		}
		wait, begin, hint := decide(parsed, fromEnv, sinceSet, now)
		if begin {
			return true
		}
		if hint && !hinted {
			hinted = true
			if !isTrue(p.opts.text(publishFlag)) {
				return false
			}
			p.afterMain()
			s.sayNotes()
			s.say("nothing is published yet: call flag.Parse or runtimemetrics.Start, or set RUNTIMEMETRICS_STATSD")
		}
		timer.Reset(wait)
		select {
		case <-s.stop:
			return false
		case <-s.wake:
			set = p.now()
		case <-look:
		}
	}
}
