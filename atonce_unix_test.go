//go:build unix

package runtimemetrics

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// A UDP socket's queue cannot be filled at will; that of a unix socket can.
func TestAtOnceFailsRatherThanWaits(t *testing.T) {
	path := socketPath(t)
	listenUnix(t, path)
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := atOnce(conn)
	for i := 0; i < 10_000; i++ {
		if err = send([]byte("x:1|g")); err != nil {
			break
		}
	}
	switch {
	case err == nil:
		t.Skip("this system's unix sockets take any number of datagrams")
	case errors.Is(err, syscall.ENOBUFS): // what BSD says instead
	case !isTimeout(err):
		t.Errorf("got %v, want an error that counts as a timeout: the socket is as good as before", err)
	}
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
