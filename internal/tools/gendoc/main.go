// Command gendoc writes the lists of gauges that stand in README.md and
// docs/gauges.md, between marks, from the tables of the code. With -check it
// writes nothing and fails if they differ.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/defaults"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	process "github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

func main() {
	check := flag.Bool("check", false, "fail if the lists are not up to date, and write nothing")
	flag.Parse()
	log.SetFlags(0)
	stale := false
	for _, file := range []string{"README.md", "docs/gauges.md"} {
		old, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		text := string(old)
		for mark, list := range lists() {
			text = replace(text, mark, list)
		}
		if text == string(old) {
			continue
		}
		if *check && strings.Contains(text, "With Go ") && !strings.Contains(string(old), "With Go "+release()+" ") {
			log.Printf("%s was made with another release than Go %s: not checked", file, release())
			continue
		}
		stale = true
		if *check {
			log.Printf("%s is not up to date; run go generate", file)
		} else if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	if *check && stale {
		os.Exit(1)
	}
}

// replace puts list between the marks of its name, if the text has them.
func replace(text, mark, list string) string {
	begin, end := "<!-- "+mark+" -->\n", "<!-- end "+mark+" -->"
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return text
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		log.Fatalf("%q has no %q", begin, end)
	}
	return before + begin + list + end + after
}

func lists() map[string]string {
	return map[string]string{
		"gauges":  gaugeTable(collector.Gauges()),
		"process": gaugeTable(process.Gauges()),
		"leaks":   gaugeTable(leaks.Gauges()),
		"runtime": defaultTable(),
		"numbers": numbers(),
	}
}

func gaugeTable(gauges []collector.Gauge) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| gauge | unit | kind | what it tells | from |\n|---|---|---|---|---|")
	for _, g := range gauges {
		unit := g.Unit
		if unit == "" {
			unit = "count"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", g.Name, unit, g.Kind, g.Help, g.Source)
	}
	return b.String()
}

// defaultTable lists what --metric-runtime=default publishes, with the names of
// the gauges as this Go makes them.
func defaultTable() string {
	var b strings.Builder
	fmt.Fprintln(&b, "| metric | gauges | what it tells |\n|---|---|---|")
	for _, d := range defaults.Metrics {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.Path, strings.Join(namesOf(d.Path), "<br>"), d.Help)
	}
	return b.String()
}

// namesOf returns the names of the gauges that a pattern makes.
func namesOf(pattern string) []string {
	var names []string
	c := collector.New(func(key string, _ uint64) { names = append(names, "`"+key+"`") })
	c.EnableCPU, c.EnableMem, c.Runtime = false, false, []string{pattern}
	c.Collect()
	return names
}

// numbers tells how many series there are and what they cost in Graphite.
func numbers() string {
	// A whisper file is a header and 12 bytes a point, whatever it holds
	// (whisper.py: 16 bytes and 12 an archive, then the points).
	const points = 6*360 + 6*24*60 + 1800*144 // 10s:6h,1m:6d,10m:1800d
	const file = 16 + 3*12 + 12*points
	const others = 3 // runtimemetrics.ticks, .lost, .late.ns
	base, curated, all := len(collector.Gauges()), len(namesOf("default")), len(namesOf("all"))
	var b strings.Builder
	fmt.Fprintf(&b, "With Go %s (%d metrics, /godebug left out), each process sends:\n\n", release(), metricsBut("/godebug/"))
	fmt.Fprintln(&b, "| | gauges | whisper files |\n|---|---|---|")
	for _, row := range []struct {
		name string
		n    int
	}{
		{"by default", base},
		{"`--metric-runtime=default`", base + curated + others},
		{"`--metric-runtime=all`", base + all + others},
		{"`all` and package process, in a container", base + all + others + len(process.Gauges())},
	} {
		fmt.Fprintf(&b, "| %s | %d | %.0f MB |\n", row.name, row.n, float64(row.n)*file/1e6)
	}
	fmt.Fprintf(&b, "\nA whisper file is as large as its retentions say, from the first point on: %.2f MB with `10s:6h,1m:6d,10m:1800d`.\n", float64(file)/1e6)
	return b.String()
}

// release returns the release of the running Go, such as "1.26".
func release() string {
	parts := strings.SplitN(strings.TrimPrefix(runtime.Version(), "go"), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func metricsBut(prefix string) (n int) {
	for _, d := range metrics.All() {
		if !strings.HasPrefix(d.Name, prefix) {
			n++
		}
	}
	return n
}
