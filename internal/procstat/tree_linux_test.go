package procstat

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The trees in testdata hold the files of a machine in one text: a line "-- path --"
// before each, a comment before the first, and last what is to be published.

type tree struct {
	name  string
	files map[string]string
	want  map[string]int64
}

func loadTree(t testing.TB, path string) tree {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tr := tree{path, map[string]string{}, map[string]int64{}}
	file := ""
	for _, line := range strings.SplitAfter(string(text), "\n") {
		name, ok := strings.CutSuffix(line, " --\n")
		if name, ok2 := strings.CutPrefix(name, "-- "); ok && ok2 {
			file = name
			tr.files[file] = ""
		} else if file != "" {
			tr.files[file] += line
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(tr.files["want"]), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok {
			if tr.want[name], err = strconv.ParseInt(value, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	delete(tr.files, "want")
	return tr
}

func trees(t testing.TB) []tree {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no trees: %v", err)
	}
	var all []tree
	for _, path := range paths {
		all = append(all, loadTree(t, path))
	}
	return all
}

func (tr tree) write(t testing.TB) (root string) {
	root = t.TempDir()
	for path, text := range tr.files {
		write(t, filepath.Join(root, path), text)
	}
	return root
}

func write(t testing.TB, path, text string) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// clock moves only when it is told to, or by each each time it is asked.
type clock struct {
	time time.Time
	each time.Duration
}

func (c *clock) now() time.Time {
	c.time = c.time.Add(c.each)
	return c.time
}

// treeReader reads a tree at a time when the machine is up for 1,000 s.
func treeReader(t testing.TB, root string) (*Reader, *clock) {
	c := &clock{time: time.Unix(1_700_000_000, 0)}
	boot := c.time.Add(-1000 * time.Second)
	r := New()
	r.root, r.now, r.initialized = root, c.now, c.time.Add(-10*time.Second)
	r.sinceBoot = func() (time.Duration, error) { return c.time.Sub(boot), nil }
	t.Cleanup(func() { closeFiles(r) })
	return r, c
}

func closeFiles(r *Reader) {
	for _, f := range r.files {
		r.close(f)
	}
}

// fromFiles publishes, and leaves out what does not come from files of the tree.
func fromFiles(r *Reader) tick {
	got := publish(r)
	for _, g := range []int{cpuUser, cpuSys, majorFaults, fdsLimit} {
		delete(got, catalogue[g].name)
	}
	return got
}

func TestTrees(t *testing.T) {
	for _, tr := range trees(t) {
		t.Run(filepath.Base(tr.name), func(t *testing.T) {
			r, _ := treeReader(t, tr.write(t))
			for _, tick := range []string{"first", "second"} {
				if got := fromFiles(r); !maps.Equal(got, tr.want) {
					t.Errorf("%s tick:\ngot  %v\nwant %v", tick, got, tr.want)
				}
			}
		})
	}
}

// A file that was cut off, or that holds anything but what it should, may take
// gauges away but must never change one.
func TestDamagedFilesAreLeftOutNeverWrong(t *testing.T) {
	garbage := map[string]string{
		"empty":               "",
		"a newline":           "\n",
		"binary":              "\x00\xff\xfe\n\x80",
		"a directory's worth": strings.Repeat("0123456789 abcdef\n", 4000),
		"negative":            "-5\n",
		"beyond 64 bits":      "18446744073709551616\n",
		"three numbers":       "5 5 5\n",
		"a sign":              "+5\n",
		"a fraction":          "5.5\n",
		"hexadecimal":         "0x5\n",
		"two lines":           "5\n5\n",
		"keys without values": "oom_kill\ninactive_file \ntotal_inactive_file\nVmRSS:\nnr_periods\nsome\n",
		"values overflow":     "VmRSS:\t18446744073709551615 kB\nVmHWM:\t1\nThreads:\t-1\noom_kill -1\nthrottled_usec 18446744073709551615\nsome avg10=0.00 total=18446744073709551615\n",
		"quotas overflow":     "18446744073709551615 1\n",
		"no period":           "50000 0\n",
	}
	tooLarge := strings.Repeat("9", maxFile) + "\n"
	done := map[string]bool{}
	for _, tr := range trees(t) {
		root := tr.write(t)
		r, _ := treeReader(t, root)
		fromFiles(r)
		for path, text := range tr.files {
			if strings.HasPrefix(path, "proc/self/sta") && done[text] {
				continue // the trees share them
			}
			done[text] = true
			damaged := maps.Clone(garbage)
			if strings.HasPrefix(path, "proc/") { // all are read alike
				damaged["too large to read"] = tooLarge
			}
			for i := 0; i < len(text); i++ {
				// In the middle of a word or a number it is like one byte further.
				if strings.ContainsAny(text[max(i-2, 0):min(i+2, len(text))], " \t\n") {
					damaged["cut at "+strconv.Itoa(i)] = text[:i]
				}
			}
			// Kept open: a file that is truncated and closed is flushed to disk.
			file, err := os.OpenFile(filepath.Join(root, path), os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			replace := func(text string) {
				if _, err := file.WriteAt([]byte(text), 0); err != nil {
					t.Fatal(err)
				}
				if err := file.Truncate(int64(len(text))); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range damaged {
				if strings.HasSuffix(path, "mountinfo") && strings.HasPrefix(name, "cut") {
					continue // a mount that nobody mentions is not there
				}
				replace(text)
				r.open()
				for gauge, value := range fromFiles(r) {
					if want, ok := tr.want[gauge]; !ok || value != want {
						t.Errorf("%s, %s %s: %s is %d, should be %d or left out", tr.name, path, name, gauge, value, want)
					}
				}
			}
			replace(text)
			file.Close()
		}
	}
}

func TestNoLimitOfKernelsOfOtherWidths(t *testing.T) {
	tr := loadTree(t, "testdata/v1-unlimited.txt")
	stat := "sys/fs/cgroup/memory/a/memory.stat"
	for name, none := range map[string]uint64{
		"32 bits":                  math.MaxInt32 * uint64(os.Getpagesize()),
		"64 bits, pages of 64 KiB": math.MaxInt64 / 65536 * 65536,
		"64 bits, unsigned":        math.MaxUint64,
	} {
		other := tree{files: maps.Clone(tr.files)}
		other.files[stat] = strings.ReplaceAll(tr.files[stat], "9223372036854771712", strconv.FormatUint(none, 10))
		r, _ := treeReader(t, other.write(t))
		if got := fromFiles(r); !maps.Equal(got, tr.want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestSlowFilesAreReadAtEveryTenthTick(t *testing.T) {
	tr := loadTree(t, "testdata/v2-container.txt")
	root := tr.write(t)
	r, c := treeReader(t, root)
	current := filepath.Join(root, "sys/fs/cgroup/memory.current")
	var got []int64
	for tick := int64(1); tick <= 34; tick++ {
		c.each = 0
		if tick <= 22 {
			c.each = slow + 1
		}
		write(t, current, strconv.FormatInt(tick, 10)+"\n")
		got = append(got, publish(r)["cgroup.memory.usage.bytes"])
	}
	want := []int64{1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 32, 33, 34}
	if len(got) != len(want) {
		t.Fatalf("%d ticks", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
	}
}

// What one source sets, another one that is read more often must not take away.
func TestNoGaugeHasTwoSources(t *testing.T) {
	for _, tr := range trees(t) {
		r, _ := treeReader(t, tr.write(t))
		fromFiles(r)
		of := map[int]int{}
		for i, s := range r.sources {
			for _, g := range s.gauges {
				if first, ok := of[g]; ok {
					t.Errorf("%s: %s is set by sources %d and %d", tr.name, catalogue[g].name, first, i)
				}
				of[g] = i
			}
		}
	}
}

func TestFileThatIsSlowOnceIsReadAtEachTick(t *testing.T) {
	tr := loadTree(t, "testdata/v2-container.txt")
	root := tr.write(t)
	r, c := treeReader(t, root)
	for tick := int64(1); tick <= 20; tick++ {
		c.each = 0
		if tick%2 == 0 {
			c.each = slow + 1
		}
		write(t, filepath.Join(root, "sys/fs/cgroup/memory.current"), strconv.FormatInt(tick, 10)+"\n")
		if got := publish(r)["cgroup.memory.usage.bytes"]; got != tick {
			t.Fatalf("tick %d: got the value of tick %d", tick, got)
		}
	}
}

func TestMovedProcessIsFollowedWithinAMinute(t *testing.T) {
	tr := loadTree(t, "testdata/v2-nested.txt")
	root := tr.write(t)
	r, c := treeReader(t, root)
	before := fromFiles(r)
	write(t, filepath.Join(root, "proc/self/cgroup"), "0::/a.slice\n")
	c.time = c.time.Add(checkEvery - 1)
	if got := fromFiles(r)["cgroup.pids"]; got != before["cgroup.pids"] {
		t.Errorf("looked too early: %d", got)
	}
	c.time = c.time.Add(1)
	got := fromFiles(r)
	for name, want := range map[string]int64{
		"cgroup.pids": 900, "cgroup.memory.usage.bytes": 900000000, "cgroup.cpu.quota_millicores": 2000, "cgroup.cpu.periods": 900,
	} {
		if got[name] != want {
			t.Errorf("%s: got %d, want %d", name, got[name], want)
		}
	}
}

func TestAControllerThatIsEnabledLaterIsSeen(t *testing.T) {
	const here, slice = "sys/fs/cgroup/a.slice/b.slice/c.service/", "sys/fs/cgroup/a.slice/b.slice/"
	for _, test := range []struct {
		name    string
		said    string // where it is enabled
		files   map[string]string
		removed string // until then
		gauge   string
		want    int64
	}{
		{"of CPU, as by systemctl set-property CPUQuota=", here, map[string]string{"cpu.max": "30000 100000\n", "cpu.stat": "nr_periods 9\nnr_throttled 8\nthrottled_usec 7\n"}, "", "cgroup.cpu.quota_millicores", 300},
		{"of memory, where the process is", here, map[string]string{"memory.current": "5000\n", "memory.max": "6000\n", "memory.stat": "inactive_file 1\n"}, "", "cgroup.memory.limit.bytes", 6000},
		{"of threads, above the process", slice, map[string]string{"pids.current": "7\n", "pids.max": "9\n"}, here + "pids.current", "cgroup.pids_limit", 9},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := loadTree(t, "testdata/v2-nested.txt")
			root := tr.write(t)
			remove := func(path string) {
				if err := os.Remove(filepath.Join(root, path)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			for _, dir := range []string{here, slice} {
				write(t, filepath.Join(root, dir, "cgroup.controllers"), "\n")
			}
			for name := range test.files {
				remove(here + name)
				remove(test.said + name)
			}
			if test.removed != "" {
				remove(test.removed)
			}
			r, c := treeReader(t, root)
			if before := fromFiles(r)[test.gauge]; before == test.want {
				t.Fatalf("%s is %d before", test.gauge, before)
			}
			for name, text := range test.files {
				write(t, filepath.Join(root, test.said, name), text)
			}
			write(t, filepath.Join(root, test.said, "cgroup.controllers"), "cpu memory pids\n")
			c.time = c.time.Add(checkEvery)
			if got := fromFiles(r)[test.gauge]; got != test.want {
				t.Errorf("a minute later %s is %d, want %d", test.gauge, got, test.want)
			}
			sources := &r.sources[0]
			c.time = c.time.Add(checkEvery)
			if fromFiles(r); sources != &r.sources[0] {
				t.Error("it looks anew each minute")
			}
		})
	}
}

// unusable puts something that cannot be read in the place of each open file.
func unusable(t testing.TB, r *Reader) {
	dir, err := os.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, f := range r.files {
		if f.fd >= 0 {
			if err := syscall.Dup3(int(dir.Fd()), f.fd, syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestStaleDescriptorIsReopenedAtOnce(t *testing.T) {
	for _, tr := range trees(t) {
		r, _ := treeReader(t, tr.write(t))
		fromFiles(r)
		unusable(t, r)
		if got := fromFiles(r); !maps.Equal(got, tr.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", tr.name, got, tr.want)
		}
	}
}

func TestFileThatFailsIsLeftOutUntilItIsBack(t *testing.T) {
	tr := loadTree(t, "testdata/v2-container.txt")
	root := tr.write(t)
	r, c := treeReader(t, root)
	fromFiles(r)

	if err := os.Rename(filepath.Join(root, "sys"), filepath.Join(root, "gone")); err != nil {
		t.Fatal(err)
	}
	unusable(t, r)
	for _, after := range []time.Duration{0, time.Second, checkEvery, 2 * checkEvery} {
		c.time = c.time.Add(after)
		for name := range fromFiles(r) {
			if strings.HasPrefix(name, "cgroup.") {
				t.Errorf("%s is still published", name)
			}
		}
	}

	if err := os.Rename(filepath.Join(root, "gone"), filepath.Join(root, "sys")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "proc/self/cgroup"), "0::/.\n") // it was moved there
	c.time = c.time.Add(checkEvery)
	if got := fromFiles(r); got["cgroup.pids"] != tr.want["cgroup.pids"] {
		t.Errorf("did not come back: %v", got)
	}
}

func TestDescriptorsDoNotLeakWhenFilesFail(t *testing.T) {
	tr := loadTree(t, "testdata/hybrid.txt")
	root := tr.write(t)
	r, c := treeReader(t, root)
	fromFiles(r)
	before := openDescriptors(t)
	for i := 0; i < 200; i++ {
		unusable(t, r)
		switch i % 4 {
		case 1:
			if err := os.Rename(filepath.Join(root, "sys"), filepath.Join(root, "gone")); err != nil {
				t.Fatal(err)
			}
		case 3:
			if err := os.Rename(filepath.Join(root, "gone"), filepath.Join(root, "sys")); err != nil {
				t.Fatal(err)
			}
		}
		fromFiles(r)
		c.time = c.time.Add(checkEvery)
		fromFiles(r)
	}
	r.open()
	fromFiles(r)
	if after := openDescriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openDescriptors(t testing.TB) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("cannot count descriptors: %v", err)
	}
	return len(entries) - 1 // the directory itself
}

func TestWithoutDescriptorsItWaitsForThem(t *testing.T) {
	tr := loadTree(t, "testdata/v2-container.txt")
	r, c := treeReader(t, tr.write(t))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	got := fromFiles(r)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if len(got) != 0 {
		t.Errorf("without descriptors: %v", got)
	}
	c.time = c.time.Add(checkEvery)
	got = fromFiles(r)
	delete(got, "proc.uptime.seconds")
	delete(tr.want, "proc.uptime.seconds")
	if !maps.Equal(got, tr.want) {
		t.Errorf("a minute later:\ngot  %v\nwant %v", got, tr.want)
	}
}

func TestALackOfDescriptorsIsNoChange(t *testing.T) {
	r, _ := treeReader(t, loadTree(t, "testdata/v2-nested.txt").write(t))
	fromFiles(r)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	changed := r.changed()
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if len(r.watched) == 0 || changed || r.stale {
		t.Errorf("%d files are watched; changed: %v, stale: %v", len(r.watched), changed, r.stale)
	}
}

func TestFilesLargerThanTheBufferAreReadWhole(t *testing.T) {
	tr := loadTree(t, "testdata/v2-container.txt")
	stat := "sys/fs/cgroup/memory.stat"
	for _, size := range []int{firstBuffer - len(tr.files[stat]), firstBuffer, 5 * firstBuffer, maxFile / 2} {
		for _, extra := range []int{-1, 0, 1} {
			large := tree{files: maps.Clone(tr.files)}
			pad := "workingset_refault_anon 0 "
			large.files[stat] = pad + strings.Repeat("0", size+extra-len(pad)-1) + "\n" + tr.files[stat]
			r, _ := treeReader(t, large.write(t))
			if got := fromFiles(r)["cgroup.memory.working_set.bytes"]; got != tr.want["cgroup.memory.working_set.bytes"] {
				t.Errorf("%d bytes: got %d", len(large.files[stat]), got)
			}
		}
	}
}

// Quotas of several levels: each tick adds what happened at the level that was
// throttled most in it, so that the gauges never fall and their rates belong to
// one level.
func TestThrottlingAddsUpTheLevelThatIsThrottledMost(t *testing.T) {
	type counts = cpuCounts
	own, parent := quota{millicores: 500}, quota{millicores: 1000}
	var sum throttling
	for _, step := range []struct {
		name         string
		own, parent  counts
		want         counts
		ownMillicore uint64
	}{
		{"at first, all that the level with more of it has counted", counts{100, 10, 1000}, counts{200, 30, 3000}, counts{200, 30, 3000}, 500},
		{"nothing is throttled: the periods of the lowest quota", counts{110, 10, 1000}, counts{250, 30, 3000}, counts{210, 30, 3000}, 500},
		{"only the one with fewer so far", counts{120, 15, 1500}, counts{300, 30, 3000}, counts{220, 35, 3500}, 500},
		{"both, the parent more", counts{130, 16, 1600}, counts{310, 40, 4000}, counts{230, 45, 4500}, 500},
		{"both alike: the lowest quota", counts{140, 18, 1700}, counts{330, 42, 4300}, counts{240, 47, 4600}, 500},
		{"the parent has the lowest quota now", counts{150, 18, 1700}, counts{350, 42, 4300}, counts{260, 47, 4600}, 2000},
		{"a group that was made anew", counts{1, 1, 1}, counts{360, 42, 4300}, counts{270, 47, 4600}, 2000},
		{"and goes on", counts{6, 4, 31}, counts{360, 42, 4300}, counts{275, 50, 4630}, 2000},
	} {
		own.now, parent.now, own.millicores = step.own, step.parent, step.ownMillicore
		levels := []quota{own, parent}
		sum.add(levels)
		own, parent = levels[0], levels[1]
		if sum.cpuCounts != step.want {
			t.Errorf("%s: %v, want %v", step.name, sum.cpuCounts, step.want)
		}
	}
	sum.add([]quota{{now: counts{9000, 9000, 9000}}})
	if want := (counts{275, 50, 4630}); sum.cpuCounts != want {
		t.Errorf("a level that was found later brings its past along: %v, want %v", sum.cpuCounts, want)
	}
}

// A parent that has a limit only while the process runs has a past: from a limit
// that it had before. None of it is news.
func TestTheHistoryOfAParentIsNoNewsWhenItGetsALimit(t *testing.T) {
	cpuV2 := func(periods, throttled, usec int) string {
		return fmt.Sprintf("usage_usec 5\nnr_periods %d\nnr_throttled %d\nthrottled_usec %d\n", periods, throttled, usec)
	}
	cpuV1 := func(periods, throttled, ns int) string {
		return fmt.Sprintf("nr_periods %d\nnr_throttled %d\nthrottled_time %d\n", periods, throttled, ns)
	}
	events := func(n int) string { return fmt.Sprintf("low 0\nhigh %d\nmax 0\n", n) }
	v2 := map[string]string{
		"proc/self/cgroup":        "0::/a/b\n",
		"proc/self/mountinfo":     "30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
		"a/memory.current":        "1000\n",
		"a/memory.max":            "max\n",
		"a/memory.high":           "max\n",
		"a/memory.events.local":   events(70000),
		"a/cpu.max":               "max 100000\n",
		"a/cpu.stat":              cpuV2(9000, 5000, 7000),
		"a/b/memory.current":      "1000\n",
		"a/b/memory.max":          "max\n",
		"a/b/memory.high":         "max\n",
		"a/b/memory.events.local": events(2),
		"a/b/cpu.max":             "100000 100000\n",
		"a/b/cpu.stat":            cpuV2(10, 1, 3),
	}
	v1 := map[string]string{
		"proc/self/cgroup":      "3:cpu,cpuacct:/a/b\n",
		"proc/self/mountinfo":   "30 29 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu,cpuacct\n",
		"a/cpu.cfs_quota_us":    "-1\n",
		"a/cpu.cfs_period_us":   "100000\n",
		"a/cpu.stat":            cpuV1(9000, 5000, 7_000_000),
		"a/b/cpu.cfs_quota_us":  "100000\n",
		"a/b/cpu.cfs_period_us": "100000\n",
		"a/b/cpu.stat":          cpuV1(10, 1, 3000),
	}
	type step struct {
		name  string
		write map[string]string
		anew  bool // the files are found anew
		want  [4]int64
	}
	for _, test := range []struct {
		name  string
		files map[string]string
		names []string
		steps []step
	}{
		{"quota of v2", v2, []string{"cgroup.cpu.periods", "cgroup.cpu.throttled_periods", "cgroup.cpu.throttled.ns"}, []step{
			{"no quota", nil, false, [4]int64{10, 1, 3000}},
			{"a quota", map[string]string{"a/cpu.max": "50000 100000\n"}, false, [4]int64{10, 1, 3000}},
			{"it throttles", map[string]string{"a/cpu.stat": cpuV2(9004, 5003, 7002)}, false, [4]int64{14, 4, 5000}},
			{"no quota again", map[string]string{"a/cpu.max": "max 100000\n"}, false, [4]int64{14, 4, 5000}},
			{"found anew", nil, true, [4]int64{14, 4, 5000}},
			{"a quota again, which throttles at once", map[string]string{"a/cpu.max": "50000 100000\n", "a/cpu.stat": cpuV2(9005, 5004, 7003)}, false, [4]int64{15, 5, 6000}},
			{"found anew with it", nil, true, [4]int64{15, 5, 6000}},
		}},
		{"quota of v1", v1, []string{"cgroup.cpu.periods", "cgroup.cpu.throttled_periods", "cgroup.cpu.throttled.ns"}, []step{
			{"no quota", nil, false, [4]int64{10, 1, 3000}},
			{"a quota, which throttles at once", map[string]string{"a/cpu.cfs_quota_us": "50000\n", "a/cpu.stat": cpuV1(9004, 5003, 7_002_000)}, false, [4]int64{14, 4, 5000}},
			{"no quota again", map[string]string{"a/cpu.cfs_quota_us": "-1\n"}, false, [4]int64{14, 4, 5000}},
		}},
		{"memory.high", v2, []string{"cgroup.memory.high_events"}, []step{
			{"no limit", nil, false, [4]int64{2}},
			{"a limit", map[string]string{"a/memory.high": "5000\n"}, false, [4]int64{2}},
			{"it is exceeded", map[string]string{"a/memory.events.local": events(70009)}, false, [4]int64{11}},
			{"its own is exceeded", map[string]string{"a/b/memory.events.local": events(3)}, false, [4]int64{12}},
			{"found anew", nil, true, [4]int64{12}},
			{"no limit again", map[string]string{"a/memory.high": "max\n"}, false, [4]int64{12}},
			{"found anew without it", nil, true, [4]int64{12}},
			{"a limit again, which is exceeded at once", map[string]string{"a/memory.high": "5000\n", "a/memory.events.local": events(70010)}, false, [4]int64{13}},
			{"the parent was made anew", map[string]string{"a/memory.events.local": events(1)}, false, [4]int64{13}},
			{"and goes on", map[string]string{"a/memory.events.local": events(3)}, false, [4]int64{15}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			put := func(files map[string]string) {
				for path, text := range files {
					if !strings.HasPrefix(path, "proc/") {
						path = "sys/fs/cgroup/" + path
					}
					write(t, filepath.Join(root, path), text)
				}
			}
			put(test.files)
			r, c := treeReader(t, root)
			for _, s := range test.steps {
				put(s.write)
				if s.anew {
					r.stale = true
					c.time = c.time.Add(checkEvery)
				}
				got := fromFiles(r)
				for i, name := range test.names {
					if v, ok := got[name]; !ok || v != s.want[i] {
						t.Errorf("%s: %s is %d (%v), want %d", s.name, name, v, ok, s.want[i])
					}
				}
			}
		})
	}
}

// gVisor has no VmHWM.
func TestPeakWithoutVmHWM(t *testing.T) {
	r := New()
	r.status([]byte("Name:\tserver\nVmSize:\t   11100 kB\nVmRSS:\t    3084 kB\nThreads:\t5\n"))
	if !r.known[rssUpper] || r.value[rssUpper] < 3084<<10 || !r.known[rss] || r.known[swap] {
		t.Errorf("the peak is %d, %v", r.value[rssUpper], r.known[rssUpper])
	}
	large := int64(1 << 50)
	r.status([]byte(fmt.Sprintf("VmRSS:\t%d kB\n", large>>10)))
	r.status([]byte("VmRSS:\t    3084 kB\n"))
	if r.value[rssUpper] != large {
		t.Errorf("the peak fell to %d", r.value[rssUpper])
	}
}

// gVisor mounts cgroups of v1 with few files: what there is is told.
func TestCgroupsOfGVisor(t *testing.T) {
	mount := func(controller string) string {
		return "1 1 0:29 / /sys/fs/cgroup/" + controller + " rw - cgroup none rw," + controller + "\n"
	}
	tr := tree{files: map[string]string{
		"proc/self/cgroup":                           "3:pids:/\n2:memory:/\n1:cpu:/\n",
		"proc/self/mountinfo":                        mount("cpu") + mount("memory") + mount("pids"),
		"sys/fs/cgroup/memory/memory.usage_in_bytes": "5000000\n",
		"sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "50000\n",
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000\n",
		"sys/fs/cgroup/pids/pids.current":            "7\n",
		"sys/fs/cgroup/pids/pids.max":                "100\n",
	}}
	r, c := treeReader(t, tr.write(t))
	got := fromFiles(r)
	want := tick{
		"proc.start_time.seconds": c.time.Unix() - 10, "proc.uptime.seconds": 10,
		"cgroup.memory.usage.bytes": 5000000, "cgroup.memory.working_set.bytes": 5000000, "cgroup.memory.limit.bytes": 67108864,
		"cgroup.memory.tightest.used.bytes": 5000000, "cgroup.memory.tightest.limit.bytes": 67108864,
		"cgroup.cpu.quota_millicores": 500,
		"cgroup.pids":                 7, "cgroup.pids_limit": 100, "cgroup.pids.tightest.used": 7, "cgroup.pids.tightest.limit": 100,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	c.time = c.time.Add(checkEvery)
	if fromFiles(r); r.stale {
		t.Error("each minute it looks anew for files that will never be there")
	}
}

func TestStartTimeFollowsTheClockWithoutJitter(t *testing.T) {
	r, c := treeReader(t, t.TempDir())
	up := 1000 * time.Second
	r.sinceBoot = func() (time.Duration, error) { return up, nil }
	first := c.time.Unix() - 100
	for _, test := range []struct {
		name    string
		real    time.Duration // passed on the clock of the wall
		boot    time.Duration // passed since boot
		start   int64
		seconds int64
	}{
		{"at first", 0, 0, first, 100},
		{"a second later", time.Second, time.Second, first, 101},
		{"a clock that runs slow by a little", time.Second, 1010 * time.Millisecond, first, 102},
		{"a clock that runs fast by a little", time.Second, 980 * time.Millisecond, first, 102},
		{"the system rounds up by a second", 0, time.Second, first, 103},
		{"and no more", time.Second, 0, first, 103},
		{"a clock that is set", time.Hour, time.Second, first + 3599, 104},
	} {
		c.time, up = c.time.Add(test.real), up+test.boot
		r.age(90000)
		if r.value[startTime] != test.start || r.value[uptime] != test.seconds {
			t.Errorf("%s: started at %d and up for %d, want %d and %d", test.name, r.value[startTime], r.value[uptime], test.start, test.seconds)
		}
	}
	up = 899 * time.Second // gVisor rounds down
	if r.age(90000); r.value[uptime] != 0 || r.value[startTime] != c.time.Unix() {
		t.Errorf("rounded down: started at %d and up for %d", r.value[startTime], r.value[uptime])
	}
	// What time.Now returns has a monotonic reading, which nobody sets.
	r.now = time.Now
	if r.age(1); strings.Contains(r.started.String(), " m=") {
		t.Errorf("%v does not follow a clock that is set", r.started)
	}
	r.known[startTime], r.known[uptime] = false, false
	if r.age(1 << 63); r.known[startTime] || r.known[uptime] {
		t.Error("a start after now was published")
	}
}
