package runtimemetrics

import (
	"bytes"
	"math"
	"strconv"

	"github.com/cactus/go-statsd-client/v5/statsd"

	"github.com/runtimemetrics/runtimemetrics/internal/names"
)

// packer gathers the lines of one tick and packs them into as few datagrams as
// possible. It keeps its memory from tick to tick.
type packer struct {
	limit   int    // largest datagram
	buf     []byte // lines, each with its line end
	ends    []int  // where in buf each unit ends; a unit stays in one datagram
	start   int    // the first unit that is to be sent
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
	p.buf, p.ends, p.start, p.tooLong = p.buf[:0], p.ends[:0], 0, 0
}

// next returns the next datagram: as many whole units as fit, without the last
// line end; nil if there is none. It is in the packer's memory.
func (p *packer) next() []byte {
	begin := 0
	if p.start > 0 {
		begin = p.ends[p.start-1]
	}
	end := begin
	for p.start < len(p.ends) && p.ends[p.start]-1-begin <= p.limit {
		end = p.ends[p.start]
		p.start++
	}
	if end == begin {
		return nil
	}
	return p.buf[begin : end-1]
}

// datagrams returns how many datagrams are still to be sent. It takes them from a
// copy of the packer.
func (p packer) datagrams() (n int) {
	for p.next() != nil {
		n++
	}
	return n
}

// tagFormats are the ways in which servers read tags, by the name of each.
var tagFormats = map[string]statsd.TagFormat{
	"datadog":  statsd.SuffixOctothorpe, // name:1|g|#k:v
	"influx":   statsd.InfixComma,       // name,k=v:1|g
	"graphite": statsd.InfixSemicolon,   // name;k=v:1|g
}

// sink is where gauges go: formatted into a packer.
type sink struct {
	packer
	layout layout
}

func newSink(s *settings, process names.Process) *sink {
	var tags []statsd.Tag
	for _, tag := range process.Tags(s.tags) {
		tags = append(tags, tag)
	}
	return &sink{packer{limit: s.packetSize}, newLayout(s.prefix, tagFormats[s.tagFormat], tags)}
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
	k.take(append(buf, k.layout.suffix...))
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
	k.take(append(buf, k.layout.suffix...))
}

// begin returns the packer's buffer with the line up to its value.
func (k *sink) begin(name string) []byte {
	buf := append(k.buf, k.layout.prefix...)
	buf = append(buf, name...)
	return append(buf, k.layout.middle...)
}

// zeroBefore adds the 0 that stands before a negative value.
func (k *sink) zeroBefore(name string) {
	k.join = true
	k.gauge(name, 0)
	k.join = false
}
