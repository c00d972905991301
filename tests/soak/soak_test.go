// Package soak runs the library for a long time among servers, sockets and
// resolvers that fail at random, and then holds what the library says it has
// lost to what the servers have missed.
//
//	SOAK=1h go test -timeout 0 -v ./soak
//
// SOAK is how long it runs; without it, nothing is run. SOAK_SEED repeats the
// random choices of an earlier run, which prints its own. STATSD_JS is the path
// of stats.js of the npm package statsd; without it, one scenario is skipped.
//
// # What is compared
//
// Each host numbers its ticks and sends the number as a gauge, so the server
// knows which ticks it has missed. What the library says of them comes in two
// ways, and either is held to that, tick by tick:
//
//   - the gauge runtimemetrics.lost, which --metric-runtime adds: the number of
//     ticks lost so far. It is collected before its tick is sent, and that the
//     tick before was refused is known only after; so the gauge of tick n is
//     compared with what was missed of the ticks up to n-2.
//   - the log: a line carries the number of the tick in which it was logged.
//     "works again; ticks lost: N" accounts for all ticks since the previous
//     such line, so the sum of all N up to one of them is what was missed until
//     then. While the connection flaps there is one such line in 10 minutes at
//     most, so a short run ends with lost ticks of which the log says nothing
//     yet. A run of half an hour or more ends with 10 minutes in which nothing
//     fails; then the log must have told of all.
//
// The two sides may differ by one tick for each edge, the moment when a server
// goes down or comes up, because there are datagrams of which the sender cannot
// know: one that is in the queue of a socket when this is closed; one that is
// refused just before its socket is replaced, as happens each minute, so that
// nobody is there to be told; one that comes to the socket with which the test
// keeps the port, in the moment before this is closed to others.
package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

const (
	// reportEvery is how often the library reports at most while sending fails
	// and works in turns.
	reportEvery = 10 * time.Minute

	// A run that is at least so long ends with a quiet time of reportEvery.
	longRun = 30 * time.Minute

	// The heap of a host may grow by this from the first measurement to the
	// last: what the runtime itself keeps for sockets, timers and stacks. A leak
	// of 10 bytes a tick would be more within an hour.
	maxGrowth = 256 << 10
)

// world is what a host publishes to: it can be made to fail.
type world struct {
	addr string   // for --statsd
	args []string // more arguments for the host
	// fail lets one thing fail, waits, and mends it or not. It calls edge when a
	// server has gone down or come up.
	fail func(edge func())
	mend func() // mends all
}

// scenario makes a world whose servers tell record which ticks arrive.
type scenario struct {
	name string
	make func(t *testing.T, random *rand.Rand, record func(harness.Datagram)) world
}

var scenarios = []scenario{
	{"a UDP server that is closed and reopened", func(t *testing.T, random *rand.Rand, record func(harness.Datagram)) world {
		s := harness.ListenUDP(t)
		s.Handle(record)
		return flapping(random, s.Addr(), s.Down, s.Up)
	}},
	{"a unix socket that is recreated", func(t *testing.T, random *rand.Rand, record func(harness.Datagram)) world {
		dir, err := os.MkdirTemp("", "soak") // t.TempDir is too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		s := harness.Listen(t, "unixgram", filepath.Join(dir, "sock"))
		s.Handle(record)
		return flapping(random, s.Addr(), s.Down, s.Up)
	}},
	{"a real StatsD that is killed and restarted", func(t *testing.T, random *rand.Rand, record func(harness.Datagram)) world {
		s := harness.RealStatsD(t)
		s.Repeats.Handle(record)
		s.Up()
		return flapping(random, s.Addr(), s.Down, s.Up)
	}},
	{"a name that moves, and a resolver that fails", moving},
}

// flapping is a world with one server, which goes down at random.
func flapping(random *rand.Rand, addr string, down, up func()) world {
	isUp := true
	set := func(want bool) {
		if want != isUp {
			isUp = want
			if want {
				up()
			} else {
				down()
			}
		}
	}
	return world{
		addr: addr,
		fail: func(edge func()) {
			between(random, 500*time.Millisecond, 8*time.Second)
			set(false)
			edge()
			between(random, 0, 4*time.Second)
			set(true)
			edge()
		},
		mend: func() { set(true) },
	}
}

