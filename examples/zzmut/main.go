// Command live shows the curves of every service on the machine that pushes
// StatsD gauges, on a page in the browser, and brings a sample service along so
// that there is something to see at once:
//
//	go run .
//
// It listens for StatsD on UDP 127.0.0.1:8125 and serves the page on
// http://127.0.0.1:8080. It is for looking, not for keeping: everything is in
// memory, an hour of it at most.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

const (
	defaultListen = "127.0.0.1:8080"
	defaultStatsD = "127.0.0.1:8125"
	samplePrefix  = "go.sample"
)

// config is what the flags say.
type config struct {
	listen, statsd           string
	listenGiven, statsdGiven bool   // an address that was asked for is used, or it is an error
	hosts                    string // that the page answers to, beside its addresses
	sample                   bool
	leak                     bool                  // the sample service leaks
	elsewhere                bool                  // the sample service pushes where its flag --statsd says
	publish                  runtimemetrics.Config // of the sample service
}

func main() {
	var cfg config
	flag.StringVar(&cfg.listen, "listen", defaultListen, "`address` to serve the page on")
	flag.StringVar(&cfg.statsd, "statsd-listen", defaultStatsD, "UDP `address` to receive gauges on")
	flag.StringVar(&cfg.hosts, "host", "", "`names` that the page answers to, separated by commas, besides any IP address, localhost and the machine's name")
	flag.BoolVar(&cfg.leak, "leak", false, "let the sample service leak goroutines")
	flag.BoolVar(&cfg.sample, "sample", true, "run the sample service; the library's flags, such as --pause, are its own")

	// A service needs no more than the import and flag.Parse. This one is to
	// push to the port that is found free, and not before.
	runtimemetrics.Stop()
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	given := make(map[string]bool)
	flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
	cfg.listenGiven, cfg.statsdGiven = given["listen"], given["statsd-listen"]
	cfg.elsewhere = given["statsd"]
	if !given["metric-prefix"] {
		cfg.publish.Prefix = samplePrefix
	}
	if !given["pause"] {
		cfg.publish.Pause = time.Second
	}
	if !given["metric-runtime"] {
		cfg.publish.Runtime = []string{"default"}
	}

	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.SetFlags(0)
	if err := run(ctx, cfg, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run does everything until ctx ends.
func run(ctx context.Context, cfg config, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, note, err := listenUDP(cfg.statsd, cfg.statsdGiven)
	if err != nil {
		return err
	}
	defer conn.Close()
	listener, pageNote, err := listenTCP(cfg.listen, cfg.listenGiven)
	if err != nil {
		return err
	}
	defer listener.Close()
	statsd := reachable(conn.LocalAddr())
	url := "http://" + reachable(listener.Addr()).String()

	s, c := newStore(), newClock()
	server := httpServer(web(s, c, statsd, samplePrefix, cfg.hosts))
	served := make(chan error, 1)
	var done sync.WaitGroup
	done.Go(func() { receive(conn, s, c) })
	done.Go(func() { served <- serve(server, listener) })

	fmt.Fprintf(out, "Open      %s%s\n", url, pageNote)
	fmt.Fprintf(out, "StatsD    udp %s%s\n\n", statsd, note)
	fmt.Fprintf(out, "To see a service of yours, import the library and start it with\n")
	fmt.Fprintf(out, "          --statsd=%s --pause=1\n\n", statsd)
	fmt.Fprintf(out, "Ctrl-C ends it.\n\n")

	if cfg.sample {
		publish := cfg.publish
		if !cfg.elsewhere {
			publish.StatsD = statsd.String()
		}
		if err = runtimemetrics.Start(publish); err != nil {
			cancel()
		}
		defer runtimemetrics.Stop()
		done.Go(func() { newShop(cfg.leak).run(ctx) })
	}

	select {
	case err = <-served:
	case <-ctx.Done():
	}
	cancel()
	_ = server.Close() // the page finds out by itself
	_ = conn.Close()
	done.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// listenUDP listens on the address, or, if that is taken and was not asked for,
// on a free port. The note says so.
func listenUDP(address string, given bool) (conn *net.UDPConn, note string, err error) {
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, "", fmt.Errorf("-statsd-listen: %w", err)
	}
	conn, err = net.ListenUDP("udp", addr)
	if err == nil || given {
		return conn, "", err
	}
	if free, freeErr := net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP}); freeErr == nil {
		return free, fmt.Sprintf("  (port %d is taken, perhaps by another StatsD)", addr.Port), nil
	}
	return nil, "", err
}

// listenTCP does the same for the page.
func listenTCP(address string, given bool) (l net.Listener, note string, err error) {
	l, err = net.Listen("tcp", address)
	if err == nil || given {
		return l, "", err
	}
	host, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, "", err
	}
	if free, freeErr := net.Listen("tcp", net.JoinHostPort(host, "0")); freeErr == nil {
		return free, fmt.Sprintf("  (port %s is taken)", port), nil
	}
	return nil, "", err
}

// reachable returns the address under which this machine reaches a listener,
// which may listen on all addresses.
func reachable(a net.Addr) netip.AddrPort {
	ap := netip.MustParseAddrPort(a.String())
	addr := ap.Addr().Unmap()
	if addr.IsUnspecified() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(addr, ap.Port())
}

// memoryLimit is where garbage collections become frequent, so that what is let go
// of does not double what is kept. A GOMEMLIMIT that is set counts instead.
const memoryLimit = 320 << 20
