//go:build linux

// Package graphite_test runs the library against real StatsD and Graphite.
package graphite_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	process "github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

// gauges are the 27, with what a process says of itself and the way in which
// Graphite has to roll them up.
var gauges = []struct {
	name   string
	value  func(*runtime.MemStats) uint64
	rollup string
}{
	{"cpu.goroutines", func(*runtime.MemStats) uint64 { return uint64(runtime.NumGoroutine()) }, "average"},
	{"cpu.cgo_calls", func(*runtime.MemStats) uint64 { return uint64(runtime.NumCgoCall()) }, "last"},
	{"mem.alloc", func(m *runtime.MemStats) uint64 { return m.Alloc }, "average"},
	{"mem.total", func(m *runtime.MemStats) uint64 { return m.TotalAlloc }, "last"},
	{"mem.sys", func(m *runtime.MemStats) uint64 { return m.Sys }, "average"},
	{"mem.lookups", func(m *runtime.MemStats) uint64 { return m.Lookups }, "last"},
	{"mem.malloc", func(m *runtime.MemStats) uint64 { return m.Mallocs }, "last"},
	{"mem.frees", func(m *runtime.MemStats) uint64 { return m.Frees }, "last"},
	{"mem.heap.alloc", func(m *runtime.MemStats) uint64 { return m.HeapAlloc }, "average"},
	{"mem.heap.sys", func(m *runtime.MemStats) uint64 { return m.HeapSys }, "average"},
	{"mem.heap.idle", func(m *runtime.MemStats) uint64 { return m.HeapIdle }, "average"},
	{"mem.heap.inuse", func(m *runtime.MemStats) uint64 { return m.HeapInuse }, "average"},
	{"mem.heap.released", func(m *runtime.MemStats) uint64 { return m.HeapReleased }, "average"},
	{"mem.heap.objects", func(m *runtime.MemStats) uint64 { return m.HeapObjects }, "average"},
	{"mem.stack.inuse", func(m *runtime.MemStats) uint64 { return m.StackInuse }, "average"},
	{"mem.stack.sys", func(m *runtime.MemStats) uint64 { return m.StackSys }, "average"},
	{"mem.stack.mspan_inuse", func(m *runtime.MemStats) uint64 { return m.MSpanInuse }, "average"},
	{"mem.stack.mspan_sys", func(m *runtime.MemStats) uint64 { return m.MSpanSys }, "average"},
	{"mem.stack.mcache_inuse", func(m *runtime.MemStats) uint64 { return m.MCacheInuse }, "average"},
	{"mem.stack.mcache_sys", func(m *runtime.MemStats) uint64 { return m.MCacheSys }, "average"},
	{"mem.othersys", func(m *runtime.MemStats) uint64 { return m.OtherSys }, "average"},
	{"mem.gc.sys", func(m *runtime.MemStats) uint64 { return m.GCSys }, "average"},
	{"mem.gc.next", func(m *runtime.MemStats) uint64 { return m.NextGC }, "average"},
	{"mem.gc.last", func(m *runtime.MemStats) uint64 { return m.LastGC }, "last"},
	{"mem.gc.pause_total", func(m *runtime.MemStats) uint64 { return m.PauseTotalNs }, "last"},
	{"mem.gc.pause", func(m *runtime.MemStats) uint64 { return m.PauseNs[(m.NumGC+255)%256] }, "max"},
	{"mem.gc.count", func(m *runtime.MemStats) uint64 { return uint64(m.NumGC) }, "last"},
}

// The service is this test binary over again, told so by serviceEnv, which
// holds StatsD's address.
const (
	serviceEnv    = "RUNTIMEMETRICS_E2E_SERVICE"
	servicePrefix = "e2e.service"
)

// patience is how long a test waits for what must happen; it says nothing about
// how long that takes.
const patience = 2 * time.Minute

