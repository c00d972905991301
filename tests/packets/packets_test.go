// Package packets tests what is on the wire, whatever a program's custom gauges are
// called and whatever their values are, with the parser of another project.
package packets

import (
	"encoding/binary"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/statsd_exporter/pkg/event"
	"github.com/prometheus/statsd_exporter/pkg/line"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// gauge is a gauge as a source sets it, or as a server sees it.
type gauge struct {
	name  string
	value int64
}

const (
	minPacket, maxPacket = 256, 65507 // of --metric-packet-size
	maxName              = 255        // of a name, in bytes
	maxNames             = 4096       // of all sources
	noLimit              = 1 << 62    // values from here on, of either sign, are sent as 0

	// A source of the fuzz test sets so many gauges at most that all of its
	// datagrams fit into the server's socket, see buffer, even if nobody reads it.
	maxGauges = 100
	buffer    = 212992 // bytes, which Linux allows and doubles for its own bookkeeping
)

// encode writes gauges as decode reads them, so that seeds can be read.
func encode(gauges ...gauge) []byte {
	var script []byte
	for _, g := range gauges {
		script = binary.AppendUvarint(script, uint64(len(g.name)))
		script = append(script, g.name...)
		script = binary.AppendVarint(script, g.value)
	}
	return script
}

// decode makes gauges of any bytes.
func decode(script []byte) (gauges []gauge) {
	for len(script) > 0 && len(gauges) < maxGauges {
		length, n := binary.Uvarint(script)
		script = script[max(n, 1):]
		name := script[:min(length%512, uint64(len(script)))]
		script = script[len(name):]
		value, n := binary.Varint(script)
		script = script[min(max(n, 1), len(script)):]
		gauges = append(gauges, gauge{string(name), value})
	}
	return gauges
}

var unsafeRune = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// safe returns a name as the documentation of Register says it is sent.
func safe(name string) string {
	name = unsafeRune.ReplaceAllString(name, "_")
	parts := slices.DeleteFunc(strings.Split(name, "."), func(part string) bool { return part == "" })
	if len(parts) == 0 {
		return "_"
	}
	return strings.Join(parts, ".")
}

// tags are what Config.Tags is set to, and how each format writes them: at the
// end of the name, or of the line.
const tags = "env:prod,service:api"

var formats = []struct{ name, ofName, ofLine string }{
	{"", "", ""}, // no tags
	{"datadog", "", "|#env:prod,service:api"},
	{"influx", ",env=prod,service=api", ""},
	{"graphite", ";env=prod;service=api", ""},
}

// The error of a format that there is not names all that there are.
func TestEveryTagFormatIsTried(t *testing.T) {
	err := runtimemetrics.Start(runtimemetrics.Config{StatsD: "127.0.0.1:1", TagFormat: "none of them"})
	if err == nil {
		runtimemetrics.Stop()
		t.Fatal("it was taken")
	}
	_, named, _ := strings.Cut(err.Error(), "; use ")
	all := strings.FieldsFunc(strings.ReplaceAll(named, " or ", ", "), func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range all {
		if !slices.ContainsFunc(formats, func(f struct{ name, ofName, ofLine string }) bool { return f.name == name }) {
			t.Errorf("%s is not among the formats that are tried here (%v)", name, err)
		}
	}
	if len(all) != len(formats)-1 {
		t.Errorf("%d formats are tried, %d named: %v", len(formats)-1, len(all), err)
	}
}

// unit returns the lines that must arrive together: those of one gauge.
func unit(g gauge, format int) string {
	line := func(value int64) string {
		return fmt.Sprintf("%s%s:%d|g%s", g.name, formats[format].ofName, value, formats[format].ofLine)
	}
	if g.value < 0 {
		return line(0) + "\n" + line(g.value)
	}
	return line(g.value)
}

// parser knows all forms of tags, so that it takes for a tag whatever might be
// one. What it counts is not looked at: it must find one gauge in each line.
var (
	parser   = &line.Parser{DogstatsdTagsEnabled: true, InfluxdbTagsEnabled: true, LibratoTagsEnabled: true, SignalFXTagsEnabled: true}
	failures = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "failures"}, []string{"reason"})
	counter  = prometheus.NewCounter(prometheus.CounterOpts{Name: "things"})
)

