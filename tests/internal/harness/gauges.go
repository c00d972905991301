package harness

// Gauges are the 27 gauges in the order in which they are sent.
var Gauges = []string{
	"cpu.goroutines",
	"cpu.cgo_calls",
	"mem.alloc",
	"mem.total",
	"mem.sys",
	"mem.lookups",
	"mem.malloc",
	"mem.frees",
	"mem.heap.alloc",
	"mem.heap.sys",
	"mem.heap.idle",
	"mem.heap.inuse",
	"mem.heap.released",
	"mem.heap.objects",
	"mem.stack.inuse",
	"mem.stack.sys",
	"mem.stack.mspan_inuse",
	"mem.stack.mspan_sys",
	"mem.stack.mcache_inuse",
	"mem.stack.mcache_sys",
	"mem.othersys",
	"mem.gc.sys",
	"mem.gc.next",
	"mem.gc.last",
	"mem.gc.pause_total",
	"mem.gc.pause",
	"mem.gc.count",
}

// Levels are those of Gauges that go up and down: what Stop sets to 0.
var Levels = []string{
	"cpu.goroutines",
	"mem.alloc",
	"mem.sys",
	"mem.heap.alloc",
	"mem.heap.sys",
	"mem.heap.idle",
	"mem.heap.inuse",
	"mem.heap.released",
	"mem.heap.objects",
	"mem.stack.inuse",
	"mem.stack.sys",
	"mem.stack.mspan_inuse",
	"mem.stack.mspan_sys",
	"mem.stack.mcache_inuse",
	"mem.stack.mcache_sys",
	"mem.othersys",
	"mem.gc.sys",
	"mem.gc.next",
	"mem.gc.pause",
}

// WithPrefix returns the names with the prefix before each.
func WithPrefix(prefix string, names []string) []string {
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = prefix + "." + name
	}
	return full
}
