// Package stacktest is for tests of the examples that a script called up starts
// and one called down ends.
package stacktest

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
)

// TakeDown has down run at the end of the test, and on Ctrl-C as well, so that
// nothing stays up. If the test has failed, the ends of the logs in the work
// directory are shown first.
func TakeDown(t *testing.T, work string, down func() (output []byte, err error)) {
	t.Helper()
	end := func() {
		if t.Failed() {
			logs, _ := filepath.Glob(filepath.Join(work, "log", "*.log"))
			for _, log := range logs {
				text, _ := os.ReadFile(log)
				if long := len(text) - 2000; long > 0 {
					text = text[long:]
				}
				t.Logf("%s:\n%s", filepath.Base(log), text)
			}
		}
		if out, err := down(); err != nil {
			t.Errorf("down: %v\n%s", err, out)
		}
	}
	t.Cleanup(end)
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-interrupts; ok {
			end()
			os.Exit(1)
		}
	}()
	t.Cleanup(func() {
		signal.Stop(interrupts)
		close(interrupts)
	})
}
