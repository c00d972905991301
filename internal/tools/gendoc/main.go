// Command gendoc writes what stands in the code and in the documentation: the
// lists of gauges and flags, from the tables of the code. In a Markdown file they
// stand between marks, in a package comment they are the indented block below a
// certain line. With -check it writes nothing and fails if they differ, or if a link
// in a Markdown file leads nowhere.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/defaults"
	"github.com/runtimemetrics/runtimemetrics/internal/procstat"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
)

// pages are the files with marks, and the marks that each must have.
var pages = map[string][]string{
	"docs/configuration.md":                 {"flags"},
	"docs/gauges.md":                        {"gauges", "runtime", "process", "leaks", "numbers"},
	"examples/elastic/modules.d/statsd.yml": {"mappings"},
}

// comments are the files with blocks in their package comments, by the lines
// below which these stand.
var comments = map[string]map[string]func() string{
	"runtimemetrics.go": {
		"# Flags": func() string { return flagBlock(settings()) },
	},
	"collector/collector.go": {
		"CPU (EnableCPU):":                             func() string { return gaugeBlock("cpu.") },
		"Memory (EnableMem):":                          func() string { return gaugeBlock("mem.") },
		"Garbage collection (EnableMem and EnableGC):": func() string { return gaugeBlock("mem.gc.") },
		`The pattern "default" stands for these, so far as the running Go has them:`: defaultBlock,
	},
	"process/process.go": {
		"on other systems than Linux too, as described below.": processBlock,
	},
	"leaks/leaks.go": {
		"# Gauges": leaksBlock,
	},
}

func main() {
	runtimemetrics.Stop() // nothing is to be published from here
	flags := flag.NewFlagSet("gendoc", flag.ExitOnError)
	check := flags.Bool("check", false, "fail if the lists are not up to date, and write nothing")
	flags.Parse(os.Args[1:])
	log.SetFlags(0)
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "RUNTIMEMETRICS_") && name != "RUNTIMEMETRICS_E2E" {
			log.Fatalf("%s is set, and would be taken for a flag's default", name)
		}
	}
	stale := false
	update := func(file string, change func(text string) (string, error)) {
		old := source(file)
		text, err := change(old)
		if err != nil {
			log.Fatalf("%s: %v", file, err)
		}
		if text == old {
			return
		}
		if *check && strings.Contains(text, "With Go ") && !strings.Contains(old, "With Go "+release()+" ") {
			log.Printf("%s was made with another release than Go %s: not checked", file, release())
			return
		}
		stale = true
		if *check {
			log.Printf("%s is not up to date; run go generate", file)
		} else if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
	for file, marks := range pages {
		update(file, func(text string) (string, error) {
			for _, mark := range marks {
				if !strings.Contains(text, "<!-- "+mark+" -->") {
					return "", fmt.Errorf("the mark <!-- %s --> is missing", mark)
				}
			}
			for mark, list := range lists() {
				var err error
				if text, err = betweenMarks(text, mark, list); err != nil {
					return "", err
				}
			}
			return text, nil
		})
	}
	for file, blocks := range comments {
		update(file, func(text string) (string, error) {
			for line, block := range blocks {
				var err error
				if text, err = belowLine(text, line, block()); err != nil {
					return "", err
				}
			}
			return text, nil
		})
	}
	for _, dead := range deadLinks(".") {
		log.Print(dead)
		stale = true
	}
	if *check && stale {
		os.Exit(1)
	}
}

