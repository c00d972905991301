package runtimemetrics

import (
	"net"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// listen opens a UDP server on loopback.
func listen(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	server, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server.(*net.UDPConn)
}

// receive returns the next datagram, or fails the test.
func receive(t testing.TB, server net.PacketConn) string {
	t.Helper()
	server.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1<<16)
	n, _, err := server.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// startOn starts a publisher that pushes to server, and ends it with the test.
func startOn(t testing.TB, server *net.UDPConn, cfg Config) *publisher {
	t.Helper()
	cfg.StatsD = server.LocalAddr().String()
	if cfg.Logf == nil {
		cfg.Logf = t.Logf
	}
	p := newPublisher(env())
	if err := p.start(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

// TestATickIsOneDatagramOf27Lines is the wire format as StatsD sees it.
func TestATickIsOneDatagramOf27Lines(t *testing.T) {
	server := listen(t, "127.0.0.1:0")
	startOn(t, server, Config{Prefix: "go.demo", Pause: minPause})
	for tick := 0; tick < 3; tick++ {
		lines := strings.Split(receive(t, server), "\n")
		gauges := collector.Gauges()
		if len(lines) != 27 || len(gauges) != 27 {
			t.Fatalf("a datagram of %d lines, want 27: %q", len(lines), lines)
		}
		for i, line := range lines {
			want := `^go\.demo\.` + regexp.QuoteMeta(gauges[i].Name) + `:[0-9]+\|g$`
			if !regexp.MustCompile(want).MatchString(line) {
				t.Errorf("line %d is %q, want %s", i, line, want)
			}
		}
	}
}

func TestAPrefixWithLittleRoomMakesTwoDatagrams(t *testing.T) {
	server := listen(t, "127.0.0.1:0")
	prefix := "go." + strings.Repeat("p", 60)
	startOn(t, server, Config{Prefix: prefix, Pause: time.Hour})
	var lines []string
	for datagrams := 0; datagrams < 2; datagrams++ {
		datagram := receive(t, server)
		if len(datagram) > 1432 {
			t.Errorf("a datagram of %d bytes", len(datagram))
		}
		lines = append(lines, strings.Split(datagram, "\n")...)
	}
	if len(lines) != 27 {
		t.Errorf("%d lines in two datagrams, want 27", len(lines))
	}
	for i, g := range collector.Gauges() {
		if !strings.HasPrefix(lines[i], prefix+"."+g.Name+":") {
			t.Errorf("line %d is %q, want %s", i, lines[i], g.Name)
		}
	}
}

// TestThePackagesFunctions goes through the functions that a program calls; the
// other tests work on a publisher of their own.
func TestThePackagesFunctions(t *testing.T) {
	server := listen(t, "127.0.0.1:0")
	unregister := Register(func(t *Tick) { t.Gauge("queue.depth", 17) })
	defer unregister()
	cfg := Config{StatsD: server.LocalAddr().String(), Prefix: "p", Pause: time.Hour, Logf: t.Logf}
	if err := Start(cfg); err != nil {
		t.Fatal(err)
	}
	defer Stop()
	if err := Start(cfg); err == nil {
		t.Error("a second Start succeeded")
	}
	if own, custom := receive(t, server), receive(t, server); strings.Contains(own, "queue") || custom != "p.queue.depth:17|g" {
		t.Errorf("received %q and %q", own, custom)
	}
	Stop()
	if got := receive(t, server); !strings.HasSuffix(got, "\np.queue.depth:0|g") {
		t.Errorf("received %q after Stop", got)
	}
}

func TestGroupsAreTurnedOff(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg  Config
		want int
	}{
		"cpu": {Config{DisableCPU: true}, 25},
		"mem": {Config{DisableMem: true}, 2},
		"gc":  {Config{DisableGC: true}, 21},
	} {
		server := listen(t, "127.0.0.1:0")
		tt.cfg.Pause = time.Hour
		startOn(t, server, tt.cfg)
		if got := strings.Count(receive(t, server), "\n") + 1; got != tt.want {
			t.Errorf("without %s: %d gauges, want %d", name, got, tt.want)
		}
	}
}

// TestExactModeSeesEveryAllocation tells the two modes apart by what only one
// of them can see.
func TestExactModeSeesEveryAllocation(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	server := listen(t, "127.0.0.1:0")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	startOn(t, server, Config{Prefix: "p", Pause: time.Hour, Exact: true})
	var mallocs uint64
	for _, line := range strings.Split(receive(t, server), "\n") {
		if digits, ok := strings.CutPrefix(line, "p.mem.malloc:"); ok {
			for _, c := range strings.TrimSuffix(digits, "|g") {
				mallocs = 10*mallocs + uint64(c-'0')
			}
		}
	}
	if mallocs <= m.Mallocs {
		t.Errorf("mem.malloc = %d after the runtime had counted %d", mallocs, m.Mallocs)
	}
}

// newTick returns a function that makes one whole tick through a real socket,
// which a goroutine drains.
func newTick(t testing.TB, cfg Config, sources ...func(*Tick)) func() {
	s := newTestSession(t, cfg, sources...)
	return func() {
		s.tick(s.pub.now())
		if s.guests.running {
			s.take(<-s.guests.done)
		}
	}
}

func newTestSession(t testing.TB, cfg Config, sources ...func(*Tick)) *session {
	server := listen(t, "127.0.0.1:0")
	go func() {
		buf := make([]byte, 1<<16)
		for {
			if _, _, err := server.ReadFromUDPAddrPort(buf); err != nil {
				return
			}
		}
	}()
	cfg.StatsD, cfg.Prefix, cfg.Pause, cfg.Logf = server.LocalAddr().String(), "go.bench", time.Hour, t.Logf
	p := newPublisher(env())
	for _, collect := range sources {
		p.register(collect)
	}
	s := p.newSession(&cfg)
	s.set, _ = cfg.resolve(p.opts, p.process)
	s.begin(nil, false)
	t.Cleanup(s.end)
	return s
}

var sanitized bool // by the address sanitizer

func TestATickAllocatesNothing(t *testing.T) {
	if sanitized {
		t.Skip("the address sanitizer allocates for itself")
	}
	if runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("the network that Go makes up on " + runtime.GOOS + " copies what is written")
	}
	custom := func(t *Tick) {
		t.Gauge("queue.depth", 17)
		t.Gauge("balance", -1)
		t.GaugeFloat("load", 0.5)
		t.Cumulative("requests", 1000)
	}
	for name, tick := range map[string]func(){
		"the 27":     newTick(t, Config{}),
		"everything": newTick(t, Config{Runtime: []string{"all"}, Tags: []string{"env:prod", "service:api"}}, custom),
	} {
		tick()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := 0; i < 1000; i++ {
			tick()
		}
		runtime.ReadMemStats(&after)
		// Package testing's own goroutines may allocate meanwhile, a few times; more
		// often on a busy machine.
		if n := after.Mallocs - before.Mallocs; n > 200 {
			t.Errorf("%s: %d allocations in 1000 ticks", name, n)
		}
	}
}

// BenchmarkTick is a whole tick: collect, format, send through a real socket on
// loopback.
func BenchmarkTick(b *testing.B) {
	for name, cfg := range map[string]Config{"default": {}, "exact": {Exact: true}, "all": {Runtime: []string{"all"}}} {
		b.Run(name, func(b *testing.B) {
			tick := newTick(b, cfg)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i++ {
				tick()
			}
		})
	}
}

// BenchmarkUnsent is a tick without its write.
func BenchmarkUnsent(b *testing.B) {
	for name, cfg := range map[string]Config{"collect-and-format": {}, "collect-and-format-all": {Runtime: []string{"all"}}} {
		b.Run(name, func(b *testing.B) {
			s := newTestSession(b, cfg)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i++ {
				s.collector.Collect()
				s.out.reset()
			}
		})
	}
}
