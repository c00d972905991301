// Report makes a table and a picture of what ../run measured, both of them from
// what Graphite has, so of what went through the library and StatsD.
//
// It reads a line for each run from standard input, with tabs between the fields:
// Go release, round, first and last second (since 1970) of the load, prefix of
// the gauges, requests a second, requests that failed.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("report: ")
	web := flag.String("graphite", "", "`address` of graphite-web, such as http://127.0.0.1:8080")
	dir := flag.String("dir", ".", "`directory` for gc-pauses.png; a README.md there gets the table between its marks")
	note := flag.String("note", "", "`line` that says what was run, for below the table")
	flag.Parse()
	if err := report(graphite{*web}, os.Stdin, os.Stdout, *dir, *note); err != nil {
		log.Fatal(err)
	}
}

func report(g graphite, in io.Reader, out io.Writer, dir, note string) error {
	runs, err := readRuns(in)
	if err != nil {
		return err
	}
	for i := range runs {
		if err := g.measure(&runs[i]); err != nil {
			return err
		}
	}
	releases := byRelease(runs)
	text := table(releases)
	if note != "" {
		text += "\n" + note + "\n"
	}
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	picture, err := g.picture(releases)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "gc-pauses.png"), picture, 0o666); err != nil {
		return err
	}
	return intoPage(filepath.Join(dir, "README.md"), text)
}

// run is one Go release in one round.
type run struct {
	release  string
	round    int
	from, to int64 // seconds since 1970
	prefix   string
	requests float64 // a second
	failed   int

	measured
}

func readRuns(in io.Reader) ([]run, error) {
	var runs []run
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r run
		n, err := fmt.Sscanf(lines.Text(), "%s\t%d\t%d\t%d\t%s\t%g\t%d",
			&r.release, &r.round, &r.from, &r.to, &r.prefix, &r.requests, &r.failed)
		if err != nil {
			return nil, fmt.Errorf("line %d of the runs has %d good fields, want 7: %q", len(runs)+1, n, lines.Text())
		}
		runs = append(runs, r)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, errors.New("no run on standard input")
	}
	return runs, nil
}

// release is all rounds of one release.
type release struct {
	name string
	runs []run
}

// byRelease keeps the order in which the releases first come.
func byRelease(runs []run) []release {
	var all []release
	index := map[string]int{}
	for _, r := range runs {
		i, ok := index[r.release]
		if !ok {
			i = len(all)
			index[r.release] = i
			all = append(all, release{name: r.release})
		}
		all[i].runs = append(all[i].runs, r)
	}
	return all
}

const (
	begin = "<!-- measured -->\n"
	end   = "<!-- end measured -->\n"
)

// intoPage puts text between the marks of a page, if there is one.
func intoPage(file, text string) error {
	page, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q, between which the table belongs", file, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	var b bytes.Buffer
	b.WriteString(before + begin + text + end + after)
	return os.WriteFile(file, b.Bytes(), 0o666)
}