var (
	// link is one of Markdown's, to a file, to a heading of a file, or to one of its own.
	link = regexp.MustCompile(`\]\(([^)#: ]*)(#[^) ]*)?\)`)
	// What a heading's anchor leaves out.
	markup  = regexp.MustCompile(`\]\([^)]*\)`)
	dropped = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// deadLinks lists the links in the Markdown files below root that lead nowhere.
func deadLinks(root string) (dead []string) {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || path != root && strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		for _, match := range link.FindAllStringSubmatch(strings.Join(prose(path), "\n"), -1) {
			to := path
			if match[1] != "" {
				to = filepath.Join(filepath.Dir(path), filepath.FromSlash(match[1]))
			}
			_, err := os.Stat(to)
			if err != nil || filepath.Ext(to) == ".md" && match[2] != "" && !slices.Contains(anchors(to), match[2]) {
				dead = append(dead, fmt.Sprintf("%s: the link to %s leads nowhere", filepath.ToSlash(path), match[1]+match[2]))
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	return dead
}

// prose returns the lines of a Markdown file that are not code.
func prose(path string) (lines []string) {
	code := false
	for _, line := range strings.Split(source(path), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		} else if !code {
			lines = append(lines, line)
		}
	}
	return lines
}

// anchors returns what GitHub calls the headings of a Markdown file. The second of
// the same text has -1 at its end.
func anchors(path string) (all []string) {
	seen := map[string]int{}
	for _, line := range prose(path) {
		text := strings.TrimLeft(line, "#")
		if text == line || !strings.HasPrefix(text, " ") {
			continue
		}
		text = dropped.ReplaceAllString(markup.ReplaceAllString(text, ""), "")
		text = "#" + strings.ReplaceAll(strings.ToLower(strings.TrimSpace(text)), " ", "-")
		if n := seen[text]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", text, n))
		} else {
			all = append(all, text)
		}
		seen[text]++
	}
	return all
}

func source(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	return string(text)
}

// betweenMarks puts list between the marks of its name, if the text has them.
func betweenMarks(text, mark, list string) (string, error) {
	begin, end := "<!-- "+mark+" -->\n", "<!-- end "+mark+" -->"
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return text, nil
	}
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		return "", fmt.Errorf("%q has no %q", begin, end)
	}
	return before + begin + list + end + after, nil
}

// belowLine puts block into a comment, instead of the indented one that stands
// below a line of it.
func belowLine(text, line, block string) (string, error) {
	before, rest, ok := strings.Cut(text, "// "+line+"\n//\n")
	if !ok {
		return "", fmt.Errorf("there is no comment with the line %q", line)
	}
	if !strings.HasPrefix(rest, "//\t") {
		return "", fmt.Errorf("below the line %q there is no indented block", line)
	}
	for strings.HasPrefix(rest, "//\t") {
		_, rest, _ = strings.Cut(rest, "\n")
	}
	return before + "// " + line + "\n//\n" + block + rest, nil
}

// setting is a flag as the lists show it.
type setting struct{ name, def, help string }

// settings are the root package's settings, in the order of their table.
func settings() (all []setting) {
	for _, s := range registry.Settings() {
		all = append(all, setting{s.Name, s.Default, strings.ReplaceAll(s.Help, "`", "")})
	}
	return all
}

// flagTable lists flags in Markdown.
func flagTable(all []setting) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| flag | default | |\n|---|---|---|")
	for _, s := range all {
		def := ""
		if s.def != "" {
			def = "`" + s.def + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | %s | %s |\n", s.name, def, strings.ReplaceAll(s.help, "|", `\|`))
	}
	return b.String()
}

// flagBlock lists flags in a comment.
func flagBlock(all []setting) string {
	const indent, width = 25, 80
	var b strings.Builder
	for _, s := range all {
		text := s.help
		if s.def != "" {
			text += "; default " + s.def
		}
		line := fmt.Sprintf("%-*s", indent, "--"+s.name)
		for _, word := range strings.Fields(text) {
			if len(line)+len(word) > width && len(strings.TrimSpace(line)) > 0 && line[len(line)-1] != ' ' {
				fmt.Fprintf(&b, "//\t%s\n", line)
				line = strings.Repeat(" ", indent)
			}
			if line[len(line)-1] != ' ' {
				line += " "
			}
			line += word
		}
		fmt.Fprintf(&b, "//\t%s\n", line)
	}
	return b.String()
}

// gaugeBlock lists those of the 27 gauges whose names begin so, and with no
// longer prefix that has a block of its own.
func gaugeBlock(prefix string) string {
	var b strings.Builder
	for _, g := range collector.Gauges() {
		if strings.HasPrefix(g.Name, prefix) && (prefix == "mem.gc." || !strings.HasPrefix(g.Name, "mem.gc.")) {
			fmt.Fprintf(&b, "//\t%-23s %s %-5s  %s\n", g.Name, grows(g), g.Unit, g.Help)
		}
	}
	return b.String()
}

