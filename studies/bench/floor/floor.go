// Package floor sends the 27 gauges of package runtimemetrics as cheaply as a Go
// program can: one metrics.Read, formatting into one buffer that is kept, one
// write on a connected socket. It does nothing else. It has no settings, and it
// neither resolves, redials, splits, retries nor reports; what a library costs
// above this floor is what it pays for doing so.
package floor

import (
	"io"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// Names are the gauges, in the order of Values.
var Names = [...]string{
	"cpu.goroutines", "cpu.cgo_calls",
	"mem.alloc", "mem.total", "mem.sys", "mem.lookups", "mem.malloc", "mem.frees",
	"mem.heap.alloc", "mem.heap.sys", "mem.heap.idle", "mem.heap.inuse", "mem.heap.released", "mem.heap.objects",
	"mem.stack.inuse", "mem.stack.sys", "mem.stack.mspan_inuse", "mem.stack.mspan_sys", "mem.stack.mcache_inuse", "mem.stack.mcache_sys",
	"mem.othersys",
	"mem.gc.sys", "mem.gc.next", "mem.gc.last", "mem.gc.pause_total", "mem.gc.pause", "mem.gc.count",
}

// Values are those of one tick.
type Values [len(Names)]uint64

const (
	objects = iota
	unused
	free
	released
	stacks
	osStacks
	mspanInuse
	mspanFree
	mcacheInuse
	mcacheFree
	metadata
	other
	total
	allocBytes
	allocObjects
	freeObjects
	tinyAllocs
	goal
	cycles
)

// Reader reads the values, without stopping the world.
type Reader struct {
	samples []metrics.Sample
	gc      debug.GCStats
	values  Values
}

// NewReader returns a Reader.
func NewReader() *Reader {
	return &Reader{samples: []metrics.Sample{
		objects:      {Name: "/memory/classes/heap/objects:bytes"},
		unused:       {Name: "/memory/classes/heap/unused:bytes"},
		free:         {Name: "/memory/classes/heap/free:bytes"},
		released:     {Name: "/memory/classes/heap/released:bytes"},
		stacks:       {Name: "/memory/classes/heap/stacks:bytes"},
		osStacks:     {Name: "/memory/classes/os-stacks:bytes"},
		mspanInuse:   {Name: "/memory/classes/metadata/mspan/inuse:bytes"},
		mspanFree:    {Name: "/memory/classes/metadata/mspan/free:bytes"},
		mcacheInuse:  {Name: "/memory/classes/metadata/mcache/inuse:bytes"},
		mcacheFree:   {Name: "/memory/classes/metadata/mcache/free:bytes"},
		metadata:     {Name: "/memory/classes/metadata/other:bytes"},
		other:        {Name: "/memory/classes/other:bytes"},
		total:        {Name: "/memory/classes/total:bytes"},
		allocBytes:   {Name: "/gc/heap/allocs:bytes"},
		allocObjects: {Name: "/gc/heap/allocs:objects"},
		freeObjects:  {Name: "/gc/heap/frees:objects"},
		tinyAllocs:   {Name: "/gc/heap/tiny/allocs:objects"},
		goal:         {Name: "/gc/heap/goal:bytes"},
		cycles:       {Name: "/gc/cycles/total:gc-cycles"},
	}}
}

// Read reads the values. They are overwritten by the next Read.
func (r *Reader) Read() *Values {
	metrics.Read(r.samples)
	v := func(i int) uint64 { return r.samples[i].Value.Uint64() }

	// Past cycles only change when there is a new one, so this is skipped
	// while their number stands still: the floor is the least that is correct.
	if r.gc.Pause == nil || int64(v(cycles)) != r.gc.NumGC {
		debug.ReadGCStats(&r.gc)
	}
	var lastGC, pause uint64
	if r.gc.NumGC > 0 {
		lastGC, pause = uint64(r.gc.LastGC.UnixNano()), uint64(r.gc.Pause[0])
	}

	inuse, idle := v(objects)+v(unused), v(free)+v(released)
	r.values = Values{
		uint64(runtime.NumGoroutine()), uint64(runtime.NumCgoCall()),
		v(objects), v(allocBytes), v(total), 0, v(allocObjects) + v(tinyAllocs), v(freeObjects) + v(tinyAllocs),
		v(objects), inuse + idle, idle, inuse, v(released), v(allocObjects) - v(freeObjects),
		v(stacks), v(stacks) + v(osStacks), v(mspanInuse), v(mspanInuse) + v(mspanFree), v(mcacheInuse), v(mcacheInuse) + v(mcacheFree),
		v(other),
		v(metadata), v(goal), lastGC, uint64(r.gc.PauseTotal), pause, uint64(r.gc.NumGC),
	}
	return &r.values
}

// Floor sends.
type Floor struct {
	reader *Reader
	heads  [len(Names)]string // what comes before each value
	buf    []byte
	conn   io.Writer
}

// New returns a Floor that writes to conn, a connected datagram socket.
func New(conn io.Writer, prefix string) *Floor {
	f := &Floor{reader: NewReader(), conn: conn}
	for i, name := range Names {
		f.heads[i] = prefix + "." + name + ":"
	}
	return f
}

// Tick collects, formats and sends once.
func (f *Floor) Tick() error {
	buf := f.buf[:0]
	for i, v := range f.reader.Read() {
		buf = append(buf, f.heads[i]...)
		buf = strconv.AppendUint(buf, v, 10)
		buf = append(buf, "|g\n"...)
	}
	f.buf = buf
	_, err := f.conn.Write(buf[:len(buf)-1])
	return err
}
