package freeport

import (
	"net"
	"testing"
)

func TestAServerCanListenByTCPAndByUDP(t *testing.T) {
	addr, err := Address()
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	udp.Close()
}
