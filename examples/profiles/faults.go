package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// faults are what can be switched on. Each plays the requests of a busy service
// that meet one mistake in its code, until it is switched off.
var faults = map[string]func(context.Context){
	"goroutines": func(ctx context.Context) { everyFewMilliseconds(ctx, func() { ask() }) },
	"heap":       func(ctx context.Context) { everyFewMilliseconds(ctx, login) },
	"scheduler":  thumbnails,
}

var errLate = errors.New("no answer in time")

// ask asks a backend that is slower than its caller's patience.
func ask() (string, error) {
	answer := make(chan string) // the mistake: no room for an answer that comes late
	go func() {
		time.Sleep(20 * time.Millisecond)
		answer <- "42"
	}()
	select {
	case a := <-answer:
		return a, nil
	case <-time.After(10 * time.Millisecond):
		return "", errLate
	}
}

var sessions struct {
	sync.Mutex
	all [][]byte
}

// login begins a session. The mistake: no session ever ends.
func login() {
	session := make([]byte, 32<<10)
	sessions.Lock()
	defer sessions.Unlock()
	sessions.all = append(sessions.all, session)
}

// thumbnails computes what many requests want at the same time. The mistake: as
// many at a time as there are requests, where there are only so many processors.
func thumbnails(ctx context.Context) {
	var requests sync.WaitGroup
	for range 16 * runtime.GOMAXPROCS(0) {
		requests.Go(func() {
			for ctx.Err() == nil {
				thumbnail()
			}
		})
	}
	requests.Wait()
}

var image = make([]byte, 8<<20)

func thumbnail() {
	sha256.Sum256(image)
}

func everyFewMilliseconds(ctx context.Context, request func()) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			go request()
		}
	}
}

// longest is how long a fault lasts that nobody switches off.
var longest = time.Minute

var on struct {
	sync.Mutex
	off map[string]context.CancelFunc
}

func switchOn(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	fault, ok := faults[name]
	if !ok {
		http.Error(w, fmt.Sprintf("no fault %q; there are %q", name, slices.Sorted(maps.Keys(faults))), http.StatusNotFound)
		return
	}
	on.Lock()
	defer on.Unlock()
	if on.off[name] != nil {
		http.Error(w, name+" is on", http.StatusConflict)
		return
	}
	ctx, off := context.WithTimeout(context.Background(), longest)
	if on.off == nil {
		on.off = map[string]context.CancelFunc{}
	}
	on.off[name] = off
	go func() {
		fault(ctx)
		on.Lock()
		defer on.Unlock()
		on.off[name] = nil
	}()
	fmt.Fprintf(w, "%s is on, for %v at most\n", name, longest)
}

func switchOff(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	on.Lock()
	defer on.Unlock()
	if on.off[name] == nil {
		http.Error(w, name+" is not on", http.StatusConflict)
		return
	}
	on.off[name]()
	fmt.Fprintln(w, name, "is off")
}
