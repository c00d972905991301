package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

const heading = "| Go | requests/s | GCs | pause per GC, us: mean | median (of each round) | 90 % are below | longest | time to stop, us: 90 % are below | stopped, us per s | CPU per request, us |\n" +
	"|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"

// table has a line for each release. Mean, stopped and CPU come from gauges that
// only grow, so no collection is left out; the others from gauges of the last
// collection or of those since the last tick, seen once a second.
func table(releases []release) string {
	var b, remarks strings.Builder
	b.WriteString(heading)
	slowest, fastest := math.Inf(1), 0.0 // requests a second
	for _, release := range releases {
		var pauses, stopping []float64
		var medians []string
		var seconds, requests, collections, stopped, cpu float64
		failed := 0
		for _, r := range release.runs {
			pauses = append(pauses, r.pauses...)
			stopping = append(stopping, r.stopping...)
			medians = append(medians, us(quantile(r.pauses, 0.5)))
			seconds += r.seconds
			requests += r.requests * r.seconds
			collections += r.collections
			stopped += r.stopped
			cpu += r.cpu
			failed += r.failed
		}
		slowest, fastest = min(slowest, requests/seconds), max(fastest, requests/seconds)
		toStop := "-" // Go 1.21 does not tell
		if len(stopping) > 0 {
			toStop = us(quantile(stopping, 0.9))
		}
		fmt.Fprintf(&b, "| %s | %.0f | %.0f | %s | %s (%s) | %s | %s | %s | %s | %.1f |\n",
			release.name, requests/seconds, collections, us(stopped/collections),
			us(quantile(pauses, 0.5)), strings.Join(medians, ", "), us(quantile(pauses, 0.9)), us(quantile(pauses, 1)),
			toStop, us(stopped/seconds), cpu/requests/1e3)
		if failed > 0 {
			fmt.Fprintf(&remarks, "\nGo %s: %d requests failed.\n", release.name, failed)
		}
	}
	if fastest > 1.1*slowest {
		fmt.Fprintf(&remarks, "\nThe load was not the same for all: %.0f to %.0f requests/s. Something else was busy on the machine: run it again.\n", slowest, fastest)
	}
	return b.String() + remarks.String()
}

// us writes nanoseconds as microseconds.
func us(ns float64) string { return fmt.Sprintf("%.0f", ns/1e3) }

// quantile is the smallest value that at least the part q of all values does not
// exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}
