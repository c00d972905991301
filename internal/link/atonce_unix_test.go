//go:build unix

package link

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// The queue of a UDP socket fills only if the network is slow; that of a unix
// socket fills at will.
func TestAFullQueueIsWaitedFor(t *testing.T) {
	path := socketPath(t)
	server := listenUnix(t, path)
	l := linkTo(t, "unix://"+path, System())
	ready(t, l, 0)
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
		if err, fatal := l.Write([]byte("x:2|g"), 0); !isTimeout(err) || !fatal {
			t.Fatalf("nobody reads, and a write ends with %v, fatal %v", err, fatal)
		}
		l.Rest()
	}
	for ; queued > 0; queued-- {
		expect(t, "received", receive(t, server), "x:1|g")
	}
	write(t, l, "x:3|g")
	expect(t, "received by a reader that goes on", receive(t, server), "x:3|g")
}

func TestAWriteAtOnceSaysWhyItFails(t *testing.T) {
	conn, err := net.Dial("udp", "127.0.0.1:9") // nothing is sent
	if err != nil {
		t.Fatal(err)
	}
	send := atOnce(conn)
	var op *net.OpError
	if err := send(make([]byte, 1<<17)); !errors.Is(err, syscall.EMSGSIZE) || !errors.As(err, &op) || op.Addr.String() != "127.0.0.1:9" {
		t.Errorf("a datagram that is too long: %v, want EMSGSIZE and the address", err)
	}
	conn.Close()
	if err := send([]byte("x:1|g")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed socket: %v, want net.ErrClosed", err)
	}
}

func TestWhatIsNoSocketOfTheSystemsIsNotWrittenToAtOnce(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if atOnce(here) != nil {
		t.Error("a pipe has no descriptor to write to")
	}
}
