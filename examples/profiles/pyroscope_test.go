//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/pprof/profile"
)

// pyroscopeServer receives what Pyroscope's client uploads. A server of Pyroscope's own
// is not to be had as a package.
type pyroscopeServer struct {
	mu      sync.Mutex
	uploads []upload
}

type upload struct {
	name    string
	text    []byte
	profile *profile.Profile
}

func (p *pyroscopeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		if r.Method != http.MethodPost || r.URL.Path != "/ingest" {
			return fmt.Errorf("%s %s", r.Method, r.URL)
		}
		file, _, err := r.FormFile("profile")
		if err != nil {
			return err
		}
		text, err := io.ReadAll(file)
		if err != nil {
			return err
		}
		decoded, err := profile.ParseData(text)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.uploads = append(p.uploads, upload{r.URL.Query().Get("name"), text, decoded})
		return nil
	}()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest) // which the client logs
	}
}

// sum adds up the uploads that have a type of sample: by functions of the program
// that have a part in it, their callees included.
func (p *pyroscopeServer) sum(sampleType string) (functions map[string]int64, total int64, uploads []upload) {
	p.mu.Lock()
	defer p.mu.Unlock()
	functions = map[string]int64{}
	for _, u := range p.uploads {
		for i, typ := range u.profile.SampleType {
			if typ.Type != sampleType {
				continue
			}
			uploads = append(uploads, u)
			for _, sample := range u.profile.Sample {
				total += sample.Value[i]
				seen := map[string]bool{}
				for _, line := range lines(sample) {
					if name := line.Function.Name; strings.HasPrefix(name, "main.") && !seen[name] {
						seen[name] = true
						functions[name] += sample.Value[i]
					}
				}
			}
		}
	}
	return functions, total, uploads
}

// TestPyroscope goes from the curve to the flame graph: ab makes the load, the gauges
// rise, and what Pyroscope's client uploads names the function.
func TestPyroscope(t *testing.T) {
	if _, err := exec.LookPath("ab"); err != nil {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal("ab is not installed, and RUNTIMEMETRICS_E2E=required")
		}
		t.Skip("SKIPPED: ab is not installed: 'make deps' installs it")
	}
	var server pyroscopeServer
	l := httptest.NewServer(&server)
	defer l.Close()
	s := start(t, "--pyroscope="+l.URL, "--pyroscope-every=1s")
	s.eventually("there are uploads", func() bool { _, _, uploads := server.sum("cpu"); return len(uploads) > 1 })
	if functions, _, _ := server.sum("cpu"); functions["main.search"] > 0 {
		t.Errorf("without a request, there are %v", functions)
	}
	before := s.tick()

	const requests = 2000
	out, err := exec.CommandContext(ctx, "ab", "-q", "-k", "-n", fmt.Sprint(requests), "-c", "8", s.public+"/search").CombinedOutput()
	if err != nil {
		t.Fatalf("ab: %v\n%s", err, out)
	}
	for _, line := range []string{fmt.Sprintf("Complete requests:      %d\n", requests), "Failed requests:        0\n"} {
		if !strings.Contains(string(out), line) {
			t.Errorf("ab does not say %q, but:\n%s", line, out)
		}
	}
	const allocated, collected = "go.mem.total", "go.mem.gc.count"
	after := s.until("the curves rise", func(g map[string]int64) bool {
		return g[allocated] > before[allocated]+requests*4096 && g[collected] > before[collected]
	})
	for _, gauge := range []string{allocated, collected, forced} {
		t.Logf("%s: %d, then %d", gauge, before[gauge], after[gauge])
	}
	if after[forced] > 0 {
		t.Errorf("%d collections were forced", after[forced])
	}

	for _, sampleType := range []string{"cpu", "alloc_space"} {
		var functions map[string]int64
		var total int64
		var uploads []upload
		s.eventually(sampleType+" is uploaded, and no other function of the program has a quarter as much as main.search", func() bool {
			functions, total, uploads = server.sum(sampleType)
			for other, has := range functions {
				if other != "main.search" && 4*has > functions["main.search"] {
					return false
				}
			}
			return functions["main.search"] > 0
		})
		for _, u := range uploads {
			if !strings.HasPrefix(u.name, "profiles{") {
				t.Errorf("an upload is called %s", u.name)
			}
		}
		t.Logf("%s: %d uploads, %d in all, %v", sampleType, len(uploads), total, functions)
		largest := uploads[0]
		for _, u := range uploads {
			if len(u.profile.Sample) > len(largest.profile.Sample) {
				largest = u
			}
		}
		t.Logf("%s\n%s", largest.name, goTool(t, "pprof", "-top", "-cum", "-nodecount=8", "-sample_index="+sampleType, s.write(sampleType, largest.text)))
	}

	if strings.Contains(s.logged(), "pyroscope: ") {
		t.Error("Pyroscope's client reports errors")
	}

	// One CPU profile at a time: its own is refused meanwhile, but for the moment
	// between two of the client's. Then it is the client's that is.
	s.eventually("a CPU profile is refused", func() bool {
		response, err := http.Get(s.admin + "/debug/pprof/profile?seconds=1")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		why, _ := io.ReadAll(response.Body)
		return response.StatusCode == http.StatusInternalServerError && strings.Contains(string(why), "cpu profiling already in use")
	})
}

// TestPyroscopeIsAway has the service and its gauges go on where no server is.
func TestPyroscopeIsAway(t *testing.T) {
	l := httptest.NewServer(http.NotFoundHandler())
	l.Close()
	s := start(t, "--pyroscope="+l.URL, "--pyroscope-every=1s")
	s.eventually("the log says so", func() bool { return strings.Contains(s.logged(), "pyroscope: ") })
	s.http("GET", s.public+"/search", http.StatusOK)
	s.tick()
}
