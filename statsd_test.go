package runtimemetrics

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/cactus/go-statsd-client/v5/statsd"
)

// fill makes a packer of units, each a text without its last line end.
func fill(limit int, units ...string) *packer {
	p := &packer{limit: limit}
	for _, unit := range units {
		lines := strings.Split(unit, "\n")
		for i, line := range lines {
			p.join = i < len(lines)-1
			p.take(append(append(p.buf, line...), '\n'))
		}
	}
	return p
}

func packed(p *packer) (datagrams []string, tooLong int) {
	n := p.datagrams()
	for d := p.next(); d != nil; d = p.next() {
		datagrams = append(datagrams, string(d))
	}
	if n != len(datagrams) {
		panic(fmt.Sprintf("%d datagrams were announced and %d came", n, len(datagrams)))
	}
	return datagrams, p.tooLong
}

func TestPack(t *testing.T) {
	tests := []struct {
		name    string
		limit   int
		units   []string
		want    []string
		tooLong int
	}{
		{"nothing makes no datagram", 10, nil, nil, 0},
		{"one unit", 10, []string{"a:1|g"}, []string{"a:1|g"}, 0},
		{"units that fit share a datagram", 11, []string{"a:1|g", "b:2|g"}, []string{"a:1|g\nb:2|g"}, 0},
		{"one byte less splits them", 10, []string{"a:1|g", "b:2|g"}, []string{"a:1|g", "b:2|g"}, 0},
		{"as few as possible", 17, []string{"a:1|g", "b:2|g", "c:3|g", "d:4|g"}, []string{"a:1|g\nb:2|g\nc:3|g", "d:4|g"}, 0},
		{"a unit of two lines is not torn", 17, []string{"a:1|g", "b:2|g", "c:0|g\nc:-3|g"}, []string{"a:1|g\nb:2|g", "c:0|g\nc:-3|g"}, 0},
		{"a unit of the size of the limit", 5, []string{"a:1|g"}, []string{"a:1|g"}, 0},
		{"a unit that is too long is left out", 5, []string{"a:1|g", "bb:2|g", "c:3|g"}, []string{"a:1|g", "c:3|g"}, 1},
		{"what stands around it shares a datagram", 11, []string{"a:1|g", "xxxxxxxx:2|g", "c:3|g"}, []string{"a:1|g\nc:3|g"}, 1},
		{"too long at the start", 5, []string{"aa:1|g", "c:3|g"}, []string{"c:3|g"}, 1},
		{"too long at the end", 5, []string{"c:3|g", "aa:1|g"}, []string{"c:3|g"}, 1},
		{"all too long", 2, []string{"c:3|g", "aa:1|g"}, nil, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, tooLong := packed(fill(tt.limit, tt.units...))
			if !reflect.DeepEqual(got, tt.want) || tooLong != tt.tooLong {
				t.Errorf("got %q, %d too long; want %q, %d", got, tooLong, tt.want, tt.tooLong)
			}
		})
	}
}

// checkPacked fails unless the datagrams hold all units that fit, in order, no
// datagram is too large, and no two neighbours could have been one.
func checkPacked(t *testing.T, units []string, limit int) {
	t.Helper()
	datagrams, tooLong := packed(fill(limit, units...))
	var fit []string
	for _, unit := range units {
		if len(unit) <= limit {
			fit = append(fit, unit)
		}
	}
	if tooLong != len(units)-len(fit) {
		t.Errorf("%d units reported too long, %d are", tooLong, len(units)-len(fit))
	}
	if got, want := strings.Join(datagrams, "\n"), strings.Join(fit, "\n"); got != want {
		t.Errorf("the datagrams hold\n%q\nwant\n%q", got, want)
	}
	next := 0
	for i, d := range datagrams {
		if len(d) > limit {
			t.Errorf("datagram %d has %d bytes, limit %d", i, len(d), limit)
		}
		for size := 0; size < len(d); next++ {
			size += len(fit[next]) + 1
			if size > len(d)+1 {
				t.Errorf("datagram %d ends within a unit", i)
			}
		}
		if next < len(fit) && len(d)+1+len(fit[next]) <= limit {
			t.Errorf("datagram %d has room for the next unit", i)
		}
	}
}

func TestPackRandomUnits(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for round := 0; round < 2000; round++ {
		var units []string
		for i := random.Intn(40); i > 0; i-- {
			unit := strings.Repeat("x", 1+random.Intn(60))
			if random.Intn(4) == 0 {
				unit += "\n" + strings.Repeat("y", 1+random.Intn(60))
			}
			units = append(units, unit)
		}
		checkPacked(t, units, 1+random.Intn(200))
	}
}

func FuzzPack(f *testing.F) {
	f.Add("a:1|g\nb:2|g\n", uint16(7))
	f.Add("long line\x00with its second line\nshort", uint16(12))
	f.Fuzz(func(t *testing.T, text string, limit uint16) {
		var units []string
		for _, unit := range strings.Split(text, "\n") {
			if unit = strings.ReplaceAll(unit, "\x00", "\n"); unit != "" && !strings.Contains("\n"+unit+"\n", "\n\n") {
				units = append(units, unit)
			}
		}
		checkPacked(t, units, int(limit)+1)
	})
}

