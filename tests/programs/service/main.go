// Service is a host that counts the library's ticks, which runtimemetrics.ticks
// numbers too, so that whoever receives it sees which ones are missing. A line that
// the library logs shows the number of the tick that it belongs to, or that of the
// next one.
//
// Commands on standard input are answered by one line each.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"sync/atomic"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	dns := flag.String("dns", "", "ask the DNS server at this `address` only")
	flag.Parse()
	if *dns != "" {
		net.DefaultResolver = &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "udp", *dns)
			},
		}
	}
	log.SetFlags(0)

	var ticks atomic.Int64
	runtimemetrics.Register(func(*runtimemetrics.Tick) { ticks.Add(1) })
	err := runtimemetrics.Start(runtimemetrics.Config{Self: true, Logf: func(format string, args ...any) {
		log.Printf("tick %d: %s", ticks.Load(), fmt.Sprintf(format, args...))
	}})
	if err != nil {
		log.Fatal(err)
	}

	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		switch commands.Text() {
		case "ticks":
			fmt.Println(ticks.Load())
		case "stop":
			runtimemetrics.Stop()
			fmt.Println("ok")
		case "counts": // goroutines, descriptors, bytes of live heap
			fmt.Println(counts())
		default:
			fmt.Println("no such command")
		}
	}
}

func counts() (goroutines, descriptors int, heap uint64) {
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		descriptors = len(entries) - 1 // less the one that reads them
	}
	// The second collection frees what the first one left to finalizers and
	// to the victims of sync.Pool.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), descriptors, m.HeapAlloc
}
