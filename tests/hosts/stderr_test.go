package hosts

import (
	"os"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// A service may log elsewhere and have a standard error that nobody reads any more:
// a supervisor that was restarted, a shell's pipeline that has ended. The system
// ends a Go program that writes to it.
func TestAStandardErrorThatNobodyReadsDoesNotEndTheService(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"lines go to package log":     nil,
		"lines go to standard error":  {"--metric-log=stderr"},
		"lines go nowhere":            {"--metric-log=off"},
		"package log has no time":     {"--pause=150ms"},
		"a longer pause than the log": {"--pause=1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.ListenUDP(t)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := harness.Host{Program: "plain", Race: true, Stderr: w,
				Args: append([]string{"--statsd=" + s.Addr(), "--metric-prefix=go.pipe", "--pause=100ms", "--metric-runtime=/sched/gomaxprocs*"}, args...)}.Start(t)
			w.Close()
			lost := func() int64 {
				n, ok := s.Next().Value("go.pipe.runtimemetrics.lost")
				if !ok {
					t.Fatal("there is no go.pipe.runtimemetrics.lost")
				}
				return n
			}
			lost() // the start line is being written; who reads it goes now, or just before
			r.Close()
			// An outage that takes a tick at least: nobody reads its two lines.
			for before, down := lost(), 100*time.Millisecond; lost() == before; down *= 2 {
				s.Down()
				time.Sleep(down)
				s.Up()
			}
			for range 5 {
				lost()
			}
			p.End()
		})
	}
}