// TestGaugeWireFormat holds the bytes that leave the process.
func TestGaugeWireFormat(t *testing.T) {
	k := newSink(&settings{wire: wire{prefix: "go.web1"}, packetSize: 1432}, testProcess)
	k.gauge("mem.alloc", 310528)
	k.gauge("queue.depth", 0)
	k.gauge("balance", -5)
	k.gauge("most", 1<<62-1)
	k.gauge("least", -(1<<62 - 1))
	k.gauge("no.limit", 1<<62)
	k.gauge("no.limit", math.MaxInt64)
	k.gauge("no.limit", math.MinInt64)
	k.fraction("load", 0.25)
	k.fraction("load", 3)
	k.fraction("load", 1e18)
	k.fraction("load", -1.5)
	k.fraction("load", math.Copysign(0, -1))
	k.fraction("load", 1e300)
	k.fraction("load", math.NaN())
	k.fraction("load", math.Inf(1))
	k.fraction("load", math.Inf(-1))
	want := "go.web1.mem.alloc:310528|g\n" +
		"go.web1.queue.depth:0|g\n" +
		"go.web1.balance:0|g\ngo.web1.balance:-5|g\n" +
		"go.web1.most:4611686018427387903|g\n" +
		"go.web1.least:0|g\ngo.web1.least:-4611686018427387903|g\n" +
		"go.web1.no.limit:0|g\ngo.web1.no.limit:0|g\ngo.web1.no.limit:0|g\n" +
		"go.web1.load:0.25|g\n" +
		"go.web1.load:3|g\n" +
		"go.web1.load:1000000000000000000|g\n" +
		"go.web1.load:0|g\ngo.web1.load:-1.5|g\n" +
		"go.web1.load:0|g\n" +
		"go.web1.load:0|g\n"
	if got := string(k.buf); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(k.ends) != 14 {
		t.Errorf("%d units, want 14: a negative value and its zero are one", len(k.ends))
	}

	bare := newSink(&settings{packetSize: 1432}, testProcess)
	bare.gauge("cpu.goroutines", 7)
	if got := string(bare.buf); got != "cpu.goroutines:7|g\n" {
		t.Errorf("without a prefix: %q", got)
	}
}

// TestLinesAreTheClients holds our lines against those that go-statsd-client
// writes gauge by gauge.
func TestLinesAreTheClients(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	pick := func(from ...string) string { return from[random.Intn(len(from))] }
	var formats []string
	for format := range tagFormats {
		formats = append(formats, format)
	}
	sort.Strings(formats)
	for i := 0; i < 2000; i++ {
		set := &settings{packetSize: 1432, wire: wire{
			prefix:    pick("", "go", "go.web1.example.com", "0", "a-b_c.0"),
			tags:      pick("", "env:prod", "zero:0,service:api,host:{host}", "a:0.0,b:{exe}"),
			tagFormat: pick(formats...),
		}}
		k := newSink(set, testProcess)
		var tags []statsd.Tag
		for _, tag := range testProcess.Tags(set.tags) {
			tags = append(tags, tag)
		}
		var want capture
		client, err := statsd.NewClientWithSender(&want, set.prefix, tagFormats[set.tagFormat])
		if err != nil {
			t.Fatal(err)
		}
		name, value := pick("x", "mem.heap.alloc", "0", "g"), random.Int63n(noLimit)>>uint(random.Intn(62))
		fraction := float64(value) / 1024
		if i%2 == 0 {
			k.gauge(name, value)
			client.Gauge(name, value, 1, tags...)
		} else {
			k.fraction(name, fraction)
			client.(statsd.ExtendedStatSender).GaugeFloat(name, fraction, 1, tags...)
		}
		if got := string(k.buf); got != string(want)+"\n" {
			t.Fatalf("%+v: wrote %q, the client %q", set, got, want)
		}
	}
}

func TestPackerKeepsItsMemory(t *testing.T) {
	p := &packer{limit: 1432}
	line := bytes.Repeat([]byte("x"), 40)
	tick := func() {
		for i := 0; i < 50; i++ {
			p.take(append(append(p.buf, line...), '\n'))
		}
		for p.next() != nil {
		}
		p.reset()
	}
	tick()
	if n := testing.AllocsPerRun(100, tick); n != 0 {
		t.Errorf("%v allocations per tick, want 0", n)
	}
}

func TestTagsWireFormat(t *testing.T) {
	lines := map[string]string{
		"datadog":  "p.x:1|g|#env:prod,host:web1.example.com\np.y:0|g|#env:prod,host:web1.example.com\np.y:-2|g|#env:prod,host:web1.example.com\n",
		"influx":   "p.x,env=prod,host=web1.example.com:1|g\np.y,env=prod,host=web1.example.com:0|g\np.y,env=prod,host=web1.example.com:-2|g\n",
		"graphite": "p.x;env=prod;host=web1.example.com:1|g\np.y;env=prod;host=web1.example.com:0|g\np.y;env=prod;host=web1.example.com:-2|g\n",
	}
	for format := range tagFormats {
		want := lines[format]
		k := newSink(&settings{wire: wire{prefix: "p", tags: "env:prod,host:{host}", tagFormat: format}, packetSize: 1432}, testProcess)
		k.gauge("x", 1)
		k.gauge("y", -2)
		if got := string(k.buf); got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", format, got, want)
		}
	}
}

// Where a way to write tags is chosen, all of them are named.
func TestEveryTagFormatIsNamedWhereItIsChosen(t *testing.T) {
	usage := newFlagSet(newOptions(env())).Lookup("metric-tag-format").Usage
	refusal := checkTagFormat("none of them").Error()
	for format := range tagFormats {
		if !strings.Contains(usage, format) {
			t.Errorf("-help does not name %s: %s", format, usage)
		}
		if !strings.Contains(refusal, format) {
			t.Errorf("the error does not name %s: %s", format, refusal)
		}
	}
}
