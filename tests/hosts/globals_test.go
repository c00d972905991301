package hosts

import (
	"slices"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// The library's goroutine exists before main does, and main was told nothing of it:
// what main begins with must not race with it. Each program has dialled or looked up
// the server's name, and logged that this has failed.
func TestWhatMainReplacesFirstIsNoRace(t *testing.T) {
	t.Parallel()
	runs := 3
	releases := []string{"", "go1.21.13", "go1.26.11", "go1.27.4"}
	if testing.Short() {
		runs, releases = 1, releases[:1]
	}
	for _, release := range releases {
		t.Run("Go "+release, func(t *testing.T) {
			t.Parallel()
			if release != "" {
				harness.HasRelease(t, release)
			}
			for name, program := range map[string]struct {
				tags string
				env  []string
			}{
				"flags are parsed":       {"", nil},
				"flags are never parsed": {"", []string{"PARSE=never", "WITHIN=3s"}},
				// The library waits for half a second.
				"the environment alone":     {"environment", []string{"WITHIN=300ms"}},
				"and main comes late to it": {"environment", []string{"INIT=200ms", "WITHIN=300ms"}},
			} {
				for _, replaced := range []string{"time.Local", "net.DefaultResolver", "log.SetOutput", "os.Stderr", "flag.CommandLine", "flag.CommandLine by nil"} {
					t.Run(name+", "+replaced, func(t *testing.T) {
						t.Parallel()
						soon := 0
						for run := range runs {
							p := harness.Host{Program: "globals", Race: true, Release: release, Tags: program.tags, Env: append([]string{"REPLACE=" + replaced,
								"RUNTIMEMETRICS_STATSD=" + []string{"127.0.0.1:1", "statsd.invalid"}[run%2], "RUNTIMEMETRICS_PAUSE=100ms"}, program.env...)}.Start(t)
							p.WaitLog("fails, ticks are lost")
							p.End() // it has not crashed; that it reports no race is looked at by the harness
							if !slices.Contains(p.Stdout(), "late") {
								soon++
							}
						}
						if soon == 0 {
							t.Skip("SKIPPED: the machine is too busy for main to come in time")
						}
					})
				}
			}
		})
	}
}
