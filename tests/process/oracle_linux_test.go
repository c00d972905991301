// Package process holds package process against two libraries that read the
// same files in their own way.
package process

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/procfs"
	_ "github.com/runtimemetrics/runtimemetrics/process"
	"golang.org/x/tools/txtar"
)

// limitEnv makes the test binary say what automemlimit takes for the limit in
// another root directory, where it finds the /proc and /sys of a tree.
const limitEnv = "RUNTIMEMETRICS_TEST_LIMIT"

func TestMain(m *testing.M) {
	root := os.Getenv(limitEnv)
	if root == "" {
		os.Exit(m.Run())
	}
	if err := errors.Join(syscall.Chroot(root), os.Chdir("/")); err != nil {
		fmt.Println(-1, err)
		return
	}
	limit, err := memlimit.FromCgroup()
	fmt.Println(limit, err)
}

// child is the test binary of package internal/procstat, which reads for package process: it publishes when it is told to.
type child struct {
	t   *testing.T
	pid int
	in  *os.File
	out *bufio.Scanner
}

func start(t *testing.T, root string) *child {
	binary := filepath.Join(t.TempDir(), "child")
	out, err := exec.Command("go", "test", "-c", "-o", binary, "github.com/runtimemetrics/runtimemetrics/internal/procstat").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = append(os.Environ(), "RUNTIMEMETRICS_TEST_CHILD="+root)
	cmd.Stdin = in
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() {
		w.Close()
		cmd.Wait()
	})
	return &child{t, cmd.Process.Pid, w, bufio.NewScanner(stdout)}
}

func (c *child) do(command string) map[string]int64 {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	got := map[string]int64{}
	for c.out.Scan() {
		name, value, ok := strings.Cut(c.out.Text(), " ")
		if !ok {
			return got
		}
		v, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		got[name] = v
	}
	c.t.Fatal("the child died")
	return nil
}

const (
	mib  = 1 << 20
	tick = 1e9 / 100
)

// byProcfs returns what procfs reports of a process, and by how much it may be off.
func byProcfs(t *testing.T, pid int) (value, slack map[string]int64) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		t.Skip(err)
	}
	p, err1 := fs.Proc(pid)
	status, err2 := p.NewStatus()
	stat, err3 := p.Stat()
	fds, err4 := p.FileDescriptorsLen()
	limits, err5 := p.Limits()
	started, err6 := stat.StartTime()
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
	value = map[string]int64{
		"proc.rss.bytes":          int64(status.VmRSS),
		"proc.rss.bytes.upper":    int64(status.VmHWM),
		"proc.rss.anon.bytes":     int64(status.RssAnon),
		"proc.rss.file.bytes":     int64(status.RssFile),
		"proc.swap.bytes":         int64(status.VmSwap),
		"proc.cpu.user.ns":        int64(stat.UTime) * tick,
		"proc.cpu.sys.ns":         int64(stat.STime) * tick,
		"proc.threads":            int64(stat.NumThreads),
		"proc.fds":                int64(fds),
		"proc.fds_limit":          int64(limits.OpenFiles),
		"proc.faults.major":       int64(stat.MajFlt),
		"proc.start_time.seconds": int64(started),
	}
	slack = map[string]int64{
		"proc.rss.bytes":          mib / 4, // reading takes memory as well
		"proc.rss.bytes.upper":    mib / 4,
		"proc.rss.anon.bytes":     mib / 4,
		"proc.rss.file.bytes":     mib / 4,
		"proc.cpu.user.ns":        tick,
		"proc.cpu.sys.ns":         tick,
		"proc.start_time.seconds": 3, // both know the boot to the second
	}
	return value, slack
}

func TestProcessNumbersAgreeWithProcfs(t *testing.T) {
	c := start(t, "/")
	c.do("read") // opens its files
	for _, phase := range []string{"idle", "after a second of work"} {
		if phase != "idle" {
			c.do("burn")
		}
		before, slack := byProcfs(t, c.pid)
		got := c.do("read")
		after, _ := byProcfs(t, c.pid)
		for name := range before {
			low, high := min(before[name], after[name])-slack[name], max(before[name], after[name])+slack[name]
			if v, ok := got[name]; !ok || v < low || v > high {
				t.Errorf("%s: %s is %d, not within %d and %d", phase, name, v, low, high)
			} else {
				t.Logf("%s: %s is %d, procfs says %d and %d", phase, name, v, before[name], after[name])
			}
		}
	}
}

