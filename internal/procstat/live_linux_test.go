package procstat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv makes the test binary a program that can be put into a cgroup, and
// that says on demand what it publishes. Its value is the root of the file
// system that it is to read.
const childEnv = "RUNTIMEMETRICS_TEST_CHILD"

func TestMain(m *testing.M) {
	if root, ok := os.LookupEnv(childEnv); ok {
		child(root)
		return
	}
	os.Exit(m.Run())
}

// child obeys the commands on its standard input, one a line, and ends each
// answer with a line that is a dot.
func child(root string) {
	var ahead time.Duration
	var held [][]byte
	defer func() { runtime.KeepAlive(held) }()
	r := New()
	r.root = strings.TrimSuffix(root, "/")
	var now time.Time // stands still while it reads, which may take long on a busy machine
	r.now = func() time.Time { return now.Add(ahead) }
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println(".") {
		now = time.Now()
		if path, ok := strings.CutPrefix(in.Text(), "write "); ok {
			os.WriteFile(path, make([]byte, 32<<20), 0o600)
			continue
		}
		switch in.Text() {
		case "read":
			for name, value := range publish(r) {
				fmt.Println(name, value)
			}
		case "minute": // passes
			ahead += checkEvery
		case "burn": // CPU time, as long as a second takes
			for start := time.Now(); time.Since(start) < time.Second; {
			}
		case "hold": // memory
			held = append(held, touched(32<<20))
		case "hold a little":
			held = append(held, touched(512<<10))
		case "open", "open alone": // as many files as there can be
			entries, _ := os.ReadDir("/proc/self/fd") // of which one is the directory
			fmt.Println("before", len(entries)-1)
			var fds []int
			for {
				fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
				if err != nil {
					break
				}
				fds = append(fds, fd)
			}
			fmt.Println("opened", len(fds))
			if in.Text() == "open" {
				for name, value := range publish(r) {
					fmt.Println(name, value)
				}
			}
			for _, fd := range fds {
				syscall.Close(fd)
			}
		case "hog": // memory, until killed
			self := exec.Command("/proc/self/exe")
			self.Env = append(os.Environ(), childEnv+"=/")
			hog, err := self.StdinPipe()
			if err == nil && self.Start() == nil {
				os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", self.Process.Pid), []byte("1000"), 0)
				fmt.Fprintln(hog, "grow")
				fmt.Println("ended", self.Wait())
			}
		case "grow":
			held = append(held, touched(256<<20))
			return
		case "mallocs": // in 1,000 ticks
			fmt.Println("mallocs", mallocs(r, &ahead))
		}
	}
}

func touched(size int) []byte {
	memory := make([]byte, size)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	return memory
}

func mallocs(r *Reader, ahead *time.Duration) int64 {
	debug.SetGCPercent(-1)
	r.Publish(nowhere{})
	// The runtime allocates for itself now and then, for a new thread for
	// instance: what is ours is there each time.
	least := int64(math.MaxInt64)
	for round := 0; round < 3; round++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for i := 0; i < 1000; i++ {
			*ahead += 10 * time.Second
			r.Publish(nowhere{})
		}
		runtime.ReadMemStats(&after)
		least = min(least, int64(after.Mallocs-before.Mallocs))
	}
	return least
}

type process struct {
	cmd     *exec.Cmd
	in      io.Writer
	out     *bufio.Scanner
	mayFail bool
}

// start starts a child: a shell that enters a cgroup, if there is one, and then
// becomes the command that is in front of the child, if there is one.
func start(t *testing.T, in cgroup, front string) *process {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no shell")
	}
	enter := ""
	if in.dir != "" {
		enter = "echo $$ >" + in.dir + "/cgroup.procs && "
	}
	cmd := exec.Command("sh", "-c", enter+"exec "+front+` "$0"`, self)
	cmd.Env = append(os.Environ(), childEnv+"=/")
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Logf("child: %v\n%s", err, &complaint)
		}
	})
	return &process{cmd, stdin, bufio.NewScanner(stdout), in.dir != ""}
}

func (p *process) do(t *testing.T, command string) map[string]int64 {
	t.Helper()
	fmt.Fprintln(p.in, command)
	got := map[string]int64{}
	for p.out.Scan() {
		if p.out.Text() == "." {
			p.mayFail = false
			return got
		}
		name, value, _ := strings.Cut(p.out.Text(), " ")
		got[name], _ = strconv.ParseInt(value, 10, 64)
	}
	if p.mayFail {
		t.Skip("the machine does not let the child enter the cgroup")
	}
	t.Fatal("the child died")
	return nil
}