// parse reads a datagram as statsd_exporter does.
func parse(t *testing.T, datagram string) (events []event.Event) {
	t.Helper()
	if !utf8.ValidString(datagram) {
		t.Fatalf("a datagram is not UTF-8: %q", datagram)
	}
	for _, text := range strings.Split(datagram, "\n") {
		got := parser.LineToEvents(text, *failures, counter, counter, counter, slog.New(slog.DiscardHandler))
		if len(got) != 1 {
			t.Fatalf("the parser finds %d gauges in the line %q of the datagram\n%s", len(got), text, datagram)
		}
		events = append(events, got[0])
	}
	return events
}

// server receives datagrams until stop is called, which returns them.
func server(t *testing.T) (addr string, stop func() []string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.UDPConn).SetReadBuffer(buffer); err != nil {
		t.Fatal(err)
	}
	var received []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(buf)
			// The last datagram comes from the server itself.
			if err != nil || from.String() == conn.LocalAddr().String() {
				return
			}
			received = append(received, string(buf[:n]))
		}
	}()
	stop = sync.OnceValue(func() []string {
		if _, err := conn.WriteTo(nil, conn.LocalAddr()); err != nil {
			t.Error(err)
			conn.Close()
		}
		<-done
		conn.Close()
		return received
	})
	t.Cleanup(func() { stop() })
	return conn.LocalAddr().String(), stop
}

