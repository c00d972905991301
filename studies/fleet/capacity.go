package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

// What stands between many StatsDs and the disk, each part by itself: the CPU
// time that a line takes it.

// hosts is how many hosts' gauges a part is fed with.
const hosts = 1000

// part is a server, fed with the gauges of hosts.
type part struct {
	name, fed string
	command   []string
	env       []string
	ready     net.Addr // accepts connections when the part is up

	times int // that each gauge is sent in a round; CPU time is counted in 10 ms

	// feed sends the gauges once and returns when all have gone.
	feed func(number int) error
	// done tells whether all that was fed so far has come out.
	done func(lines int) (bool, error)
}

// errMissing is the reason why a part is left out.
var errMissing = errors.New("not installed")

// capacity prints a table of the parts.
func capacity(ctx context.Context, js string, rounds int) error {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ticks, err := capture(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Println("| part | fed with | CPU a line | lines/s that fill a core |")
	fmt.Println("|---|---|--:|--:|")
	for i, start := range []func(context.Context, string, string, [styles]tick) (*part, error){proxy, cRelay, carbonRelay, carbonCache} {
		err := func() error {
			own := filepath.Join(dir, fmt.Sprint(i))
			if err := os.Mkdir(own, 0o700); err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			p, err := start(ctx, own, js, ticks)
			if err != nil {
				return err
			}
			perLine, err := p.measure(ctx, rounds)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Printf("| %s | %s | %.1f us | %s |\n", p.name, p.fed, perLine.Seconds()*1e6, thousands(int(time.Second/perLine)))
			return nil
		}()
		if errors.Is(err, errMissing) {
			fmt.Printf("SKIPPED: %v\n", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// measure returns the median of the rounds. The one before them, in which all
// names are new, is not counted.
func (p *part) measure(ctx context.Context, rounds int) (time.Duration, error) {
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), &output, &output
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for end := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp4", p.ready.String())
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			cmd.Process.Kill()
			cmd.Wait()
			return 0, fmt.Errorf("it does not come up: %w\n%s", err, &output)
		}
		if err := sleepUntil(ctx, time.Now().Add(50*time.Millisecond)); err != nil {
			return 0, err
		}
	}

	lines := hosts * gauges * p.times
	var all []time.Duration
	for round := range rounds + 1 {
		before, _, err := cpuTime(cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		for i := range p.times {
			if err := p.feed(round*p.times + i); err != nil {
				return 0, err
			}
		}
		used, idle := before, time.Now()
		for end := time.Now().Add(2 * time.Minute); ; {
			if err := sleepUntil(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
				return 0, err
			}
			now, _, err := cpuTime(cmd.Process.Pid)
			if err != nil {
				return 0, err
			}
			if now != used {
				used, idle = now, time.Now()
			}
			done, err := p.done((round + 1) * lines)
			if err != nil {
				return 0, err
			}
			if done && time.Since(idle) > time.Second {
				break
			}
			if time.Now().After(end) {
				return 0, fmt.Errorf("what was fed does not come out: %s", &output)
			}
		}
		if round > 0 {
			all = append(all, (used-before)/time.Duration(lines))
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// proxy is StatsD's cluster proxy, before two servers.
func proxy(ctx context.Context, dir, js string, ticks [styles]tick) (*part, error) {
	script := filepath.Join(filepath.Dir(js), "proxy.js")
	find := exec.Command("node", "-e", "require('module').createRequire(process.argv[1]).resolve('hashring')", script)
	if find.Run() != nil {
		return nil, fmt.Errorf("StatsD's proxy: %w: it needs the npm package hashring@3.2.0 in NODE_PATH", errMissing)
	}
	var out atomic.Int64
	var nodes []string
	for range 2 {
		server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		server.SetReadBuffer(4 << 20)
		admin, err := listenTCP(ctx, func(conn net.Conn) {
			// The proxy asks whether the server is well.
			bufio.NewReader(conn).ReadString('\n')
			fmt.Fprintln(conn, "health: up")
		})
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { server.Close() })
		go func() {
			buf := make([]byte, 1<<16)
			for {
				if _, err := server.Read(buf); err != nil {
					return
				}
				out.Add(1)
			}
		}()
		nodes = append(nodes, fmt.Sprintf("{host: '127.0.0.1', port: %d, adminport: %d}", server.LocalAddr().(*net.UDPAddr).Port, port(admin)))
	}
	mgmt, err := freePort()
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	udp := socket.LocalAddr().(*net.UDPAddr)
	socket.Close()
	config := filepath.Join(dir, "proxy.js")
	if err := os.WriteFile(config, fmt.Appendf(nil, "{nodes: [%s], address: '127.0.0.1', port: %d, mgmt_address: '127.0.0.1', mgmt_port: %d, checkInterval: 1000}",
		strings.Join(nodes, ", "), udp.Port, port(mgmt)), 0o600); err != nil {
		return nil, err
	}
	f, err := newFleet(hosts, udp, ticks)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, f.close)
	return &part{
		name: "StatsD's cluster proxy", fed: "datagrams of 27 lines", ready: mgmt, times: 1,
		command: []string{"node", "--no-deprecation", script, config},
		feed: func(int) error {
			_, err := f.send(ctx, ours, hosts, time.Now(), 5*time.Second)
			return err
		},
		done: func(lines int) (bool, error) {
			// Each line leaves it as a datagram.
			return int(out.Load()) == lines, nil
		},
	}, nil
}

// cRelay is carbon-c-relay before two caches.
func cRelay(ctx context.Context, dir, _ string, ticks [styles]tick) (*part, error) {
	if _, err := exec.LookPath("carbon-c-relay"); err != nil {
		return nil, fmt.Errorf("carbon-c-relay: %w: apt-get install carbon-c-relay", errMissing)
	}
	sinks, out, err := sinks(ctx)
	if err != nil {
		return nil, err
	}
	in, err := freePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "relay.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, "cluster c carbon_ch %v=a %v=b;\nmatch * send to c stop;\nlisten type linemode %v proto tcp;\n",
		sinks[0], sinks[1], in), 0o600); err != nil {
		return nil, err
	}
	return &part{
		name: "carbon-c-relay", fed: "lines over TCP", ready: in, times: 20,
		command: []string{"carbon-c-relay", "-f", config, "-w", "1", "-q", "2000000", "-B", "32"},
		feed:    feedLines(in, ticks),
		done:    func(lines int) (bool, error) { return int(out.lines.Load()) >= lines, nil },
	}, nil
}

// carbonRelay is carbon's own relay, of Python, before two caches.
func carbonRelay(ctx context.Context, dir, _ string, ticks [styles]tick) (*part, error) {
	sinks, out, err := sinks(ctx)
	if err != nil {
		return nil, err
	}
	return carbon(dir, "carbon-relay", "relay", 5, ticks, fmt.Sprintf(
		"RELAY_METHOD = consistent-hashing\nDESTINATIONS = %v:a, %v:b\nMAX_QUEUE_SIZE = 1000000\n", sinks[0], sinks[1]),
		// To caches it speaks pickle, in which no lines can be counted; a name has
		// 40 bytes and more.
		func(lines int) (bool, error) { return int(out.bytes.Load()) > lines*40, nil })
}

// carbonCache is carbon-cache with the disk below it.
func carbonCache(ctx context.Context, dir, _ string, ticks [styles]tick) (*part, error) {
	return carbon(dir, "carbon-cache", "cache", 1, ticks, "MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nLOG_UPDATES = False\nLOG_CREATES = False\nWHISPER_SPARSE_CREATE = True\nMAX_CACHE_SIZE = inf\n",
		func(int) (bool, error) {
			files := 0
			err := filepath.WalkDir(filepath.Join(dir, "whisper"), func(_ string, entry fs.DirEntry, err error) error {
				if err == nil && strings.HasSuffix(entry.Name(), ".wsp") {
					files++
				}
				return nil
			})
			return files == hosts*gauges, err
		})
}

func carbon(dir, program, section string, times int, ticks [styles]tick, settings string, done func(int) (bool, error)) (*part, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: examples/graphite/up --install", program, errMissing)
	}
	in, err := freePort()
	if err != nil {
		return nil, err
	}
	// The relay wants it as well.
	if err := os.WriteFile(filepath.Join(dir, "storage-schemas.conf"), []byte("[all]\npattern = .*\nretentions = 10s:1h\n"), 0o600); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "carbon.conf")
	text := fmt.Sprintf(`[%s]
USER =
STORAGE_DIR = %[2]s
LOCAL_DATA_DIR = %[2]s/whisper
CONF_DIR = %[2]s
LOG_DIR = %[2]s
PID_DIR = %[2]s
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = %d
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_PORT = 0
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
LOG_LISTENER_CONN_SUCCESS = False
%s`, section, dir, port(in), settings)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return &part{
		name: program, fed: "lines over TCP", ready: in, times: times,
		command: []string{path, "--config=" + config, "--logdir=" + dir, "--pidfile=" + filepath.Join(dir, "pid"), "--nodaemon", "start"},
		env:     []string{"PYTHONNOUSERSITE=1"},
		feed:    feedLines(in, ticks), done: done,
	}, nil
}

