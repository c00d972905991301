//go:build go1.25

//go:debug asynctimerchan=0

package runtimemetrics

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/link/fakenet"
)

// service is a publisher in a test's bubble of time, on a fake network, with
// the lines that it logs.
type service struct {
	*publisher
	fake *fakenet.Net

	mu       sync.Mutex
	isParsed bool
	logs     []string
}

func newService(pairs ...string) *service {
	s := &service{publisher: newPublisher(env(pairs...)), fake: &fakenet.Net{}}
	s.net = &link.Net{Lookup: s.fake.LookupNetIP, Dial: s.fake.Dial}
	s.process = testProcess
	s.afterMain = func() {} // garbage collections do not run in bubbles
	s.publisher.parsed = func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.isParsed
	}
	s.opts.changed = s.flagSet
	return s
}

// parse tells the service that package flag's flags are parsed.
func (s *service) parse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isParsed = true
}

func (s *service) logf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, fmt.Sprintf(format, args...))
}

// logged returns and forgets the lines so far.
func (s *service) logged() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.logs
	s.logs = nil
	return lines
}

// setFlag sets one of the flags.
func (s *service) setFlag(t *testing.T, i int, text string) {
	t.Helper()
	if err := s.opts.list[i].Set(text); err != nil {
		t.Fatal(err)
	}
}

// auto starts the service as init does.
func (s *service) auto() { s.begin(&Config{Logf: s.logf}) }

// start starts the service by hand at an address that needs no resolver.
func (s *service) start(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.StatsD == "" {
		cfg.StatsD = "10.0.0.1"
	}
	if cfg.Logf == nil {
		cfg.Logf = s.logf
	}
	if err := s.publisher.start(cfg); err != nil {
		t.Fatal(err)
	}
}

// running tells whether a goroutine publishes, or waits to.
func (s *service) running() bool {
	s.publisher.mu.Lock()
	defer s.publisher.mu.Unlock()
	return s.session != nil && !closed(s.session.done)
}

// values returns the gauges of a datagram.
func values(datagram string) map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(datagram, "\n") {
		name, value, _ := strings.Cut(line, ":")
		m[name] = strings.TrimSuffix(value, "|g")
	}
	return m
}

// history returns the values that were sent of a gauge, in their order.
func (s *service) history(name string) (values []string) {
	for _, d := range s.fake.Sent() {
		for _, line := range strings.Split(d.Text, "\n") {
			if value, ok := strings.CutPrefix(line, name+":"); ok {
				values = append(values, strings.TrimSuffix(value, "|g"))
			}
		}
	}
	return values
}

// last returns what the server is left with of a gauge, "" if it was never sent.
func (s *service) last(name string) string {
	if values := s.history(name); len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// ticks returns the datagrams with which ticks began: those with the library's own
// gauges, of which name is the first.
func (s *service) ticks(name string) (ticks []fakenet.Datagram) {
	for _, d := range s.fake.Sent() {
		if strings.HasPrefix(d.Text, name+":") {
			ticks = append(ticks, d)
		}
	}
	return ticks
}

// expectLogs fails unless exactly these lines were logged since the last time, in
// this order.
func expectLogs(t *testing.T, s *service, want ...string) {
	t.Helper()
	got := s.logged()
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(got[i], "runtimemetrics: ") && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("logged %q, want lines with %q", got, want)
	}
}
