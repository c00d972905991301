//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// patience is how long what must happen is waited for.
const patience = 3 * time.Minute

// What is started ends with the tests, also with Ctrl-C.
var ctx, interrupted = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)

// program is what all tests run.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		defer interrupted()
		dir, err := os.MkdirTemp("", "runtimemetrics-profiles-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "profiles")
		if out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// service is the program as it runs.
type service struct {
	t             *testing.T
	dir           string
	public, admin string // URLs

	mu     sync.Mutex
	gauges map[string]int64 // of the last whole tick
	ticks  int
	log    bytes.Buffer
}

func start(t *testing.T, args ...string) *service {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, dir: t.TempDir()}
	go s.receive(conn)
	cmd := exec.CommandContext(ctx, program, "--addr=127.0.0.1:0", "--admin=127.0.0.1:0", "--statsd="+conn.LocalAddr().String(),
		"--metric-prefix=go", "--metric-runtime=default", "--metric-packet-size=65507", "--pause=250ms",
		"--longest=1h") // so that a fault lasts until it was seen, however busy the machine is
	cmd.Args = append(cmd.Args, args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RUNTIMEMETRICS_") && !strings.HasPrefix(v, "GO") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Stderr = s
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v", err)
		}
		conn.Close()
		if t.Failed() {
			t.Logf("its log:\n%s", s.logged())
		}
	})
	s.public, s.admin = s.url("addr: "), s.url("admin: ")
	return s
}

// Write takes what the program logs.
func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *service) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *service) url(before string) string {
	s.t.Helper()
	var url string
	s.eventually("the log has "+before, func() bool {
		_, rest, _ := strings.Cut(s.logged(), before)
		var whole bool
		url, _, whole = strings.Cut(rest, "\n")
		return whole
	})
	return url
}

// receive takes the datagrams, of which each is a whole tick.
func (s *service) receive(conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		gauges := map[string]int64{}
		for _, line := range strings.Split(string(buf[:n]), "\n") {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "|g"), ":")
			if gauges[name], err = strconv.ParseInt(value, 10, 64); err != nil {
				s.t.Errorf("a line is %q", line)
			}
		}
		s.mu.Lock()
		s.gauges = gauges
		s.ticks++
		s.mu.Unlock()
	}
}

// tick returns the gauges of the next tick.
func (s *service) tick() map[string]int64 {
	s.t.Helper()
	s.mu.Lock()
	before := s.ticks
	s.mu.Unlock()
	var gauges map[string]int64
	s.eventually("a tick comes", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		gauges = s.gauges
		return s.ticks > before
	})
	return gauges
}

// until returns the gauges of the first tick that is as it should be.
func (s *service) until(what string, done func(map[string]int64) bool) map[string]int64 {
	s.t.Helper()
	var gauges map[string]int64
	s.eventually(what, func() bool {
		gauges = s.tick()
		return done(gauges)
	})
	return gauges
}

func (s *service) eventually(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) || ctx.Err() != nil {
			s.t.Fatalf("in %v this did not happen: %s", patience, what)
		}
	}
}

// http asks the program, and returns what it answered.
func (s *service) http(method, url string, status int) []byte {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}).Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if response.StatusCode != status {
		s.t.Fatalf("%s %s: %s, not %d: %.200s", method, url, response.Status, status, body)
	}
	return body
}

// take writes what the program has at a path of its admin address to a file.
func (s *service) take(path, file string) string {
	s.t.Helper()
	return s.write(file, s.http("GET", s.admin+path, http.StatusOK))
}

func (s *service) write(file string, content []byte) string {
	s.t.Helper()
	file = filepath.Join(s.dir, file)
	if err := os.WriteFile(file, content, 0o644); err != nil {
		s.t.Fatal(err)
	}
	return file
}

// goTool runs a tool of Go's, and returns what it wrote to standard output.
func goTool(t *testing.T, args ...string) []byte {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool"}, args...)...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go tool %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return out
}