// In the root cgroup of v2 the pressure is that of the machine.
func TestPressureAgreesWithProcfs(t *testing.T) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		t.Skip(err)
	}
	self, err := fs.Self()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := self.Cgroups()
	if err != nil {
		t.Fatal(err)
	}
	root := false
	for _, g := range groups {
		root = root || g.HierarchyID == 0 && g.Path == "/"
	}
	if !root {
		t.Skip("not in the root cgroup")
	}
	total := func(resource, kind string) int64 {
		stats, err := fs.PSIStatsForResource(resource)
		if err != nil {
			t.Skip(err)
		}
		if kind == "full" {
			return int64(stats.Full.Total) * 1000
		}
		return int64(stats.Some.Total) * 1000
	}
	c := start(t, "/")
	for _, resource := range []string{"cpu", "memory", "io"} {
		for _, kind := range []string{"some", "full"} {
			low := total(resource, kind)
			v, ok := c.do("read")["cgroup.pressure."+resource+"."+kind+".ns"]
			high := total(resource, kind)
			if !ok {
				t.Skip("there is none")
			}
			if v < low || v > high {
				t.Errorf("%s %s: %d is not within %d and %d", resource, kind, v, low, high)
			} else {
				t.Logf("%s %s: %d, procfs says %d and %d", resource, kind, v, low, high)
			}
		}
	}
}

func TestMemoryLimitAgreesWithAutomemlimit(t *testing.T) {
	limit, err := memlimit.FromCgroup()
	got, ok := start(t, "/").do("read")["cgroup.memory.limit.bytes"]
	t.Logf("it says %d, %v; published is %d, %v", limit, err, got, ok)
	switch {
	case errors.Is(err, memlimit.ErrNoLimit) || errors.Is(err, memlimit.ErrNoCgroup):
		if got != 0 {
			t.Errorf("%d, not none", got)
		}
	case err != nil:
		t.Skip(err)
	case !ok || uint64(got) != limit:
		t.Errorf("%d, %v, not %d", got, ok, limit)
	}
}

// The trees of package process, with what it publishes for each.
func TestTreesAgreeWithProcfsAndAutomemlimit(t *testing.T) {
	paths, err := filepath.Glob("../../internal/procstat/testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	// Where they disagree on purpose.
	differ := map[string]string{
		"v2-moved-outside.txt": "it gives up; the container's own limits are what holds there",
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			root, want := t.TempDir(), map[string]int64{}
			for _, f := range archive.Files {
				if f.Name == "want" {
					for _, line := range strings.Split(strings.TrimSpace(string(f.Data)), "\n") {
						name, value, _ := strings.Cut(line, " ")
						want[name], _ = strconv.ParseInt(value, 10, 64)
					}
					continue
				}
				name := filepath.Join(root, f.Name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.Data, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			t.Run("procfs", func(t *testing.T) {
				rss, ok := want["proc.rss.bytes"]
				if !ok {
					t.Skip("no process in this tree")
				}
				if err := os.Rename(filepath.Join(root, "proc/self"), filepath.Join(root, "proc/42")); err != nil {
					t.Fatal(err)
				}
				defer os.Rename(filepath.Join(root, "proc/42"), filepath.Join(root, "proc/self"))
				fs, err1 := procfs.NewFS(filepath.Join(root, "proc"))
				p, err2 := fs.Proc(42)
				status, err3 := p.NewStatus()
				stat, err4 := p.Stat()
				if err := errors.Join(err1, err2, err3, err4); err != nil {
					t.Fatal(err)
				}
				if status.VmRSS != uint64(rss) || status.VmHWM != uint64(want["proc.rss.bytes.upper"]) || stat.RSS*os.Getpagesize() != int(rss) {
					t.Errorf("VmRSS %d, VmHWM %d, %d pages; want %v", status.VmRSS, status.VmHWM, stat.RSS, want)
				}
				if int64(stat.NumThreads) != want["proc.threads"] {
					t.Errorf("%d threads; want %v", stat.NumThreads, want)
				}
				// The machine of the trees has been up for 1,000 s.
				if up := 1000 - int64(stat.Starttime)/100; up != want["proc.uptime.seconds"] {
					t.Errorf("up for %d s; want %v", up, want)
				}
			})
			t.Run("automemlimit", func(t *testing.T) {
				self, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(self)
				cmd.Env = append(os.Environ(), limitEnv+"="+root)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				limit, complaint, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
				if limit == "-1" {
					t.Skip(complaint) // only root may have another root directory
				}
				if why, ok := differ[filepath.Base(path)]; ok {
					t.Skipf("it says %q: %s", out, why)
				}
				if got := strconv.FormatInt(want["cgroup.memory.limit.bytes"], 10); got != limit {
					t.Errorf("it says %q, want %s", out, got)
				}
				t.Logf("it says %q", out)
			})
		})
	}
}