var sanitized bool // by the address sanitizer

func TestNoHeapAllocationsAfterTheFirstTick(t *testing.T) {
	if sanitized {
		t.Skip("the address sanitizer allocates for itself")
	}
	most := int64(0)
	if runtime.GOARCH == "loong64" {
		most = 1000 // syscall.Fstat makes a path for statx there
	}
	if got := start(t, cgroup{}, "").do(t, "mallocs"); got["mallocs"] > most {
		t.Errorf("%d allocations in 1000 ticks, not %d at most", got["mallocs"], most)
	}
}

func TestProcessNumbersAgreeWithTheKernel(t *testing.T) {
	r := New()
	now := time.Now()
	r.now = func() time.Time { return now } // so that nothing is found slow
	defer closeFiles(r)
	publish(r) // opens its files

	t.Run("memory", func(t *testing.T) {
		// statm counts pages.
		resident := func() int64 {
			b, err := os.ReadFile("/proc/self/statm")
			if err != nil {
				t.Skip(err)
			}
			n, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
			return n * int64(os.Getpagesize())
		}
		const size = 64 << 20
		before, low := publish(r)["proc.rss.bytes"], resident()
		memory, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < size; i += 4096 {
			memory[i] = 1
		}
		high, full := resident(), publish(r)
		if err := syscall.Munmap(memory); err != nil {
			t.Fatal(err)
		}
		after := publish(r)
		const about = 4 << 20 // what the runtime may do in between
		near := func(what string, got, want int64) {
			if got < want-about || got > want+about {
				t.Errorf("%s: got %d, want %d", what, got, want)
			}
		}
		near("before", before, low)
		near("64 MiB more", full["proc.rss.bytes"], high)
		near("the difference", full["proc.rss.bytes"]-before, size)
		near("given back", after["proc.rss.bytes"], before)
		if peak := after["proc.rss.bytes.upper"]; peak < full["proc.rss.bytes"] {
			t.Errorf("peak %d after %d", peak, full["proc.rss.bytes"])
		}
	})
	t.Run("CPU time", func(t *testing.T) {
		// On a busy machine it takes longer to spend.
		user, sys := spent(t)
		for start := time.Now(); time.Since(start) < time.Minute; {
			if user2, sys2 := spent(t); user2-user+sys2-sys >= int64(60*time.Millisecond) {
				break
			}
		}
		got := publish(r)
		user2, sys2 := spent(t)
		const tick = int64(20 * time.Millisecond) // /proc/self/stat counts in 10 ms
		for _, c := range []struct {
			name      string
			low, high int64
		}{{"proc.cpu.user.ns", user - tick, user2 + tick}, {"proc.cpu.sys.ns", sys - tick, sys2 + tick}} {
			if got[c.name] < c.low || got[c.name] > c.high {
				t.Errorf("%s: %d is not within %d and %d", c.name, got[c.name], c.low, c.high)
			}
		}
		if user2-user+sys2-sys < int64(50*time.Millisecond) {
			t.Errorf("only %d ns were spent", user2-user+sys2-sys)
		}
	})
	t.Run("threads", func(t *testing.T) {
		count := func() int64 {
			tasks, err := os.ReadDir("/proc/self/task")
			if err != nil {
				t.Skip(err)
			}
			return int64(len(tasks))
		}
		low, got, high := count(), publish(r)["proc.threads"], count()
		if got < low || got > high {
			t.Errorf("%d is not within %d and %d", got, low, high)
		}
	})
	t.Run("a descriptor leak", func(t *testing.T) {
		if want, got := openDescriptors(t), publish(r)["proc.fds"]; got != int64(want) {
			t.Errorf("got %d, want %d", got, want)
		}
		before := publish(r)["proc.fds"]
		for i := 0; i < 500; i++ {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		if after := publish(r)["proc.fds"]; after != before+500 {
			t.Errorf("%d before, %d after 500 were opened", before, after)
		}
		// As on Linux before 6.2, and in more than one piece.
		for name, dir := range map[string]*file{"opened": r.files[0], "not opened": {path: "/proc/self/fd", fd: -1}} {
			for i := 0; i < 2; i++ {
				if n, err := r.entries(dir); err != nil || n != uint64(before+500) {
					t.Errorf("%s: listed %d, %v, want %d", name, n, err, before+500)
				}
			}
			if n, err := r.size(dir); err != nil || n != 0 && n != uint64(before+500) {
				t.Errorf("%s: size %d, %v, want %d or, before Linux 6.2, 0", name, n, err, before+500)
			}
		}
	})
	t.Run("the limit of descriptors", func(t *testing.T) {
		b, err := os.ReadFile("/proc/self/limits")
		if err != nil {
			t.Skip(err)
		}
		_, line, _ := strings.Cut(string(b), "Max open files")
		want, _ := strconv.ParseInt(strings.Fields(line)[0], 10, 64) // unlimited becomes 0
		if got := publish(r)["proc.fds_limit"]; got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	})
}

// spent returns what /proc/self/stat says in clock ticks.
func spent(t *testing.T) (user, sys int64) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Skip(err)
	}
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')'):]))
	user, _ = strconv.ParseInt(f[12], 10, 64)
	sys, _ = strconv.ParseInt(f[13], 10, 64)
	return user * 10e6, sys * 10e6
}

