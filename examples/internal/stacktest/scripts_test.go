//go:build linux

package stacktest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A stack of two parts that need nothing else installed.
var sleeper = map[string]string{
	"up": `#!/usr/bin/env bash
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../internal/stack.sh"
all=(server other)
settings='SERVER_PORT 8125 udp server
OTHER_PORT 8126 tcp other
COLOUR blue blue|red server'
addresses() { echo "colour $COLOUR"; }
prepare() { :; }
launch() {
	start "$1" "$here/part"
	wait_for "$1" test -s "$work/log/$1.log"
	[[ -z ${LATE_FAILURE-} || $1 == server ]] || die "a failure at the end"
}
run "$@"
`,
	"part": `#!/usr/bin/env bash
[[ -z ${BROKEN-} ]] || exit 1
if [[ -n ${CHILD-} && ! -e $CHILD ]]; then
	sleep 600 &
	echo $! >"$CHILD"
fi
until [[ -z ${GATE-} || -e $GATE ]]; do sleep 0.1; done
echo ready
exec sleep 600
`,
}

type scripts struct {
	*Stack
	t *testing.T
}

// newScripts puts that stack beside a copy of what the stacks share.
func newScripts(t *testing.T) *scripts {
	t.Helper()
	for _, program := range []string{"flock", "curl", "ss"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("SKIPPED: ", err)
		}
	}
	root := t.TempDir()
	s := &scripts{&Stack{Work: filepath.Join(root, "work"), dir: filepath.Join(root, "sleeper")}, t}
	s.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "RUNTIMEMETRICS_") || strings.HasPrefix(v, "HOME=") || strings.HasPrefix(v, "XDG_")
	}), "RUNTIMEMETRICS_SLEEPER_DIR="+s.Work)
	for _, name := range []string{"stack.sh", "common.sh", "install"} {
		text, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "internal", name), string(text))
	}
	for name, text := range sleeper {
		write(t, filepath.Join(s.dir, name), text)
	}
	down, err := os.ReadFile("../../graphite/down")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.dir, "down"), string(down))
	t.Cleanup(func() {
		// Whatever a test has left: the parts lead process groups of their own.
		recorded, _ := filepath.Glob(filepath.Join(s.Work, "run", "*.pid"))
		for _, file := range recorded {
			if pid := s.pid(filepath.Base(strings.TrimSuffix(file, ".pid"))); pid > 1 {
				syscall.Kill(-pid, syscall.SIGKILL)
			}
		}
	})
	return s
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}