// moving is a world in which a server moves between two addresses of one name,
// while the resolver fails, falls silent or knows both. Only a move loses ticks:
// an address that was found goes on serving whatever the resolver does.
func moving(t *testing.T, random *rand.Rand, record func(harness.Datagram)) world {
	if runtime.GOOS != "linux" {
		t.Skip("there is one loopback address only")
	}
	hosts := [2]string{"127.0.0.1", "127.0.0.2"}
	first := harness.ListenUDP(t)
	second := harness.Listen(t, "udp4", hosts[1]+":"+first.Port())
	servers := [2]*harness.Server{first, second}
	first.Handle(record)
	second.Handle(record)
	second.Down()
	at := 0
	dns := harness.Resolve(t, hosts[at])
	return world{
		addr: harness.Name + ":" + first.Port(),
		args: []string{"--dns=" + dns.Addr},
		fail: func(edge func()) {
			between(random, 2*time.Second, 20*time.Second)
			switch random.IntN(5) {
			case 0:
				dns.Answer()
			case 1:
				dns.Silence()
			case 2:
				dns.Answer(hosts[0], hosts[1])
			case 3:
				dns.Answer(hosts[at])
			case 4:
				// The resolver knows at once; the library asks once a minute.
				old := at
				at = 1 - at
				servers[at].Up()
				edge()
				dns.Answer(hosts[at])
				servers[old].Down()
				edge()
			}
		},
		mend: func() {
			dns.Answer(hosts[at])
			servers[1-at].Up() // wherever the library is, it is heard
		},
	}
}

// between waits for a random time.
func between(random *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(random.Int64N(int64(most-least))))
}

func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("SOAK is not set: it is how long to run, such as 1m or 1h")
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("SOAK: ", err)
	}
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < length+3*time.Minute {
		t.Fatalf("SOAK=%s needs a -timeout that is longer, or 0", text)
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SOAK_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal("SOAK_SEED: ", err)
		}
	}
	t.Logf("SOAK=%s SOAK_SEED=%d", text, seed)

	var mu sync.Mutex
	var results []result
	t.Run("of", func(t *testing.T) {
		for i, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				r := soak(t, s, rand.New(rand.NewPCG(seed, uint64(i))), length)
				mu.Lock()
				defer mu.Unlock()
				results = append(results, r)
			})
		}
	})

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ticks\tmissed\tlost (gauge)\tlost (log)\tnot logged yet\tedges\tlog lines\tgoroutines\tdescriptors\theap in kB\tscenario\t")
	for _, r := range results {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t\n", r.ticks, r.missed, r.lost, r.reported, r.missed-r.reported, r.edges, r.lines,
			trio(r.counts, func(c count) int { return c.goroutines }),
			trio(r.counts, func(c count) int { return c.descriptors }),
			trio(r.counts, func(c count) int { return c.heap >> 10 }), r.name)
	}
	w.Flush()
	t.Logf("at the start, in the middle and at the end:\n%s", &table)
}

// count is what a host has of what could leak.
type count struct{ goroutines, descriptors, heap int }

func trio(counts []count, of func(count) int) string {
	var texts []string
	for _, c := range counts {
		texts = append(texts, strconv.Itoa(of(c)))
	}
	return strings.Join(texts, " ")
}

// result is what came of a scenario.
type result struct {
	name     string
	ticks    int // that there were
	missed   int // by the servers
	lost     int // as the last gauge says
	reported int // as lost in the log
	edges    int
	lines    int // logged
	counts   []count
}

// record keeps account of the ticks that have arrived.
type record struct {
	t       *testing.T
	mu      sync.Mutex
	arrived []bool // by number
	lost    []int  // what the gauge of each tick that has arrived says
}

func (r *record) add(d harness.Datagram) {
	n, ok := d.Value("soak.runtimemetrics.ticks")
	if !ok {
		return // the zeros that Stop sends
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for int(n) >= len(r.arrived) {
		r.arrived, r.lost = append(r.arrived, false), append(r.lost, 0)
	}
	if r.arrived[n] {
		r.t.Errorf("tick %d has arrived twice", n)
	}
	lost, ok := d.Value("soak.runtimemetrics.lost")
	if !ok {
		r.t.Errorf("tick %d does not say how many are lost", n)
	}
	r.arrived[n], r.lost[n] = true, int(lost)
}

// last returns the number of the last tick that has arrived.
func (r *record) last() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.arrived) - 1
}

// missed returns how many of the first n ticks have not arrived.
func (r *record) missed(n int) (missed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 1; i <= n; i++ {
		if i >= len(r.arrived) || !r.arrived[i] {
			missed++
		}
	}
	return missed
}

var report = regexp.MustCompile(`^tick (\d+): runtimemetrics: sending to .* (works again; ticks lost: (\d+)|fails, ticks are lost until it works again: .*)$`)

