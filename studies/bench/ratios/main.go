// Ratios reads the output of several rounds of BenchmarkTick and prints a table
// of medians, and of ratios to the floor and to go-runtime-metrics. A ratio is taken
// within each round first, since the rounds of a noisy machine do not compare:
// what is printed is the median of the rounds' ratios and, in brackets, the
// smallest and the largest.
//
//	go run ./ratios <rounds.txt
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	cpu       = "cpu-ns/tick"
	wall      = "ns/op"
	datagrams = "datagrams/tick"
	size      = "bytes/tick"
	allocs    = "allocs/op"
)

// results are the values of one subject by unit, a value for each round.
type results map[string][]float64

// line is one result: BenchmarkTick/name-procs, iterations, values with units.
// BenchmarkUnsent is a tick without its write.
var line = regexp.MustCompile(`^Benchmark(?:Tick|Unsent)/(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// parse returns the results by subject, and the subjects in their order.
func parse(in io.Reader) (subjects []string, all map[string]results, err error) {
	all = map[string]results{}
	scanner := bufio.NewScanner(in)
	for scanner.Scan() {
		match := line.FindStringSubmatch(scanner.Text())
		if match == nil {
			continue
		}
		name, fields := match[1], strings.Fields(match[2])
		if all[name] == nil {
			all[name] = results{}
			subjects = append(subjects, name)
		}
		for ; len(fields) >= 2; fields = fields[2:] {
			value, err := strconv.ParseFloat(fields[0], 64)
			if err != nil {
				return nil, nil, fmt.Errorf("%q: %w", scanner.Text(), err)
			}
			all[name][fields[1]] = append(all[name][fields[1]], value)
		}
	}
	return subjects, all, scanner.Err()
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// ratio divides round by round.
func ratio(a, b []float64) string {
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			ratios = append(ratios, a[i]/b[i])
		}
	}
	if len(ratios) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", median(ratios), slices.Min(ratios), slices.Max(ratios))
}

// subtract takes from the CPU time of each subject that of doing nothing: of
// going to sleep and waking up, which has no part in what a tick costs.
func subtract(all map[string]results) {
	nothing := all["nothing"][cpu]
	for name, r := range all {
		for i := range min(len(r[cpu]), len(nothing)) {
			if name != "nothing" {
				r[cpu][i] -= nothing[i]
			}
		}
	}
}

func main() {
	log.SetFlags(0)
	subjects, all, err := parse(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	subtract(all)
	fmt.Println("| | CPU, us | x floor | go-runtime-metrics is x times it | wall, us | x floor | datagrams | bytes | allocs |")
	fmt.Println("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
	for _, name := range subjects {
		r := all[name]
		if name == "nothing" {
			fmt.Printf("| %s | %.1f | | | %.1f | | | | |\n", name, median(r[cpu])/1e3, median(r[wall])/1e3)
			continue
		}
		if len(r[cpu]) == 0 { // it has its own comparison below
			fmt.Printf("| %s | | | | %.1f | | | | %.0f |\n", name, median(r[wall])/1e3, median(r[allocs]))
			continue
		}
		fmt.Printf("| %s | %.1f | %s | %s | %.1f | %s | %.0f | %.0f | %.0f |\n", name,
			median(r[cpu])/1e3, ratio(r[cpu], all["floor"][cpu]), ratio(all["go-runtime-metrics"][cpu], r[cpu]),
			median(r[wall])/1e3, ratio(r[wall], all["floor"][wall]),
			median(r[datagrams]), median(r[size]), median(r[allocs]))
	}
	if r := all["collect-and-format-all"]; r != nil {
		fmt.Printf("\nTo collect and format all of runtime/metrics takes %s times what the 27 take.\n", ratio(r[wall], all["collect-and-format"][wall]))
	}
}
