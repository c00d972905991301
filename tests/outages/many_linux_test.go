package outages

import (
	"errors"
	"net"
	"os"
	"strconv"
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
	p := harness.Host{Program: "many", Args: []string{"--statsd=" + conn.LocalAddr().String(), "--metric-prefix=svc", "--pause=1", "--cpu=true", "--mem=false", strconv.Itoa(gauges)}}.Start(t)

	// A server that gets no processor loses datagrams whatever the service does. One
	// that has slept for longer than it wanted to does not count: once for long, or each
	// time for several milliseconds, in which as many datagrams come.
	const long, each = 20 * time.Millisecond, 3 * time.Millisecond
	var slept time.Duration                   // in this tick
	datagrams, lines, disturbed := 0, 0, true // until the first tick begins
	undisturbed, whole := 0, false
	buf := make([]byte, 1<<16)
	conn.SetReadDeadline(time.Now().Add(harness.Patience))
	for undisturbed < 10 && !whole {
		n, _, err := conn.ReadFrom(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		text := string(buf[:n])
		if strings.HasPrefix(text, "svc.cpu.goroutines:") {
			if datagrams > 0 {
				t.Logf("of %d gauges, %d arrived in %d datagrams", gauges, lines, datagrams)
			}
			whole = lines == gauges
			if !disturbed && slept <= each*time.Duration(datagrams) {
				undisturbed++
			}
			datagrams, lines, slept, disturbed = 0, 0, 0, false
			continue
		}
		datagrams++
		lines += strings.Count(text, "\n") + 1
		begun := time.Now()
		time.Sleep(time.Millisecond)
		took := time.Since(begun)
		slept, disturbed = slept+took, disturbed || took > long
	}
	if !whole && undisturbed == 0 {
		t.Skip("the machine is too busy to tell: this server did not get the time that it needs")
	}
	if !whole {
		t.Errorf("in %d ticks, not all of %d gauges arrived once", undisturbed, gauges)
	}
	p.End()
}
