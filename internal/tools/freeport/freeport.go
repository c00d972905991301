// Package freeport finds an address for a server that must be told its port before
// it starts. One that takes port 0 needs none of this.
package freeport

import (
	"fmt"
	"math/rand"
	"net"
)

// Address returns an address of loopback, such as 127.0.0.1:12345, whose port nobody
// has, by TCP or by UDP, until somebody takes it. The port is below those that systems
// give to whoever asks for any, and to each connection: of those, one does not stay
// free for long where other tests run. It is below those of the stacks' scripts as
// well, see choose in examples/internal/stack.sh.
func Address() (string, error) {
	for try := 1; ; try++ {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.Intn(10000))
		tcp, err := net.Listen("tcp4", addr)
		if err == nil {
			tcp.Close()
			var udp net.PacketConn
			if udp, err = net.ListenPacket("udp4", addr); err == nil {
				return addr, udp.Close()
			}
		}
		if try == 1000 {
			return "", err
		}
	}
}
