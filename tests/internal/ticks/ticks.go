// Package ticks makes whole ticks, one after the other, through a real socket,
// and counts what they cost, in a process that does nothing else.
package ticks

import (
	"bytes"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

// Count makes n ticks with the settings of the environment, or of defaults where
// a variable is not set, and prints what they cost. The environment variable
// COLLECTIONS is a number of garbage collections to make before.
func Count(n int, defaults map[string]string) {
	collections, _ := strconv.Atoi(os.Getenv("COLLECTIONS"))
	for range collections {
		runtime.GC()
	}
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	debug.SetGCPercent(-1)
	tick, end := registry.NewTick(func(name string) (string, bool) {
		if name == "RUNTIMEMETRICS_STATSD" {
			return server.LocalAddr().String(), true
		}
		if text, ok := os.LookupEnv(name); ok {
			return text, true
		}
		text, ok := defaults[name]
		return text, ok
	})
	defer end()

	// What one tick sends. On loopback it is all there when tick returns, so that
	// what is sent after it comes last.
	last, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	drain := func() (datagrams, lines, size int) {
		if _, err := last.Write(nil); err != nil {
			log.Fatal(err)
		}
		for {
			n, err := server.Read(buf)
			if err != nil {
				log.Fatal(err)
			}
			if n == 0 {
				return datagrams, lines, size
			}
			datagrams++
			lines += bytes.Count(buf[:n], []byte{'\n'}) + 1
			size += n
		}
	}
	tick()
	drain()
	tick()
	datagrams, lines, size := drain()

	// Nobody reads from here on: the kernel drops what the socket has no room
	// for, at the same price for the sender.
	stopped := Stops()
	for range n {
		tick()
	}
	stopped = Stops() - stopped

	// The runtime allocates for itself now and then, for a new thread for
	// instance: what is ours is there each time, so the least of a few counts is it.
	allocations, took := uint64(math.MaxUint64), time.Duration(math.MaxInt64)
	for range 3 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, began := m.Mallocs, time.Now()
		for range n {
			tick()
		}
		took = min(took, time.Since(began))
		runtime.ReadMemStats(&m)
		allocations = min(allocations, m.Mallocs-before)
	}
	fmt.Println("lines", lines, "datagrams", datagrams, "bytes", size, "stops", stopped, "allocations", allocations, "ns", int(took)/n)
}

var sample = []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}

// Stops returns how often the world was stopped for anything but garbage
// collection.
func Stops() (n uint64) {
	metrics.Read(sample)
	for _, count := range sample[0].Value.Float64Histogram().Counts {
		n += count
	}
	return n
}
