package runtimemetrics

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/cactus/go-statsd-client/v5/statsd"
)

// packer gathers the lines of one tick and packs them into as few datagrams as
// possible. It keeps its memory from tick to tick.
type packer struct {
	limit   int    // largest datagram
	buf     []byte // lines, each with its line end
	ends    []int  // where in buf each unit ends; a unit stays in one datagram
	join    bool   // the next line begins a unit that another line completes
	tooLong int    // units that did not fit into a datagram and were left out
}

// take takes buf back, to which a line with its end has been appended.
func (p *packer) take(buf []byte) {
	p.buf = buf
	if p.join {
		return
	}
	start := 0
	if n := len(p.ends); n > 0 {
		start = p.ends[n-1]
	}
	if len(buf)-1-start > p.limit {
		p.buf = buf[:start]
		p.tooLong++
	} else {
		p.ends = append(p.ends, len(buf))
	}
}

func (p *packer) reset() {
	p.buf, p.ends, p.tooLong = p.buf[:0], p.ends[:0], 0
}

// pack calls write with each datagram: as many whole units as fit, without the
// last line end. The datagrams share the packer's memory.
func (p *packer) pack(write func(datagram []byte)) {
	start, end := 0, 0 // of the datagram being filled
	for _, next := range p.ends {
		if next-1-start > p.limit {
			write(p.buf[start : end-1])
			start = end
		}
		end = next
	}
	if end > start {
		write(p.buf[start : end-1])
	}
}

// sink is where the gauges of a tick go: formatted into a packer, and from there
// over a link.
type sink struct {
	packer packer
	layout layout
	link   *link
}

func newSink(s settings, host hostInfo, calls netCalls) *sink {
	return &sink{
		packer: packer{limit: s.packetSize},
		layout: newLayout(s.prefix, tagFormats[s.tagFormat], expandTags(s.tags, host)),
		link:   newLink(s.addr, calls),
	}
}

// layout is what a gauge's line consists of beside its name and its value. All
// of it is go-statsd-client's, but the same for each line: the client writes one
// for newLayout to cut, not each line of each tick, which would make the tick a
// fifth dearer and let it allocate after each garbage collection, that is when
// the client's pool is empty.
type layout struct {
	prefix string // before the name
	middle string // between name and value
	suffix string // after the value, with the line end
}

func newLayout(prefix string, format statsd.TagFormat, tags []statsd.Tag) layout {
	const name = "\n" // is nowhere else in a line
	var line capture
	// The errors are a nil sender and an unknown format of tags, neither of
	// which this is.
	client, _ := statsd.NewClientWithSender(&line, prefix, format)
	client.Gauge(name, 0, 1, tags...)

	before, after, _ := bytes.Cut(line, []byte(name))
	value := bytes.IndexByte(after, '|') - 1 // the only character before the type
	return layout{prefix: string(before), middle: string(after[:value]), suffix: string(after[value+1:]) + "\n"}
}

// capture is a statsd.Sender that keeps what it was sent last.
type capture []byte

func (c *capture) Send(line []byte) (int, error) {
	*c = append((*c)[:0], line...)
	return len(line), nil
}

func (c *capture) Close() error { return nil }

// noLimit is the value from which on one means "no limit" and is sent as 0.
const noLimit = 1 << 62

// gauge adds one gauge to the tick. A sign means "change by" in StatsD, so a
// negative value is set by way of 0, and the two lines must arrive together.
func (k *sink) gauge(name string, value int64) {
	if value >= noLimit || value <= -noLimit {
		value = 0
	}
	if value < 0 {
		k.zeroBefore(name)
	}
	buf := strconv.AppendInt(k.begin(name), value, 10)
	k.packer.take(append(buf, k.layout.suffix...))
}

// fraction is gauge for a number that need not be whole. What is no number is
// not sent.
func (k *sink) fraction(name string, value float64) {
	switch {
	case math.IsNaN(value) || math.IsInf(value, 0):
		return
	case value >= noLimit || value <= -noLimit || value == 0: // -0 has a sign too
		value = 0
	case value < 0:
		k.zeroBefore(name)
	}
	buf := strconv.AppendFloat(k.begin(name), value, 'f', -1, 64)
	k.packer.take(append(buf, k.layout.suffix...))
}

// begin returns the packer's buffer with the line up to its value.
func (k *sink) begin(name string) []byte {
	buf := append(k.packer.buf, k.layout.prefix...)
	buf = append(buf, name...)
	return append(buf, k.layout.middle...)
}

// zeroBefore adds the 0 that stands before a negative value.
func (k *sink) zeroBefore(name string) {
	k.packer.join = true
	k.gauge(name, 0)
	k.packer.join = false
}

// outcome is what became of a tick, as far as the kernel tells.
type outcome struct {
	err       error // why this tick, or the one before, was lost
	lost      bool  // at least one datagram of this tick was not delivered
	prevLost  bool  // the last datagram of the tick before was refused
	recovered bool  // the server takes datagrams, for all that can be known
}

// flush sends what the tick has gathered.
func (k *sink) flush(now time.Time) outcome {
	if err := k.link.ready(now); err != nil {
		k.packer.reset()
		return outcome{err: err, lost: true}
	}
	return k.write(now)
}

// write sends what has been gathered, if there is a socket.
func (k *sink) write(now time.Time) outcome {
	var o outcome
	first := true
	k.link.refused = false
	k.packer.pack(func(datagram []byte) {
		// After a failure the rest would fail too, each as late as the write's
		// deadline.
		if k.link.conn == nil || isTimeout(o.err) {
			return
		}
		s := k.link.write(datagram, now)
		if s.refused != nil {
			o.err, k.link.refused = s.refused, true
			if first {
				o.prevLost = true
			} else {
				o.lost = true
			}
		}
		if s.err != nil {
			o.err, o.lost = s.err, true
		}
		if first {
			o.recovered = s.clean
		}
		first = false
	})
	k.link.rest()
	o.recovered = o.recovered && !o.lost
	k.packer.reset()
	return o
}

func (k *sink) close() { k.link.close() }
