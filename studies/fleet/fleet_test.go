package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/studies/bench/floor"
)

// fits is the number of processes whose ticks of 27 datagrams fit into a receive
// buffer of the stock size (212,992 bytes) even if nobody reads it, so that
// however slow a machine is, nothing of them is lost.
const fits = 9

func realTicks(t *testing.T) [styles]tick {
	t.Helper()
	ticks, err := capture(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ticks
}

func TestAllThatIsSentToStatsDIsCounted(t *testing.T) {
	js, err := statsdJS()
	if err != nil {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	e, err := newExperiment(ctx, setup{js: js, flush: time.Second, graphite: true}, fits, realTicks(t))
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	results, err := e.run(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range modes {
		want := result{lines: fits * gauges}
		want.datagrams = fits
		if m.style == ancestor {
			want.datagrams *= gauges
		}
		got := results[i][0]
		got.peak, got.late, got.blocked, got.cpu, got.waited = 0, 0, 0, 0, 0
		if got != want {
			t.Errorf("%s: %+v, want %+v", m.name, got, want)
		}
	}

	// After the warm-up and the four, each gauge was set five times.
	c, err := e.statsd.ask("gauges")
	if err != nil {
		t.Fatal(err)
	}
	const lag = 1 // StatsD's own, from the second flush on
	if c.Lines != (len(modes)+1)*fits*gauges || c.Gauges != fits*gauges+lag {
		t.Errorf("StatsD has counted %d lines and holds %d gauges, want %d and %d", c.Lines, c.Gauges, (len(modes)+1)*fits*gauges, fits*gauges+lag)
	}
	for end := time.Now().Add(time.Minute); e.statsd.sunk.Load() < fits*gauges; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d lines came from StatsD's Graphite backend, want %d at least", e.statsd.sunk.Load(), fits*gauges)
		}
	}
}

// socket is a receiver without StatsD.
type socket struct {
	conn *net.UDPConn
	got  counts
	lose int // each so many datagrams one is not counted
	seen int
}

func listen(t *testing.T) *socket {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &socket{conn: conn}
}

func (s *socket) addr() *net.UDPAddr { return s.conn.LocalAddr().(*net.UDPAddr) }

// counts reads what is in the socket's buffer.
func (s *socket) counts() (counts, error) {
	buf := make([]byte, 1<<16)
	for {
		s.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := s.conn.Read(buf)
		if os.IsTimeout(err) {
			return s.got, nil
		} else if err != nil {
			return s.got, err
		}
		if s.seen++; s.lose == 0 || s.seen%s.lose != 0 {
			s.got.Packets++
			s.got.Lines += bytes.Count(bytes.TrimSpace(buf[:n]), []byte("\n")) + 1
		}
	}
}

func measureFleet(t *testing.T, r receiver, n int, s style) result {
	t.Helper()
	f, err := newFleet(n, r.addr(), realTicks(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	res, err := measure(t.Context(), r, n*gauges, func() (sending, error) { return f.send(t.Context(), s, n, time.Now(), 0) })
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestWhatAReceiverLosesIsFound(t *testing.T) {
	for name, test := range map[string]struct {
		style      style
		lose       int
		lost, gone int
	}{
		"every fifth of 9 x 27 datagrams": {ancestor, 5, 48, 48},
		"every third of 9 datagrams":      {ours, 3, 3 * gauges, 3},
	} {
		t.Run(name, func(t *testing.T) {
			r := listen(t)
			r.lose = test.lose
			if res := measureFleet(t, r, fits, test.style); res.lost != test.lost || res.elsewhere != test.gone || res.drops != 0 {
				t.Errorf("%d lines are lost, %d datagrams dropped by the kernel and %d elsewhere, want %d, 0 and %d",
					res.lost, res.drops, res.elsewhere, test.lost, test.gone)
			}
		})
	}
}

func TestWhatTheKernelDropsIsFound(t *testing.T) {
	r := listen(t)
	if err := r.conn.SetReadBuffer(1 << 15); err != nil {
		t.Fatal(err)
	}
	res := measureFleet(t, r, 100, ancestor)
	if res.drops == 0 || res.lost != res.drops || res.elsewhere != 0 {
		t.Errorf("of %d datagrams %d lines are lost, %d datagrams dropped by the kernel and %d elsewhere", res.datagrams, res.lost, res.drops, res.elsewhere)
	}
	if res.lost+r.got.Lines != 100*gauges {
		t.Errorf("%d lines lost and %d received are not the %d sent", res.lost, r.got.Lines, 100*gauges)
	}
}

func TestAProcessSendsWhatARealOneDoes(t *testing.T) {
	ticks := realTicks(t)
	if len(ticks[ancestor]) != gauges || len(ticks[ours]) != 1 {
		t.Fatalf("%d and %d datagrams, want %d and 1", len(ticks[ancestor]), len(ticks[ours]), gauges)
	}
	line := regexp.MustCompile(`^go\.web-00042\.([a-z_.]+):\d+\|g$`)
	for s := range styles {
		own := ticks[s].of(42)
		lines := strings.Split(string(bytes.Join(own, []byte("\n"))), "\n")
		var names []string
		for _, l := range lines {
			part := line.FindStringSubmatch(l)
			if part == nil {
				t.Fatalf("style %d: %q", s, l)
			}
			names = append(names, part[1])
		}
		if s == ours && !slices.Equal(names, floor.Names[:]) || len(names) != gauges {
			t.Errorf("style %d: %q", s, names)
		}
		if fmt.Sprint(own) == fmt.Sprint(ticks[s].of(43)) {
			t.Errorf("style %d: two processes send the same", s)
		}
	}
	if len(ticks[ours].of(0)[0]) > 1432 {
		t.Errorf("%d bytes would not be one datagram", len(ticks[ours].of(0)[0]))
	}
}

func TestTheReportGoesBetweenItsMarks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fleet.md")
	ticks := [styles]tick{ancestor: {[]byte("a")}, ours: {[]byte("a")}}
	r := &report{ticks: ticks, rounds: 1}
	res := result{lines: 27000, lost: 1}
	res.datagrams = 27000
	r.outcomes = []outcome{{n: 1000, results: [][]result{{res}, {res}, {res}, {res}}}}
	for _, test := range []struct{ old, want string }{
		{"before\n<!-- fleet -->\nold\n<!-- end fleet -->\nafter\n", ""},
		{"before\n", `has no lines "<!-- fleet -->" and "<!-- end fleet -->"`},
	} {
		if err := os.WriteFile(file, []byte(test.old), 0o600); err != nil {
			t.Fatal(err)
		}
		err := r.writeInto(file)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			continue
		}
		text, _ := os.ReadFile(file)
		if err != nil || string(text) != "before\n<!-- fleet -->\n"+r.String()+"<!-- end fleet -->\nafter\n" {
			t.Errorf("%v, and the file is\n%s", err, text)
		}
		if !strings.Contains(string(text), "| 1 = < 0.01 % |") {
			t.Errorf("a loss of one line does not show:\n%s", text)
		}
	}
}