func (s *scripts) run(want int, env []string, name string, args ...string) string {
	s.t.Helper()
	cmd := s.Script(name, args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != want {
		s.t.Fatalf("%s %q ended with %d (%v), want %d:\n%s", name, args, got, err, want, out)
	}
	return string(out)
}

func (s *scripts) pid(part string) (pid int) {
	text, _ := os.ReadFile(filepath.Join(s.Work, "run", part+".pid"))
	fmt.Sscan(string(text), &pid)
	return pid
}

func (s *scripts) says(out, want string) {
	s.t.Helper()
	if !strings.Contains(out, want) {
		s.t.Errorf("it says nothing of %q:\n%s", want, out)
	}
}

// kill ends a part, and waits until it has ended: to up it is there until then.
func (s *scripts) kill(part string) {
	pid := s.pid(part)
	syscall.Kill(pid, syscall.SIGKILL)
	for !gone(pid) {
		time.Sleep(time.Millisecond)
	}
}

// gone says whether a process has ended: it has no parent here that waits for it.
func gone(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// tree lists what a directory holds, with its sizes and modes.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			all = append(all, fmt.Sprint(path, info.Mode(), info.ModTime(), info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAStackComesUpComesBackAndLeavesNothing(t *testing.T) {
	s := newScripts(t)
	s.run(0, nil, "up", "--free-ports")
	ports, _ := os.ReadFile(filepath.Join(s.Work, "ports"))
	s.says(s.run(0, nil, "up"), "it is up already")

	// What runs keeps its settings; what has died may have others, or has them back.
	s.kill("server")
	s.kill("other")
	s.run(0, []string{"SERVER_PORT=1", "OTHER_PORT=2"}, "up") // nothing runs: all may choose
	again, _ := os.ReadFile(filepath.Join(s.Work, "ports"))
	s.says(string(again), "\nSERVER_PORT=1\nOTHER_PORT=2\n")
	if string(again) == string(ports) {
		t.Error("the ports have not changed")
	}
	for _, c := range []struct{ given, want string }{{"", "2"}, {"OTHER_PORT=4", "4"}} {
		s.kill("other")
		s.run(0, []string{c.given}, "up", "--free-ports")
		again, _ = os.ReadFile(filepath.Join(s.Work, "ports"))
		s.says(string(again), "\nSERVER_PORT=1\nOTHER_PORT="+c.want+"\n")
	}
	s.says(s.run(1, []string{"SERVER_PORT=3"}, "up"), "it is up with SERVER_PORT=1")
	s.says(s.run(1, []string{"COLOUR=red"}, "up"), "it is up with COLOUR=blue")
	s.says(s.run(0, []string{"SERVER_PORT=1", "COLOUR=blue"}, "up"), "it is up already")

	server, other := s.pid("server"), s.pid("other")
	if got, want := s.run(0, nil, "down"), fmt.Sprintf("down: stopped other (pid %d)\ndown: stopped server (pid %d)\n", other, server); got != want {
		t.Errorf("down says %q, want %q", got, want)
	}
	if !gone(server) || !gone(other) {
		t.Error("a part is still running")
	}
	s.says(s.run(0, nil, "down"), "nothing was running")
	s.run(0, nil, "down", "--purge")
	if _, err := os.Stat(s.Work); err == nil {
		t.Error("the work directory is still there")
	}
	s.says(s.run(0, nil, "down", "--purge"), "nothing to stop")
	if _, err := os.Stat(s.Work); err == nil {
		t.Error("down has made a work directory")
	}
}

// A child outlives the part that has started it: it counts as a part of it.
func TestWhatAKilledPartLeavesIsEnded(t *testing.T) {
	for _, command := range []string{"up", "down"} {
		t.Run(command, func(t *testing.T) {
			s := newScripts(t)
			child := filepath.Join(t.TempDir(), "child")
			s.run(0, []string{"CHILD=" + child}, "up", "--free-ports")
			text, err := os.ReadFile(child)
			var pid int
			if _, scan := fmt.Sscan(string(text), &pid); err != nil || scan != nil {
				t.Fatal(err, scan)
			}
			s.kill("server")
			if gone(pid) {
				t.Fatal("the child did not outlive the part")
			}
			out := s.run(0, nil, command)
			s.says(out, "stopped server")
			if !gone(pid) || strings.Contains(out, "killing it") {
				t.Errorf("the child did not get the signal:\n%s", out)
			}
		})
	}
}

func TestSeveralUpsAtOnceStartAStackOnce(t *testing.T) {
	s := newScripts(t)
	said := make(chan string)
	for i := 0; i < 3; i++ {
		cmd := s.Script("up", "--free-ports")
		go func() {
			out, err := cmd.CombinedOutput()
			said <- fmt.Sprint(string(out), err)
		}()
	}
	var all string
	for i := 0; i < 3; i++ {
		all += <-said
	}
	if n := strings.Count(all, "server is up"); n != 1 || strings.Count(all, "it is up already") != 2 {
		t.Errorf("they started it %d times:\n%s", n, all)
	}
	s.run(0, nil, "down", "--purge")
}

func TestAnUpThatIsKilledHalfWayIsContinued(t *testing.T) {
	s := newScripts(t)
	gate := filepath.Join(t.TempDir(), "gate")
	up := s.Script("up", "--free-ports")
	up.Env = append(up.Env, "GATE="+gate)
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	for s.pid("server") == 0 {
		time.Sleep(time.Millisecond)
	}
	up.Process.Kill()
	up.Wait()
	write(t, gate, "")
	server := s.pid("server")
	s.says(s.run(0, nil, "up"), "other is up")
	if s.pid("server") != server || gone(server) {
		t.Error("the part that was up was started again")
	}
	s.says(s.run(0, nil, "down", "--purge"), fmt.Sprintf("stopped server (pid %d)", server))
	if !gone(server) {
		t.Error("a part is still running")
	}
}

func TestWhatIsStartedInVainIsTakenBack(t *testing.T) {
	s := newScripts(t)
	s.says(s.run(1, []string{"BROKEN=yes"}, "up", "--free-ports"), "server ended at once")
	s.says(s.run(1, []string{"LATE_FAILURE=yes"}, "up", "--free-ports"), "stopped other")
	if left, _ := filepath.Glob(filepath.Join(s.Work, "run", "*")); len(left) > 0 {
		t.Errorf("this is left: %q", left)
	}
}

func TestAPortThatCannotBeHadIsNamed(t *testing.T) {
	s := newScripts(t)
	l, err := net.Listen("tcp4", ":0") // on all addresses
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for want, env := range map[string]string{
		"port " + port + "/tcp is in use: set OTHER_PORT": "OTHER_PORT=" + port,
		"SERVER_PORT=x is not a port":                     "SERVER_PORT=x",
		"SERVER_PORT=65536 is not a port":                 "SERVER_PORT=65536",
	} {
		s.says(s.run(1, []string{env}, "up", "--free-ports"), want)
	}
	if s.pid("server") != 0 {
		t.Error("something was started")
	}
}

// What stands in a work directory is believed, so nobody else may write there.
func TestAWorkDirectoryThatOthersCanWriteIsRefused(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, s *scripts){
		"by all":       func(t *testing.T, s *scripts) { chmod(t, s.Work, 0o777) },
		"by its group": func(t *testing.T, s *scripts) { chmod(t, s.Work, 0o775) },
		"a part of it": func(t *testing.T, s *scripts) { chmod(t, filepath.Join(s.Work, "run"), 0o777) },
		"its state":    func(t *testing.T, s *scripts) { chmod(t, filepath.Join(s.Work, "ports"), 0o666) },
		"the directory above": func(t *testing.T, s *scripts) {
			chmod(t, filepath.Dir(s.Work), 0o777)
		},
		"somebody else's": func(t *testing.T, s *scripts) {
			if os.Geteuid() != 0 {
				t.Skip("SKIPPED: needs root, to give a directory away")
			}
			if err := os.Chown(s.Work, 65534, 65534); err != nil {
				t.Skip("SKIPPED: ", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripts(t)
			s.run(0, nil, "up", "--free-ports")
			s.run(0, nil, "down")
			// A stranger's process, and a state that is a program.
			stranger := exec.Command("sleep", "600")
			if err := stranger.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- stranger.Wait() }()
			defer func() { stranger.Process.Kill(); <-ended }()
			s.plant(stranger.Process.Pid)
			open(t, s)
			before := tree(t, s.Work)
			for _, command := range [][]string{{"down"}, {"down", "--purge"}, {"up", "--free-ports"}} {
				s.says(s.run(1, nil, command[0], command[1:]...), "can be written by others")
			}
			if after := tree(t, s.Work); !slices.Equal(before, after) {
				t.Errorf("the directory was changed:\n%q\n%q", before, after)
			}
			if gone(stranger.Process.Pid) {
				t.Error("a stranger's process was ended")
			}
		})
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// plant writes down a process as if up had started it.
func (s *scripts) plant(pid int) {
	s.t.Helper()
	stat, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	boot, err2 := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err := errors.Join(err1, err2); err != nil {
		s.t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	write(s.t, filepath.Join(s.Work, "run", "server.pid"), fmt.Sprint(pid, " ", strings.Fields(fields)[19], " ", string(boot)))
}

func TestTheStateIsNotAProgram(t *testing.T) {
	s := newScripts(t)
	s.run(0, nil, "up", "--free-ports")
	state := filepath.Join(s.Work, "ports")
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	trap := filepath.Join(t.TempDir(), "trap")
	for _, line := range []string{
		"touch " + trap, "X=$(touch " + trap + ")", "PATH=/nowhere", "was[$(touch " + trap + ")]=1", "SERVER_PORT=a[$(touch " + trap + ")]", "COLOUR=a[$(touch " + trap + ")]", "=",
	} {
		write(t, state, string(text)+line+"\n")
		out, err := s.Script("up").CombinedOutput() // some are refused, none is obeyed
		if _, trapped := os.Stat(trap); trapped == nil {
			t.Fatalf("%q was obeyed (%v): %s", line, err, out)
		}
	}
	write(t, state, string(text))
	s.run(0, nil, "down", "--purge")
}

func TestADirectoryThatIsNotOursIsLeftAsItIs(t *testing.T) {
	for name, file := range map[string]string{
		"with files in it":           "letter.txt",
		"with a file of that name":   "ports",
		"with the state of its like": "run/server.pid",
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripts(t)
			write(t, filepath.Join(s.Work, file), "SERVER_PORT=1\n")
			before := tree(t, s.Work)
			s.says(s.run(1, nil, "down", "--purge"), "left as it is")
			s.says(s.run(1, nil, "up", "--free-ports"), "holds something else")
			if after := tree(t, s.Work); !slices.Equal(before, after) {
				t.Errorf("the directory was changed:\n%q\n%q", before, after)
			}
		})
	}
}

// To ask for help, no environment is needed; to run, it is said what is missing.
func TestWithoutHome(t *testing.T) {
	examples, err := filepath.Glob("../../*/up")
	if err != nil || len(examples) < 3 {
		t.Fatalf("the examples have these scripts: %q (%v)", examples, err)
	}
	s := newScripts(t)
	for _, up := range append(examples, filepath.Join(s.dir, "up")) {
		for _, args := range [][]string{{"-h"}, {"--help"}, {"--no-install", "-h"}} {
			cmd := exec.Command(up, args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "usage: up ") || !strings.Contains(string(out), "HOME is not set") {
				t.Errorf("%s %q: %v\n%s", up, args, err, out)
			}
		}
	}
	without := &scripts{&Stack{dir: s.dir, Env: []string{"PATH=" + os.Getenv("PATH")}}, t}
	s.says(without.run(1, nil, "up"), "HOME is not set, and XDG_CACHE_HOME neither")
	s.says(without.run(0, nil, "down"), "nothing to stop")
}

func TestInstallNamesWhatIsMissing(t *testing.T) {
	cache := t.TempDir()
	install := func(want int, needs ...string) string {
		t.Helper()
		cmd := exec.Command("../install", append([]string{"--check"}, needs...)...)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
		out, err := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("it ended with %d (%v), want %d: %s", got, err, want, out)
		}
		return strings.TrimSpace(string(out))
	}
	if got := install(0, "bash=bash", "/bin/sh=dash"); got != "" {
		t.Errorf("of what is there it says %q", got)
	}
	if got, want := install(3, "bash=bash", "no-such-command=one", "/no/such/file=two", "npm:three@1.0.0"), "one two three@1.0.0 (npm)"; got != want {
		t.Errorf("missing is %q, want %q", got, want)
	}
	// What others may have written is not run.
	home := filepath.Join(cache, "runtimemetrics-three-1.0.0")
	write(t, filepath.Join(home, "package.json"), "{}")
	install(0, "npm:three@1.0.0")
	chmod(t, home, 0o777)
	if got := install(1, "npm:three@1.0.0"); !strings.Contains(got, "may have been written by others") {
		t.Errorf("it says %q", got)
	}
}
