package main

import (
	"slices"
	"strings"
	"testing"
)

const rounds = `goos: linux
BenchmarkTick/nothing          	 10	 5 ns/op	 100 cpu-ns/tick	 0 datagrams/tick	 0 allocs/op
BenchmarkTick/floor-2          	 10	 50 ns/op	 200 cpu-ns/tick	 1.000 datagrams/tick	 0 allocs/op
BenchmarkTick/go-runtime-metrics-2       	 10	 90 ns/op	 900 cpu-ns/tick	 27.00 datagrams/tick	 212 allocs/op
PASS
BenchmarkTick/nothing          	 10	 5 ns/op	 10 cpu-ns/tick	 0 datagrams/tick	 0 allocs/op
BenchmarkTick/floor-2          	 10	 50 ns/op	 20 cpu-ns/tick	 1.000 datagrams/tick	 0 allocs/op
BenchmarkTick/go-runtime-metrics-2       	 10	 90 ns/op	 50 cpu-ns/tick	 27.00 datagrams/tick	 212 allocs/op
`

func TestRatiosAreTakenWithinARound(t *testing.T) {
	subjects, all, err := parse(strings.NewReader(rounds))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"nothing", "floor", "go-runtime-metrics"}; !slices.Equal(subjects, want) {
		t.Errorf("subjects %q, want %q", subjects, want)
	}
	subtract(all)
	for what, tt := range map[string]struct{ got, want string }{
		"cpu":       {ratio(all["go-runtime-metrics"][cpu], all["floor"][cpu]), "6.00 (4.00-8.00)"},
		"wall":      {ratio(all["go-runtime-metrics"][wall], all["floor"][wall]), "1.80 (1.80-1.80)"},
		"no result": {ratio(all["absent"][cpu], all["floor"][cpu]), "-"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", what, tt.got, tt.want)
		}
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %v, want 2.5", got)
	}
}
