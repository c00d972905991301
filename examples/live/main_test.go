package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
)

// giveUp is how long a test waits for what must happen; it says nothing about
// how long that takes.
const giveUp = 2 * time.Minute

// live is a running command.
type live struct {
	page   string // URL
	statsd string // host:port
	out    []string
	stop   func() // Ctrl-C, and waits
}

// start runs the command on free ports, until the test ends.
func start(t *testing.T, cfg config) *live {
	t.Helper()
	if cfg.listen == "" {
		cfg.listen = "127.0.0.1:0"
	}
	if cfg.statsd == "" {
		cfg.statsd = "127.0.0.1:0"
	}
	cfg.publish.Prefix, cfg.publish.Pause, cfg.publish.Runtime = samplePrefix, time.Second, []string{"default"}
	cfg.publish.Logf = func(string, ...any) {}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	r, w := io.Pipe()
	go func() {
		err := run(ctx, cfg, w)
		w.CloseWithError(err)
		ended <- err
	}()
	l := &live{}
	l.stop = func() {
		if l.stop = func() {}; true {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(giveUp):
				t.Error("Ctrl-C has not ended it")
			}
		}
	}
	t.Cleanup(func() { l.stop() })

	lines := bufio.NewScanner(r)
	for lines.Scan() {
		l.out = append(l.out, lines.Text())
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 1 && fields[0] == "Open":
			l.page = fields[1]
		case len(fields) > 2 && fields[0] == "StatsD":
			l.statsd = fields[2]
		case strings.HasPrefix(lines.Text(), "Ctrl-C"):
			go io.Copy(io.Discard, r)
			return l
		}
	}
	t.Fatalf("it has not started: %v", lines.Err())
	return nil
}

// get asks the API.
func (l *live) get(t *testing.T) (a struct {
	Services []serviceInfo
	Shown    *struct{ ID string }
}) {
	t.Helper()
	resp, err := http.Get(l.page + "/api")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

// eventually waits until ok, which is asked again and again.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(giveUp); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func TestTheSampleServiceIsSeen(t *testing.T) {
	l := start(t, config{sample: true})
	eventually(t, "the sample service and its own gauges", func() bool {
		a := l.get(t)
		return len(a.Services) == 1 && a.Services[0].ID == samplePrefix && a.Services[0].Gauges > len(known)+3
	})
	want(t, l.get(t).Shown.ID, samplePrefix)
	l.stop()
	if _, err := http.Get(l.page); err == nil {
		t.Error("the page is still served after Ctrl-C")
	}
	if err := runtimemetrics.Start(runtimemetrics.Config{StatsD: l.statsd}); err != nil {
		t.Errorf("the library has not been stopped: %v", err)
	}
	runtimemetrics.Stop()
}

func TestWithoutSampleThereIsNothingUntilSomebodyPushes(t *testing.T) {
	l := start(t, config{})
	want(t, len(l.get(t).Services), 0)
	push(t, l, "go.web1.cpu.goroutines:3|g")
	eventually(t, "the service that pushed", func() bool { return len(l.get(t).Services) == 1 })
	want(t, l.get(t).Services[0].ID, "go.web1")
}

func push(t *testing.T, l *live, text string) {
	t.Helper()
	conn, err := net.Dial("udp", l.statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestATakenPortIsReplacedUnlessItWasAskedFor(t *testing.T) {
	l := start(t, config{})
	taken := config{listen: strings.TrimPrefix(l.page, "http://"), statsd: l.statsd}

	other := start(t, taken)
	if other.page == l.page || other.statsd == l.statsd {
		t.Errorf("two of them on %s and %s", l.page, l.statsd)
	}
	if text := strings.Join(other.out, "\n"); strings.Count(text, " is taken") != 2 {
		t.Errorf("it does not say so:\n%s", text)
	}

	for _, given := range []func(*config){
		func(c *config) { c.listenGiven = true },
		func(c *config) { c.statsdGiven = true },
	} {
		cfg := taken
		given(&cfg)
		ctx, cancel := context.WithTimeout(context.Background(), giveUp)
		if err := run(ctx, cfg, io.Discard); err == nil {
			t.Errorf("no error for %+v", cfg)
		}
		cancel()
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	l := start(t, config{})
	for _, path := range []string{"/", "/page.js", "/chart.js", "/format.js", "/page.css", "/icon.svg"} {
		resp, err := http.Get(l.page + path)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		want(t, resp.StatusCode, 200)
		want(t, resp.Header.Get("Content-Security-Policy"), "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		for _, word := range []string{"https://", "//cdn", "@import", "url(h"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s mentions %s", path, word)
			}
		}
	}
}
