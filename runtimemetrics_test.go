package runtimemetrics

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestEverybodyAtOnce has a hundred goroutines do all that a program can do, in any
// order: for a second, or for as long as the environment variable STRESS says.
func TestEverybodyAtOnce(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("STRESS"))
	if err != nil {
		length = time.Second
	}
	server := listen(t, "127.0.0.1:0")
	before := runtime.NumGoroutine()
	p := newPublisher(env())
	p.opts.changed = p.flagSet
	var all sync.WaitGroup
	end := time.Now().Add(length)
	for i := 0; i < 100; i++ {
		all.Add(1)
		i, random := i, rand.New(rand.NewSource(int64(i)))
		go func() {
			defer all.Done()
			for time.Now().Before(end) {
				switch random.Intn(6) {
				case 0:
					cfg := Config{StatsD: server.LocalAddr().String(), Pause: minPause, Logf: func(string, ...any) {}}
					if random.Intn(2) == 0 {
						cfg.Prefix = "other"
					}
					_ = p.start(cfg)
				case 1:
					if random.Intn(10) == 0 {
						p.stop()
					}
				case 2, 3:
					unregister := p.register(func(t *Tick) {
						t.Gauge(fmt.Sprint("level.", i), 1)
						switch random := time.Now().UnixNano() % 100; random {
						case 0:
							panic("a source")
						case 1:
							runtime.Goexit()
						case 2:
							time.Sleep(5 * time.Millisecond)
						}
					})
					time.Sleep(time.Duration(random.Intn(10)) * time.Millisecond)
					unregister()
				case 4:
					option := p.opts.list[[]int{pauseFlag, prefixFlag, cpuFlag, publishFlag}[random.Intn(4)]]
					_ = option.Set(map[string]string{"pause": "100ms", "metric-prefix": fmt.Sprint("p", random.Intn(3)), "cpu": "off", "publish-runtime-stats": fmt.Sprint(random.Intn(5) > 0)}[option.Name])
				case 5:
					time.Sleep(time.Duration(random.Intn(30)) * time.Millisecond)
				}
			}
		}()
	}
	all.Wait()
	p.stop()
	eventually(t, "all goroutines end", func() bool { return runtime.NumGoroutine() <= before })
	if n := len(p.registered()); n > 0 {
		t.Errorf("%d sources remain", n)
	}
}

// TestWhatIsOffComesToRest has nothing to publish, and a flag that is set: when Start
// has found that, or when the automatic session has no time to look before Start is
// called.
func TestWhatIsOffComesToRest(t *testing.T) {
	for name, before := range map[string]bool{"a flag is set after Start": false, "a flag is set just before Start": true} {
		t.Run(name, func(t *testing.T) {
			p := newPublisher(env("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false"))
			p.opts.changed = p.flagSet
			defer p.stop()
			set := func() {
				if err := p.opts.list[pauseFlag].Set("1s"); err != nil {
					t.Fatal(err)
				}
			}
			automatic := p.newSession(&Config{})
			if before {
				p.byItself, p.session = true, automatic
				set()
			}
			if err := p.start(Config{StatsD: "127.0.0.1:9", Logf: t.Logf}); err != nil {
				t.Fatal(err)
			}
			if before {
				automatic.main(nil, true, nil)
			} else {
				set()
			}
			eventually(t, "no session is left", func() bool {
				p.mu.Lock()
				defer p.mu.Unlock()
				return p.session == nil
			})
		})
	}
}

// TestWhatIsOffComesToRestByItself is a program without Start.
func TestWhatIsOffComesToRestByItself(t *testing.T) {
	for _, tt := range []struct {
		name   string
		server string
		age    time.Duration // of the program
		parsed bool
	}{
		{"flags are parsed late, with a server in the environment", "127.0.0.1:9", time.Minute / 2, true},
		{"a flag is set when the flags have been parsed", "", time.Minute / 2, true},
		{"a flag is set in a program that never parses", "", 2 * hintAfter, false},
		{"a flag is set in such a program, with a server in the environment", "127.0.0.1:9", 2 * hintAfter, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPublisher(env("RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS", "false", "RUNTIMEMETRICS_STATSD", tt.server))
			p.began = p.began.Add(-tt.age)
			p.parsed = func() bool { return tt.parsed }
			p.opts.changed = p.flagSet
			defer p.stop()
			p.begin(&Config{})
			for i := 0; i < 3; i++ {
				if err := p.opts.list[pauseFlag].Set("1s"); err != nil {
					t.Fatal(err)
				}
				eventually(t, "no session is left", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return p.session == nil
				})
			}
		})
	}
}

// TestTheSessionEndsInSpiteOfASlowReader has a unix socket whose reader takes a
// datagram now and then, so that no write fails and each takes long. All of a tick
// and its zeros would take it half a minute.
func TestTheSessionEndsInSpiteOfASlowReader(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" || runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("there are no unix datagram sockets on " + runtime.GOOS)
	}
	dir, err := os.MkdirTemp("", "rm") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := newPublisher(env())
	p.register(func(t *Tick) {
		for i := 0; i < 1000; i++ {
			t.Gauge(fmt.Sprintf("n%d", i), 1)
		}
	})
	if err := p.start(Config{StatsD: "unix://" + path, Prefix: "p", Pause: time.Hour, PacketSize: 256, Logf: t.Logf}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1<<16)
	if _, err := server.Read(buf); err != nil { // it is at work
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
				server.Read(buf)
			}
		}
	}()
	session := p.session
	p.stop()
	select {
	case <-session.done:
	case <-time.After(12 * time.Second):
		t.Error("the session waits for the reader")
	}
}
