// Package drain takes what benchmarks send, in a process of its own: a reader in
// the sender's process would be part of what is measured.
package drain

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// The environment variable that makes a process the drain.
	isDrain = "BENCH_DRAIN"

	// Where the drain runs, as taskset takes it, if it is set. The drain would
	// otherwise inherit the core that a benchmark is pinned to.
	onCore = "BENCH_DRAIN_CORE"

	// See defaultNap; 0s makes a reader that always waits in its read.
	napFor = "BENCH_DRAIN_NAP"
)

// count begins the datagram that asks the drain for its counts; a number
// follows, which the answer repeats. It comes through the same queue as all
// others, so that those sent before it are counted.
var count = []byte("count ")

// Main is to be called first in the program that calls Start. In the drain's
// process it does not return.
func Main() {
	if os.Getenv(isDrain) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, "drain:", err)
		}
		os.Exit(1)
	}
}

// defaultNap is how long the drain sleeps when it has found its socket empty,
// unless the environment variable napFor says otherwise.
const defaultNap = 200 * time.Microsecond

// serve receives. To wake a reader costs a writer as much as the write itself,
// so with one that goes to sleep whenever it has caught up, the slower of two
// senders would look slower still. In a tight loop, nobody wakes this one: it
// does not wait for the socket, be it in a read or in Go's poller, before it has
// found it empty twice, with a nap in between. A tick that comes after a while
// does wake it, once, as it would wake a server that is busy for a moment then.
func serve() error {
	nap := defaultNap
	if text := os.Getenv(napFor); text != "" {
		var err error
		if nap, err = time.ParseDuration(text); err != nil {
			return err
		}
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	conn.SetReadBuffer(8 << 20) // or what the system allows
	fmt.Println(conn.LocalAddr())
	file, err := conn.File()
	if err != nil {
		return err
	}
	defer file.Close()
	conn.Close() // takes the socket out of the poller; file goes on
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends with the program that reads the counts
		os.Exit(0)
	}()

	socket, buf := int(file.Fd()), make([]byte, 1<<16)
	datagrams, total, flags, napped := 0, 0, 0, false
	for {
		n, _, err := syscall.Recvfrom(socket, buf, flags)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN && nap > 0 && !napped:
			time.Sleep(nap)
			napped = true
		case err == syscall.EAGAIN:
			flags = 0 // wait
		case err != nil:
			return err
		default:
			flags, napped = syscall.MSG_DONTWAIT, false
			if number, ok := bytes.CutPrefix(buf[:n], count); ok {
				fmt.Printf("%s %d %d\n", number, datagrams, total)
			} else {
				datagrams, total = datagrams+1, total+n
			}
		}
	}
}

// Drain is a running drain.
type Drain struct {
	Addr string // where it listens

	cmd     *exec.Cmd
	stdin   io.Closer
	conn    net.Conn
	answers chan string
	asked   int
}

// Start starts a drain.
func Start() (*Drain, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	if core := os.Getenv(onCore); core != "" {
		cmd = exec.Command("taskset", "-c", core, self)
	}
	cmd.Env, cmd.Stderr = append(os.Environ(), isDrain+"=1"), os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Drain{cmd: cmd, stdin: stdin, answers: make(chan string, 100)}
	go func() {
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			d.answers <- lines.Text()
		}
		close(d.answers)
	}()
	d.Addr = <-d.answers
	if d.conn, err = net.Dial("udp4", d.Addr); err != nil {
		d.Stop()
		return nil, err
	}
	return d, nil
}

// Counts returns how many datagrams and bytes came since the drain started.
func (d *Drain) Counts() (datagrams, bytes int, err error) {
	for range 100 { // a question is lost if the queue is full
		d.asked++
		if _, err := fmt.Fprintf(d.conn, "%s%d", count, d.asked); err != nil {
			return 0, 0, err
		}
		for timeout := time.After(100 * time.Millisecond); timeout != nil; {
			select {
			case answer, ok := <-d.answers:
				if !ok {
					return 0, 0, errors.New("the drain has ended")
				}
				var number int
				if _, err := fmt.Sscan(answer, &number, &datagrams, &bytes); err != nil {
					return 0, 0, err
				}
				if number == d.asked { // not the answer to an earlier one
					return datagrams, bytes, nil
				}
			case <-timeout:
				timeout = nil
			}
		}
	}
	return 0, 0, errors.New("the drain does not answer")
}

// Stop ends the drain.
func (d *Drain) Stop() {
	d.stdin.Close()
	d.cmd.Wait()
}
