package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/statsd_exporter/pkg/event"
	"github.com/prometheus/statsd_exporter/pkg/line"
)

// sample is one gauge of a datagram.
type sample struct {
	name     string
	tags     string // "k:v,k:v", sorted by key; empty if there are none
	value    float64
	relative bool // value is a change, not the new value
}

// badLine is a line that could not be understood, or not all of it.
type badLine struct {
	Line string `json:"line"`
	Why  string `json:"why"`
	From string `json:"from"`
}

// datagram is what one datagram held.
type datagram struct {
	samples []sample
	bad     int
	lastBad badLine
	ignored int // counters, timers and the like: this page shows gauges
}

// parser reads StatsD lines with statsd_exporter's parser, which takes tags as
// Datadog and as InfluxDB write them.
type parser struct {
	line     line.Parser
	problems problems
	logger   *slog.Logger

	// statsd_exporter counts its errors here; the problems say more.
	errors prometheus.CounterVec
	count  prometheus.Counter
}

func newParser() *parser {
	p := &parser{
		errors: *prometheus.NewCounterVec(prometheus.CounterOpts{Name: "errors"}, []string{"reason"}),
		count:  prometheus.NewCounter(prometheus.CounterOpts{Name: "count"}),
	}
	p.line.EnableDogstatsdParsing()
	p.line.EnableInfluxdbParsing()
	p.logger = slog.New(&p.problems)
	return p
}

// sampling is a sample rate. It means nothing to a gauge, and for a timer the
// parser makes as many events of it as it stands for: a thousand million, if
// somebody says so.
var sampling = regexp.MustCompile(`\|@[^|:]*`)

// maxLine is more than a line can have that is good.
const maxLine = maxName + maxTags + 200

// parse reads the lines of a datagram. The samples share its memory.
func (p *parser) parse(text string) datagram {
	var d datagram
	for l := range strings.SplitSeq(text, "\n") {
		l = strings.TrimRight(l, "\r")
		if l == "" {
			continue
		}
		why := ""
		if len(l) > maxLine {
			why = fmt.Sprintf("the line is longer than %d bytes", maxLine)
		} else {
			why = p.parseLine(l, &d)
		}
		if why != "" {
			d.bad++
			d.lastBad = badLine{Line: shorten(l), Why: shorten(why)}
		}
	}
	return d
}

// parseLine adds what a line holds to d. It returns what is wrong with the line,
// or with a part of it.
func (p *parser) parseLine(l string, d *datagram) (why string) {
	if strings.Contains(l, "|@") {
		l = sampling.ReplaceAllString(l, "")
	}
	p.problems.last = ""
	for _, e := range p.line.LineToEvents(l, p.errors, p.count, p.count, p.count, p.logger) {
		gauge, ok := e.(*event.GaugeEvent)
		if !ok {
			d.ignored++
			continue
		}
		// Graphite's way to write tags is the one that the parser leaves in the
		// name.
		name, graphite, _ := strings.Cut(gauge.GMetricName, ";")
		tags := joinTags(gauge.GLabels, graphite)
		switch {
		case math.IsNaN(gauge.GValue) || math.IsInf(gauge.GValue, 0):
			p.problems.last = "the value is not a finite number"
		case len(name) > maxName:
			p.problems.last = fmt.Sprintf("the name is longer than %d bytes", maxName)
		case len(tags) > maxTags:
			p.problems.last = fmt.Sprintf("the tags are longer than %d bytes", maxTags)
		case !printable(name) || !printable(tags):
			p.problems.last = "a character that cannot be printed"
		default:
			d.samples = append(d.samples, sample{name, tags, gauge.GValue, gauge.GRelative})
		}
	}
	return p.problems.last
}

// printable tells whether a text shows what is in it.
func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// joinTags returns tags in the one form in which they are kept and shown.
// graphite is "k=v;k=v".
func joinTags(labels map[string]string, graphite string) string {
	if len(labels) == 0 && graphite == "" {
		return ""
	}
	for tag := range strings.SplitSeq(graphite, ";") {
		if k, v, ok := strings.Cut(tag, "="); ok {
			labels[k] = v
		}
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(k + ":" + labels[k])
	}
	return b.String()
}

// shorten cuts what is kept and shown of a bad line.
func shorten(s string) string {
	const most = 120
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return strings.Clone(s)
}

// problems is a slog.Handler that keeps the last message: the parser's debug
// log is the only place where it says what is wrong with a line.
type problems struct{ last string }

func (p *problems) Enabled(context.Context, slog.Level) bool { return true }

func (p *problems) Handle(_ context.Context, r slog.Record) error {
	p.last = strings.TrimPrefix(r.Message, "bad line: ")
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			p.last = a.Value.String()
		}
		return true
	})
	return nil
}

func (p *problems) WithAttrs([]slog.Attr) slog.Handler { return p }
func (p *problems) WithGroup(string) slog.Handler      { return p }

// receive puts every datagram that arrives at conn into the store, until conn
// is closed.
func receive(conn *net.UDPConn, s *store, c *clock) {
	// Many services may tick at the same moment. It is a wish: the system has a
	// limit of its own.
	_ = conn.SetReadBuffer(1 << 20)

	p := newParser()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Such as a datagram that Windows finds too large: the next one may
			// be well.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		s.add(c.now(), from, p.parse(string(buf[:n])))
	}
}
