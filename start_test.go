package runtimemetrics

import (
	"flag"
	"testing"
	"time"
)

func TestWhenPublishingBegins(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	tests := []struct {
		name              string
		parsed, fromEnv   bool
		sinceSet, elapsed time.Duration
		wait              time.Duration
		begin, hint       bool
	}{
		{"at first it is looked often", false, false, never, 0, 20 * ms, false, false},
		{"then each time half as long has passed again", false, false, never, 10 * s, 5 * s, false, false},
		{"but not past the hint", false, false, never, 50 * s, 10 * s, false, false},
		{"the hint", false, false, never, 60 * s, 30 * s, false, true},
		{"a program that never parses is woken rarely", false, false, never, 3600 * s, 1800 * s, false, true},
		{"parsing was just noticed", true, false, 0, s, 50 * ms, false, false},
		{"flags are still being set", true, false, 10 * ms, s, 40 * ms, false, false},
		{"flags have settled", true, false, 50 * ms, s, 0, true, false},
		{"flags have settled long after the hint", true, false, 50 * ms, 3600 * s, 0, true, false},
		{"the environment alone, too early", false, true, never, 4 * s, s, false, false},
		{"the environment alone", false, true, never, 5 * s, 0, true, false},
		{"the environment does not wait less for a flag that is set", false, true, 0, 4500 * ms, 500 * ms, false, false},
		{"a flag was set and nothing parsed", false, false, s, 2 * s, s, false, false},
		{"a flag was set five seconds ago", false, false, 5 * s, 90 * s, 0, true, false},
		{"a flag was set just before the hint", false, false, s, 61 * s, 4 * s, false, false},
	}
	for _, tt := range tests {
		wait, begin, hint := decide(tt.parsed, tt.fromEnv, tt.sinceSet, tt.elapsed)
		if wait != tt.wait || begin != tt.begin || hint != tt.hint {
			t.Errorf("%s: wait %v, begin %v, hint %v; want %v, %v, %v", tt.name, wait, begin, hint, tt.wait, tt.begin, tt.hint)
		}
	}
}

// TestParsingIsNoticedInTime goes through programs that parse at any moment, as
// far as the clock of this function is concerned.
func TestParsingIsNoticedInTime(t *testing.T) {
	wakes := 0
	for elapsed := time.Duration(0); elapsed < 24*time.Hour; wakes++ {
		wait, begin, _ := decide(false, false, never, elapsed)
		if begin || wait <= 0 {
			t.Fatalf("after %v: wait %v, begin %v", elapsed, wait, begin)
		}
		// The worst that can be is to parse just after a look.
		if noticed := elapsed + wait + quiet; noticed-elapsed > 100*time.Millisecond && noticed > 2*elapsed {
			t.Errorf("who parses at %v is noticed at %v", elapsed, noticed)
		}
		elapsed += wait
	}
	if wakes > 40 {
		t.Errorf("%d wakes in a day", wakes)
	}
}

func TestFlagsParsedIsFlagParsed(t *testing.T) {
	defer func(old *flag.FlagSet) { flag.CommandLine = old }(flag.CommandLine)
	flag.CommandLine = flag.NewFlagSet("service", flag.ContinueOnError)
	if flagsParsed() {
		t.Error("parsed before Parse")
	}
	flag.CommandLine.Parse(nil)
	if !flagsParsed() {
		t.Error("not parsed after Parse")
	}
	flag.CommandLine = nil // as some programs set it
	if flagsParsed() {
		t.Error("parsed without any flags")
	}
}
