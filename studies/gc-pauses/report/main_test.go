package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A second of a run: its time and the six gauges, in microseconds where they are
// times. An empty one is a flush that got lost.
type second struct{ at, pause, stopped, count, user, sys, stopping float64 }

var data = map[string][]second{
	"old.1": {
		{at: 99, pause: 9999, count: 1}, // before the load
		{100, 50, 1000, 10, 0, 0, 0},
		{101, 70, 1170, 12, 300, 100, 0}, // two collections, one of which shows
		{101.5, 0, 0, 0, 0, 0, 0},
		{103, 70, 1170, 12, 700, 200, 0}, // none
		{104, 30, 1200, 13, 1200, 400, 0},
		{105, 8888, 9999, 99, 9999, 9999, 9999}, // after it
	},
	"old.2": {
		{300, 1, 0, 0, 0, 0, 0},
		{301, 90, 90, 1, 400, 0, 0},
	},
	"new.1": {
		{200, 1, 0, 5, 0, 0, 8},
		{201, 1, 0, 5, 0, 0, 0},
		{202, 2, 40, 9, 100, 100, 7},
	},
}

const runs = "1.21.13\t1\t100\t104\told.1\t100\t0\n" +
	"1.26.0\t1\t200\t204\tnew.1\t200.5\t7\n" +
	"1.21.13\t2\t300\t304\told.2\t100\t0\n"

// Pauses of the old one: 70, 30 and 90 us, of 4 collections, which took 290 us in
// 5 s with 500 requests and 2000 us of CPU.
const want = heading +
	"| 1.21.13 | 100 | 4 | 72 | 70 (30, 90) | 90 | 90 | - | 58 | 4.0 |\n" +
	"| 1.26.0 | 200 | 4 | 10 | 2 (2) | 2 | 2 | 8 | 20 | 0.5 |\n" +
	"\nGo 1.26.0: 7 requests failed.\n" +
	"\nThe load was not the same for all: 100 to 200 requests/s. Something else was busy on the machine: run it again.\n"

func fakeGraphite(t *testing.T) (g graphite, targets *[]string) {
	targets = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		if r.Form.Get("format") == "png" {
			*targets = r.Form["target"]
			fmt.Fprint(w, "a picture")
			return
		}
		type series struct {
			Target     string        `json:"target"`
			Datapoints [][2]*float64 `json:"datapoints"`
		}
		var all []series
		for _, target := range r.Form["target"] {
			one := series{Target: target}
			name := strings.TrimPrefix(target, "stats.gauges.")
			for prefix, seconds := range data {
				gauge, ok := strings.CutPrefix(name, prefix+".")
				if !ok {
					continue
				}
				for _, s := range seconds {
					value := map[string]float64{
						"mem.gc.pause": s.pause * 1e3, "mem.gc.pause_total": s.stopped * 1e3, "mem.gc.count": s.count,
						"proc.cpu.user.ns": s.user * 1e3, "proc.cpu.sys.ns": s.sys * 1e3, "runtime.sched.pauses.stopping.gc.ns.upper": s.stopping * 1e3,
					}[gauge]
					at, v := s.at, &value
					if s.at != float64(int(s.at)) {
						at, v = s.at+0.5, nil
					}
					one.Datapoints = append(one.Datapoints, [2]*float64{v, &at})
				}
			}
			all = append(all, one)
		}
		if err := json.NewEncoder(w).Encode(all); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return graphite{server.URL}, targets
}

func TestReport(t *testing.T) {
	g, targets := fakeGraphite(t)
	dir := t.TempDir()
	page := filepath.Join(dir, "README.md")
	if err := os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds what the first wrote
		var out strings.Builder
		if err := report(g, strings.NewReader(runs), &out, dir, "as run"); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != want+"\nas run\n" {
			t.Errorf("the table is\n%s\nwant\n%s", got, want)
		}
		got, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "before\n"+begin+want+"\nas run\n"+end+"after\n" {
			t.Errorf("the page is\n%s", got)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "gc-pauses.png")); err != nil || string(got) != "a picture" {
		t.Errorf("the picture is %q, %v", got, err)
	}
	// From 304 back: three runs of 4 s, two releases, gaps of 3 s: from 280 on.
	wantTargets := []string{
		"timeSlice(scale(removeBelowValue(stats.gauges.old.1.mem.gc.pause,1),0.000001),'99','103'),'-183s'),'Go 1.21.13'),'#c51b7d'),1)",
		"timeSlice(scale(removeBelowValue(stats.gauges.old.2.mem.gc.pause,1),0.000001),'299','303'),'+12s'),'Go 1.21.13'),'#c51b7d'),1)",
		"timeSlice(scale(removeBelowValue(stats.gauges.new.1.mem.gc.pause,1),0.000001),'199','203'),'-96s'),'Go 1.26.0'),'#e6550d'),1)",
		"offset(scale(timeSlice(scale(removeBelowValue(stats.gauges.old.1.mem.gc.pause,1),0.000001),'99','103'),0),0.030),'-183s'),'Go 1.21.13'),'#c51b7d'),5)",
		"offset(scale(timeSlice(scale(removeBelowValue(stats.gauges.old.2.mem.gc.pause,1),0.000001),'299','303'),0),0.090),'+12s'),'Go 1.21.13'),'#c51b7d'),5)",
		"offset(scale(timeSlice(scale(removeBelowValue(stats.gauges.new.1.mem.gc.pause,1),0.000001),'199','203'),0),0.002),'-96s'),'Go 1.26.0'),'#e6550d'),5)",
	}
	for i := range wantTargets {
		wantTargets[i] = "lineWidth(color(alias(timeShift(" + wantTargets[i]
	}
	if !slices.Equal(*targets, wantTargets) {
		t.Errorf("drawn are\n%s\nwant\n%s", strings.Join(*targets, "\n"), strings.Join(wantTargets, "\n"))
	}
}

func TestReportErrors(t *testing.T) {
	g, _ := fakeGraphite(t)
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	unmarked := t.TempDir()
	if err := os.WriteFile(filepath.Join(unmarked, "README.md"), []byte("text"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		g             graphite
		in, dir, want string
	}{
		"nothing":          {g, "", t.TempDir(), "no run"},
		"a line cut short": {g, runs + "1.27.0\t1", t.TempDir(), "line 4 of the runs has 2 good fields, want 7"},
		"no points":        {g, "1.22.0\t1\t1\t9\tnobody\t1\t0\n", t.TempDir(), "round 1 with Go 1.22.0: of nobody.* Graphite has 0 points"},
		"no Graphite":      {graphite{broken.URL}, runs, t.TempDir(), "404 Not Found"},
		"no marks":         {g, runs, unmarked, "README.md has no lines"},
	} {
		t.Run(name, func(t *testing.T) {
			err := report(tt.g, strings.NewReader(tt.in), new(strings.Builder), tt.dir, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3, 6, 10, 8, 7, 9}
	for q, want := range map[float64]float64{0: 1, 0.1: 1, 0.5: 5, 0.9: 9, 0.91: 10, 1: 10} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if values[0] != 5 {
		t.Error("the values were sorted in place")
	}
}
