// Coverage reads a profile of go test -coverprofile and prints, for each package,
// the share of its statements that tests ran, then the functions in which some
// were not, each with the reason. It fails if less than 90 % of all ran. A
// function without a reason only stands out: who comes first, and which cgroups
// there are, is different on each machine.
//
//	go run ./internal/tools/coverage profile
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path"
	"sort"
	"strings"
)

const (
	module = "github.com/runtimemetrics/runtimemetrics/"
	least  = 90 // percent
)

const (
	elsewhere = "runs in programs that tests start, which this does not count: tests/"
	race      = "depends on who comes first; covered in some runs"
	kernel    = "an error that the system has no reason to report"
	future    = "for a Go release that takes something away"
	newer     = "with Go 1.27 and later only, by make releases"
)

// reasons tell, by file and function, why statements are not run.
var reasons = map[string]string{
	"collector.go tick":                         race,
	"collector.go loop":                         "with a name that does not resolve within a second; " + race,
	"collector/histogram.go quantile":           "rounding of more than 2^53 events",
	"collector/histogram.go upper":              "counts that disagree with their sum",
	"collector/memstats.go valueOf":             future,
	"internal/procstat/cgroup_linux.go findCPU": "no such controller on the machine",
	"internal/procstat/parse.go millicores":     "a quota of 0, which the kernel refuses to set",
	"leaks/check.go cannot":                     newer,
	"leaks/check.go check":                      newer,
	"leaks/profile.go frames":                   newer,
	"leaks/profile.go isMain":                   newer,
	"process/process.go init":                   "the tick itself: " + elsewhere + "process",
	"process/catalogue/catalogue.go Gauges":     "dashboards, docs",
	"register.go String":                        kernel,
	"runtimemetrics.go init":                    elsewhere + "hosts; in a test nothing starts by itself",
	"runtimemetrics.go ended":                   race,
	"runtimemetrics.go startAgain":              elsewhere + "hosts",
	"statsd.go Close":                           "never called; a statsd.Sender has one",
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run ./internal/tools/coverage profile")
	}
	profile, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	defer profile.Close()
	packages, err := parse(profile)
	if err != nil {
		log.Fatal(err)
	}
	var names []string
	for name := range packages {
		names = append(names, name)
	}
	sort.Strings(names)
	var all share
	for _, name := range names {
		p := packages[name]
		fmt.Printf("%5.1f %%  %s\n", p.percent(), name)
		all.ran, all.all = all.ran+p.ran, all.all+p.all
	}
	fmt.Printf("%5.1f %%  of all\n", all.percent())

	functions, err := exec.Command("go", "tool", "cover", "-func="+os.Args[1]).Output()
	if err != nil {
		log.Fatalf("go tool cover: %v", err)
	}
	fmt.Println("\nNot all statements ran of:")
	for _, line := range strings.Split(string(functions), "\n") {
		fields := strings.Fields(line) // module/file.go:line: function percent
		if len(fields) != 3 || fields[2] == "100.0%" || fields[0] == "total:" {
			continue
		}
		file, _, _ := strings.Cut(strings.TrimPrefix(fields[0], module), ":")
		reason := reasons[file+" "+fields[1]]
		if reason == "" {
			reason = "NOBODY KNOWS WHY: add a test, or the reason to internal/tools/coverage"
		}
		fmt.Printf("%6s  %s %s: %s\n", fields[2], file, fields[1], reason)
	}
	if all.percent() < least {
		log.Fatalf("\nless than %d %% of all statements ran", least)
	}
}

// share counts statements.
type share struct{ ran, all int }

func (s share) percent() float64 {
	if s.all == 0 {
		return 100
	}
	return 100 * float64(s.ran) / float64(s.all)
}

// parse returns the shares by package. Where packages are covered by the tests
// of several, the profile has each block once for each of them.
func parse(profile io.Reader) (map[string]share, error) {
	type block struct{ statements, count int }
	blocks := map[string]block{}
	lines := bufio.NewScanner(profile)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "mode: ") {
		return nil, errors.New("not a profile: its first line must begin with \"mode: \"")
	}
	for lines.Scan() {
		place, numbers, _ := strings.Cut(lines.Text(), " ")
		var b block
		if _, err := fmt.Sscan(numbers, &b.statements, &b.count); err != nil {
			return nil, fmt.Errorf("%q: %w", lines.Text(), err)
		}
		b.count += blocks[place].count
		blocks[place] = b
	}
	packages := map[string]share{}
	for place, b := range blocks {
		file, _, _ := strings.Cut(place, ":")
		s := packages[path.Dir(file)]
		s.all += b.statements
		if b.count > 0 {
			s.ran += b.statements
		}
		packages[path.Dir(file)] = s
	}
	if len(packages) == 0 {
		return nil, errors.New("the profile is empty")
	}
	return packages, lines.Err()
}
