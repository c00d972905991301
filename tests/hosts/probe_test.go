package hosts

import (
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// A health probe, or a command such as -version, is the same binary as the service,
// in the same container with the same prefix: what it sent would stand in the place
// of the service's gauges until the service's next tick.
func TestWhatEndsAtOnceSendsNothingAndSaysNothing(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]struct{ env, tags string }{
		"flags":           {},
		"the environment": {"RUNTIMEMETRICS_STATSD=", ""},
		"package env":     {"RUNTIMEMETRICS_STATSD=", "environment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			told := 0
			for range 20 {
				// Not with the race detector, which keeps a program for a second at its end.
				h := harness.Host{Program: "probe", Tags: by.tags}
				if by.env != "" {
					h.Env = []string{by.env + s.Addr()}
				} else {
					h.Args = []string{"--statsd=" + s.Addr()}
				}
				p := h.Start(t)
				if code := p.Exit(); code != 0 {
					t.Fatalf("exit code %d", code)
				}
				lived, err := time.ParseDuration(p.Stdout()[0])
				if err != nil {
					t.Fatal(err)
				}
				sent := s.TakeAll()
				if lived > 500*time.Millisecond { // since main began, and the library before that
					continue // on a machine that is so busy, it did not end at once
				}
				told++
				if len(sent) > 0 || len(p.Stderr()) > 0 {
					t.Errorf("a program that lived for %v sent %d datagrams, and its standard error is %q", lived, len(sent), p.Stderr())
				}
				if told == 5 {
					return
				}
			}
			if told == 0 {
				t.Skip("no program ended within 500 ms")
			}
		})
	}
}
