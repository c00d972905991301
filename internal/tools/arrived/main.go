// Command arrived is a service and its StatsD in one process, since not every
// platform that it is built for has two. It prints how many gauges arrived.
package main

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

func main() {
	log.SetFlags(0)
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := runtimemetrics.Start(runtimemetrics.Config{
		StatsD: server.LocalAddr().String(), Prefix: ".", Pause: 200 * time.Millisecond, Runtime: []string{"default"},
	}); err != nil {
		log.Fatal(err)
	}

	// On a busy machine those of package process may come some ticks later. A gauge
	// of each tick counts these.
	const inEach, atRest = "cpu.goroutines", 6
	seen := make(map[string]int)
	news := 0 // the tick of the last new gauge
	packet := make([]byte, 1<<16)
	if err := server.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		log.Fatal(err)
	}
	for seen[inEach] < news+atRest {
		n, _, err := server.ReadFrom(packet)
		if err != nil {
			log.Fatalf("%d gauges arrived, and then: %v", len(seen), err)
		}
		for _, line := range bytes.Split(packet[:n], []byte("\n")) {
			if name, _, ok := bytes.Cut(line, []byte(":")); ok {
				if seen[string(name)]++; seen[string(name)] == 1 {
					news = seen[inEach]
				}
			}
		}
	}
	runtimemetrics.Stop()
	fmt.Println(len(seen), "gauges arrived")
}
