//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

// patience is how long what must happen is waited for.
const patience = 2 * time.Minute

// rig builds and runs Metricbeat and services, in a folder of its own.
type rig struct {
	ctx   context.Context
	dir   string
	ended sync.WaitGroup
	end   context.CancelFunc
}

// newRig builds the programs. The folder of the working directory is this one.
func newRig(ctx context.Context) (*rig, error) {
	dir, err := os.MkdirTemp("", "runtimemetrics-elastic-")
	if err != nil {
		return nil, err
	}
	r := &rig{dir: dir}
	r.ctx, r.end = context.WithCancel(ctx)
	build := exec.CommandContext(r.ctx, "go", "build", "-buildvcs=false", "-o", dir, "./metricbeat", "./service")
	if out, err := build.CombinedOutput(); err != nil {
		r.close()
		return nil, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return r, nil
}

// close ends whatever runs, and removes the folder.
func (r *rig) close() {
	r.end()
	r.ended.Wait()
	os.RemoveAll(r.dir)
}

// start runs a program until the context ends.
func (r *rig) start(ctx context.Context, stdout, stderr io.Writer, name string, args ...string) (ended <-chan struct{}, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.dir, name), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RUNTIMEMETRICS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	// It ends with this process, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	r.ended.Add(1)
	go func() {
		defer r.ended.Done()
		defer close(done)
		cmd.Wait()
	}()
	return done, nil
}

// event is what Metricbeat would write to Elasticsearch, its names joined by
// dots.
type event map[string]any

// number returns a field that is a number.
func (e event) number(field string) (float64, bool) {
	n, ok := e[field].(float64)
	return n, ok
}

// metricbeat is a Metricbeat that runs.
type metricbeat struct {
	statsd string // where it listens
	stop   func()

	mu     sync.Mutex
	events []event
	log    bytes.Buffer
	ended  <-chan struct{}
}

// metricbeat starts Metricbeat with module files as modules.d has them, each
// changed by an edit (old text, new text, and so on).
func (r *rig) metricbeat(edits map[string][]string) (*metricbeat, error) {
	home, err := os.MkdirTemp(r.dir, "metricbeat-")
	if err != nil {
		return nil, err
	}
	addr, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	m := &metricbeat{statsd: addr}
	if err := os.Mkdir(filepath.Join(home, "modules.d"), 0o755); err != nil {
		return nil, err
	}
	for file, edit := range edits {
		text, err := os.ReadFile(filepath.Join("modules.d", file))
		if err != nil {
			return nil, err
		}
		edit := append([]string{"port: 8125", "port: " + port, "period: 10s", "period: 1s"}, edit...)
		for i := 0; i < len(edit); i += 2 {
			if file == "golang.yml" && i == 0 {
				continue // it has no such port
			}
			if !bytes.Contains(text, []byte(edit[i])) {
				return nil, fmt.Errorf("modules.d/%s has no %q", file, edit[i])
			}
			text = bytes.ReplaceAll(text, []byte(edit[i]), []byte(edit[i+1]))
		}
		if err := os.WriteFile(filepath.Join(home, "modules.d", file), text, 0o600); err != nil {
			return nil, err
		}
	}
	config, err := os.ReadFile("metricbeat.yml")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(home, "metricbeat.yml"), config, 0o600); err != nil {
		return nil, err
	}

	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go m.read(out)
	ctx, stop := context.WithCancel(r.ctx)
	m.ended, err = r.start(ctx, in, m, "metricbeat", "--path.home="+home)
	in.Close()
	if err != nil {
		stop()
		return nil, err
	}
	m.stop = func() { stop(); <-m.ended }
	if _, statsd := edits["statsd.yml"]; !statsd {
		return m, nil
	}
	return m, m.wait("it listens", func() bool { return strings.Contains(m.logged(), "Started listening for UDP on: ") })
}

// read gathers the events, which are lines of JSON.
func (m *metricbeat) read(out *os.File) {
	defer out.Close()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var tree map[string]any
		if json.Unmarshal(line, &tree) != nil {
			continue // something else that a library prints
		}
		e := event{}
		flatten(e, "", tree)
		m.mu.Lock()
		m.events = append(m.events, e)
		m.mu.Unlock()
	}
}

func flatten(into event, before string, tree map[string]any) {
	for key, value := range tree {
		if inner, ok := value.(map[string]any); ok {
			flatten(into, before+key+".", inner)
		} else {
			into[before+key] = value
		}
	}
}

// Write takes what Metricbeat logs.
func (m *metricbeat) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(p)
}

func (m *metricbeat) logged() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.String()
}

// find returns the events so far that match.
func (m *metricbeat) find(match func(event) bool) []event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []event
	for _, e := range m.events {
		if match(e) {
			found = append(found, e)
		}
	}
	return found
}

// wait waits until done returns true.
func (m *metricbeat) wait(what string, done func() bool) error {
	for end := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-m.ended:
			return fmt.Errorf("metricbeat ended before %s:\n%s", what, m.logged())
		default:
		}
		if time.Now().After(end) {
			return fmt.Errorf("in %v this did not happen in metricbeat: %s\n%s", patience, what, m.logged())
		}
	}
	return nil
}

// service starts a service that pushes to a Metricbeat.
func (r *rig) service(m *metricbeat, args ...string) (stop func(), err error) {
	ctx, cancel := context.WithCancel(r.ctx)
	log := new(bytes.Buffer) // read when the service has ended
	ended, err := r.start(ctx, nil, log, "service", append([]string{
		"--statsd=" + m.statsd, "--metric-prefix=go", "--metric-runtime=default",
	}, args...)...)
	if err != nil {
		cancel()
		return nil, err
	}
	return func() { cancel(); <-ended }, nil
}
