// Package harness runs host programs, the servers that they publish to and the
// resolvers that they ask, for the tests of this module.
//
// A host is one of the programs under tests/programs. It is built once per test
// binary and run as a process of its own, because what is tested is what the
// library does to a process: its flags, its goroutines, its descriptors, its
// standard error.
package harness

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long a test waits for what must happen before it gives up. It
// says nothing about how long that takes: slow machines run these tests too.
const Patience = 90 * time.Second

const module = "github.com/runtimemetrics/runtimemetrics"

// dir holds what one test binary builds.
var dir string

// Run is for TestMain: it runs the tests with a folder for what they build.
func Run(m *testing.M) (code int) {
	var err error
	if dir, err = os.MkdirTemp("", "runtimemetrics-tests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	// Most of what these tests do is wait for other processes, so more of them
	// run at a time than there are processors. A -parallel on the command line
	// is parsed later, and wins.
	flag.Set("test.parallel", "16")
	return m.Run()
}

// build is one program as it is to be built.
type build struct {
	program, tags, release string
	race                   bool
}

var (
	building sync.Mutex // one go build at a time: each uses all processors
	built    = map[build]string{}
)

// binary builds a program, unless that was done before, and returns its path.
func (b build) binary(t testing.TB) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	if path, ok := built[b]; ok {
		if path == "" {
			t.Fatalf("%s could not be built, see above", b.program)
		}
		return path
	}
	if b.race && cgo() != "1" {
		t.Skip("the race detector needs cgo, which is off")
	}
	path := filepath.Join(dir, fmt.Sprintf("%d", len(built)), b.program)
	built[b] = ""
	args := []string{"build", "-o", path}
	var env []string
	if b.release != "" {
		args = append(args, "-modfile="+goMod(t))
		env = append(env, "GOTOOLCHAIN="+b.release)
	}
	if b.race {
		args = append(args, "-race")
	}
	if b.tags != "" {
		args = append(args, "-tags="+b.tags)
	}
	goWith(t, env, append(args, module+"/tests/programs/"+b.program)...)
	built[b] = path
	return path
}

// Module makes a module that needs the library of this tree, and returns its
// directory: for programs that are built as a user builds them.
func Module(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	library, err := filepath.Abs("../..") // tests run in their own directories
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile(filepath.Join(library, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(library, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	_, needs, _ := strings.Cut(string(own), "require ")
	for name, text := range map[string]string{
		"go.mod": fmt.Sprintf("module program.example\n\ngo 1.26\n\nrequire %s v0.0.0\n\nreplace %s => %s\n\nrequire %s", module, module, library, needs),
		"go.sum": string(sums),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// HasRelease skips the test if a release of Go, such as go1.21.13, cannot be had
// here.
func HasRelease(t testing.TB, release string) {
	t.Helper()
	cmd := exec.Command("go", "version")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+release)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be had here: %s", release, out)
	}
}

// goMod writes the go.mod with which any release that the library promises to work
// with builds a program that needs nothing but the library: this module's asks for
// a new one.
func goMod(t testing.TB) string {
	t.Helper()
	root := strings.TrimSpace(Go(t, "list", "-m", "-f", "{{.Dir}}", module))
	path := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "go.mod" {
			_, rest, _ := strings.Cut(string(text), "\n")
			text = []byte("module " + module + "/tests\n" + rest +
				"\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + strconv.Quote(root) + "\n")
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// cgo tells whether programs are built with cgo, as the go command sees it.
var cgo = sync.OnceValue(func() string {
	out, _ := exec.Command("go", "env", "CGO_ENABLED").Output()
	return strings.TrimSpace(string(out))
})

// Go runs the go command in the folder of the test and returns what it printed
// to standard output.
func Go(t testing.TB, args ...string) string {
	t.Helper()
	return goWith(t, nil, args...)
}

// goWith is Go with more environment variables.
func goWith(t testing.TB, env []string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

// Eventually waits until done returns true, and fails the test if it does not.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in %v this did not happen: %s", Patience, what)
		}
	}
}
