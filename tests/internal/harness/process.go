package harness

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Host is a program to run.
type Host struct {
	Program string   // its folder under tests/programs
	Path    string   // of a binary that exists, in the place of Program
	Race    bool     // built with the race detector
	Tags    string   // build tags
	Release string   // of Go, to build it with; the one that is in use if empty
	Args    []string // of the command line
	Env     []string // beside the test's own environment
	Wrapper []string // command that is to run it
	Stderr  *os.File // its standard error, which the test then does not see
}

// binary builds the program, unless that was done before, and returns its path.
func (h Host) binary(t testing.TB) string {
	t.Helper()
	if h.Path != "" {
		return h.Path
	}
	return build{h.Program, h.Tags, h.Release, h.Race}.binary(t)
}

// Start runs the program. It is killed when the test ends, if it has not ended
// by itself; either way its standard error must report no race and no crash.
func (h Host) Start(t testing.TB) *Process {
	t.Helper()
	args := append([]string{h.binary(t)}, h.Args...)
	args = append(h.Wrapper[:len(h.Wrapper):len(h.Wrapper)], args...)
	p := &Process{t: t, Begun: time.Now(), out: newLines(), err: newLines(), exited: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = append(environment(), h.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	if h.Stderr != nil {
		p.cmd.Stderr = h.Stderr
	}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		p.cmd.Wait() // an exit code that is not 0 is no failure yet: Exit tells
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.exited
		p.checkStderr()
		if t.Failed() {
			t.Logf("%s %s\nstandard output:\n%s\nstandard error:\n%s", h.Program, strings.Join(h.Args, " "),
				strings.Join(last(p.out.all(), 20), "\n"), strings.Join(last(p.err.all(), 100), "\n"))
		}
	})
	return p
}

func last(lines []string, n int) []string { return lines[max(0, len(lines)-n):] }

// environment is the test's own without what configures the library.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RUNTIMEMETRICS_") && !strings.HasPrefix(v, "GORACE=") {
			env = append(env, v)
		}
	}
	return env
}

// Process is a program that runs.
type Process struct {
	Begun time.Time // just before it was started

	t        testing.TB
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err *lines
	replies  int // lines of standard output that Do has returned
	exited   chan struct{}
}

// Do writes a line to the program's standard input and returns the line with
// which the program answers.
func (p *Process) Do(command string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, command+"\n"); err != nil {
		p.t.Fatalf("the program has gone before %q: %v", command, err)
	}
	p.replies++
	all := p.out.wait(p.exited, func(all []string) bool { return len(all) >= p.replies })
	if len(all) < p.replies {
		p.t.Fatalf("no answer to %q", command)
	}
	return all[p.replies-1]
}

// Signal sends a signal to the program.
func (p *Process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// End closes the program's standard input, which ends the programs under
// tests/programs, and requires that it exits with code 0.
func (p *Process) End() {
	p.t.Helper()
	p.CloseStdin()
	if code := p.Exit(); code != 0 {
		p.t.Errorf("the program exited with code %d, want 0", code)
	}
}

// CloseStdin closes the program's standard input.
func (p *Process) CloseStdin() { p.stdin.Close() }

// Exit waits until the program ends and returns its exit code.
func (p *Process) Exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(Patience):
		p.cmd.Process.Signal(syscall.SIGQUIT) // to see what it hangs in
		select {
		case <-p.exited:
		case <-time.After(Patience):
		}
		p.t.Fatal("the program does not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

// Ended tells whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// PID returns the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stdout returns the lines of the program's standard output so far.
func (p *Process) Stdout() []string { return p.out.all() }

// Stderr returns the lines of the program's standard error so far.
func (p *Process) Stderr() []string { return p.err.all() }

// Log returns what the library has logged so far, without what stands before
// "runtimemetrics: " in each line.
func (p *Process) Log() []string { return libraryLines(p.err.all()) }

// WaitLog waits for a line of the library that matches the pattern, and
// returns the first of them.
func (p *Process) WaitLog(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	find := func(all []string) string {
		for _, line := range libraryLines(all) {
			if re.MatchString(line) {
				return line
			}
		}
		return ""
	}
	line := find(p.err.wait(p.exited, func(all []string) bool { return find(all) != "" }))
	if line == "" {
		p.t.Fatalf("the library did not log %q", pattern)
	}
	return line
}

func libraryLines(stderr []string) []string {
	var log []string
	for _, line := range stderr {
		if _, text, ok := strings.Cut(line, "runtimemetrics: "); ok {
			log = append(log, text)
		}
	}
	return log
}

var crash = regexp.MustCompile(`DATA RACE|fatal error|panic|internal error|SIGSEGV`)

func (p *Process) checkStderr() {
	for _, line := range p.err.all() {
		if crash.MatchString(line) {
			p.t.Errorf("the program's standard error holds %q", line)
		}
	}
}

// lines gathers the lines that are written to it.
type lines struct {
	mu    sync.Mutex
	text  []byte
	grown chan struct{} // closed, and replaced, at each write
}

func newLines() *lines { return &lines{grown: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	close(l.grown)
	l.grown = make(chan struct{})
	return len(p), nil
}

// get returns the lines that are complete, and a channel that is closed when
// more has been written.
func (l *lines) get() ([]string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(string(l.text), "\n")
	return all[:len(all)-1], l.grown
}

func (l *lines) all() []string {
	all, _ := l.get()
	return all
}

// wait waits until enough returns true, the program has ended or patience has.
func (l *lines) wait(exited <-chan struct{}, enough func([]string) bool) []string {
	late := time.After(Patience)
	for {
		all, grown := l.get()
		if enough(all) {
			return all
		}
		select {
		case <-grown:
		case <-exited:
			return l.all()
		case <-late:
			return l.all()
		}
	}
}