// named adds up the samples of a profile by the innermost of the program's own
// lines of code, such as "main.login faults.go:55".
func named(t *testing.T, text []byte) map[string]int64 {
	t.Helper()
	p, err := profile.ParseData(text)
	if err != nil {
		t.Fatal(err)
	}
	index := len(p.SampleType) - 1 // delays, live bytes, goroutines: the last one
	sums := map[string]int64{}
	for _, sample := range p.Sample {
		for _, line := range lines(sample) {
			if strings.HasPrefix(line.Function.Name, "main.") {
				sums[fmt.Sprintf("%s %s:%d", line.Function.Name, filepath.Base(line.Function.Filename), line.Line)] += sample.Value[index]
				break
			}
		}
	}
	return sums
}

// lines returns the lines of a stack, the innermost first.
func lines(sample *profile.Sample) []profile.Line {
	var all []profile.Line
	for _, location := range sample.Location {
		all = append(all, location.Line...)
	}
	return all
}

// place is the line of faults.go with that text.
func place(t *testing.T, function, text string) string {
	t.Helper()
	source, err := os.ReadFile("faults.go")
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(source), text)
	if !ok || strings.Count(string(source), text) != 1 {
		t.Fatalf("faults.go does not have %q once", text)
	}
	return fmt.Sprintf("%s faults.go:%d", function, strings.Count(before, "\n")+1)
}

// blames requires that a profile names the place more than any other.
func blames(t *testing.T, text []byte, place string) {
	t.Helper()
	sums := named(t, text)
	for other, sum := range sums {
		if other != place && sum >= sums[place] {
			t.Errorf("the profile names %s with %d, and %s with %d", place, sums[place], other, sum)
		}
	}
	if sums[place] == 0 {
		t.Errorf("the profile does not name %s, but %v", place, sums)
	}
}

// spares requires that a profile does not name the function.
func spares(t *testing.T, text []byte, function string) {
	t.Helper()
	for place := range named(t, text) {
		if strings.HasPrefix(place, function+" ") {
			t.Errorf("the profile of a healthy service names %s", place)
		}
	}
}