func TestStartTimeOfAChildIsWhenItWasStarted(t *testing.T) {
	before := time.Now().Unix()
	p := start(t, cgroup{}, "")
	got := p.do(t, "read")
	after := time.Now().Unix()
	// A start is counted in 10 ms, and the time since boot in seconds.
	if s := got["proc.start_time.seconds"]; s < before-2 || s > after {
		t.Errorf("started at %d, not within %d and %d", s, before, after)
	}
	if up := got["proc.uptime.seconds"]; up < 0 || up > after-before+2 {
		t.Errorf("up for %d s", up)
	}
}

// A cgroup is one that a test has made. In v1 it is in the hierarchy of one controller.
type cgroup struct {
	dir string
	v1  bool
}

// makeCgroup makes a cgroup, and one in it, or skips the test. Each controller is
// known by a file.
func makeCgroup(t *testing.T, controller, fileV1, fileV2 string) (outer, inner cgroup) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Skip(err)
	}
	v1 := true
	places := placesOf(mountinfo, controller, "/")
	if len(places) == 0 {
		v1, places = false, placesOf(mountinfo, "", "/")
	}
	if len(places) == 0 {
		t.Skipf("no %s cgroups here", controller)
	}
	if !v1 {
		enable(t, places[0].mount, controller)
	}
	outer = cgroup{fmt.Sprintf("%s/runtimemetrics-test-%d", places[0].mount, os.Getpid()), v1}
	outer.make(t)
	if !v1 {
		enable(t, outer.dir, controller)
	}
	inner = cgroup{outer.dir + "/inner", v1}
	inner.make(t)
	if file := version(inner, fileV1, fileV2); !exists(inner.dir + "/" + file) {
		t.Skipf("the %s controller cannot be used: a cgroup of %s has no %s", controller, version(inner, "v1", "v2"), file)
	}
	return outer, inner
}

