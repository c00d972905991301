package procstat

import (
	"bytes"
	"math"
	"sort"
	"strconv"
	"strings"
)

// What is parsed here was written by a kernel, so each line ends in a newline.
// One that does not was cut off, and what it says is not to be believed: a
// number that lost its last digits is still a number. What is called at each
// tick allocates nothing.

// noLimit and above is "no limit". For memory, cgroup v1 writes a number near
// 2^63, rounded down to the page size, and old kernels one near 2^64.
const noLimit = 1 << 62

func digits(b []byte) (uint64, bool) {
	var v uint64
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, len(b) > 0
}

// number parses a file that is one number.
func number(b []byte) (uint64, bool) {
	line, ok := onlyLine(b)
	v, ok2 := digits(line)
	return v, ok && ok2
}

// limit parses a file that is one number, or "max" (v2) or -1 (v1) for none.
func limit(b []byte) (uint64, bool) {
	line, ok := onlyLine(b)
	v, ok2 := orNone(line)
	return v, ok && ok2
}

func orNone(b []byte) (uint64, bool) {
	if string(b) == "max" || string(b) == "-1" {
		return noLimit, true
	}
	return digits(b)
}

// cpuMax parses cpu.max, "quota period".
func cpuMax(b []byte) (uint64, bool) {
	line, ok := onlyLine(b)
	i := bytes.IndexByte(line, ' ')
	if !ok || i < 0 {
		return 0, false
	}
	quota, ok1 := orNone(line[:i])
	period, ok2 := digits(line[i+1:])
	return millicores(quota, period, ok1 && ok2)
}

func millicores(quota, period uint64, ok bool) (uint64, bool) {
	switch {
	case !ok || period == 0:
		return 0, false
	case quota == noLimit:
		return noLimit, true
	case quota > noLimit/1000:
		return 0, false
	case quota == 0:
		return 0, true
	}
	return max(quota*1000/period, 1), true // 0 would say that there is none
}

// field finds the line that begins with key and a blank, and returns the number
// after it times unit.
func field(b []byte, key string, unit uint64) (uint64, bool) {
	return scaled(valueOf(b, key), unit)
}

// kilobytes is field for the lines of /proc/self/status that end in kB.
func kilobytes(b []byte, key string) (uint64, bool) {
	v := valueOf(b, key)
	if !bytes.HasSuffix(v, kB) {
		return 0, false
	}
	return scaled(v[:len(v)-len(kB)], 1024)
}

// pressure returns the total of the line of a kind, "some" or "full", in
// nanoseconds.
func pressure(b []byte, kind string) (uint64, bool) {
	v := valueOf(b, kind)
	i := bytes.Index(v, total)
	if i < 0 {
		return 0, false
	}
	return scaled(v[i+len(total):], 1000)
}

var (
	kB    = []byte(" kB")
	total = []byte(" total=")
)

// startTicks returns when the process started, in clock ticks since boot, from
// /proc/self/stat. The name of the command, in parentheses, may hold blanks and
// parentheses; nothing after it does.
func startTicks(b []byte) (uint64, bool) {
	line, ok := onlyLine(b)
	name := bytes.LastIndexByte(line, ')')
	if !ok || name < 0 {
		return 0, false
	}
	const state, starttime = 3, 22 // fields as proc(5) counts them
	fields := bytes.Fields(line[name+1:])
	if len(fields) <= starttime-state {
		return 0, false
	}
	return digits(fields[starttime-state])
}

func scaled(b []byte, unit uint64) (uint64, bool) {
	v, ok := digits(b)
	if !ok || v > math.MaxUint64/unit {
		return 0, false
	}
	return v * unit, true
}

func valueOf(b []byte, key string) []byte {
	for len(b) > 0 {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return nil
		}
		line := b[:end]
		b = b[end+1:]
		if len(line) > len(key) && string(line[:len(key)]) == key && (line[len(key)] == ' ' || line[len(key)] == '\t') {
			return bytes.TrimLeft(line[len(key):], " \t")
		}
	}
	return nil
}

func onlyLine(b []byte) ([]byte, bool) {
	i := bytes.IndexByte(b, '\n')
	return b[:max(i, 0)], i >= 0 && i == len(b)-1
}

// cgroupOf finds the cgroup of a controller in /proc/self/cgroup, whose lines
// are "number:controllers:path". A controller that has no v1 line, and the
// empty name, are those of the v2 line "0::path".
func cgroupOf(cgroups []byte, controller string) (path string, v1, ok bool) {
	for _, line := range lines(cgroups) {
		f := strings.SplitN(line, ":", 3)
		switch {
		case len(f) < 3 || !strings.HasPrefix(f[2], "/"):
		case f[1] == "" && f[0] == "0":
			path, ok = f[2], true
		case controller != "" && listed(f[1], controller):
			return f[2], true, true
		}
	}
	return path, false, ok
}

// A place is where a cgroup may be seen: in a directory below a mount point.
type place struct {
	mount, dir string
}

// placesOf finds in /proc/self/mountinfo where the cgroup at path of a
// controller (empty: of v2) can be seen, the best place first. Whether it is
// really there the caller has to see: mounts can hide each other.
func placesOf(mountinfo []byte, controller, path string) []place {
	type candidate struct {
		place
		hidden int // how much of what the cgroup is nested in does not show
	}
	var found []candidate
	mounts := lines(mountinfo)
	for i := len(mounts) - 1; i >= 0; i-- { // a later mount hides an earlier one
		// id parent device root mount-point options [tags] - type source options
		before, after, ok := strings.Cut(mounts[i], " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 6 || len(g) < 2 {
			continue
		}
		v1 := controller != "" && g[0] == "cgroup" && listed(g[len(g)-1], controller)
		v2 := controller == "" && g[0] == "cgroup2"
		root := unescape(f[3])
		dir, ok := below(root, path)
		if !ok || !v1 && !v2 {
			continue
		}
		hidden := len(root)
		if dir == "/.." || strings.HasPrefix(dir, "/../") {
			// Something outside the container moved the process to where the
			// container cannot see. Its own limits are the best that can be told.
			dir, hidden = "", math.MaxInt
		}
		found = append(found, candidate{place{unescape(f[4]), dir}, hidden})
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].hidden < found[j].hidden })
	places := make([]place, len(found))
	for i, c := range found {
		places[i] = c.place
	}
	return places
}

// below returns what is left of path below dir: empty if it is dir itself.
func below(dir, path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, strings.TrimSuffix(dir, "/"))
	if rest == "/" {
		rest = ""
	}
	return rest, ok && (rest == "" || rest[0] == '/')
}

// lines drops a last line that has no end.
func lines(b []byte) []string {
	all := strings.Split(string(b), "\n")
	return all[:len(all)-1]
}

func listed(list, name string) bool {
	for _, item := range strings.Split(list, ",") {
		if item == name {
			return true
		}
	}
	return false
}

// unescape undoes what mountinfo does to blanks and backslashes: \040 and the like.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