// stays requires that most of what a gauge has grown by is there after the fault:
// it has leaked. Some of it need not be, such as the requests that were under way.
func stays(t *testing.T, gauge string, before, grown, after map[string]int64) {
	t.Helper()
	if after[gauge]-before[gauge] < (grown[gauge]-before[gauge])/2 {
		t.Errorf("%s went from %d to %d, and back to %d after the fault: it has not leaked", gauge, before[gauge], grown[gauge], after[gauge])
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const (
	goroutines = "go.cpu.goroutines"
	leaked     = "go.leaks.goroutines"
	checks     = "go.leaks.checks"
	live       = "go.runtime.gc.heap.live.bytes"
	runnable   = "go.runtime.sched.goroutines.runnable"
	processors = "go.runtime.sched.gomaxprocs"
	over10ms   = "go.runtime.sched.latencies.over_10ms"
	p99        = "go.runtime.sched.latencies.ns.p99"
	forced     = "go.runtime.gc.cycles.forced"
)

func TestGoroutineLeak(t *testing.T) {
	s := start(t)
	const path = "/debug/pprof/goroutine"
	spares(t, read(t, s.take(path, "healthy")), "main.ask.func1")
	before := s.tick()
	s.http("POST", s.admin+"/faults/goroutines", http.StatusOK)
	after := s.until("there are many goroutines", func(g map[string]int64) bool { return g[goroutines] > before[goroutines]+500 })
	s.http("DELETE", s.admin+"/faults/goroutines", http.StatusOK)
	file := s.take(path, "goroutine.pprof")
	blames(t, read(t, file), place(t, "main.ask.func1", `answer <- "42"`))
	t.Logf("%s: %d, then %d\n%s", goroutines, before[goroutines], after[goroutines],
		goTool(t, "pprof", "-top", "-lines", "-show=^main", file))
	stays(t, goroutines, before, after, s.tick())
}

// TestGoroutineLeakIsProven goes from the gauge by the log line and the profile to
// the line of code.
func TestGoroutineLeakIsProven(t *testing.T) {
	if pprof.Lookup("goroutineleak") == nil {
		t.Skip("this Go cannot find leaked goroutines; 1.27 can")
	}
	s := start(t, "--metric-leaks=1s")
	before := s.until("a check has found none", func(g map[string]int64) bool { return g[checks] > 0 })
	if before[leaked] != 0 {
		t.Errorf("%d goroutines have leaked in a healthy service", before[leaked])
	}
	s.http("POST", s.admin+"/faults/goroutines", http.StatusOK)
	s.until("some have leaked", func(g map[string]int64) bool { return g[leaked] > 0 })
	s.http("DELETE", s.admin+"/faults/goroutines", http.StatusOK)
	answer := place(t, "main.ask.func1", `answer <- "42"`)
	function, line, _ := strings.Cut(answer, " ")
	// They wait, or it waits: the first check may have come after the first of them.
	const text = " for ever for chan send in %s (%s); net/http/pprof has the stacks, at /debug/pprof/goroutineleak"
	s.eventually("the log names the line", func() bool { return strings.Contains(s.logged(), fmt.Sprintf(text, function, line)) })
	file := s.take("/debug/pprof/goroutineleak", "goroutineleak.pprof")
	if sums := named(t, read(t, file)); len(sums) != 1 || sums[answer] == 0 {
		t.Errorf("the profile names %v, not %s alone", sums, answer)
	}
	t.Logf("%s\n%s", s.logged(), goTool(t, "pprof", "-top", "-lines", "-show=^main", file))
}

func TestHeapLeak(t *testing.T) {
	s := start(t)
	const path = "/debug/pprof/heap?gc=1" // which also brings the gauge up to date
	base, healthy := s.take(path, "base.pprof"), s.take(path, "healthy.pprof")
	spares(t, goTool(t, "pprof", "-proto", "-output=/dev/stdout", "-diff_base="+base, healthy), "main.login")
	before := s.until("the collection has ended", func(g map[string]int64) bool { return g[live] > 0 })
	s.http("POST", s.admin+"/faults/heap", http.StatusOK)
	grown := s.until("the live heap grows", func(g map[string]int64) bool { return g[live] > before[live]+16<<20 })
	s.http("DELETE", s.admin+"/faults/heap", http.StatusOK)
	now := s.take(path, "now.pprof")
	after := s.tick()
	blames(t, goTool(t, "pprof", "-proto", "-output=/dev/stdout", "-diff_base="+base, now),
		place(t, "main.login", "session := make("))
	t.Logf("%s: %d, then %d\n%s", live, before[live], after[live],
		goTool(t, "pprof", "-top", "-lines", "-show=^main", "-diff_base="+base, now))
	stays(t, live, before, grown, after)
}

func TestSchedulerLatency(t *testing.T) {
	s := start(t)
	const path = "/debug/pprof/trace?seconds=1"
	waits := func(file string) []byte { return goTool(t, "trace", "-pprof=sched", file) }
	spares(t, waits(s.take(path, "healthy.trace")), "main.thumbnail")
	before := s.tick()
	many := 4 * before[processors]
	if before[runnable] >= many {
		t.Errorf("%d goroutines wait for a processor in a healthy service", before[runnable])
	}
	s.http("POST", s.admin+"/faults/scheduler", http.StatusOK)
	after := s.until("goroutines wait for a processor", func(g map[string]int64) bool {
		return g[runnable] >= many && g[over10ms] >= before[over10ms]+20 && g[p99] > int64(10*time.Millisecond)
	})
	at := place(t, "main.thumbnail", "sha256.Sum256(image)")
	for file, path := range map[string]string{"trace": path, "flight": "/debug/flight"} {
		// On a busy machine a goroutine may wait for longer than what they look at: then
		// no wait is whole, and it is nobody's.
		var text []byte
		s.eventually("a whole wait of the fault's is in the "+file, func() bool {
			text = waits(s.take(path, file))
			return named(t, text)[at] > 0
		})
		blames(t, text, at)
		t.Logf("%s\n%s", file, goTool(t, "pprof", "-top", "-lines", "-show=^main", s.write("sched.pprof", text)))
	}
	s.http("DELETE", s.admin+"/faults/scheduler", http.StatusOK)
	for _, gauge := range []string{runnable, over10ms, p99} {
		t.Logf("%s: %d, then %d", gauge, before[gauge], after[gauge])
	}
}

// TestAddresses has what reveals the service on the admin address, and nothing
// of it on the public one.
func TestAddresses(t *testing.T) {
	s := start(t)
	if got := s.http("GET", s.public+"/", http.StatusOK); string(got) != "hello\n" {
		t.Errorf("the public address says %q", got)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/debug/flight"} {
		s.http("GET", s.admin+path, http.StatusOK)
		s.http("GET", s.public+path, http.StatusNotFound)
	}
	s.http("POST", s.public+"/faults/heap", http.StatusNotFound)
	if got := s.http("POST", s.admin+"/faults/x", http.StatusNotFound); !strings.Contains(string(got), `["goroutines" "heap" "scheduler"]`) {
		t.Errorf("of a fault that is not there it says %q", got)
	}
	s.http("DELETE", s.admin+"/faults/heap", http.StatusConflict)
	s.http("POST", s.admin+"/faults/heap", http.StatusOK)
	s.http("POST", s.admin+"/faults/heap", http.StatusConflict)
	s.http("DELETE", s.admin+"/faults/heap", http.StatusOK)
}

// TestForeignPages plays a page of another site, in a browser on this machine.
func TestForeignPages(t *testing.T) {
	s := start(t)
	for _, tt := range []struct {
		name, method, path string
		headers            map[string]string
		want               int
	}{
		{"a page of the service itself", "POST", "/faults/heap", map[string]string{"Origin": s.admin, "Sec-Fetch-Site": "same-origin"}, http.StatusOK},
		{"by a port that ssh -L forwards", "DELETE", "/faults/heap", map[string]string{"Host": "localhost:12345", "Origin": "http://localhost:12345"}, http.StatusOK},
		{"a foreign page switches a fault", "POST", "/faults/heap", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, http.StatusForbidden},
		{"a foreign page in an older browser", "POST", "/faults/heap", map[string]string{"Origin": "http://evil.example"}, http.StatusForbidden},
		{"a page whose name resolves to this machine reads", "GET", "/debug/vars", map[string]string{"Host": "evil.example"}, http.StatusMisdirectedRequest},
		{"the same takes a profile", "GET", "/debug/pprof/heap", map[string]string{"Host": "evil.example:6060"}, http.StatusMisdirectedRequest},
		{"the same switches a fault", "POST", "/faults/heap", map[string]string{"Host": "evil.example:6060", "Origin": "http://evil.example:6060", "Sec-Fetch-Site": "same-origin"}, http.StatusMisdirectedRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(ctx, tt.method, s.admin+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
			if host := tt.headers["Host"]; host != "" {
				r.Host = host
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("%d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}

// TestReadme holds the lines that README.md shows equal to those of faults.go.
func TestReadme(t *testing.T) {
	text := string(read(t, "README.md"))
	for function, line := range map[string]string{
		"main.ask.func1": `answer <- "42"`, "main.login": "session := make(", "main.thumbnail": "sha256.Sum256(image)",
	} {
		_, want, _ := strings.Cut(place(t, function, line), " ")
		if !regexp.MustCompile(regexp.QuoteMeta(function) + ` /\S*/` + regexp.QuoteMeta(want) + "\\n").MatchString(text) {
			t.Errorf("README.md does not show %s at %s", function, want)
		}
	}
	search, line := string(read(t, "search.go")), "search.go:15\n"
	if before, _, ok := strings.Cut(search, "regexp.MustCompile("); !ok || fmt.Sprintf("search.go:%d\n", strings.Count(before, "\n")+1) != line || !strings.Contains(text, line) {
		t.Errorf("README.md does not show where search.go compiles an expression")
	}
}
