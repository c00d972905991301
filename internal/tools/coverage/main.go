// Coverage reads a profile of go test -coverprofile and prints, for each package,
// the share of its statements that tests ran, then the functions in which some
// were not, each with the reason. It fails if less than 90 % of all ran, or if a
// reason is for a function that does not exist. A function without a reason only
// stands out: who comes first, and which cgroups there are, is different on each
// machine.
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
	refused   = "an error that the system has no reason to report"
	future    = "for a Go release that takes something away"
	newer     = "with Go 1.27 and later only, by make releases"
	otherOS   = "on other systems"
	fault     = "would be a fault of the library, and is there to be seen by its tests"
)

// reasons tell, by file and function, why statements are not run.
var reasons = map[string]string{
	"collector.go flush":                           race,
	"collector.go begin":                           elsewhere + "env",
	"collector.go main":                            "settings that were checked when they were given",
	"collector.go tick":                            race,
	"collector.go loop":                            "with a name that does not resolve within a second; " + race,
	"collector/histogram.go quantile":              "rounding of more than 2^53 events",
	"collector/histogram.go upper":                 "counts that disagree with their sum",
	"collector/memstats.go valueOf":                future,
	"flags.go option":                              elsewhere + "env",
	"flags.go settings":                            "called by gendoc",
	"internal/envonly/envonly.go init":             elsewhere + "env",
	"internal/link/address.go parse":               otherOS,
	"internal/link/address.go parsePath":           otherOS,
	"internal/link/atonce_unix.go atOnce":          refused,
	"internal/link/fakenet/fakenet.go Close":       fault,
	"internal/link/fakenet/fakenet.go Write":       fault,
	"internal/link/link.go writeOnce":              refused,
	"internal/link/resolve.go System":              elsewhere + "hosts",
	"internal/names/placeholders.go readBuild":     elsewhere + "settings",
	"internal/procstat/catalogue.go OnLinuxOnly":   "called by gendoc",
	"internal/procstat/cgroup_linux.go findCPU":    "no such controller on the machine",
	"internal/procstat/cgroup_linux.go findHigh":   "no such controller on the machine",
	"internal/procstat/cgroup_linux.go findMemory": "a 32-bit kernel, or no such controller on the machine",
	"internal/procstat/parse.go millicores":        "a quota of 0, which the kernel refuses to set",
	"internal/procstat/reader_linux.go entries":    refused,
	"internal/procstat/reader_linux.go keepable":   refused,
	"internal/procstat/reader_linux.go once":       refused,
	"leaks/check.go cannot":                        newer,
	"leaks/check.go check":                         newer,
	"leaks/leaks.go init":                          elsewhere + "leaks",
	"leaks/profile.go frames":                      newer,
	"leaks/profile.go isMain":                      newer,
	"log.go logTo":                                 elsewhere + "settings",
	"process/process.go init":                      "the tick itself: " + elsewhere + "process",
	"process/catalogue/catalogue.go Gauges":        "dashboards, docs",
	"race_off.go afterMain":                        "it is empty",
	"register.go String":                           refused,
	"runtimemetrics.go ended":                      race,
	"runtimemetrics.go init":                       elsewhere + "hosts; in a test nothing starts by itself",
	"runtimemetrics.go log":                        elsewhere + "leaks",
	"runtimemetrics.go newTick":                    "ticks by hand, which studies/bench and tests/packets make",
	"runtimemetrics.go startAgain":                 elsewhere + "hosts",
	"runtimemetrics.go succeed":                    race,
	"start.go await":                               elsewhere + "env",
	"statsd.go Close":                              "never called; a statsd.Sender has one",
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
	files, known := map[string]bool{}, map[string]bool{}
	for _, line := range strings.Split(string(functions), "\n") {
		fields := strings.Fields(line) // module/file.go:line: function percent
		if len(fields) != 3 || fields[0] == "total:" {
			continue
		}
		file, _, _ := strings.Cut(strings.TrimPrefix(fields[0], module), ":")
		function := file + " " + fields[1]
		files[file], known[function] = true, true
		if fields[2] == "100.0%" {
			continue
		}
		reason := reasons[function]
		if reason == "" {
			reason = "NOBODY KNOWS WHY: add a test, or the reason to internal/tools/coverage"
		}
		fmt.Printf("%6s  %s: %s\n", fields[2], function, reason)
	}
	for function := range reasons {
		// Another system has other files.
		if file, _, _ := strings.Cut(function, " "); files[file] && !known[function] {
			log.Fatalf("\ninternal/tools/coverage has a reason for %s, which does not exist", function)
		}
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
