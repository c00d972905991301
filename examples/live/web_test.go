package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// asked answers a request to the page over a store.
func asked(s *store, method, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	web(s, newClock(), sender, "", "given.example").ServeHTTP(w, r)
	return w
}

func TestNumbersThatJSONHasNot(t *testing.T) {
	for _, tt := range []struct{ name, lines, curve, want string }{
		{"a sum that is infinite", "a.q:+1.7e308|g\na.q:+1.7e308|g", "q|", "[null]"},
		{"a rate that is infinite", "a.cpu.cgo_calls:0|g\nNEXT\na.cpu.cgo_calls:1.7976931348623157e308|g", "cpu.cgo_calls|per second", "[null,null]"},
		{"infinity less infinity", "a.q:+1.7e308|g\na.q:+1.7e308|g\nNEXT\na.q:-1.7e308|g\na.q:-1.7e308|g\na.q:-1.7e308|g", "q|", "[null,null]"},
		{"a level as large as can be is written shortly", "a.q:1.7976931348623157e308|g", "q|", "[1.797693e+308]"},
		{"a small one as well", "a.q:5e-324|g", "q|", "[4.940656e-324]"},
		{"the same gauge is well again", "a.q:+1.7e308|g\na.q:+1.7e308|g\nNEXT\na.q:3|g", "q|", "[null,3]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed()
			for _, tick := range strings.Split("a.mem.sys:1|g\n"+tt.lines, "NEXT\n") {
				f.send(1, tick)
				f.after(950 * time.Millisecond)
			}
			w := asked(f.store, "GET", "http://localhost/api?service=a", nil)
			want(t, w.Code, 200)
			var a struct {
				Shown struct {
					Values map[string]json.RawMessage
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			want(t, string(a.Shown.Values[tt.curve]), tt.want)
		})
	}
}

func TestAnythingFiniteBecomesJSON(t *testing.T) {
	v := values{0, math.Copysign(0, -1), 1, math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1e15, 1 << 62, 0.1}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range strings.Split(strings.Trim(string(b), "[]"), ",") {
		if len(text) > 16 {
			t.Errorf("%v is %q, which is long", v[i], text)
		}
	}
}

func TestWhoMayLookAtThePage(t *testing.T) {
	for _, path := range []string{"/", "/api", "/page.js"} {
		for host, code := range map[string]int{
			"127.0.0.1:8080": 200, "[::1]:8080": 200, "localhost:12345": 200, "given.example": 200, "192.0.2.1": 200,
			"evil.example": 421, "evil.example:8080": 421,
		} {
			w := asked(newStore(), "GET", path, func(r *http.Request) { r.Host = host })
			if w.Code != code {
				t.Errorf("%s for Host %s: %d, want %d", path, host, w.Code, code)
			}
			if code == 200 && !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%s may be framed", path)
			}
		}
	}
	w := asked(newStore(), "POST", "http://localhost/api", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	want(t, w.Code, http.StatusForbidden)
}

// body counts how often it is read.
type body struct {
	io.Reader
	reads int
}

func (b *body) Read(p []byte) (int, error) {
	b.reads++
	return b.Reader.Read(p)
}

func (b *body) Close() error { return nil }

// TestABodyIsNotRead sends what package http would parse as a form, and store as a
// file if it is large.
func TestABodyIsNotRead(t *testing.T) {
	for _, tt := range []struct{ kind, text string }{
		{"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"service\"; filename=\"f\"\r\n\r\ny\r\n--x--\r\n"},
		{"application/x-www-form-urlencoded", "service=y"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			b := &body{Reader: strings.NewReader(tt.text)}
			w := asked(newStore(), method, "http://localhost/api", func(r *http.Request) {
				r.Header.Set("Content-Type", tt.kind)
				r.Body = b
			})
			want(t, w.Code, 200)
			if b.reads > 0 {
				t.Errorf("%s: a body of %s has been read", method, tt.kind)
			}
		}
	}
}

// TestNobodyKeepsAConnectionForNothing has the limits of the server that main
// runs: they are checked, not waited for.
func TestNobodyKeepsAConnectionForNothing(t *testing.T) {
	s := httpServer(nil)
	for name, d := range map[string]time.Duration{"ReadHeaderTimeout": s.ReadHeaderTimeout, "ReadTimeout": s.ReadTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout} {
		if d <= 0 || d > 30*time.Second {
			t.Errorf("%s is %v", name, d)
		}
	}
	if s.MaxHeaderBytes > 16<<10 || s.MaxHeaderBytes == 0 {
		t.Errorf("a header may have %d bytes", s.MaxHeaderBytes)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	server := httpServer(web(newStore(), newClock(), sender, "", ""))
	server.IdleTimeout = 50 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET /icon.svg HTTP/1.1\r\nHost: localhost\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(giveUp))
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Errorf("it is still open: %v", err)
	}
}

// counting counts the connections that a server has, beneath what limits them. The
// server itself says that one is closed when another may have taken its place.
type counting struct {
	net.Listener
	open, most atomic.Int64
}

func (l *counting) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if n := l.open.Add(1); n > l.most.Load() {
		l.most.Store(n)
	}
	return &countedConn{Conn: conn, open: &l.open}, nil
}

