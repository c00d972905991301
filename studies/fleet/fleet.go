package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// gauges is how many a process sends in a tick.
const gauges = 27

// style is how a process sends its gauges.
type style int

const (
	ancestor style = iota // go-runtime-metrics: a datagram for each
	ours                  // one datagram
	styles
)

// tick is the datagrams that one process sends.
type tick [][]byte

// captured is the prefix of the processes whose ticks are captured.
const captured = "go.captured"

// capture runs a real process of each style and returns its first tick.
func capture(ctx context.Context, dir string) (ticks [styles]tick, err error) {
	for s, program := range [styles]string{ancestor: "go-runtime-metrics", ours: "runtimemetrics"} {
		if ticks[s], err = captureOf(ctx, filepath.Join(dir, program), program); err != nil {
			return ticks, fmt.Errorf("a tick of studies/bench/programs/%s: %w", program, err)
		}
	}
	return ticks, nil
}

func captureOf(ctx context.Context, binary, program string) (tick, error) {
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/runtimemetrics/runtimemetrics/studies/bench/programs/"+program)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	addr := socket.LocalAddr().String()
	run := exec.CommandContext(ctx, binary, "-server="+addr, "-statsd="+addr, "-metric-prefix="+captured, "-for=1m")
	// Collections from the start, so that the gauges of the garbage collector
	// are not 0.
	run.Env = append(run.Environ(), "GOGC=1")
	if err := run.Start(); err != nil {
		return nil, err
	}
	defer run.Wait()
	defer run.Process.Kill()

	var t tick
	lines, buf := 0, make([]byte, 1<<16)
	socket.SetReadDeadline(time.Now().Add(time.Minute)) // as long as it runs
	for lines < gauges {
		n, err := socket.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("%d of %d gauges came: %w", lines, gauges, err)
		}
		// The service counts its start, which is no part of the tick.
		if found := len(gaugeLine.FindAll(buf[:n], -1)); found > 0 {
			lines += found
			t = append(t, slices.Clone(buf[:n]))
		}
	}
	return t, nil
}

var gaugeLine = regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(captured) + `\.([^:\n]+):(\d+)\|g$`)

// of returns the tick as process number i would send it: under a prefix of its
// own, and with values of a service a few hundred times as large as the one that
// was captured, which does nothing.
func (t tick) of(i int) tick {
	random := rand.New(rand.NewPCG(uint64(i), 0))
	size := 100 + 900*random.Float64()
	own := make(tick, len(t))
	for d, datagram := range t {
		own[d] = gaugeLine.ReplaceAllFunc(datagram, func(line []byte) []byte {
			part := gaugeLine.FindSubmatch(line)
			name, value := string(part[1]), string(part[2])
			if v, err := strconv.ParseFloat(value, 64); err == nil && v >= 1000 && name != "mem.gc.last" {
				value = strconv.FormatInt(int64(v*size*(0.9+0.2*random.Float64())), 10)
			}
			return fmt.Appendf(nil, "go.web-%05d.%s:%s|g", i, name, value)
		})
	}
	return own
}

// fleet is processes that push to one address.
type fleet struct {
	processes []process
	byPhase   []int // the processes in the order of their phases
}

type process struct {
	conn  net.Conn
	ticks [styles]tick
	phase float64 // where in the interval it ticks, as a part of it
}

// newFleet returns n processes, each with a socket of its own.
func newFleet(n int, to *net.UDPAddr, ticks [styles]tick) (*fleet, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	if need := uint64(n) + 200; limit.Cur < need { // Go has raised it to the hard limit
		return nil, fmt.Errorf("%d processes take %d descriptors, and the limit is %d: raise it by 'ulimit -n %d' as root, or leave out that fleet by -n", n, need, limit.Cur, need)
	}
	f := &fleet{}
	for i := range n {
		conn, err := net.DialUDP("udp4", nil, to)
		if err != nil {
			f.close()
			return nil, err
		}
		p := process{conn: conn, phase: rand.Float64()}
		for s := range ticks {
			p.ticks[s] = ticks[s].of(i)
		}
		f.processes = append(f.processes, p)
		f.byPhase = append(f.byPhase, i)
	}
	slices.SortFunc(f.byPhase, func(a, b int) int {
		if f.processes[a].phase < f.processes[b].phase {
			return -1
		}
		return 1
	})
	return f, nil
}

func (f *fleet) close() {
	for _, p := range f.processes {
		p.conn.Close()
	}
}

// sending is what went out in one interval.
type sending struct {
	datagrams int
	peak      int           // datagrams in the fullest peakWindow
	late      time.Duration // the most that a process ticked later than it should
}

// peakWindow is the time over which the peak rate is taken. What counts is how
// much comes while StatsD is busy with something else.
const peakWindow = 10 * time.Millisecond

// send lets the first n processes tick once: all at start, or each in its phase
// of the time that follows.
func (f *fleet) send(ctx context.Context, s style, n int, start time.Time, over time.Duration) (sending, error) {
	var out sending
	var window int64
	inWindow := 0
	for i := range n {
		p, at := &f.processes[i], start
		if over > 0 {
			p = &f.processes[f.byPhase[i]]
			at = start.Add(time.Duration(p.phase * float64(over)))
		}
		if err := sleepUntil(ctx, at); err != nil {
			return out, err
		}
		if over > 0 || i == 0 { // a burst takes as long as it takes
			out.late = max(out.late, time.Since(at))
		}
		for _, datagram := range p.ticks[s] {
			if _, err := p.conn.Write(datagram); err != nil {
				return out, err
			}
			out.datagrams++
			if now := int64(time.Since(start) / peakWindow); now != window {
				window, inWindow = now, 0
			}
			inWindow++
			out.peak = max(out.peak, inWindow)
		}
	}
	return out, nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	wait := time.Until(t)
	if wait <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is what became of an interval.
type result struct {
	sending
	lines     int           // sent
	lost      int           // lines that StatsD has not counted
	drops     int           // datagrams that the kernel says it has dropped at StatsD's socket
	elsewhere int           // datagrams that neither of them knows of
	blocked   float64       // for how many ms at most a flush kept StatsD from its socket
	cpu       time.Duration // StatsD's
	waited    time.Duration // StatsD's for a core
}

// settle is how long nothing may have come of what is missing before it is taken
// to be lost elsewhere than at the socket.
const settle = 2 * time.Second

// measure calls send, which sends so many lines, and counts what has come of
// them.
func measure(ctx context.Context, r receiver, lines int, send func() (sending, error)) (result, error) {
	res := result{lines: lines}
	before, err := r.counts()
	if err != nil {
		return res, err
	}
	dropped, err := drops(r.addr())
	if err != nil {
		return res, err
	}
	if res.sending, err = send(); err != nil {
		return res, err
	}
	for last, since := -1, time.Now(); ; {
		now, err := r.counts()
		if err != nil {
			return res, err
		}
		if res.drops, err = drops(r.addr()); err != nil {
			return res, err
		}
		res.drops -= dropped
		res.blocked = max(res.blocked, now.Blocked)
		res.lost = res.lines - (now.Lines - before.Lines)
		res.elsewhere = res.datagrams - (now.Packets - before.Packets) - res.drops
		if res.elsewhere == 0 {
			return res, nil
		}
		if res.elsewhere < 0 {
			return res, fmt.Errorf("%d datagrams were sent and %d more counted: somebody else sends to %v", res.datagrams, -res.elsewhere, r.addr())
		}
		if now.Packets != last {
			last, since = now.Packets, time.Now()
		} else if time.Since(since) > settle {
			return res, nil
		}
		if err := sleepUntil(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return res, err
		}
	}
}
