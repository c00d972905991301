//go:build unix

package runtimemetrics

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childKey says in the environment which of children this process is.
const childKey = "RUNTIMEMETRICS_TEST_CHILD"

// children write a line.
var children = map[string]func() error{
	"package log as it is": func() error { return line("std") },
	"flag --metric-log":    func() error { return line("stderr") },
	"package log with os.Stdout": func() error {
		log.SetOutput(os.Stdout)
		return line("std")
	},
	"package log with another file for descriptor 1": func() error {
		log.SetOutput(os.NewFile(1, "out"))
		return line("std")
	},
	"package log, and the descriptor is another file's":  func() error { return closed2("std") },
	"--metric-log, and the descriptor is another file's": func() error { return closed2("stderr") },
}

func line(destination string) error {
	logTo(nil, destination)("a line")
	return nil
}

// closed2 closes standard error, and has another file get its descriptor.
func closed2(destination string) error {
	os.Stderr.Close()
	path := filepath.Join(os.Getenv("TMPDIR"), "data")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if fd := file.Fd(); fd != 2 {
		return fmt.Errorf("the file has descriptor %d", fd)
	}
	fmt.Fprintln(file, "record 1")
	line(destination)
	fmt.Fprintln(file, "record 2")
	if got, err := os.ReadFile(path); err != nil || string(got) != "record 1\nrecord 2\n" {
		return fmt.Errorf("the file holds %q, %v", got, err)
	}
	return nil
}

func init() {
	name := os.Getenv(childKey)
	if name == "" {
		return
	}
	result := "alive"
	if err := children[name](); err != nil {
		result = err.Error()
	}
	os.WriteFile(filepath.Join(os.Getenv("TMPDIR"), "result"), []byte(result), 0o600)
	os.Exit(0)
}

func TestALineNeitherEndsTheProgramNorGoesIntoAFileOfIts(t *testing.T) {
	for name := range children {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close() // nobody reads what the child writes
			defer w.Close()
			dir := t.TempDir()
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), childKey+"="+name, "TMPDIR="+dir)
			child.Stdout, child.Stderr = w, w
			err = child.Run()
			result, _ := os.ReadFile(filepath.Join(dir, "result"))
			if err != nil || string(result) != "alive" {
				t.Errorf("the child ended with %v and says %q", err, result)
			}
		})
	}
}

// TestALineWaitsForRoomInAPipe as it does with package os: a pipe of a program
// need not block the thread that writes to it.
func TestALineWaitsForRoomInAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	long := strings.Repeat("x", 1<<20)
	done := make(chan error)
	go func() {
		n, err := raw{w}.Write([]byte(long))
		if n != len(long) && err == nil {
			err = fmt.Errorf("%d bytes were written", n)
		}
		w.Close()
		done <- err
	}()
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || got.String() != long {
		t.Errorf("%d bytes arrived: %v", got.Len(), err)
	}
}

func TestARawWriteThatFailsSaysWhy(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (raw{nil}).Write([]byte("x")); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("no file: %v", err)
	}
	w.SetWriteDeadline(time.Now().Add(-time.Second))
	if _, err := (raw{w}).Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	w.SetWriteDeadline(time.Time{})
	r.Close()
	if _, err := (raw{w}).Write([]byte("x")); err != syscall.EPIPE {
		t.Errorf("no reader: %v", err)
	}
	w.Close()
	if _, err := (raw{w}).Write([]byte("x")); err == nil {
		t.Error("a closed file takes a line")
	}
}
