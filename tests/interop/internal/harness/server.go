//go:build linux

package harness

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Outcome is what becomes of gauges whose tags are written in one way.
type Outcome int

const (
	// Arrives: every gauge is there, under its name, with its value and its tags.
	Arrives Outcome = iota
	// Untagged: every gauge is there with its value, but without its tags.
	Untagged
	// Mangled: gauges are there, but under other names.
	Mangled
	// Refused: nothing is there.
	Refused
)

func (o Outcome) String() string {
	return [...]string{"arrive", "arrive without their tags", "arrive under other names", "do not arrive"}[o]
}

// Forms are the ways of writing a gauge, in the order in which they are tried:
// without tags, and with them in each --metric-tag-format.
var Forms = []string{"plain", "datadog", "influx", "graphite"}

// Gauge is a gauge as a server has it.
type Gauge struct {
	Name  string // without what the server puts around it
	Tags  map[string]string
	Value float64
}

// Server is a server and what is known of it.
type Server struct {
	Name string

	// Start starts the server and returns where it listens, and a function that
	// returns the gauges it has whose names begin with a prefix.
	Start func(t *testing.T) (addr string, read func(prefix string) ([]Gauge, error))

	// Outcomes has one for each of Forms.
	Outcomes map[string]Outcome

	// Largest is the largest datagram in bytes of which nothing is lost.
	Largest int

	// Name and value as the server spells them; nil if as they were sent.
	Spell func(name string) string
	Value func(sent float64) float64
}

// maxUDP is the largest datagram that there is.
const maxUDP = 65507

// someTicks have to have arrived before values are compared: a negative gauge
// that a server adds to the one of the tick before would be right at the first.
const someTicks = 3

// Test pushes gauges to a server in each of Forms, and in datagrams as large as
// it takes, and checks what it has of them.
func Test(t *testing.T, s Server) {
	if s.Spell == nil {
		s.Spell = func(name string) string { return name }
	}
	if s.Value == nil {
		s.Value = func(sent float64) float64 { return sent }
	}
	if testing.Short() {
		t.Skip("SKIPPED: starts a server; not with -short")
	}
	addr, read := s.Start(t)

	tags := map[string]string{"env": "prod", "service": "inter-op.test"}
	const written = "env:prod,service:inter-op.test"

	hosts := map[string]*host{}
	for _, form := range Forms {
		args := []string{"--metric-runtime=default"}
		var with map[string]string
		if form != "plain" {
			with = tags
			args = append(args, "--metric-tags="+written, "--metric-tag-format="+form)
		}
		hosts[form] = publish(t, addr, "interop."+form, with, args...)
	}
	// Those first that arrive. When they have, several ticks after all hosts had
	// begun, it is certain that the others will not.
	forms := slices.Clone(Forms)
	slices.SortStableFunc(forms, func(a, b string) int {
		return int(s.Outcomes[a]) - int(s.Outcomes[b])
	})
	for _, form := range forms {
		h, outcome := hosts[form], s.Outcomes[form]
		t.Run(form, func(t *testing.T) {
			switch outcome {
			case Arrives, Untagged:
				if outcome == Untagged {
					h.tags = nil
				}
				got := s.arrived(t, h, read)
				own := func(name string) string {
					return strconv.FormatFloat(got[s.Spell(h.prefix+"."+name)].Value, 'f', -1, 64)
				}
				t.Logf("%s, %s: %d gauges %s: own.negative = %s, expvar.fraction = %s, expvar.below_zero = %s, tags %v",
					s.Name, form, len(got), outcome, own("own.negative"), own("expvar.fraction"), own("expvar.below_zero"), h.tags)
			case Mangled:
				Poll(t, "other names arrive", func() error { return s.mangled(t, form, h, read) })
			case Refused:
				if got, err := read(s.Spell(h.prefix + ".")); err != nil || len(got) > 0 {
					t.Fatalf("%s, %s: %d gauges arrive, such as %v (error %v)", s.Name, form, len(got), first(got), err)
				}
				t.Logf("%s, %s: its gauges %s", s.Name, form, outcome)
			}
		})
	}
	t.Run("largest", func(t *testing.T) { s.largest(t, addr, read) })
}

// arrived waits until the server has the host's gauges: all of them, nothing
// else, with the right values and tags. It returns them by name.
func (s *Server) arrived(t *testing.T, h *host, read func(prefix string) ([]Gauge, error)) map[string]Gauge {
	t.Helper()
	wanted := map[string]bool{}
	for _, name := range h.Names {
		wanted[s.Spell(h.prefix+"."+name)] = true
	}
	if len(wanted) != len(h.Names) {
		t.Fatalf("%d gauges have %d names in %s", len(h.Names), len(wanted), s.Name)
	}
	var got map[string]Gauge
	Poll(t, s.Name+" has the gauges of "+h.prefix, func() error {
		gauges, err := read(s.Spell(h.prefix + "."))
		if err != nil {
			return err
		}
		got = map[string]Gauge{}
		for _, g := range gauges {
			switch _, twice := got[g.Name]; {
			case twice:
				return fmt.Errorf("%s is there twice", g.Name)
			case !wanted[g.Name]:
				return fmt.Errorf("%s is there, which was not sent", g.Name)
			case !maps.Equal(g.Tags, h.tags):
				return fmt.Errorf("%s has the tags %v, not %v", g.Name, g.Tags, h.tags)
			}
			got[g.Name] = g
		}
		for name := range wanted {
			if _, ok := got[name]; !ok {
				return fmt.Errorf("%d of %d gauges are there, not %s", len(got), len(wanted), name)
			}
		}
		if ticks := got[s.Spell(h.prefix+".runtimemetrics.ticks")].Value; ticks < someTicks {
			return fmt.Errorf("only %v ticks have arrived", ticks)
		}
		for name, sent := range h.Values {
			name = s.Spell(h.prefix + "." + name)
			if got, want := got[name].Value, s.Value(sent); got != want {
				return fmt.Errorf("%s is %v, not %v", name, got, want)
			}
		}
		return nil
	})
	return got
}

