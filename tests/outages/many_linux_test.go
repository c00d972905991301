package outages

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// A server's receive buffer of the default size holds some 90 datagrams of 1,432
// bytes. One that is busy, here with a millisecond for each, must not lose what a
// service sends at a tick, were it 150.
func TestABusyServerGetsAllDatagramsOfALargeTick(t *testing.T) {
	t.Parallel()
	const gauges = 4000
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p := harness.Host{Program: "many", Args: []string{"--statsd=" + conn.LocalAddr().String(), "--metric-prefix=svc", "--pause=1", "--cpu=true", "--mem=false", "4000"}}.Start(t)

	// A server that gets no processor loses datagrams whatever the service does, and
	// so this test asks for one tick of many that arrives whole.
	const ticks = 30
	var arrived []int
	buf := make([]byte, 1<<16)
	datagrams, lines, whole := 0, 0, false
	conn.SetReadDeadline(time.Now().Add(harness.Patience))
	for len(arrived) < ticks && !whole {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		text := string(buf[:n])
		if strings.HasPrefix(text, "svc.cpu.goroutines:") {
			if lines > 0 {
				arrived = append(arrived, lines)
				t.Logf("of %d gauges, %d arrived in %d datagrams", gauges, lines, datagrams)
				whole = lines == gauges
			}
			datagrams, lines = 0, 0
			continue
		}
		datagrams++
		lines += strings.Count(text, "\n") + 1
		time.Sleep(time.Millisecond)
	}
	if !whole {
		t.Errorf("of %d gauges, %v arrived in %d ticks", gauges, arrived, len(arrived))
	}
	p.End()
}