func defaultBlock() string {
	var b strings.Builder
	for _, m := range defaults.Metrics {
		fmt.Fprintf(&b, "//\t%-29s %s\n", m.Path, m.Help)
	}
	return b.String()
}

func processBlock() string {
	var b strings.Builder
	for i, g := range procstat.Gauges() {
		everywhere := "*"
		if procstat.OnLinuxOnly(i) {
			everywhere = " "
		}
		fmt.Fprintf(&b, "//\t%-34s%s%s %s\n", g.Name, grows(g), everywhere, g.Help)
	}
	return b.String()
}

func leaksBlock() string {
	var b strings.Builder
	for _, g := range leaks.Gauges() {
		fmt.Fprintf(&b, "//\t%-16s %s %s\n", g.Name, grows(g), g.Help)
	}
	return b.String()
}

func grows(g collector.Gauge) string {
	if g.Kind == collector.Cumulative {
		return "+"
	}
	return " "
}

func lists() map[string]string {
	return map[string]string{
		"flags":    flagTable(settings()),
		"gauges":   gaugeTable(collector.Gauges()),
		"process":  gaugeTable(procstat.Gauges()),
		"leaks":    gaugeTable(leaks.Gauges()),
		"runtime":  defaultTable(),
		"numbers":  numbers(),
		"mappings": mappings(),
	}
}

func gaugeTable(gauges []collector.Gauge) string {
	var b strings.Builder
	fmt.Fprintln(&b, "| gauge | unit | kind | meaning | from |\n|---|---|---|---|---|")
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
	fmt.Fprintln(&b, "| metric | gauges | meaning |\n|---|---|---|")
	for _, d := range defaults.Metrics {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.Path, "`"+strings.Join(namesOf(d.Path), "`<br>`")+"`", d.Help)
	}
	return b.String()
}

// namesOf returns the names of the gauges that a pattern makes.
func namesOf(pattern string) []string {
	var names []string
	c := collector.New(func(key string, _ uint64) { names = append(names, key) })
	c.EnableCPU, c.EnableMem, c.Runtime = false, false, []string{pattern}
	c.Collect()
	return names
}

// mappings lists all gauges as Metricbeat's statsd module wants them.
func mappings() string {
	own := func(gauges []collector.Gauge) (names []string) {
		for _, g := range gauges {
			names = append(names, g.Name)
		}
		return names
	}
	var b strings.Builder
	for _, part := range []struct {
		title string
		names []string
	}{
		{"The 27 that are always sent.", own(collector.Gauges())},
		{"With --metric-runtime: gauges of the library itself.", others},
		{"With Go " + release() + " and --metric-runtime=default.", namesOf("default")},
		{"With package process.", own(procstat.Gauges())},
		{"With package leaks.", own(leaks.Gauges())},
	} {
		fmt.Fprintf(&b, "    # %s\n", part.title)
		width := 0
		for _, name := range part.names {
			width = max(width, len(name))
		}
		for _, name := range part.names {
			fmt.Fprintf(&b, "    - {metric: go.%-*s value: {field: %s}}\n", width+1, name+",", name)
		}
	}
	return b.String() + "    # " // before the mark
}

// others are what the library knows of itself.
var others = []string{"runtimemetrics.ticks", "runtimemetrics.lost", "runtimemetrics.late.ns"}

// numbers tells how many series there are and what they cost in Graphite.
func numbers() string {
	// A whisper file is a header and 12 bytes a point, whatever it holds
	// (whisper.py: 16 bytes and 12 an archive, then the points).
	const points = 6*360 + 6*24*60 + 1800*144 // 10s:6h,1m:6d,10m:1800d
	const file = 16 + 3*12 + 12*points
	others := len(others)
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
		{"`all` and package process, in a container", base + all + others + len(procstat.Gauges())},
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
