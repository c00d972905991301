package procstat

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestParsers(t *testing.T) {
	in := func(key string, unit uint64) func([]byte) (uint64, bool) {
		return func(b []byte) (uint64, bool) { return field(b, key, unit) }
	}
	rss := func(b []byte) (uint64, bool) { return kilobytes(b, "VmRSS:") }
	some := func(b []byte) (uint64, bool) { return pressure(b, "some") }
	full := func(b []byte) (uint64, bool) { return pressure(b, "full") }
	const bad = math.MaxUint64
	for _, test := range []struct {
		name  string
		parse func([]byte) (uint64, bool)
		text  string
		want  uint64
	}{
		{"a number", number, "80000000\n", 80000000},
		{"zero", number, "0\n", 0},
		{"the largest number", number, "18446744073709551614\n", math.MaxUint64 - 1},
		{"a number of 65 bits", number, "18446744073709551616\n", bad},
		{"a number that overflows by its last digit but one", number, "99999999999999999999\n", bad},
		{"a number that may have been cut off", number, "80000000", bad},
		{"a negative number", number, "-1\n", bad},
		{"two lines", number, "1\n2\n", bad},
		{"no digits", number, "\n", bad},
		{"nothing", number, "", bad},

		{"a limit", limit, "134217728\n", 134217728},
		{"no limit in v2", limit, "max\n", noLimit},
		{"no limit of a CPU quota in v1", limit, "-1\n", noLimit},
		{"half of max", limit, "ma\n", bad},

		{"one and a half CPUs", cpuMax, "150000 100000\n", 1500},
		{"a period that is not 100 ms", cpuMax, "25000 50000\n", 500},
		{"no quota", cpuMax, "max 100000\n", noLimit},
		{"a quota too small for a thousandth of a core is not none", cpuMax, "1 100000\n", 1},
		{"a quota that overflows when multiplied", cpuMax, "9223372036854775807 100000\n", bad},
		{"no period", cpuMax, "150000\n", bad},
		{"a period of 0", cpuMax, "150000 0\n", bad},
		{"a negative period", cpuMax, "150000 -100000\n", bad},
		{"a third number", cpuMax, "150000 100000 0\n", bad},

		{"a key", in("oom_kill", 1), "oom 3\noom_kill 2\noom_group_kill 1\n", 2},
		{"a key that is the beginning of another", in("oom", 1), "oom_kill 2\noom 3\n", 3},
		{"a key that is the end of another", in("inactive_file", 1), "total_inactive_file 2\ninactive_file 3\n", 3},
		{"microseconds", in("throttled_usec", 1000), "nr_throttled 1\nthrottled_usec 1234567\n", 1234567000},
		{"microseconds that overflow", in("throttled_usec", 1000), "throttled_usec 18446744073709552\n", bad},
		{"a key in the last line, cut off", in("oom_kill", 1), "oom 3\noom_kill 2", bad},
		{"a key that is missing", in("oom_kill", 1), "oom 3\n", bad},
		{"a key without a value", in("oom_kill", 1), "oom_kill\n", bad},
		{"a key with two values", in("oom_kill", 1), "oom_kill 1 2\n", bad},

		{"kB", rss, "VmHWM:\t   20480 kB\nVmRSS:\t   16384 kB\n", 16777216},
		{"another unit", rss, "VmRSS:\t   16384 MB\n", bad},
		{"kB that overflow", rss, "VmRSS:\t18014398509481984 kB\n", bad},
		{"kB alone", rss, "VmRSS:\t kB\n", bad},

		{"pressure", some, "some avg10=0.01 avg60=0.18 avg300=0.51 total=4108771\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 4108771000},
		{"pressure of all tasks", full, "some avg10=0.01 avg60=0.18 avg300=0.51 total=4108771\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 7000},
		{"pressure of all tasks from a kernel that does not tell", full, "some avg10=0.01 avg60=0.18 avg300=0.51 total=4108771\n", bad},
		{"pressure with the line for all tasks only", some, "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", bad},
		{"pressure without a total", some, "some avg10=0.01 avg60=0.18 avg300=0.51\n", bad},

		{"a command with parentheses, blanks and numbers", startTicks, "42 (a) R 1 (b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 90000 23 24\n", 90000},
		{"a line without a command", startTicks, "42 S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 90000 23 24\n", bad},
		{"a line with too few fields", startTicks, "42 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21\n", bad},
	} {
		got, ok := test.parse([]byte(test.text))
		if ok != (test.want != bad) || ok && got != test.want {
			t.Errorf("%s: %q gave %d, %v", test.name, test.text, got, ok)
		}
	}
}

func TestCgroupOfController(t *testing.T) {
	hybrid := "12:pids:/p\n4:cpu,cpuacct:/c:d/e\n1:name=systemd:/s\n0::/unified path\n"
	for _, test := range []struct {
		name, cgroups, controller string
		path                      string
		v1, ok                    bool
	}{
		{"v1", hybrid, "pids", "/p", true, true},
		{"v1 beside another controller, with a colon in the path", hybrid, "cpu", "/c:d/e", true, true},
		{"v2 if v1 does not have it", hybrid, "memory", "/unified path", false, true},
		{"v2 itself", hybrid, "", "/unified path", false, true},
		{"a name that is part of another", "4:cpuset:/x\n", "cpu", "", false, false},
		{"a named hierarchy is no controller", "1:name=cpu:/x\n", "cpu", "", false, false},
		{"a line that was cut off", "0::/a", "cpu", "", false, false},
		{"a path that is none", "0::a\n", "cpu", "", false, false},
		{"nothing", "", "cpu", "", false, false},
	} {
		path, v1, ok := cgroupOf([]byte(test.cgroups), test.controller)
		if path != test.path || v1 != test.v1 || ok != test.ok {
			t.Errorf("%s: got %q, %v, %v", test.name, path, v1, ok)
		}
	}
}

func TestPlacesOfCgroup(t *testing.T) {
	mount := func(root, at string) string { return "31 23 0:28 " + root + " " + at + " rw - cgroup2 cgroup rw\n" }
	for _, test := range []struct {
		name, mounts, controller, path string
		want                           []place
	}{
		{"the root", mount("/", "/cg"), "", "/", []place{{"/cg", ""}}},
		{"below the root", mount("/", "/cg"), "", "/a/b", []place{{"/cg", "/a/b"}}},
		{"a mount that begins at the cgroup", mount("/a/b", "/cg"), "", "/a/b", []place{{"/cg", ""}}},
		{"a mount that begins above the cgroup", mount("/a", "/cg"), "", "/a/b", []place{{"/cg", "/b"}}},
		{"a mount that begins below the cgroup", mount("/a/b", "/cg"), "", "/a", nil},
		{"a mount of a neighbour with a like name", mount("/a", "/cg"), "", "/ab", nil},
		{"a cgroup outside the namespace", mount("/", "/cg"), "", "/../x", []place{{"/cg", ""}}},
		{"a cgroup above the namespace", mount("/", "/cg"), "", "/..", []place{{"/cg", ""}}},
		{"a mount and a cgroup outside the namespace", mount("/..", "/cg"), "", "/../x", []place{{"/cg", "/x"}}},
		{"a mount from outside the namespace", mount("/../..", "/cg"), "", "/", nil},
		{"a cgroup above the mount from outside", mount("/..", "/cg"), "", "/../..", []place{{"/cg", ""}}},
		{"later mounts first, and before them what shows more", mount("/a", "/1") + mount("/a", "/2") + mount("/", "/3") + mount("/a", "/4"), "", "/a",
			[]place{{"/3", "/a"}, {"/4", ""}, {"/2", ""}, {"/1", ""}}},
		{"blanks", mount(`/a\040b`, `/c\011d\134`), "", "/a b/c", []place{{"/c\td\\", "/c"}}},
		{"v1, with tags", "31 23 0:28 / /cg rw shared:9 master:1 - cgroup none rw,cpu,cpuacct\n", "cpu", "/a", []place{{"/cg", "/a"}}},
		{"v1, another controller", "31 23 0:28 / /cg rw - cgroup none rw,cpuset\n", "cpu", "/a", nil},
		{"v2 is not asked for", mount("/", "/cg"), "cpu", "/a", nil},
		{"lines that are none", "\n- - -\n1 2 3 / /cg rw - \n1 2 - cgroup2 x rw\n", "", "/a", nil},
	} {
		got := placesOf([]byte(test.mounts), test.controller, test.path)
		if len(got)+len(test.want) > 0 && !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// FuzzNumbers holds the parsers that run at each tick against strconv and
// strings, which read the same in a slow and simple way.
func FuzzNumbers(f *testing.F) {
	for _, text := range []string{
		"5\n", "18446744073709551616\n", "max\n", "150000 100000\n", "a 1\nkey 5\n", "key 5", "key:\t 12 kB\n",
		"some avg10=0.00 total=12\n", "1 (a) b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n", "\x00\n\xff",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(b)
		slowly := func(s string, unit uint64) (uint64, bool) {
			v, err := strconv.ParseUint(s, 10, 64)
			return v * unit, err == nil && v <= math.MaxUint64/unit
		}
		same := func(what string, got uint64, ok bool, want uint64, wantOK bool) {
			if ok != wantOK || ok && got != want {
				t.Errorf("%s of %q: %d, %v; should be %d, %v", what, text, got, ok, want, wantOK)
			}
		}
		v, ok := number(b)
		want, wantOK := slowly(strings.TrimSuffix(text, "\n"), 1)
		same("number", v, ok, want, wantOK && strings.HasSuffix(text, "\n"))

		want, wantOK = 0, false
		for _, line := range lines(b) {
			rest, ok := strings.CutPrefix(line, "key")
			if ok && strings.TrimLeft(rest, " \t") != rest {
				want, wantOK = slowly(strings.TrimLeft(rest, " \t"), 7)
				break
			}
		}
		v, ok = field(b, "key", 7)
		same("field", v, ok, want, wantOK)

		if v, ok := kilobytes(b, "key:"); ok && (v%1024 != 0 || !bytes.Contains(b, kB)) {
			t.Errorf("kilobytes of %q: %d", text, v)
		}
		if v, ok := pressure(b, "some"); ok && (v%1000 != 0 || !bytes.Contains(b, total)) {
			t.Errorf("pressure of %q: %d", text, v)
		}
		if v, ok := cpuMax(b); ok && v > noLimit {
			t.Errorf("cpuMax of %q: %d", text, v)
		}
		if _, ok := limit(b); ok && b[len(b)-1] != '\n' {
			t.Errorf("limit of %q", text)
		}
		startTicks(b)
	})
}

func FuzzPlaces(f *testing.F) {
	f.Add([]byte("4:cpu:/a\n0::/a/b\n"), []byte("31 23 0:28 /a /c\\040g rw shared:9 - cgroup2 cgroup rw\n32 23 0:28 / /cpu rw - cgroup none rw,cpu\n"))
	f.Add([]byte("0::/../x\n"), []byte("31 23 0:28 /.. /cg\\04 rw - cgroup2 cgroup rw\n"))
	f.Fuzz(func(t *testing.T, cgroups, mountinfo []byte) {
		for _, controller := range []string{"cpu", ""} {
			path, v1, ok := cgroupOf(cgroups, controller)
			if !ok {
				continue
			}
			if !v1 {
				controller = ""
			}
			for _, p := range placesOf(mountinfo, controller, path) {
				if p.dir != "" && (p.dir[0] != '/' || !strings.HasSuffix(path, p.dir) || strings.HasPrefix(p.dir+"/", "/../")) {
					t.Errorf("cgroup %q at %q", path, p)
				}
			}
		}
	})
}
