package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFaultsOfARealProgramAreFound switches on the faults of examples/profiles. Each
// of its ticks, of which there are ten in a second, counts as three seconds, so that
// minutes pass in a little while; shares and medians are what they are.
func TestFaultsOfARealProgramAreFound(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the program is ended by a signal")
	}
	program := filepath.Join(t.TempDir(), "profiles")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = "../profiles"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	f := newFeed()
	ticks := 0
	go func() {
		for buf := make([]byte, 1<<16); ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			f.after(3 * time.Second)
			f.add(f.now, netipPort(7), f.p.parse(string(slices.Clone(buf[:n]))))
			ticks++
			mu.Unlock()
		}
	}()
	defer conn.Close()

	cmd := exec.Command(program, "--addr=127.0.0.1:0", "--admin=127.0.0.1:0", "--statsd="+conn.LocalAddr().String(),
		"--metric-prefix=go.a", "--metric-runtime=default", "--metric-packet-size=65507", "--pause=100ms")
	cmd.Env = append(os.Environ(), "RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS=true")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	var admin string
	for text, buf := "", make([]byte, 4096); admin == ""; {
		n, err := log.Read(buf)
		if err != nil {
			t.Fatalf("it has ended: %s", text)
		}
		text += string(buf[:n])
		if _, rest, ok := strings.Cut(text, "admin: "); ok {
			if line, _, whole := strings.Cut(rest, "\n"); whole {
				admin = line
			}
		}
	}
	go io.Copy(io.Discard, log)

	found := func() (text string, at int) {
		mu.Lock()
		defer mu.Unlock()
		if len(f.services) == 0 {
			return "", 0
		}
		return f.found("go.a"), ticks
	}
	// A fault lasts a minute, or until it is switched off.
	ask := func(method, fault string) {
		r, err := http.NewRequest(method, admin+"/faults/"+fault, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	wait := func(what string, faults []string, ok func(text string, at int) bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
			for _, fault := range faults {
				ask("POST", fault)
			}
			text, at := found()
			if ok(text, at) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain: %s; found is %q after %d ticks", what, text, at)
			}
		}
	}

	const warm = 130 // ticks: six minutes and a half
	wait("it has warmed up", nil, func(text string, at int) bool {
		if strings.Contains(text, "Leak") {
			t.Fatalf("after %d ticks: %s", at, text)
		}
		return at > warm
	})
	for _, fault := range []struct {
		names []string
		want  []string
	}{
		{[]string{"goroutines", "heap"}, []string{"RuntimemetricsGoroutineLeak: The least number of goroutines has risen for ", "RuntimemetricsHeapLeak: The heap's floor has risen for "}},
		{[]string{"scheduler"}, []string{"RuntimemetricsSchedulerSaturation: Goroutines wait "}},
	} {
		_, began := found()
		for _, want := range fault.want {
			wait(want, fault.names, func(text string, at int) bool {
				if !strings.Contains(text, want) {
					return false
				}
				t.Logf("%s: after %s of the page's time, %q", fault.names, time.Duration(at-began)*3*time.Second, text)
				return true
			})
		}
		for _, name := range fault.names {
			ask("DELETE", name)
		}
	}
}