// publish runs the library for one tick and its end, and returns what it sent and
// logged.
func publish(t *testing.T, cfg runtimemetrics.Config, source func(func(string, int64))) (datagrams, lines []string) {
	t.Helper()
	addr, received := server(t)
	env := map[string]string{
		"STATSD":             addr,
		"METRIC_PREFIX":      cfg.Prefix,
		"METRIC_TAGS":        strings.Join(cfg.Tags, ","),
		"METRIC_TAG_FORMAT":  cfg.TagFormat,
		"METRIC_PACKET_SIZE": strconv.Itoa(cfg.PacketSize),
		"CPU":                strconv.FormatBool(!cfg.DisableCPU),
		"MEM":                strconv.FormatBool(!cfg.DisableMem),
		"GC":                 strconv.FormatBool(!cfg.DisableGC),
	}
	if cfg.PacketSize == 0 {
		env["METRIC_PACKET_SIZE"] = ""
	}
	logged := make(chan string, 100)
	log.SetFlags(0)
	log.SetOutput(writer(func(line string) {
		if !strings.HasPrefix(line, "runtimemetrics: publishing ") {
			logged <- strings.TrimSuffix(line, "\n")
			return
		}
		logged <- ""
	}))
	defer log.SetOutput(os.Stderr)
	unregister := runtimemetrics.Register(func(t *runtimemetrics.Tick) { source(t.Gauge) })
	defer unregister()
	tick, end := registry.NewTick(func(name string) (string, bool) {
		text, ok := env[strings.TrimPrefix(name, "RUNTIMEMETRICS_")]
		return text, ok
	})
	tick()
	end()
	registry.Log(last)
	for line := range logged {
		if line == "runtimemetrics: "+last {
			break
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return received(), lines
}

// last is a line that the library logs after its own.
const last = "that was all"

// writer is what package log writes to.
type writer func(line string)

func (w writer) Write(line []byte) (int, error) {
	w(string(line))
	return len(line), nil
}

func FuzzPackets(f *testing.F) {
	const long = "a.name.that.goes.on.and.on"
	negative := func(n int) (gauges []gauge) {
		for i := range n {
			gauges = append(gauges, gauge{fmt.Sprintf("queue-%d.change", i), int64(-i)})
		}
		return gauges
	}
	for _, seed := range []struct {
		prefix  string
		size    int
		gauges  []gauge
		options byte
		comment string
	}{
		{"go.demo", 1432, nil, 7, "nothing but the 27"},
		{"go.demo", 1432, []gauge{{"requests", 1}, {"queue.length", 0}}, 7, "well-behaved"},
		{".", 1432, []gauge{{"requests", 1}}, 7, "no prefix"},
		{"go.demo", 256, negative(30), 7, "negative values at many places of a small datagram"},
		{"go.demo", 257, negative(30), 0, "the same, shifted"},
		{"go.demo", 65507, negative(90), 7, "one large datagram"},
		{strings.Repeat("x", 128), 256, negative(10), 7, "a prefix that leaves room for one line, not for two"},
		{"p", 256, []gauge{{strings.Repeat("n", 248), 1}, {strings.Repeat("n", 249), 1}, {strings.Repeat("n", 250), 1}}, 0, "lines of 255, 256 bytes and one more"},
		{"p", 512, []gauge{{strings.Repeat("n", 255), 1}, {strings.Repeat("n", 256), 1}}, 0, "the longest name, and one more"},
		{"p", 1432, []gauge{{strings.Repeat("é", 127), 1}, {strings.Repeat("é", 128), 1}}, 0, "the same in bytes, not in letters"},
		{"p", 1432, []gauge{{"", 1}, {".", 2}, {"...", 3}, {".a.", 4}, {"a..b", 5}}, 0, "empty parts"},
		{"p", 1432, []gauge{{"a:1|c", 1}, {"a:1|g\nb", 2}, {"a|g|@0.1", 3}, {"a|#tag:x", 4}, {"a,tag=x", 5}, {"a#tag=x", 6}, {"a[tag=x]", 7}, {"a;tag=x", 8}}, 0, "StatsD's syntax"},
		{"p", 1432, []gauge{{"a b", 1}, {"a\tb", 2}, {"a\r\nb", 3}, {"a\x00b", 4}, {"a/b\\c", 5}, {"a*b%s", 6}}, 0, "blanks and controls"},
		{"p", 1432, []gauge{{"é", 1}, {"日本", 2}, {"\xff\xfe", 3}, {"a\xc3", 4}, {"\u202e", 5}}, 0, "not ASCII, not UTF-8"},
		{"p", 1432, []gauge{{"min", -1 << 63}, {"max", 1<<63 - 1}, {"zero", 0}, {"one", -1}}, 0, "extreme values"},
		{"p", 1432, []gauge{{"most", noLimit - 1}, {"none", noLimit}, {"least", 1 - noLimit}, {"none.either", -noLimit}}, 0, "values beside those that mean no limit"},
		{"p", 1432, []gauge{{long, 1}, {long, -2}, {long, 3}, {"a b", 4}, {"a_b", 5}}, 0, "one name again and again"},
		{"p", 1432, []gauge{{"mem.alloc", -1}, {"cpu.goroutines", 0}}, 7, "the library's own names"},
		{"go.demo", 1432, []gauge{{"requests", 1}, {"change", -1}}, 7 | 1<<3, "Datadog's tags"},
		{"go.demo", 1432, []gauge{{"requests", 1}, {"change", -1}}, 7 | 2<<3, "Influx's tags"},
		{"go.demo", 1432, []gauge{{"requests", 1}, {"change", -1}}, 7 | 3<<3, "Graphite's tags"},
		{"p", 256, append(negative(10), gauge{strings.Repeat("n", 229), 1}, gauge{strings.Repeat("n", 230), 1}), 1 << 3, "a tag too much for the datagram"},
	} {
		f.Add(seed.prefix, uint16(seed.size), seed.options, encode(seed.gauges...))
	}

	f.Fuzz(func(t *testing.T, prefix string, size uint16, options byte, script []byte) {
		if size < minPacket || int(size) > maxPacket {
			size = minPacket + size%(maxPacket-minPacket+1)
		}
		cfg := runtimemetrics.Config{
			Prefix: prefix, PacketSize: int(size),
			DisableCPU: options&1 == 0, DisableMem: options&2 == 0, DisableGC: options&4 == 0,
		}
		format := int(options >> 3 & 3)
		if format > 0 {
			cfg.Tags, cfg.TagFormat = []string{tags}, formats[format].name
		}
		// What a prefix may hold is not the matter here: one that is not sent as
		// it is is replaced. "." is none.
		if prefix != "." && (safe(prefix) != prefix || len(prefix) > 128) {
			prefix, cfg.Prefix = "fuzz", "fuzz"
		}
		if prefix == "." {
			prefix = ""
		} else {
			prefix += "."
		}
		gauges := decode(script)

		before := runtime.NumGoroutine()
		datagrams, log := publish(t, cfg, func(set func(string, int64)) {
			for _, g := range gauges {
				set(g.name, g.value)
			}
		})
		harness.Eventually(t, "the library's goroutines end", func() bool { return runtime.NumGoroutine() <= before })

		// What was sent is what follows, in this order: the gauges of the tick,
		// then those of Stop.
		var want []gauge // of the source
		dropped, tooLong := 0, 0
		zeros := map[string]bool{} // its levels
		for _, g := range gauges {
			if len(g.name) > maxName {
				dropped++
				continue
			}
			sent := gauge{prefix + safe(g.name), g.value}
			if g.value >= noLimit || g.value <= -noLimit {
				sent.value = 0
			}
			if len(unit(gauge{sent.name, 0}, format)) <= int(size) {
				zeros[sent.name] = true
			}
			if len(unit(sent, format)) > int(size) {
				tooLong++
				continue
			}
			want = append(want, sent)
		}
		own := ownGauges(cfg)

		var got []gauge
		for i, datagram := range datagrams {
			if len(datagram) == 0 || len(datagram) > int(size) {
				t.Fatalf("datagram %d has %d bytes, want 1 to %d", i, len(datagram), size)
			}
			got = append(got, settings(t, datagram, format)...)
		}
		tick := len(own) + len(want)
		if len(got) < tick {
			t.Fatalf("%d gauges were set, want %d before Stop", len(got), tick)
		}
		for i, name := range own {
			if got[i].name != prefix+name || got[i].value < 0 {
				t.Fatalf("gauge %d is %v, want %s", i, got[i], prefix+name)
			}
		}
		if !slices.Equal(got[len(own):tick], want) {
			t.Fatalf("the source's gauges were sent as\n%v\nwant\n%v", got[len(own):tick], want)
		}
		checkStop(t, got[tick:], prefix, cfg, zeros)
		// The source's gauges follow upon the library's own, in datagrams of theirs.
		rest := checkPacking(t, datagrams, got[:len(own)], int(size), format)
		checkPacking(t, rest, got[len(own):tick], int(size), format)

		// One line for each cause.
		var causes int
		if dropped > 0 {
			causes++
		}
		if tooLong > 0 {
			causes++
		}
		if len(log) != causes {
			t.Errorf("%d gauges have names that are too long, %d lines that do not fit, and the library logged %q", dropped, tooLong, log)
		}
	})
}

// ownGauges returns the names of the library's own gauges.
func ownGauges(cfg runtimemetrics.Config) []string {
	return slices.DeleteFunc(slices.Clone(harness.Gauges), func(name string) bool { return !enabled(cfg, name) })
}

func enabled(cfg runtimemetrics.Config, name string) bool {
	switch {
	case strings.HasPrefix(name, "cpu."):
		return !cfg.DisableCPU
	case strings.HasPrefix(name, "mem.gc."):
		return !cfg.DisableMem && !cfg.DisableGC
	default:
		return !cfg.DisableMem
	}
}

// settings returns what a datagram sets. A negative value must stand behind a
// zero of the same name, of which it is the change.
func settings(t *testing.T, datagram string, format int) (gauges []gauge) {
	t.Helper()
	events := parse(t, datagram)
	for i, text := range strings.Split(datagram, "\n") {
		g := read(t, text, events[i], format)
		if g.value < 0 {
			last := len(gauges) - 1
			if last < 0 || gauges[last] != (gauge{g.name, 0}) {
				t.Fatalf("the line %q does not stand behind a zero in\n%s", text, datagram)
			}
			gauges = gauges[:last]
		}
		gauges = append(gauges, g)
	}
	return gauges
}

// read returns the gauge that the parser found in a line. The parser gives the
// value as a float, which holds 53 bits only, so the digits come from the line.
func read(t *testing.T, text string, found event.Event, format int) gauge {
	t.Helper()
	e, ok := found.(*event.GaugeEvent)
	if !ok {
		t.Fatalf("the line %q is no gauge but %T", text, found)
	}
	var labels map[string]string
	switch formats[format].name {
	case "datadog", "influx":
		labels = map[string]string{"env": "prod", "service": "api"}
	}
	if !maps.Equal(e.Labels(), labels) {
		t.Fatalf("the parser finds the tags %v in the line %q", e.Labels(), text)
	}
	// The parser takes Graphite's tags for part of the name.
	name := strings.TrimSuffix(e.MetricName(), formats[format].ofName)
	digits, ok := strings.CutPrefix(text, name+formats[format].ofName+":")
	if ok {
		digits, ok = strings.CutSuffix(digits, "|g"+formats[format].ofLine)
	}
	value, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || strconv.FormatInt(value, 10) != digits {
		t.Fatalf("the line %q of %s is not a name and a whole number, as it should be written", text, name)
	}
	if e.Value() != float64(value) || e.GRelative != (value < 0) {
		t.Fatalf("the line %q is parsed as %g, as a change: %v", text, e.Value(), e.GRelative)
	}
	return gauge{name, value}
}

// checkStop requires that Stop has set the levels to 0, and nothing else: the
// library's in their order, then those of the source in any.
func checkStop(t *testing.T, got []gauge, prefix string, cfg runtimemetrics.Config, zeros map[string]bool) {
	t.Helper()
	for _, name := range harness.Levels {
		if !enabled(cfg, name) {
			continue
		}
		if len(got) == 0 || got[0] != (gauge{prefix + name, 0}) {
			t.Fatalf("Stop sent %v, want %s set to 0 first", got, prefix+name)
		}
		got = got[1:]
	}
	reset := map[string]bool{}
	for _, g := range got {
		if !zeros[g.name] || g.value != 0 {
			t.Fatalf("Stop set %s to %d", g.name, g.value)
		}
		reset[g.name] = true
	}
	if len(reset) != len(zeros) {
		t.Fatalf("Stop set %v to 0, want %v", reset, zeros)
	}
}

// checkPacking requires that these gauges came in as few datagrams as their order
// allows: the first gauge of each would not have fitted into the one before. It
// returns the datagrams after them.
func checkPacking(t *testing.T, datagrams []string, tick []gauge, size, format int) (rest []string) {
	t.Helper()
	i := 0
	for ; len(tick) > 0; i++ {
		var packed []string
		for len(tick) > 0 && len(strings.Join(append(packed, unit(tick[0], format)), "\n")) <= size {
			packed, tick = append(packed, unit(tick[0], format)), tick[1:]
		}
		if want := strings.Join(packed, "\n"); datagrams[i] != want {
			t.Fatalf("datagram %d is\n%s\nwant\n%s", i, datagrams[i], want)
		}
	}
	return datagrams[i:]
}

func TestNamesBeyondTheLimitAreDroppedWithOneLine(t *testing.T) {
	cfg := runtimemetrics.Config{Prefix: "p", PacketSize: maxPacket, DisableCPU: true, DisableMem: true}
	datagrams, log := publish(t, cfg, func(set func(string, int64)) {
		for i := range 1_000_000 {
			set(fmt.Sprintf("n%d", i), 1)
		}
	})
	// All names fit into one datagram, and all their zeros into another.
	if len(datagrams) != 2 {
		t.Fatalf("%d datagrams were sent, want 2", len(datagrams))
	}
	for i, datagram := range datagrams {
		names := map[string]bool{}
		for _, g := range settings(t, datagram, 0) {
			if g.value != int64(1-i) {
				t.Errorf("datagram %d sets %s to %d", i, g.name, g.value)
			}
			names[g.name] = true
		}
		if len(names) != maxNames || !names["p.n0"] || !names["p.n4095"] {
			t.Errorf("datagram %d has %d names, want p.n0 to p.n4095", i, len(names))
		}
	}
	const want = `runtimemetrics: custom gauges are dropped, the first of them being "n4096"`
	if len(log) != 1 || !strings.HasPrefix(log[0], want) {
		t.Errorf("the library logged %q, want %q", log, want)
	}
}
