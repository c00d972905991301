package outages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// hangs starts a resolver that answers nothing, in a network namespace, since the C
// library asks at port 53 only. What is to wrap a program makes it the system's: a
// question is asked for two minutes by the C library, four times from one socket, and
// for longer by Go, which takes a new socket for the second time.
func hangs(t *testing.T) (n *harness.Namespace, dns *harness.Resolver, wrapper []string) {
	t.Helper()
	n = harness.NewNamespace(t)
	n.Do(func() { dns = harness.ResolveAt(t, "127.0.0.1:53") })
	dns.Silence()
	etc := t.TempDir()
	for name, text := range map[string]string{
		"resolv.conf":   "nameserver 127.0.0.1\noptions timeout:300 attempts:4\n",
		"nsswitch.conf": "hosts: files dns\n",
		"hosts":         "127.0.0.1 localhost\n",
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wrapper = []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /etc && cp "$0"/* /etc && exec "$@"`, etc}
	if out, err := exec.Command(wrapper[0], append(wrapper[1:], "true")...).CombinedOutput(); err != nil {
		t.Skipf("no mount namespace of our own: %v: %s", err, out)
	}
	return n, dns, wrapper
}

// count returns how many threads and descriptors a process has.
func count(t *testing.T, p *harness.Process) (threads, descriptors int) {
	t.Helper()
	for dir, n := range map[string]*int{"task": &threads, "fd": &descriptors} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", p.PID(), dir))
		if err != nil {
			t.Fatal(err)
		}
		*n = len(entries)
	}
	return threads, descriptors
}

// Both resolvers that a program may have. A lookup of the C library cannot be
// cancelled, holds a thread, and ends when the library gives up.
var resolvers = map[string]struct {
	env     string
	askers  int  // sockets of one lookup
	threads bool // a lookup holds one
}{
	"the C library's": {"GODEBUG=netdns=cgo", 1, true},
	"Go's":            {"GODEBUG=netdns=go", 2, false}, // one for each kind of address
}

func TestAResolverThatHangsIsAskedOnceAndCostsNothingMore(t *testing.T) {
	t.Parallel()
	for name, resolver := range resolvers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, dns, wrapper := hangs(t)
			p := n.Start(harness.Host{Program: "service", Race: true, Wrapper: wrapper, Env: []string{resolver.env},
				Args: []string{"--metric-prefix=svc", "--pause=100ms", "--statsd=statsd.test"}})
			harness.Eventually(t, "the resolver is asked", func() bool { return dns.Asked() >= 2 })
			waitTicks(t, p, 20)
			threads, descriptors := count(t, p)
			// Long enough for the line about it, 20 s, and by far for another lookup.
			line := p.WaitLog("fails")
			waitTicks(t, p, ticks(t, p)+20)
			threadsNow, descriptorsNow := count(t, p)
			t.Logf("%d threads, %d descriptors, then %d and %d; %d questions from %d sockets; logged:\n%s",
				threads, descriptors, threadsNow, descriptorsNow, dns.Asked(), dns.Askers(), line)
			if n := dns.Askers(); n > resolver.askers {
				t.Errorf("the resolver was asked from %d sockets, want the %d of one lookup", n, resolver.askers)
			}
			if descriptorsNow > descriptors {
				t.Errorf("the number of descriptors grew from %d to %d", descriptors, descriptorsNow)
			}
			// The Go runtime may start some meanwhile, for whatever it does.
			if threadsNow > threads+5 {
				t.Errorf("the number of threads grew from %d to %d", threads, threadsNow)
			}
			if want := "the lookup of statsd.test has had no answer for 20s"; !strings.HasSuffix(line, want) {
				t.Errorf("the library logged %q, want %q at its end", line, want)
			}
			if log := complaints(p); len(log) != 1 {
				t.Errorf("the library logged %q, want one line", log)
			}
			if got := p.Do("stop"); got != "ok" {
				t.Errorf("Stop: %s", got)
			}
			p.End()
		})
	}
}

func TestEachStartWhileAResolverHangsAddsNoLookup(t *testing.T) {
	t.Parallel()
	for name, resolver := range resolvers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, dns, wrapper := hangs(t)
			p := n.Start(harness.Host{Program: "console", Race: true, Wrapper: wrapper, Env: []string{resolver.env}})
			for range 20 {
				if got := p.Do("start StatsD=statsd.test Pause=100ms"); got != "ok" {
					t.Fatal(got)
				}
				harness.Eventually(t, "the resolver is asked", func() bool { return dns.Asked() >= resolver.askers })
				if got := p.Do("stop"); got != "ok" {
					t.Fatal(got)
				}
			}
			threads, descriptors := count(t, p)
			t.Logf("%d threads, %d descriptors; %d questions from %d sockets", threads, descriptors, dns.Asked(), dns.Askers())
			if n := dns.Askers(); n > resolver.askers {
				t.Errorf("the resolver was asked from %d sockets, want the %d of one lookup", n, resolver.askers)
			}
			p.End()
		})
	}
}

func TestTheLineAboutALookupThatIsSlowAndFailsSaysWhyItFailed(t *testing.T) {
	t.Parallel()
	dns := harness.Resolve(t)
	dns.Silence()
	p := service(t, "--dns="+dns.Addr, "--statsd="+harness.Name)
	waitTicks(t, p, 5) // all without an answer; package net asks again after some seconds
	if log := complaints(p); len(log) > 0 {
		t.Errorf("while nothing is known yet, the library logged %q", log)
	}
	dns.Answer()
	if line := p.WaitLog("fails"); !strings.Contains(line, "no such host") {
		t.Errorf("the library logged %q, want the resolver's answer", line)
	}
	waitTicks(t, p, ticks(t, p)+20)
	if log := complaints(p); len(log) != 1 {
		t.Errorf("the library logged %q, want one line", log)
	}
	p.End()
}
