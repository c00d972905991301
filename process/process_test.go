package process

import (
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

func TestImportedItPublishesGaugesOfTheCatalogue(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer server.Close()
	err = runtimemetrics.Start(runtimemetrics.Config{StatsD: server.LocalAddr().String(), Prefix: "x", Pause: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer runtimemetrics.Stop()

	known := map[string]bool{}
	for _, g := range catalogue.Gauges() {
		known[g.Name] = true
	}
	got := map[string]bool{}
	want := []string{"proc.start_time.seconds", "proc.uptime.seconds"} // which exist on every system
	if runtime.GOOS == "linux" {
		want = append(want, "proc.cpu.user.ns", "proc.fds_limit")
	}
	all := func() bool {
		for _, name := range want {
			if !got[name] {
				return false
			}
		}
		return true
	}
	buf := make([]byte, 65536)
	for server.SetReadDeadline(time.Now().Add(time.Minute)); !all(); {
		n, _, err := server.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%v; arrived: %v", err, got)
		}
		for _, line := range strings.Split(string(buf[:n]), "\n") {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "x."), ":")
			got[name] = true
			if prefix, _, _ := strings.Cut(name, "."); (prefix == "proc" || prefix == "cgroup") && !known[name] {
				t.Errorf("%s is not in the catalogue", name)
			}
		}
	}
}