// mangled returns nil if the server has something of a host, but none of its
// gauges.
func (s *Server) mangled(t *testing.T, form string, h *host, read func(prefix string) ([]Gauge, error)) error {
	gauges, err := read(s.Spell(h.prefix + "."))
	if err != nil {
		return err
	}
	if len(gauges) == 0 {
		return fmt.Errorf("nothing is there")
	}
	for _, name := range h.Names {
		name = s.Spell(h.prefix + "." + name)
		if slices.ContainsFunc(gauges, func(g Gauge) bool { return g.Name == name }) {
			t.Fatalf("%s arrives under its name", name)
		}
	}
	t.Logf("%s, %s: %d gauges %s, such as %v", s.Name, form, len(gauges), Mangled, first(gauges))
	return nil
}

func first(gauges []Gauge) string {
	if len(gauges) == 0 {
		return "none"
	}
	g := slices.MinFunc(gauges, func(a, b Gauge) int { return strings.Compare(a.Name, b.Name) })
	return fmt.Sprintf("%s %v", g.Name, g.Tags)
}

// largest checks how large a datagram may be: with the library, which fills
// several of that size, and to the byte with one of that size and one that is a
// byte larger.
func (s *Server) largest(t *testing.T, addr string, read func(prefix string) ([]Gauge, error)) {
	// Lines that are as long as every server takes them, or longer where it
	// would need very many.
	line := 80
	if s.Largest > 10_000 {
		line = 220
	}
	h := publish(t, addr, "interop.large", nil, "--metric-runtime=/sched/gomaxprocs",
		fmt.Sprintf("--metric-packet-size=%d", s.Largest),
		fmt.Sprintf("--more=%d", s.Largest/line+20), fmt.Sprintf("--more-length=%d", line-len("interop.large.:0|g")))
	got := s.arrived(t, h, read)

	server, err := net.Dial("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const edge, beyond = "interop.edge", "interop.beyond"
	send := func(datagram []byte) {
		if _, err := server.Write(datagram); err != nil {
			t.Fatal(err)
		}
	}
	// lacks says which of its two ends of a datagram is not there.
	lacks := func(prefix string) (end string, err error) {
		gauges, err := read(s.Spell(prefix + "."))
		if err != nil {
			return "", err
		}
		for _, end := range []string{"first", "last"} {
			if !slices.ContainsFunc(gauges, func(g Gauge) bool { return g.Name == s.Spell(prefix+"."+end) }) {
				return end, nil
			}
		}
		return "", nil
	}
	var lost string // of the larger one
	Poll(t, "a whole datagram arrives", func() error {
		// The larger one first: when the other one has arrived, it has as well.
		if s.Largest < maxUDP {
			send(datagram(beyond, s.Largest+1, line))
		}
		send(datagram(edge, s.Largest, line))
		if end, err := lacks(edge); err != nil || end != "" {
			return fmt.Errorf("of one of %d bytes, the %s line is not there (error %v)", s.Largest, end, err)
		}
		if s.Largest < maxUDP {
			if lost, err = lacks(beyond); err != nil || lost == "first" {
				return fmt.Errorf("of one of %d bytes, nothing is there (error %v)", s.Largest+1, err)
			}
		}
		return nil
	})
	limit := "UDP has none larger"
	if s.Largest < maxUDP {
		limit = "one byte more and its last line is lost"
		if lost != "last" {
			t.Errorf("nothing of a datagram of %d bytes is lost", s.Largest+1)
		}
	}
	t.Logf("%s, largest datagram: %d gauges arrive in datagrams of %d bytes; %s", s.Name, len(got), s.Largest, limit)
}

// datagram returns one of a given size, in lines of at least half a length and
// at most the whole. What its first and its last line set is prefix.first and
// prefix.last.
func datagram(prefix string, size, length int) []byte {
	d := []byte(prefix + ".first:1|g")
	last := "\n" + prefix + ".last:1|g"
	for i := 0; ; i++ {
		name, value := fmt.Sprintf("\n%s.%04d", prefix, i), ":1|g"
		left := size - len(d) - len(last)
		now := length
		switch {
		case left <= length:
			now = left
		case left < 2*length:
			now = left / 2
		}
		d = append(append(append(d, name...), strings.Repeat("x", now-len(name)-len(value))...), value...)
		if now == left {
			return append(d, last...)
		}
	}
}
