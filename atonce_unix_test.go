//go:build unix

package runtimemetrics

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// The queue of a UDP socket fills only if the network is slow; that of a unix
// socket fills at will.
func TestAFullQueueIsWaitedFor(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	l := newLink(address{network: "unixgram", host: path}, realNet)
	defer l.close()
	if err := l.ready(time.Now()); err != nil {
		t.Fatal(err)
	}
	l.send = atOnce(l.conn)
	var err error
	queued := 0
	for err == nil {
		if queued == 10_000 {
			t.Skip("this system's unix sockets take any number of datagrams")
		}
		if err = l.send([]byte("x:1|g")); err == nil {
			queued++
		}
	}
	if errors.Is(err, syscall.ENOBUFS) {
		t.Skip("this system's sockets do not tell when they have room again")
	}
	if !isTimeout(err) {
		t.Fatalf("a full queue is %v, want an error that counts as a timeout", err)
	}

	for tick := 0; tick < 2; tick++ { // the first one's deadline must not stand
		if s := l.write([]byte("x:2|g"), time.Now()); !isTimeout(s.err) {
			t.Fatalf("nobody reads, and a write ends with %v", s.err)
		}
		l.rest()
	}
	read := make(chan bool)
	go func() {
		buf := make([]byte, 100)
		for ; queued > 0; queued-- {
			server.Read(buf)
		}
		close(read)
	}()
	if s := l.write([]byte("x:3|g"), time.Now()); s.err != nil {
		t.Errorf("somebody reads, and a write ends with %v", s.err)
	}
	<-read
}

func TestAtOnceTellsOfAClosedSocket(t *testing.T) {
	conn, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	send := atOnce(conn)
	conn.Close()
	if err := send([]byte("x:1|g")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