// feedLines sends the gauges as StatsD's Graphite backend does.
func feedLines(to net.Addr, ticks [styles]tick) func(int) error {
	begin := time.Now().Add(-time.Hour / 2)
	return func(number int) error {
		conn, err := net.Dial("tcp4", to.String())
		if err != nil {
			return err
		}
		defer conn.Close()
		out := bufio.NewWriter(conn)
		at := begin.Add(time.Duration(number) * interval).Unix()
		for i := range hosts {
			for _, datagram := range ticks[ours].of(i) {
				for line := range strings.SplitSeq(string(datagram), "\n") {
					name, value, _ := strings.Cut(strings.TrimSuffix(line, "|g"), ":")
					fmt.Fprintf(out, "stats.gauges.%s %s %d\n", name, value, at)
				}
			}
		}
		return out.Flush()
	}
}

// counter is what has come to sinks.
type counter struct{ lines, bytes atomic.Int64 }

// sinks listen where caches would.
func sinks(ctx context.Context) (addrs [2]net.Addr, out *counter, err error) {
	out = &counter{}
	for i := range addrs {
		addrs[i], err = listenTCP(ctx, func(conn net.Conn) {
			buf := make([]byte, 1<<18)
			for {
				n, err := conn.Read(buf)
				out.bytes.Add(int64(n))
				out.lines.Add(int64(bytes.Count(buf[:n], []byte("\n"))))
				if err != nil {
					return
				}
			}
		})
		if err != nil {
			return addrs, out, err
		}
	}
	return addrs, out, nil
}

// listenTCP serves connections until ctx ends.
func listenTCP(ctx context.Context, serve func(net.Conn)) (net.Addr, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				stop := context.AfterFunc(ctx, func() { conn.Close() })
				defer stop()
				serve(conn)
				io.Copy(io.Discard, conn)
			}()
		}
	}()
	return l.Addr(), nil
}

// freePort returns an address on which something else can listen, by TCP or by UDP.
func freePort() (net.Addr, error) {
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	return net.ResolveTCPAddr("tcp4", addr)
}
