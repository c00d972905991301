package collector

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The metrics from which runtime.MemStats is rebuilt: the fixed head of the
// slice that one metrics.Read fills. All of them exist since Go 1.21.
const (
	heapObjects = iota
	heapUnused
	heapFree
	heapReleased
	heapStacks
	osStacks
	mspanInuse
	mspanFree
	mcacheInuse
	mcacheFree
	metadataOther
	other
	total
	allocBytes
	allocObjects
	freeObjects
	tinyAllocs
	heapGoal
	gcCycles

	memSamples // their number
)

var memSampleNames = [memSamples]string{
	heapObjects:   "/memory/classes/heap/objects:bytes",
	heapUnused:    "/memory/classes/heap/unused:bytes",
	heapFree:      "/memory/classes/heap/free:bytes",
	heapReleased:  "/memory/classes/heap/released:bytes",
	heapStacks:    "/memory/classes/heap/stacks:bytes",
	osStacks:      "/memory/classes/os-stacks:bytes",
	mspanInuse:    "/memory/classes/metadata/mspan/inuse:bytes",
	mspanFree:     "/memory/classes/metadata/mspan/free:bytes",
	mcacheInuse:   "/memory/classes/metadata/mcache/inuse:bytes",
	mcacheFree:    "/memory/classes/metadata/mcache/free:bytes",
	metadataOther: "/memory/classes/metadata/other:bytes",
	other:         "/memory/classes/other:bytes",
	total:         "/memory/classes/total:bytes",
	allocBytes:    "/gc/heap/allocs:bytes",
	allocObjects:  "/gc/heap/allocs:objects",
	freeObjects:   "/gc/heap/frees:objects",
	tinyAllocs:    "/gc/heap/tiny/allocs:objects",
	heapGoal:      "/gc/heap/goal:bytes",
	gcCycles:      "/gc/cycles/total:gc-cycles",
}

// maxPauses is the length of the runtime's history of pauses.
const maxPauses = len(runtime.MemStats{}.PauseNs)

// newMemSamples returns the samples of memSampleNames.
func newMemSamples() []metrics.Sample {
	samples := make([]metrics.Sample, memSamples)
	for i, name := range memSampleNames {
		samples[i].Name = name
	}
	return samples
}

// memStats is a runtime.MemStats that can be filled without stopping the world.
// Then these fields, which no gauge needs, stay zero: BuckHashSys, PauseEnd,
// NumForcedGC, GCCPUFraction, EnableGC, DebugGC, BySize, and of PauseNs all but
// the last cycle's entry.
type memStats struct {
	runtime.MemStats
	gc debug.GCStats
}

// fill fills m from samples that have just been read, and the rest from
// debug.ReadGCStats. The history of pauses changes only when a cycle ends, which
// the runtime counts after it has written the history, with the world stopped;
// so it need not be read while the count stands still.
func (m *memStats) fill(samples []metrics.Sample) {
	m.fromSamples(samples)
	if m.gc.Pause == nil || valueOf(samples, gcCycles) != uint64(m.gc.NumGC) {
		m.fromGCStats()
	}
}

// valueOf returns the value of a sample, or 0 if this Go no longer has it:
// Value.Uint64 would panic then.
func valueOf(samples []metrics.Sample, i int) uint64 {
	if v := samples[i].Value; v.Kind() == metrics.KindUint64 {
		return v.Uint64()
	}
	return 0
}

// fromSamples derives the fields of runtime.MemStats as the runtime itself
// does in readmemstats_m (runtime/mstats.go).
func (m *memStats) fromSamples(samples []metrics.Sample) {
	of := func(i int) uint64 { return valueOf(samples, i) }
	m.HeapAlloc = of(heapObjects)
	m.Alloc = m.HeapAlloc
	m.TotalAlloc = of(allocBytes)

	// Several tiny allocations share one object. MemStats counts each of them
	// beside that object, as allocated and at once as freed too, since nobody
	// knows when a single one dies; so they do not show in HeapObjects.
	m.Mallocs = of(allocObjects) + of(tinyAllocs)
	m.Frees = of(freeObjects) + of(tinyAllocs)
	m.HeapObjects = of(allocObjects) - of(freeObjects)

	// The runtime computes "unused" as a difference that can wrap below zero;
	// adding "objects", which it subtracted, makes the sum right again.
	m.HeapInuse = of(heapObjects) + of(heapUnused)
	m.HeapIdle = of(heapFree) + of(heapReleased)
	m.HeapReleased = of(heapReleased)
	m.HeapSys = m.HeapInuse + m.HeapIdle

	m.StackInuse = of(heapStacks)
	m.StackSys = m.StackInuse + of(osStacks)
	m.MSpanInuse = of(mspanInuse)
	m.MSpanSys = m.MSpanInuse + of(mspanFree)
	m.MCacheInuse = of(mcacheInuse)
	m.MCacheSys = m.MCacheInuse + of(mcacheFree)
	m.GCSys = of(metadataOther)
	m.OtherSys = of(other)
	m.Sys = of(total)

	m.NextGC = of(heapGoal)
}

// fromGCStats fills the fields that describe past cycles. They are read together,
// so that the count and the last pause belong to the same cycle.
func (m *memStats) fromGCStats() {
	if m.gc.Pause == nil {
		// With these capacities debug.ReadGCStats allocates nothing, however
		// many cycles there were: it needs room for the pauses, for their ends
		// and for three more words, and separately for the ends as times.
		m.gc.Pause = make([]time.Duration, 0, 2*maxPauses+3)
		m.gc.PauseEnd = make([]time.Time, 0, maxPauses)
	}
	debug.ReadGCStats(&m.gc)
	m.NumGC = uint32(m.gc.NumGC)
	m.PauseTotalNs = uint64(m.gc.PauseTotal)
	m.LastGC = uint64(m.gc.LastGC.UnixNano())
	if len(m.gc.Pause) > 0 {
		m.PauseNs[lastCycle(m.NumGC)] = uint64(m.gc.Pause[0])
	}
}

// lastPause returns the nanoseconds that the last cycle stopped the world, 0
// before the first one.
func (m *memStats) lastPause() uint64 {
	return m.PauseNs[lastCycle(m.NumGC)]
}

// lastCycle returns the place of the last of numGC cycles in the circular
// history MemStats.PauseNs.
func lastCycle(numGC uint32) int {
	return int((numGC + uint32(maxPauses) - 1) % uint32(maxPauses))
}
