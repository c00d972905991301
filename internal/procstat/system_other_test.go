//go:build !linux

package procstat

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

var wine bool // which does not count handles

func TestWhatTheSystemTells(t *testing.T) {
	want := map[string]string{
		"windows":   "proc.rss.bytes proc.rss.bytes.upper proc.fds",
		"darwin":    "proc.rss.bytes.upper proc.fds proc.fds_limit proc.faults.major",
		"freebsd":   "proc.rss.bytes.upper proc.fds_limit proc.faults.major",
		"netbsd":    "proc.rss.bytes.upper proc.fds_limit proc.faults.major",
		"openbsd":   "proc.rss.bytes.upper proc.fds_limit proc.faults.major",
		"dragonfly": "proc.rss.bytes.upper proc.fds_limit proc.faults.major",
	}[runtime.GOOS]
	r := New()
	before := publish(r)
	for _, name := range strings.Fields(want) {
		if _, ok := before[name]; !ok && !(wine && name == "proc.fds") {
			t.Errorf("%s is missing", name)
		}
	}
	if before["proc.start_time.seconds"] == 0 {
		t.Error("it does not tell when it started")
	}

	const files, size = 100, 64 << 20
	for i := 0; i < files; i++ {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	memory := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	after := publish(r)
	runtime.KeepAlive(memory)
	t.Logf("before %v\nafter  %v", before, after)
	// The runtime may open and close some of its own, and use more or less.
	if v, ok := after["proc.fds"]; ok && v < before["proc.fds"]+files-10 {
		t.Errorf("proc.fds is %d after %d, with %d files opened", v, before["proc.fds"], files)
	}
	if v, ok := after["proc.rss.bytes"]; ok && v < before["proc.rss.bytes"]+size-size/4 {
		t.Errorf("proc.rss.bytes is %d after %d, with %d more in use", v, before["proc.rss.bytes"], size)
	}
	if v, ok := after["proc.rss.bytes.upper"]; ok && v < size {
		t.Errorf("proc.rss.bytes.upper is %d with %d in use", v, size)
	}
	if after["proc.rss.bytes"] > after["proc.rss.bytes.upper"] {
		t.Errorf("the peak is below what is in use: %v", after)
	}
}
