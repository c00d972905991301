package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/leaks"   // if an interval is set, and Go is 1.27 or later
	_ "github.com/runtimemetrics/runtimemetrics/process" // CPU, memory, files
)

// shop is the sample service: it pretends to answer requests, so that there is
// something to see. It takes a few percent of a CPU.
type shop struct {
	inFlight atomic.Int64

	leaks bool
	rate  float64 // requests per second, on average
	limit int64   // of the cache, in bytes

	mu    sync.Mutex
	cache map[int][]byte
	bytes int64
}

// newShop returns a shop, which may leak.
func newShop(leaks bool) *shop {
	return &shop{leaks: leaks, rate: requestsPerSecond, limit: cacheLimit, cache: make(map[int][]byte)}
}

const (
	// Requests come in waves.
	requestsPerSecond = 70
	wave              = 48 * time.Second

	// Now and then there is a rush of as many more.
	rushEvery = 25 * time.Second
	rushLasts = 3 * time.Second

	// The cache is emptied when it is full, so that the heap saws.
	cacheLimit = 24 << 20
)

// order is what a request is about.
type order struct {
	ID    int
	Item  string
	Price float64
	Notes []string
}

// pageSize is what a request allocates to answer with, at most, in bytes.
const pageSize = 250 << 10

// run answers requests until ctx ends, then waits for those under way.
func (s *shop) run(ctx context.Context) {
	defer runtimemetrics.Register(s.gauges)()

	var requests sync.WaitGroup
	defer requests.Wait()
	const step = 50 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	due := 0.0 // requests, with the part of one that is left over
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		up := time.Since(began)
		rate := s.rate * (1 + 0.7*math.Sin(2*math.Pi*float64(up)/float64(wave)))
		if up > rushEvery && up%rushEvery < rushLasts {
			rate += s.rate
		}
		due += step.Seconds() * rate
		for ; due >= 1; due-- {
			requests.Go(func() { s.answer(ctx) })
		}
	}
}

// answer is one request: it computes, waits as if for a database, and keeps
// something.
func (s *shop) answer(ctx context.Context) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)

	orders := make([]order, 20+rand.IntN(60))
	for i := range orders {
		orders[i] = order{ID: rand.Int(), Item: "tea", Price: rand.Float64(), Notes: make([]string, 8)}
	}
	text, err := json.Marshal(orders)
	if err != nil {
		return // it cannot be: there is nothing in an order that JSON has not
	}
	page := bytes.NewBuffer(make([]byte, 0, 1+rand.IntN(pageSize)))
	page.Write(text)

	if s.leaks && rand.IntN(leakOneIn) == 0 {
		s.ask()
	}
	select {
	case <-ctx.Done():
		return
	case <-time.After(time.Duration(50+rand.IntN(700)) * time.Millisecond):
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes > s.limit {
		clear(s.cache)
		s.bytes = 0
	}
	s.cache[orders[0].ID] = bytes.Clone(page.Bytes())
	s.bytes += int64(page.Len())
}

// leakOneIn requests leaks a goroutine, if any does: some ten a second.
const leakOneIn = 7

// ask asks a backend, and does not wait for its answer. The mistake is the one
// that leaks most in Go: nobody receives what the goroutine sends.
func (s *shop) ask() {
	answer := make(chan string)
	go func() { answer <- "42" }()
}

// gauges is called at each tick of the library.
func (s *shop) gauges(t *runtimemetrics.Tick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Gauge("shop.requests_in_flight", s.inFlight.Load())
	t.Gauge("shop.cache.entries", int64(len(s.cache)))
	t.Gauge("shop.cache.bytes", s.bytes)
}
