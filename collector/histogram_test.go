package collector

import (
	"math"
	"math/rand"
	"runtime/metrics"
	"sort"
	"testing"
)

var inf = math.Inf(1)

func TestHistogram(t *testing.T) {
	tests := []struct {
		name        string
		edges       []float64
		before      []uint64 // at the last tick
		now         []uint64
		p50, p99    float64
		upper       float64
		events      uint64
		overAtLeast float64
		over        uint64
	}{
		{"nothing ever happened", []float64{0, 1, 2}, nil, []uint64{0, 0}, 0, 0, 0, 0, 1, 0},
		{"nothing happened since", []float64{0, 1, 2}, []uint64{5, 5}, []uint64{5, 5}, 0, 0, 0, 10, 1, 5},
		// rank(.5) = 2 of 4: 0+(1-0)*2/4; rank(.99) = 4 of 4: the upper edge
		{"one bucket", []float64{0, 1, 2}, nil, []uint64{4, 0}, 0.5, 1, 1, 4, 1, 0},
		// rank(.5) = 50: 50 in the first bucket of 98, 10*50/98; rank(.99) = 99: 10+10*(99-98)/2
		{"the tail lies in the second bucket", []float64{0, 10, 20}, nil, []uint64{98, 2}, 500.0 / 98, 15, 20, 100, 10, 2},
		{"only what came since the last tick counts for quantiles", []float64{0, 10, 20, 30}, []uint64{1000, 0, 7}, []uint64{1000, 2, 7}, 15, 20, 20, 1009, 15, 7},
		{"the highest bucket has no upper edge", []float64{0, 10, inf}, nil, []uint64{0, 3}, 10, 10, 10, 3, 10, 3},
		{"the lowest bucket has no lower edge", []float64{math.Inf(-1), 1, 2}, nil, []uint64{3, 0}, 1, 1, 1, 3, 2, 0},
		{"both are open", []float64{math.Inf(-1), 1, 2, inf}, nil, []uint64{1, 1, 2}, 2, 2, 2, 4, 1.5, 2},
		{"one bucket for everything", []float64{math.Inf(-1), inf}, nil, []uint64{9}, 0, 0, 0, 9, 1, 0},
		{"the limit is no edge: the next one above counts", []float64{0, 8, 16, 32}, nil, []uint64{1, 2, 4}, 20, 32, 32, 7, 10, 4},
		{"the limit is an edge", []float64{0, 8, 16, 32}, nil, []uint64{1, 2, 4}, 20, 32, 32, 7, 8, 6},
		{"no buckets", nil, nil, nil, 0, 0, 0, 0, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h histogram
			before := tt.before
			if before == nil {
				before = make([]uint64, len(tt.now))
			}
			h.update(&metrics.Float64Histogram{Buckets: tt.edges, Counts: before})
			h.update(&metrics.Float64Histogram{Buckets: tt.edges, Counts: tt.now})
			for _, c := range []struct {
				what      string
				got, want float64
			}{
				{"p50", h.quantile(0.5), tt.p50},
				{"p99", h.quantile(0.99), tt.p99},
				{"upper", h.upper(), tt.upper},
				{"events", float64(h.events), float64(tt.events)},
				{"over", float64(h.over(tt.overAtLeast)), float64(tt.over)},
			} {
				if math.Abs(c.got-c.want) > 1e-9 {
					t.Errorf("%s = %v, want %v", c.what, c.got, c.want)
				}
			}
		})
	}
}

// TestQuantilesAgreeWithSortedSamples compares with the definition of a
// quantile, on random samples in random buckets.
func TestQuantilesAgreeWithSortedSamples(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for round := 0; round < 500; round++ {
		edges := []float64{0}
		for i := 1 + random.Intn(50); i > 0; i-- {
			edges = append(edges, edges[len(edges)-1]+random.ExpFloat64())
		}
		last := edges[len(edges)-1]
		edges = append(edges, inf)
		samples := make([]float64, 1+random.Intn(300))
		counts := make([]uint64, len(edges)-1)
		bucket := func(v float64) int { return sort.Search(len(edges), func(i int) bool { return edges[i] > v }) - 1 }
		for i := range samples {
			samples[i] = random.Float64() * last * 1.1
			counts[bucket(samples[i])]++
		}
		sort.Float64s(samples)
		var h histogram
		h.update(&metrics.Float64Histogram{Buckets: edges, Counts: make([]uint64, len(counts))})
		h.update(&metrics.Float64Histogram{Buckets: edges, Counts: counts})

		previous := 0.0
		for q := 0.01; q <= 1.001; q += 0.01 {
			got := h.quantile(math.Min(q, 1))
			want := samples[int(math.Ceil(math.Min(q, 1)*float64(len(samples))))-1]
			lower, upper := h.bounds(bucket(want))
			if got < lower || got > upper {
				t.Fatalf("round %d: quantile %.2f = %v, the sample %v is in bucket [%v, %v)", round, q, got, want, lower, upper)
			}
			if got < previous {
				t.Fatalf("round %d: quantile %.2f = %v is below the one before, %v", round, q, got, previous)
			}
			if got > h.upper() {
				t.Fatalf("round %d: quantile %.2f = %v is above the upper edge %v", round, q, got, h.upper())
			}
			previous = got
		}
		if _, upper := h.bounds(bucket(samples[len(samples)-1])); h.upper() != upper {
			t.Fatalf("round %d: upper = %v, the largest sample's bucket ends at %v", round, h.upper(), upper)
		}
	}
}

func TestQuantilesOfMoreEventsThanAFloatCounts(t *testing.T) {
	var h histogram
	edges := []float64{0, 1, 2}
	h.update(&metrics.Float64Histogram{Buckets: edges, Counts: []uint64{0, 0}})
	h.update(&metrics.Float64Histogram{Buckets: edges, Counts: []uint64{1<<60 + 1, 1<<60 + 1}})
	if got := h.quantile(1); got < 1 || got > 2 {
		t.Errorf("quantile 1 = %v, want one in the last bucket", got)
	}
}

func TestTheFirstReadingIsNotSince(t *testing.T) {
	var h histogram
	h.update(&metrics.Float64Histogram{Buckets: []float64{0, 1, 2}, Counts: []uint64{5, 3}})
	if h.events != 8 || h.upper() != 0 || h.quantile(0.99) != 0 {
		t.Errorf("events %d, upper %v, p99 %v; want 8, 0, 0", h.events, h.upper(), h.quantile(0.99))
	}
}
