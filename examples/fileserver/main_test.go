//go:build linux

package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

// TestAForeignNameGetsNoFile plays a page of another site whose name resolves to
// this machine, for this file server and for the one that examples/graphite adds.
func TestAForeignNameGetsNoFile(t *testing.T) {
	for _, program := range []string{"../fileserver", "../graphite/service"} {
		t.Run(program, func(t *testing.T) {
			addr := stacktest.FreeAddress(t)
			cmd := exec.Command(stacktest.Build(t, program), "--addr="+addr, "--host=files.example", "--publish-runtime-stats=false")
			cmd.Env, cmd.Dir = stacktest.Environment(), t.TempDir()
			if err := os.WriteFile(filepath.Join(cmd.Dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			stacktest.Start(t, cmd)
			status := func(host string) (int, error) {
				r, err := http.NewRequest("GET", "http://"+addr+"/file", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = host
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					return 0, err
				}
				return answer.StatusCode, answer.Body.Close()
			}
			for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				if _, err := status(addr); err == nil {
					break
				} else if time.Since(began) > 2*time.Minute {
					t.Fatal(err)
				}
			}
			for host, want := range map[string]int{addr: 200, "files.example:8000": 200, "evil.example:8000": 421} {
				if got, err := status(host); got != want {
					t.Errorf("Host %s: %d (%v), want %d", host, got, err, want)
				}
			}
		})
	}
}