func TestMain(m *testing.M) {
	if statsd := os.Getenv(serviceEnv); statsd != "" {
		if err := service(statsd); err != nil {
			fmt.Fprintln(os.Stderr, "service:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service publishes, and for each line that it reads says in JSON what its
// gauges are now. Its goroutines are parked and its collections are over, so
// that much of it stands still and can be compared to the last digit.
func service(statsd string) error {
	for i := 0; i < 1000; i++ {
		go func() { select {} }()
	}
	for i := 0; i < 7; i++ {
		runtime.GC()
	}
	debug.SetGCPercent(10_000)
	err := runtimemetrics.Start(runtimemetrics.Config{
		StatsD: statsd,
		Prefix: servicePrefix,
		Pause:  250 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for in.Scan() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		said := map[string]uint64{}
		for _, g := range gauges {
			said[g.name] = g.value(&m)
		}
		if err := out.Encode(said); err != nil {
			return err
		}
	}
	return in.Err()
}

func TestGraphite(t *testing.T) {
	s := startStack(t)

	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	fileServer := "stats.gauges.go." + host + "."
	s.runFileServer(t)
	ask := s.runService(t)

	// Against what the process says itself. Nothing frees memory between the
	// two snapshots around the points, so heap figures can only have grown. If what
	// stands still has moved, such as the library's goroutines at its start, both are
	// taken again.
	before, asked := ask(), time.Now()
	prefix := "stats.gauges." + servicePrefix + "."
	s.eventually(t, "the service's gauges are what it says", func() error {
		// Two seconds: half of one from StatsD's rounding, one from its flush,
		// a quarter from the service's tick.
		last, err := s.lastPoints(prefix, asked.Add(2*time.Second))
		if err != nil {
			return err
		}
		after := ask()
		for _, name := range []string{
			"cpu.goroutines", "cpu.cgo_calls", "mem.lookups", "mem.gc.next", "mem.gc.last",
			"mem.gc.pause_total", "mem.gc.pause", "mem.gc.count",
		} {
			// StatsD is JavaScript: mem.gc.last, above 1<<53, comes out as the
			// nearest double.
			if got, want := last[name].value, float64(after[name]); got != want || before[name] != after[name] {
				err := fmt.Errorf("%s is %v in Graphite; the process said %d, then %d", name, got, before[name], after[name])
				before, asked = after, time.Now()
				return err
			}
		}
		for _, name := range []string{
			"mem.alloc", "mem.total", "mem.malloc", "mem.frees", "mem.heap.alloc", "mem.heap.objects",
		} {
			if got := last[name].value; got < float64(before[name]) || got > float64(after[name]) {
				return fmt.Errorf("%s is %v in Graphite; the process said %d, then %d", name, got, before[name], after[name])
			}
		}
		return nil
	})
	if before["cpu.goroutines"] < 1000 || before["mem.gc.count"] < 7 || before["mem.gc.pause"] == 0 {
		t.Errorf("the service did not do what it is for: %v", before)
	}

	s.eventually(t, "the file server's gauges are there", func() error {
		last, err := s.lastPoints(fileServer, asked)
		if err != nil {
			return err
		}
		for _, name := range []string{"cpu.goroutines", "mem.alloc", "mem.sys", "mem.gc.next"} {
			if last[name].value <= 0 {
				return fmt.Errorf("%s is %v", name, last[name].value)
			}
		}
		return nil
	})
	s.checkNames(t, fileServer)
	s.checkMoving(t, fileServer)
	s.checkRollup(t)

	// StatsD goes away and comes back.
	s.killStatsD(t)
	s.eventually(t, "the gauges stop without StatsD", func() error {
		last, err := s.lastPoints(fileServer, asked)
		if err != nil {
			return err
		}
		if at := last["mem.alloc"].at; time.Since(at) < 3*time.Second {
			return fmt.Errorf("there is a point of %v", at)
		}
		return nil
	})
	s.up(t)
	restarted := time.Now()
	for _, prefix := range []string{fileServer, prefix} {
		s.eventually(t, prefix+"* resumes with StatsD", func() error {
			_, err := s.lastPoints(prefix, restarted.Add(time.Second))
			return err
		})
	}
}

// checkMoving has the curves that docs/moving.md names below a host's prefix.
func (s *stack) checkMoving(t *testing.T, prefix string) {
	page, err := os.ReadFile("../../docs/moving.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`stats\\.gauges\\.go\\.<host>\\.([^`]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) == 0 {
		t.Error("docs/moving.md names no curve")
	}
	last, err := s.lastPoints(prefix, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range named {
		if _, ok := last[name[1]]; !ok {
			t.Errorf("there is no curve %s%s", prefix, name[1])
		}
	}
}

// stack is StatsD, carbon and graphite-web, started by the script up.
type stack struct {
	*stacktest.Stack
	statsd string // host:port
	web    string // http://host:port
}

func startStack(t *testing.T) *stack {
	t.Helper()
	s := stacktest.Up(t, ".", "--stack")
	return &stack{s, s.Address("STATSD_PORT"), "http://" + s.Address("GRAPHITE_PORT")}
}

func (s *stack) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = s.Env
	return cmd
}

// up starts what is missing of the stack.
func (s *stack) up(t *testing.T) {
	t.Helper()
	if out, err := s.Script("up", "--stack", "--no-install").CombinedOutput(); err != nil {
		t.Fatalf("up: %v\n%s", err, out)
	}
}

func (s *stack) killStatsD(t *testing.T) {
	t.Helper()
	recorded, err := os.ReadFile(filepath.Join(s.Work, "run", "statsd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(recorded)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// runFileServer builds and starts examples/fileserver.
func (s *stack) runFileServer(t *testing.T) {
	t.Helper()
	cmd := s.command(stacktest.Build(t, "../fileserver"), "--addr=127.0.0.1:0", "--statsd="+s.statsd, "--pause=1")
	cmd.Dir = t.TempDir()
	stacktest.Start(t, cmd)
}

// runService returns a function that asks the service for its gauges.
func (s *stack) runService(t *testing.T) func() map[string]uint64 {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := s.command(program)
	cmd.Env = append(cmd.Env, serviceEnv+"="+s.statsd)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stacktest.Start(t, cmd)
	answers := json.NewDecoder(out)
	return func() map[string]uint64 {
		t.Helper()
		if _, err := io.WriteString(in, "\n"); err != nil {
			t.Fatalf("service: %v", err)
		}
		var said map[string]uint64
		if err := answers.Decode(&said); err != nil {
			t.Fatalf("service: %v", err)
		}
		return said
	}
}

// eventually polls until what it waits for is so.
func (s *stack) eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	begin := time.Now()
	for {
		err := check()
		if err == nil {
			t.Logf("%s (after %v)", what, time.Since(begin).Round(100*time.Millisecond))
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%s: not so within %v: %v", what, patience, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

type point struct {
	at    time.Time
	value float64
}

// lastPoints returns the newest point of each of the 27 gauges. All of them
// must be there and not older than since.
func (s *stack) lastPoints(prefix string, since time.Time) (map[string]point, error) {
	query := url.Values{"format": {"json"}, "from": {"-5minutes"}}
	for _, g := range gauges {
		query.Add("target", prefix+g.name)
	}
	var series []struct {
		Target     string
		Datapoints [][2]*float64 // value or null, time in seconds
	}
	if err := s.get("/render?"+query.Encode(), &series); err != nil {
		return nil, err
	}
	last := map[string]point{}
	for _, one := range series {
		for _, p := range one.Datapoints {
			if p[0] != nil {
				last[strings.TrimPrefix(one.Target, prefix)] = point{time.Unix(int64(*p[1]), 0), *p[0]}
			}
		}
	}
	for _, g := range gauges {
		p, ok := last[g.name]
		if !ok {
			return nil, fmt.Errorf("no point of %s%s", prefix, g.name)
		}
		if p.at.Before(since) {
			return nil, fmt.Errorf("the newest point of %s%s is of %v, before %v", prefix, g.name, p.at, since)
		}
	}
	return last, nil
}

// get decodes an answer of graphite-web.
func (s *stack) get(path string, into any) error {
	client := &http.Client{Timeout: patience}
	response, err := client.Get(s.web + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// checkNames holds that below prefix are the 27 gauges and nothing else.
func (s *stack) checkNames(t *testing.T, prefix string) {
	t.Helper()
	var index, got, want []string
	if err := s.get("/metrics/index.json", &index); err != nil {
		t.Fatal(err)
	}
	for _, metric := range index {
		if name, ok := strings.CutPrefix(metric, prefix); ok {
			got = append(got, name)
		}
	}
	for _, g := range gauges {
		want = append(want, g.name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("below %s Graphite has\n%v, want\n%v", prefix, got, want)
	}
}

// checkRollup reads from the head of the whisper files how points are rolled
// up, for the 27 gauges and for names that other sources of the library use.
func (s *stack) checkRollup(t *testing.T) {
	t.Helper()
	want := map[string]string{
		"runtime.sched.latencies.ns.p99":    "max",
		"runtime.sched.latencies.ns.upper":  "max",
		"runtime.sched.latencies.events":    "last",
		"runtime.sched.latencies.over_10ms": "last",
		"runtime.sync.mutex.wait.total.ns":  "last",
		"runtime.gc.heap.allocs.bytes":      "last",
		"runtime.gc.heap.allocs":            "last",
		"runtime.gc.heap.tiny.allocs":       "last",
		"runtime.gc.cycles.forced":          "last",
		"runtime.sched.goroutines-created":  "last",
		"runtime.sched.goroutines.running":  "average",
		"runtime.gc.heap.live.bytes":        "average",
		"runtimemetrics.late.ns":            "max",
		"runtimemetrics.ticks":              "last",
		"proc.rss.bytes":                    "average",
		"proc.start_time.seconds":           "last",
		"proc.rss.bytes.upper":              "max",
		"some.app.lower":                    "min",
		"some.app.count":                    "sum",
	}
	conn, err := net.Dial("udp", s.statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, g := range append(process.Gauges(), leaks.Gauges()...) {
		if g.Kind == collector.Cumulative {
			want[g.Name] = "last"
		}
	}
	for name := range want {
		if _, err := fmt.Fprintf(conn, "%s.%s:1|g", servicePrefix, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range gauges {
		want[g.name] = g.rollup
	}
	s.eventually(t, "the roll-up is right", func() error {
		for name, rollup := range want {
			file := filepath.Join(s.Work, "storage/whisper/stats/gauges",
				strings.ReplaceAll(servicePrefix+"."+name, ".", "/")+".wsp")
			head, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if len(head) < 28 {
				return fmt.Errorf("%s has %d bytes", file, len(head))
			}
			methods := []string{1: "average", 2: "sum", 3: "last", 4: "max", 5: "min"}
			if got := methods[binary.BigEndian.Uint32(head)]; got != rollup {
				return fmt.Errorf("%s is rolled up by %s, want %s", name, got, rollup)
			}
			if f := math.Float32frombits(binary.BigEndian.Uint32(head[8:])); f != 0 {
				return fmt.Errorf("%s: xFilesFactor is %v, want 0", name, f)
			}
			// The first archive's step, after four words of head and its offset.
			if step := binary.BigEndian.Uint32(head[20:]); step != 1 {
				return fmt.Errorf("%s: the finest archive has a step of %d s, want 1", name, step)
			}
		}
		return nil
	})
}
