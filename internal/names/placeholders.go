package names

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Placeholders lists what a prefix and the value of a tag may hold, for errors
// and documentation.
const Placeholders = "{host}, {exe}, {pid}, {env:NAME}, {version}, {revision}, {go}"

// Process is what the placeholders ask of the process and its surroundings.
type Process struct {
	Hostname   func() (string, error)
	Executable func() (string, error)
	Pid        func() int
	Getenv     func(name string) string
	Build      func() (version, revision string)
}

// This is the running process.
var This = Process{os.Hostname, os.Executable, os.Getpid, os.Getenv, readBuild}

func readBuild() (version, revision string) {
	info, _ := debug.ReadBuildInfo()
	return ofBuild(info)
}

// ofBuild returns the version of the main module and its revision, as far as they
// are known. That they are all a Process has of the build keeps the methods of
// debug.BuildInfo out of the binary.
func ofBuild(info *debug.BuildInfo) (version, revision string) {
	if info == nil {
		return "", ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return info.Main.Version, revision
}

// revisionLength is how much of a revision is kept, as in a pseudo-version of
// package cmd/go.
const revisionLength = 12

// lookup returns what the placeholder key stands for, which may be anything.
func (p Process) lookup(key string) (value string) {
	switch key {
	case "host":
		value, _ = p.Hostname()
	case "exe":
		value, _ = p.Executable()
		value = value[max(strings.LastIndexByte(value, '/'), strings.LastIndexByte(value, '\\'))+1:]
		if n := len(value) - len(".exe"); n > 0 && strings.ToLower(value[n:]) == ".exe" {
			value = value[:n]
		}
	case "pid":
		value = strconv.Itoa(p.Pid())
	case "version":
		value, _ = p.Build()
		value = strings.TrimSuffix(strings.TrimPrefix(value, "("), ")") // of (devel)
	case "revision":
		_, value = p.Build()
		value = value[:min(revisionLength, len(value))]
	case "go":
		value, _, _ = strings.Cut(runtime.Version(), " ") // what follows are experiments
	default:
		value = p.Getenv(strings.TrimPrefix(key, "env:"))
	}
	if value == "" {
		return "unknown"
	}
	return value
}

// known reports whether key is that of a placeholder.
func known(key string) bool {
	switch key {
	case "host", "exe", "pid", "version", "revision", "go":
		return true
	}
	name, ok := strings.CutPrefix(key, "env:")
	for i, c := range name {
		if c != '_' && !('a' <= c && c <= 'z') && !('A' <= c && c <= 'Z') && !(i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return ok && name != ""
}

// expand returns text with each placeholder replaced by what value returns for
// it, in one scan from left to right: what a placeholder stands for is not
// looked at again. A placeholder that does not exist is an error.
func expand(text string, value func(key string) string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		key, after, closed := strings.Cut(rest, "}")
		if !closed || !known(key) {
			wrong := text[len(before) : len(text)-len(after)]
			return "", fmt.Errorf("%q is not a placeholder; there are %s", wrong, Placeholders)
		}
		b.WriteString(value(key))
		text = after
	}
}

// literal returns text without its placeholders, each made "_" so that what is
// around it stays apart.
func literal(text string) (string, int, error) {
	n := 0
	text, err := expand(text, func(string) string { n++; return "_" })
	return text, n, err
}
