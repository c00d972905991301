package hosts

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// switches returns how often the threads of a process have gone to sleep so far.
func switches(t *testing.T, p *harness.Process) (n int) {
	t.Helper()
	tasks := fmt.Sprintf("/proc/%d/task", p.PID())
	threads, err := os.ReadDir(tasks)
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		status, err := os.ReadFile(tasks + "/" + thread.Name() + "/status")
		if err != nil {
			continue // it has ended
		}
		for _, line := range strings.Split(string(bytes.TrimSpace(status)), "\n") {
			if text, ok := strings.CutPrefix(line, "voluntary_ctxt_switches:"); ok {
				more, err := strconv.Atoi(strings.TrimSpace(text))
				if err != nil {
					t.Fatal(err)
				}
				n += more
			}
		}
	}
	return n
}

// A program that never parses its flags, and is told of no server, waits for ever:
// it must not be woken all the time for that. Each wake is worth a few switches;
// on a machine that is too busy to wake it there can only be fewer.
func TestAProgramThatNeverParsesIsWokenRarely(t *testing.T) {
	t.Parallel()
	p := harness.Host{Program: "plain", Env: []string{"PARSE=never"}}.Start(t)
	time.Sleep(2 * time.Second)
	begun, before := time.Now(), switches(t, p)
	time.Sleep(20 * time.Second)
	woken := switches(t, p) - before
	t.Logf("%d switches in %v", woken, time.Since(begun))
	if woken > 200 {
		t.Errorf("it went to sleep %d times in 20 s", woken)
	}
	p.End()
}