func (c cgroup) make(t *testing.T) {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		t.Skipf("cannot make a cgroup: %v", err)
	}
	t.Cleanup(func() {
		// What was in it may take a moment to be gone.
		for i := 0; i < 1000 && exists(c.dir) && os.Remove(c.dir) != nil; i++ {
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// enable has a cgroup of v2 give a controller to those in it.
func enable(t *testing.T, dir, controller string) {
	control := dir + "/cgroup.subtree_control"
	before, err := os.ReadFile(control)
	if err != nil || strings.Contains(" "+string(bytes.TrimSpace(before))+" ", " "+controller+" ") {
		return
	}
	if os.WriteFile(control, []byte("+"+controller), 0) == nil {
		t.Cleanup(func() { os.WriteFile(control, []byte("-"+controller), 0) })
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// number reads a file of a cgroup, or of one the line of a key.
func (c cgroup) number(t *testing.T, file, key string) int64 {
	t.Helper()
	b, err := os.ReadFile(c.dir + "/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if key == "" && len(f) == 1 || len(f) == 2 && f[0] == key {
			n, err := strconv.ParseInt(f[len(f)-1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s/%s has no %q:\n%s", c.dir, file, key, b)
	return 0
}

func (c cgroup) set(t *testing.T, value, v1, v2 string) {
	t.Helper()
	file := v2
	if c.v1 {
		file = v1
	}
	if err := os.WriteFile(c.dir+"/"+file, []byte(value), 0); err != nil {
		t.Skipf("cannot set a limit: %v", err)
	}
}

func (c cgroup) setIfThere(t *testing.T, value, v1, v2 string) {
	if exists(c.dir + "/" + version(c, v1, v2)) {
		c.set(t, value, v1, v2)
	}
}

func version(c cgroup, v1, v2 string) string {
	if c.v1 {
		return v1
	}
	return v2
}

func expect(t *testing.T, got map[string]int64, name string, want int64) {
	t.Helper()
	if v, ok := got[name]; !ok || v != want {
		t.Errorf("%s: got %d, %v, want %d", name, v, ok, want)
	}
}

// between holds that a value that was read between two looks at the kernel's
// lies between these.
func between(t *testing.T, got map[string]int64, name string, before, after int64) {
	t.Helper()
	v, ok := got[name]
	if !ok || v < min(before, after) || v > max(before, after) {
		t.Errorf("%s: got %d, %v; the kernel says %d before and %d after", name, v, ok, before, after)
	} else {
		t.Logf("%s is %d; the kernel says %d before and %d after", name, v, before, after)
	}
}

// throttle has a process burn CPU time until the kernel has throttled a cgroup
// ten times, and skips the test if there is too little of it to use up a quota.
func throttle(t *testing.T, burner *process, by cgroup) {
	for i := 0; i < 60; i++ {
		burner.do(t, "burn")
		if by.number(t, "cpu.stat", "nr_throttled") >= 10 {
			return
		}
	}
	t.Skip("this machine is too busy for a process to use up its quota")
}

func (c cgroup) setQuota(t *testing.T, quota string) {
	t.Helper()
	c.set(t, version(c, quota, quota+" 100000"), "cpu.cfs_quota_us", "cpu.max")
}

func (c cgroup) throttled(t *testing.T) (periods, throttled, ns int64) {
	if c.v1 {
		ns = c.number(t, "cpu.stat", "throttled_time")
	} else {
		ns = c.number(t, "cpu.stat", "throttled_usec") * 1000
	}
	return c.number(t, "cpu.stat", "nr_periods"), c.number(t, "cpu.stat", "nr_throttled"), ns
}

func TestQuotaOfACgroupThrottles(t *testing.T) {
	outer, inner := makeCgroup(t, "cpu", "cpu.cfs_quota_us", "cpu.max")
	p := start(t, inner, "")
	expect(t, p.do(t, "read"), "cgroup.cpu.quota_millicores", 0)
	outer.setQuota(t, "5000")
	expect(t, p.do(t, "read"), "cgroup.cpu.quota_millicores", 50)
	throttle(t, p, outer)
	periods, throttled, ns := outer.throttled(t)
	got := p.do(t, "read")
	periods2, throttled2, ns2 := outer.throttled(t)
	between(t, got, "cgroup.cpu.periods", periods, periods2)
	between(t, got, "cgroup.cpu.throttled_periods", throttled, throttled2)
	between(t, got, "cgroup.cpu.throttled.ns", ns, ns2)
}

func TestThrottlingIsThatOfTheLevelThatIsThrottledMost(t *testing.T) {
	outer, inner := makeCgroup(t, "cpu", "cpu.cfs_quota_us", "cpu.max")
	sibling := cgroup{outer.dir + "/sibling", outer.v1}
	sibling.make(t)
	p, busy := start(t, inner, ""), start(t, sibling, "")
	// Of all levels of the process, its own has the lower quota.
	outer.setQuota(t, "5000")
	inner.setQuota(t, "4000")
	before := p.do(t, "read")
	expect(t, before, "cgroup.cpu.quota_millicores", 40)
	throttle(t, busy, outer)
	throttled := outer.number(t, "cpu.stat", "nr_throttled")
	got := p.do(t, "read")
	own := inner.number(t, "cpu.stat", "nr_throttled")
	t.Logf("%d of %d periods, the process's own level %d", got["cgroup.cpu.throttled_periods"], got["cgroup.cpu.periods"], own)
	// What was told before may have been of another level.
	if n := got["cgroup.cpu.throttled_periods"]; n < throttled-before["cgroup.cpu.throttled_periods"] || throttled > own && n <= own {
		t.Errorf("%d periods throttled; the kernel says %d of the outer level, %d of its own", n, throttled, own)
	}
}

func TestAQuotaThatWasLiftedAndIsSetAgainBringsNoHistory(t *testing.T) {
	outer, inner := makeCgroup(t, "cpu", "cpu.cfs_quota_us", "cpu.max")
	sibling := cgroup{outer.dir + "/sibling", outer.v1}
	sibling.make(t)
	outer.setQuota(t, "5000")
	throttle(t, start(t, sibling, ""), outer)
	outer.setQuota(t, version(outer, "-1", "max"))
	periods, throttled, ns := outer.throttled(t)
	p := start(t, inner, "")
	expect(t, p.do(t, "read"), "cgroup.cpu.throttled_periods", 0)
	outer.setQuota(t, "5000")
	got := p.do(t, "read")
	periods2, throttled2, ns2 := outer.throttled(t)
	between(t, got, "cgroup.cpu.periods", 0, periods2-periods)
	between(t, got, "cgroup.cpu.throttled_periods", 0, throttled2-throttled)
	between(t, got, "cgroup.cpu.throttled.ns", 0, ns2-ns)
}

func TestLimitsOfNestedCgroupsAndTheirKills(t *testing.T) {
	outer, inner := makeCgroup(t, "memory", "memory.limit_in_bytes", "memory.max")
	outer.set(t, "67108864", "memory.limit_in_bytes", "memory.max")
	p := start(t, inner, "")
	got := p.do(t, "read")
	expect(t, got, "cgroup.memory.limit.bytes", 64<<20)
	expect(t, got, "cgroup.memory.tightest.limit.bytes", 64<<20)
	expect(t, got, "cgroup.memory.oom_kills", 0)
	if u, w := got["cgroup.memory.usage.bytes"], got["cgroup.memory.working_set.bytes"]; u <= 0 || u > 64<<20 || w <= 0 || w > u {
		t.Errorf("usage %d, working set %d", u, w)
	}
	inner.set(t, "33554432", "memory.limit_in_bytes", "memory.max")
	if _, err := os.ReadFile("/proc/swaps"); err == nil {
		outer.setIfThere(t, "67108864", "memory.memsw.limit_in_bytes", "memory.swap.max")
	}
	p.do(t, "hog")
	got = p.do(t, "read")
	expect(t, got, "cgroup.memory.limit.bytes", 32<<20)
	kills := inner.number(t, version(inner, "memory.oom_control", "memory.events"), "oom_kill")
	between(t, got, "cgroup.memory.oom_kills", kills, kills)
	if kills == 0 {
		t.Error("nothing was killed")
	}
}

func TestSiblingThatFillsTheParentShows(t *testing.T) {
	outer, inner := makeCgroup(t, "memory", "memory.limit_in_bytes", "memory.max")
	sibling := cgroup{outer.dir + "/sibling", outer.v1}
	sibling.make(t)
	outer.set(t, "268435456", "memory.limit_in_bytes", "memory.max")
	inner.set(t, "251658240", "memory.limit_in_bytes", "memory.max") // the lower one
	p, other := start(t, inner, ""), start(t, sibling, "")
	workingSet := func(c cgroup) int64 {
		usage := c.number(t, version(c, "memory.usage_in_bytes", "memory.current"), "")
		return usage - min(usage, c.number(t, "memory.stat", version(c, "total_inactive_file", "inactive_file")))
	}
	other.do(t, "hold")
	before := workingSet(outer)
	got := p.do(t, "read")
	after := workingSet(outer)
	expect(t, got, "cgroup.memory.limit.bytes", 240<<20)
	expect(t, got, "cgroup.memory.tightest.limit.bytes", 256<<20)
	// It may use some itself meanwhile.
	between(t, got, "cgroup.memory.tightest.used.bytes", min(before, after)-2<<20, max(before, after)+2<<20)
	if used, own := got["cgroup.memory.tightest.used.bytes"], got["cgroup.memory.working_set.bytes"]; used < 32<<20 || own >= 32<<20 {
		t.Errorf("%d used in the parent, %d by the process itself", used, own)
	}
	// What is only cache does not count as used. Whatever was read before may be
	// charged to another cgroup, so it is written.
	cache := filepath.Join(t.TempDir(), "cache")
	other.do(t, "write "+cache)
	usage := outer.number(t, version(outer, "memory.usage_in_bytes", "memory.current"), "")
	if inactive := outer.number(t, "memory.stat", version(outer, "total_inactive_file", "inactive_file")); inactive < 16<<20 {
		t.Logf("files are not cached here: %d of %d bytes", inactive, usage)
	} else if used := p.do(t, "read")["cgroup.memory.tightest.used.bytes"]; used > usage-8<<20 {
		t.Errorf("%d used of %d, of which %d are cache", used, usage, inactive)
	}
}

func TestMemoryHighShows(t *testing.T) {
	outer, inner := makeCgroup(t, "memory", "memory.soft_limit_in_bytes", "memory.high")
	if outer.v1 {
		t.Skip("cgroup v1 has no memory.high")
	}
	p := start(t, inner, "")
	got := p.do(t, "read")
	expect(t, got, "cgroup.memory.high.bytes", 0)
	expect(t, got, "cgroup.memory.high_events", 0)
	// Each page above it costs the process time.
	high := outer.number(t, "memory.current", "") &^ 0xffff
	outer.set(t, strconv.FormatInt(high, 10), "", "memory.high")
	for i := 0; i < 30 && outer.number(t, "memory.events.local", "high") == 0; i++ {
		p.do(t, "hold a little")
	}
	before := outer.number(t, "memory.events.local", "high")
	got = p.do(t, "read")
	expect(t, got, "cgroup.memory.high.bytes", high)
	between(t, got, "cgroup.memory.high_events", before, outer.number(t, "memory.events.local", "high"))
	if before == 0 || inner.number(t, "memory.events.local", "high") != 0 {
		t.Errorf("the parent's limit was exceeded %d times, the process's own %d times", before, inner.number(t, "memory.events.local", "high"))
	}
	outer.set(t, "max", "", "memory.high")

	// It has waited for memory. The kernel adds up every two seconds.
	if !exists(inner.dir + "/memory.pressure") {
		t.Log("this kernel measures no pressure")
		return
	}
	some, full := inner.stall(t)
	for i := 0; i < 300 && some == 0; i++ {
		time.Sleep(100 * time.Millisecond)
		some, full = inner.stall(t)
	}
	if some == 0 {
		t.Error("the kernel says that nothing has waited")
	}
	got = p.do(t, "read")
	some2, full2 := inner.stall(t)
	between(t, got, "cgroup.pressure.memory.some.ns", some, some2)
	between(t, got, "cgroup.pressure.memory.full.ns", full, full2)
}

// stall is how long some thread, and how long all, have waited for memory.
func (c cgroup) stall(t *testing.T) (some, full int64) {
	t.Helper()
	b, err := os.ReadFile(c.dir + "/memory.pressure")
	if err != nil {
		t.Fatal(err)
	}
	var none float64
	if _, err := fmt.Sscanf(string(b), "some avg10=%f avg60=%f avg300=%f total=%d\nfull avg10=%f avg60=%f avg300=%f total=%d\n",
		&none, &none, &none, &some, &none, &none, &none, &full); err != nil {
		t.Fatal(err)
	}
	return some * 1000, full * 1000
}

func TestThreadsOfACgroupAreCounted(t *testing.T) {
	outer, inner := makeCgroup(t, "pids", "pids.max", "pids.max")
	outer.set(t, "1000", "pids.max", "pids.max")
	inner.set(t, "2000", "pids.max", "pids.max")
	p := start(t, inner, "")
	got := p.do(t, "read")
	for i := 0; i < 100 && got["cgroup.pids"] != got["proc.threads"]; i++ { // one began between the two files
		got = p.do(t, "read")
	}
	expect(t, got, "cgroup.pids", got["proc.threads"])
	expect(t, got, "cgroup.pids_limit", 1000)
	expect(t, got, "cgroup.pids.tightest.used", got["proc.threads"])
	expect(t, got, "cgroup.pids.tightest.limit", 1000)

	// A sibling takes more, and the process's own limit is the lower one.
	sibling := cgroup{outer.dir + "/sibling", outer.v1}
	sibling.make(t)
	start(t, sibling, "").do(t, "read")
	inner.set(t, "999", "pids.max", "pids.max")
	before := outer.number(t, "pids.current", "")
	got = p.do(t, "read")
	expect(t, got, "cgroup.pids_limit", 999)
	expect(t, got, "cgroup.pids.tightest.limit", 1000)
	between(t, got, "cgroup.pids.tightest.used", before, outer.number(t, "pids.current", ""))
	if got["cgroup.pids.tightest.used"] <= got["cgroup.pids"] {
		t.Error("the sibling is not counted")
	}
}

// A process with few descriptors keeps all of them: it can open as many files
// with a Reader as without, and hears how many are open even then.
func TestDescriptorsAreLeftToTheProgram(t *testing.T) {
	for _, test := range []struct{ limit, kept int }{{16, 0}, {64, 0}, {256, 12}, {1024, 60}} {
		p := start(t, cgroup{}, fmt.Sprintf(`sh -c 'ulimit -n %d && exec "$0"'`, test.limit))
		alone := p.do(t, "open alone")["opened"]
		p.do(t, "read")
		got := p.do(t, "open")
		taken := int(alone - got["opened"])
		t.Logf("of %d descriptors, %d are taken", test.limit, taken)
		if taken > test.kept || test.kept > 0 && taken == 0 {
			t.Errorf("of %d descriptors, %d are taken, not %d at most", test.limit, taken, test.kept)
		}
		expect(t, got, "proc.fds_limit", int64(test.limit))
		if v, ok := got["proc.fds"]; !ok && sizeCountsDescriptors() || ok && v != got["before"]+got["opened"] {
			t.Errorf("proc.fds: got %d, %v, want %d", v, ok, got["before"]+got["opened"])
		}
		// Given back, they serve again.
		if after := p.do(t, "read"); after["proc.threads"] == 0 {
			t.Errorf("a limit of %d: %v", test.limit, after)
		}
	}
}

func sizeCountsDescriptors() bool {
	info, err := os.Stat("/proc/self/fd")
	return err == nil && info.Size() > 0
}

func TestMovedChildIsFollowedAlsoWhenItsOldCgroupIsGone(t *testing.T) {
	_, inner := makeCgroup(t, "pids", "pids.max", "pids.max")
	other := cgroup{filepath.Dir(inner.dir) + "/other", inner.v1}
	other.make(t)
	inner.set(t, "1000", "pids.max", "pids.max")
	other.set(t, "500", "pids.max", "pids.max")

	p := start(t, other, "")
	expect(t, p.do(t, "read"), "cgroup.pids_limit", 500)
	if err := os.WriteFile(inner.dir+"/cgroup.procs", []byte(strconv.Itoa(p.cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	expect(t, p.do(t, "read"), "cgroup.pids_limit", 500)
	if err := os.Remove(other.dir); err != nil {
		t.Fatal(err)
	}
	if v, ok := p.do(t, "read")["cgroup.pids_limit"]; ok {
		t.Errorf("limit %d of a cgroup that is gone", v)
	}
	p.do(t, "minute")
	expect(t, p.do(t, "read"), "cgroup.pids_limit", 1000)
}

func TestContainerWithACgroupNamespace(t *testing.T) {
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip(err)
	}
	_, inner := makeCgroup(t, "memory", "memory.limit_in_bytes", "memory.max")
	inner.set(t, "67108864", "memory.limit_in_bytes", "memory.max")

	t.Run("that sees the host's mounts", func(t *testing.T) {
		got := start(t, inner, "unshare -m -C").do(t, "read")
		if v, ok := got["cgroup.memory.limit.bytes"]; ok {
			t.Errorf("limit %d: whose?", v)
		}
	})
	t.Run("that has a mount of its own", func(t *testing.T) {
		mount := version(inner, "mount -t cgroup -o memory none ", "mount -t cgroup2 none ") + t.TempDir()
		got := start(t, inner, "unshare -m -C sh -c '"+mount+` && exec "$0"'`).do(t, "read")
		expect(t, got, "cgroup.memory.limit.bytes", 64<<20)
	})
	t.Run("whose mount comes after many others", func(t *testing.T) { // the layers of an image, for one
		dir := t.TempDir()
		many := "for i in $(seq 60); do mkdir " + dir + "/$i && mount -t tmpfs none " + dir + "/$i || exit; done"
		mount := version(inner, "mount -t cgroup -o memory none ", "mount -t cgroup2 none ") + t.TempDir()
		got := start(t, inner, "unshare -m -C sh -c '"+many+"; "+mount+` && exec "$0"'`).do(t, "read")
		expect(t, got, "cgroup.memory.limit.bytes", 64<<20)
	})
}