// soak runs one scenario.
func soak(t *testing.T, s scenario, random *rand.Rand, length time.Duration) result {
	begun := time.Now()
	arrived := &record{t: t}
	w := s.make(t, random, arrived.add)
	pause := 100 + random.IntN(100)
	p := harness.Host{Program: "service", Args: append(w.args,
		"--statsd="+w.addr, "--metric-prefix=soak", "--metric-runtime=/sched/gomaxprocs:threads", fmt.Sprintf("--pause=%dms", pause))}.Start(t)
	ticks := func() int {
		n, err := strconv.Atoi(p.Do("ticks"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	heard := func() {
		t.Helper()
		after := ticks()
		harness.Eventually(t, "a tick arrives", func() bool { return arrived.last() > after })
	}
	counts := func() (c count) {
		t.Helper()
		// A lookup may be under way: a goroutine and a socket for a while.
		harness.Eventually(t, "no lookup is under way", func() bool {
			before := c
			if _, err := fmt.Sscan(p.Do("counts"), &c.goroutines, &c.descriptors, &c.heap); err != nil {
				t.Fatal(err)
			}
			// One may begin or end between the two counts.
			return c.descriptors == before.descriptors && c.goroutines == before.goroutines && c.goroutines <= 3 // main, the session, and the guest for the source that counts
		})
		return c
	}

	heard()
	r := result{name: s.name, counts: []count{counts()}}
	quiet := 2 * time.Second
	if length >= longRun {
		quiet += reportEvery
	}
	var edges []int // the ticks at which they were
	edge := func() { edges = append(edges, ticks()) }
	for time.Since(begun) < length-quiet {
		w.fail(edge)
		if len(r.counts) == 1 && time.Since(begun) > length/2 {
			r.counts = append(r.counts, counts())
		}
	}
	w.mend()
	edge()
	heard()
	time.Sleep(quiet)
	heard()
	r.counts = append(r.counts, counts())
	if answer := p.Do("stop"); answer != "ok" {
		t.Errorf("Stop: %s", answer)
	}
	p.End()
	arrived.mu.Lock() // StatsD may still repeat one
	came, lost := slices.Clone(arrived.arrived), slices.Clone(arrived.lost)
	arrived.mu.Unlock()
	r.ticks = len(came) - 1

	// An edge came with one of the two ticks beside it.
	edgesUntil := func(tick int) (n int) {
		for _, e := range edges {
			if e <= tick+1 {
				n++
			}
		}
		return n
	}
	missed := 0 // of the ticks up to n-2
	for n := 3; n <= r.ticks; n++ {
		if !came[n-2] {
			missed++
		}
		if !came[n] {
			continue
		}
		r.lost = lost[n]
		// That of tick n-1 is known if that has failed at once.
		recent := 0
		if !came[n-1] {
			recent = 1
		}
		if slack := edgesUntil(n); r.lost < missed-slack || r.lost > missed+recent+slack {
			t.Errorf("at tick %d, the gauge says that %d ticks are lost, but %d were missed before tick %d, with %d edges", n, r.lost, missed, n-1, slack)
			break
		}
	}

	// What was reported, at each report.
	var pairs int
	for _, line := range p.Stderr() {
		r.lines++
		match := report.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		pairs++
		if match[3] == "" {
			continue
		}
		tick, _ := strconv.Atoi(match[1])
		lost, _ := strconv.Atoi(match[3])
		r.reported += lost
		missed, slack := arrived.missed(tick), edgesUntil(tick)
		t.Logf("until tick %d, %d lost ticks are reported, %d were missed; %d edges", tick, r.reported, missed, slack)
		if diff := r.reported - missed; diff < -slack || diff > slack {
			t.Errorf("until tick %d, %d lost ticks are reported, but %d were missed, with %d edges", tick, r.reported, missed, slack)
		}
	}
	r.missed, r.edges = arrived.missed(r.ticks), len(edges)
	if diff := r.reported - r.missed; diff > r.edges || length >= longRun && diff < -r.edges {
		t.Errorf("in all, %d lost ticks are reported, but %d were missed, with %d edges", r.reported, r.missed, r.edges)
	}
	if most := 2 * (1 + int(time.Since(begun)/reportEvery)); pairs > most {
		t.Errorf("in %v the library has reported %d times, want at most %d:\n%s", time.Since(begun), pairs, most, strings.Join(p.Stderr(), "\n"))
	}

	first, last := r.counts[0], r.counts[len(r.counts)-1]
	if last.goroutines > first.goroutines || last.descriptors > first.descriptors {
		t.Errorf("goroutines or descriptors have grown: %+v", r.counts)
	}
	if last.heap > first.heap+maxGrowth {
		t.Errorf("the heap has grown: %+v", r.counts)
	}
	return r
}