type countedConn struct {
	net.Conn
	open *atomic.Int64
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

func TestConnectionsAreLimited(t *testing.T) {
	server := httpServer(web(newStore(), newClock(), sender, "", ""))
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &counting{Listener: own}
	go serve(server, l)
	defer server.Close()
	var conns []net.Conn
	for range maxConnections + 20 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	eventually(t, "as many as may be are served", func() bool { return l.open.Load() >= maxConnections })
	// As many as are closed, of those that wait are served.
	for _, conn := range conns[:40] {
		conn.Close()
	}
	resp, err := http.Get("http://" + l.Addr().String() + "/icon.svg")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want(t, resp.StatusCode, 200)
	if n := l.most.Load(); n > maxConnections {
		t.Errorf("%d were served at the same time", n)
	}
}

// slow is a reader that takes its time for an answer, but not for a refusal.
type slow struct {
	*httptest.ResponseRecorder
	release <-chan struct{}
}

func (w slow) Write(p []byte) (int, error) {
	if w.Code == http.StatusOK {
		<-w.release
	}
	return w.ResponseRecorder.Write(p)
}

func TestAnswersUnderWayAreBounded(t *testing.T) {
	s := full(1, maxOwn)
	h := &api{store: s, clock: newClock(), statsd: sender, making: make(chan struct{}, 1)}
	release := make(chan struct{})
	codes := make(chan int, 12)
	for range 12 {
		go func() {
			w := httptest.NewRecorder()
			w.Body = nil
			h.ServeHTTP(slow{w, release}, httptest.NewRequest("GET", "/api", nil))
			codes <- w.Code
		}()
	}
	// Those for which there is no room are turned away before any is written.
	turned := 0
	for turned == 0 {
		if code := <-codes; code == http.StatusServiceUnavailable {
			turned++
		}
	}
	if n := h.underWay.Load(); n > maxUnderWay {
		t.Errorf("%d bytes are under way", n)
	}
	close(release)
	for range 11 {
		<-codes
	}
	want(t, h.underWay.Load(), 0)
}

// counted takes an answer slowly and throws it away.
type counted struct {
	header http.Header
	n      int
}

func (w *counted) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *counted) WriteHeader(int) {}

func (w *counted) Write(p []byte) (int, error) {
	time.Sleep(300 * time.Millisecond)
	w.n += len(p)
	return len(p), nil
}

// full returns a store with services of so many gauges each, with the longest
// names and tags and a full history.
func full(services, gauges int) *store {
	s := newStore()
	now := newClock().now()
	lines := make([]datagram, services)
	for i := range lines {
		for n := range gauges {
			prefix := fmt.Sprintf("%d%s", i, strings.Repeat(`"`, 100))
			name := fmt.Sprintf("%s.grp%d.gauge%d.%s", prefix, n/64, n, strings.Repeat(`\`, 170))
			tags := fmt.Sprintf("k%d:%s", n, strings.Repeat(`"`, 500))
			if n == 0 {
				name, tags = prefix+".mem.alloc", strings.Repeat("t", maxTags)
			}
			lines[i].samples = append(lines[i].samples, sample{name: name, tags: tags})
		}
	}
	begin := now.plus(-int64(maxFrames) * frameWidth)
	for i := range lines {
		s.add(begin, netipPort(uint16(i+1)), lines[i])
	}
	// The rest as add does it, but for the parts that are the same each time.
	for _, svc := range s.services {
		for frame := 1; frame < maxFrames; frame++ {
			at := begin.plus(int64(frame) * frameWidth)
			svc.receive(at)
			for name, g := range svc.series {
				g.values[len(g.values)-1] = float64(frame)*1.2345678 + float64(len(name))
				g.seen, g.at, g.came = svc.first+int64(frame), at.run, 1
			}
		}
	}
	return s
}

// mostMemory is what the README says that the process takes at most.
const mostMemory = 450e6

// TestMemoryIsBounded fills the store and asks for as much as can be had, by many
// at once, while datagrams come that are as large as can be. It does so in a process
// of its own, without the race detector, which takes a multiple.
func TestMemoryIsBounded(t *testing.T) {
	if os.Getenv("LIVE_MEMORY") == "" {
		cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestMemoryIsBounded$", ".")
		cmd.Env = append(os.Environ(), "LIVE_MEMORY=1")
		out, err := cmd.CombinedOutput()
		if t.Logf("%s", out); err != nil {
			t.Error(err)
		}
		return
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryLimit))
	s := full(4, maxOwn)
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	want(t, s.total, maxSeries)
	t.Logf("full: %d gauges, %.0f MiB of heap, %.0f MB in all", s.total, mib(m.HeapAlloc), peak(t)/1e6)
	h := &api{store: s, clock: newClock(), statsd: sender, making: make(chan struct{}, 1)}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			// What is written is gone; the answer is held by a reader that is slow.
			w := &counted{}
			h.ServeHTTP(w, httptest.NewRequest("GET", "/api?service="+url.QueryEscape(s.services[i%4].id), nil))
			if i == 0 {
				t.Logf("an answer has %.1f MB", float64(w.n)/1e6)
			}
		})
	}
	// Meanwhile datagrams come that are as large as can be.
	p := newParser()
	text := strings.Repeat("n:1|g|#"+strings.Repeat("k:v,", 120)+"\n", 130)
	for i := range 100 {
		s.add(h.clock.now(), netipPort(uint16(i)), p.parse(text))
		s.add(h.clock.now(), netipPort(uint16(i)), p.parse(strings.Repeat("y\n", 30_000)))
	}
	all.Wait()
	t.Logf("at its worst: %.0f MB", peak(t)/1e6)
	if got := peak(t); got > mostMemory {
		t.Errorf("%.0f bytes, where %.0f are the most", got, mostMemory)
	}
}

// peak is the most memory that the process has ever had.
func peak(t *testing.T) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("this system does not tell: ", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kilobytes, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return 1024 * kilobytes
		}
	}
	t.Skip("this system does not tell")
	return 0
}
