package procstat

import (
	"bufio"
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
	r := New()
	r.root = strings.TrimSuffix(root, "/")
	r.now = func() time.Time { return time.Now().Add(ahead) }
	for in := bufio.NewScanner(os.Stdin); in.Scan(); fmt.Println(".") {
		switch in.Text() {
		case "read":
			for name, value := range publish(r) {
				fmt.Println(name, value)
			}
		case "minute": // passes
			ahead += checkEvery
		case "burn": // CPU time
			for start := time.Now(); time.Since(start) < time.Second; {
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
			memory := make([]byte, 256<<20)
			for i := 0; i < len(memory); i += 4096 {
				memory[i] = 1
			}
			runtime.KeepAlive(memory)
			return
		case "mallocs": // in 1,000 ticks
			fmt.Println("mallocs", mallocs(r, &ahead))
		}
	}
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

func TestNoHeapAllocationsAfterTheFirstTick(t *testing.T) {
	if got := start(t, cgroup{}, "").do(t, "mallocs"); got["mallocs"] != 0 {
		t.Errorf("%d allocations in 1000 ticks", got["mallocs"])
	}
}

func TestProcessNumbersAgreeWithTheKernel(t *testing.T) {
	r := New()
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
		for start := time.Now(); time.Since(start) < 10*time.Second; {
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
	// A start is counted in 10 ms, rounded down.
	if s := got["proc.start_time.seconds"]; s < before-1 || s > after {
		t.Errorf("started at %d, not within %d and %d", s, before, after)
	}
	if up := got["proc.uptime.seconds"]; up < 0 || up > after-before+1 {
		t.Errorf("up for %d s", up)
	}
}

// A cgroup is one that a test has made. In v1 it is in the hierarchy of one controller.
type cgroup struct {
	dir string
	v1  bool
}

// makeCgroup makes a cgroup, and one in it, or skips the test.
func makeCgroup(t *testing.T, controller, file string) (outer, inner cgroup) {
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
	outer = cgroup{fmt.Sprintf("%s/runtimemetrics-test-%d", places[0].mount, os.Getpid()), v1}
	inner = cgroup{outer.dir + "/inner", v1}
	for _, c := range []cgroup{outer, inner} {
		c := c
		if err := os.Mkdir(c.dir, 0o755); err != nil {
			t.Skipf("cannot make a cgroup: %v", err)
		}
		t.Cleanup(func() {
			// What was in it may take a moment to be gone.
			for i := 0; i < 100 && os.Remove(c.dir) != nil; i++ {
				time.Sleep(10 * time.Millisecond)
			}
		})
		if !v1 {
			os.WriteFile(filepath.Dir(c.dir)+"/cgroup.subtree_control", []byte("+"+controller), 0)
		}
		if _, err := os.Stat(c.dir + "/" + file); err != nil {
			t.Skipf("cannot use the %s controller: %v", controller, err)
		}
	}
	return outer, inner
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

func TestQuotaOfACgroupThrottles(t *testing.T) {
	outer, inner := makeCgroup(t, "cpu", "cpu.stat")
	outer.set(t, version(outer, "20000", "20000 100000"), "cpu.cfs_quota_us", "cpu.max")
	p := start(t, inner, "")
	before := p.do(t, "read")
	expect(t, before, "cgroup.cpu.quota_millicores", 200)
	p.do(t, "burn")
	after := p.do(t, "read")
	stat, err := os.ReadFile(outer.dir + "/cpu.stat")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d periods throttled, for %d ns", after["cgroup.cpu.throttled_periods"], after["cgroup.cpu.periods"], after["cgroup.cpu.throttled.ns"])
	periods := after["cgroup.cpu.periods"] - before["cgroup.cpu.periods"]
	throttled := after["cgroup.cpu.throttled_periods"] - before["cgroup.cpu.throttled_periods"]
	if throttled < 3 || periods < throttled || after["cgroup.cpu.throttled.ns"] < int64(throttled)*int64(10*time.Millisecond) {
		t.Errorf("before %v\nafter  %v\nkernel:\n%s", before, after, stat)
	}
}

func TestLimitsOfNestedCgroupsAndTheirKills(t *testing.T) {
	outer, inner := makeCgroup(t, "memory", "cgroup.procs")
	outer.set(t, "67108864", "memory.limit_in_bytes", "memory.max")
	p := start(t, inner, "")
	got := p.do(t, "read")
	expect(t, got, "cgroup.memory.limit.bytes", 64<<20)
	expect(t, got, "cgroup.memory.oom_kills", 0)
	if u, w := got["cgroup.memory.usage.bytes"], got["cgroup.memory.working_set.bytes"]; u <= 0 || u > 64<<20 || w <= 0 || w > u {
		t.Errorf("usage %d, working set %d", u, w)
	}
	inner.set(t, "33554432", "memory.limit_in_bytes", "memory.max")
	if _, err := os.ReadFile("/proc/swaps"); err == nil {
		outer.set(t, "67108864", "memory.memsw.limit_in_bytes", "memory.swap.max")
	}
	p.do(t, "hog")
	got = p.do(t, "read")
	expect(t, got, "cgroup.memory.limit.bytes", 32<<20)
	expect(t, got, "cgroup.memory.oom_kills", 1)
}

func TestThreadsOfACgroupAreCounted(t *testing.T) {
	outer, inner := makeCgroup(t, "pids", "pids.max")
	outer.set(t, "1000", "pids.max", "pids.max")
	inner.set(t, "2000", "pids.max", "pids.max")
	got := start(t, inner, "").do(t, "read")
	expect(t, got, "cgroup.pids", got["proc.threads"])
	expect(t, got, "cgroup.pids_limit", 1000)
}

func TestMovedChildIsFollowedAlsoWhenItsOldCgroupIsGone(t *testing.T) {
	_, inner := makeCgroup(t, "pids", "pids.max")
	other := cgroup{filepath.Dir(inner.dir) + "/other", inner.v1}
	if err := os.Mkdir(other.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(other.dir) })
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
	_, inner := makeCgroup(t, "memory", "cgroup.procs")
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
}
