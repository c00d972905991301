package runtimemetrics

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/names"
)

// Config is what Start takes. A field that is set wins; a field left zero falls
// to its flag, then to its environment variable, then to its default.
type Config struct {
	// StatsD is the server: "host:port", "host" or a bare IPv6 address (port 8125),
	// ":port" (this machine), "[v6]:port", "udp://host:port", or "unix:///path" or
	// "unixgram:///path" for a datagram socket. Flag --statsd, default
	// "localhost:8125".
	StatsD string

	// Prefix stands before the name of every gauge. It holds letters, digits,
	// '_', '-' and '.', and placeholders: {host} (the host name), {exe} (the
	// program's file name), {pid}, {env:NAME} (an environment variable), and from
	// the build {version}, {revision} and {go}. In what they stand for, dots are
	// made '_'. "." means no prefix. Flag --metric-prefix, default "go." and the
	// host name, dots kept. Two processes with the same prefix overwrite each
	// other's gauges. The prefix is cut at 192 bytes.
	Prefix string

	// Pause is the time between two ticks, at least 100 ms. Flag --pause,
	// default 10 s.
	Pause time.Duration

	// DisableCPU, DisableMem and DisableGC turn the gauges cpu.*, mem.* and
	// mem.gc.* off. Flags --cpu, --mem and --gc, default on.
	DisableCPU, DisableMem, DisableGC bool

	// Exact reads memory by runtime.ReadMemStats, which stops the world at
	// every tick. Flag --metric-exact, default off; see collector.Collector.
	Exact bool

	// PacketSize is the largest datagram in bytes, 256 to 65507. Flag
	// --metric-packet-size, default 1432, which fits an Ethernet frame.
	PacketSize int

	// Runtime are patterns of metrics of package runtime/metrics to publish too:
	// names with or without the unit, in which '*' stands for any text, "default"
	// for a curated set, "all" for all but /godebug. Flag --metric-runtime, default
	// none. See collector.Collector for their names.
	Runtime []string

	// Self publishes gauges of the library itself: runtimemetrics.ticks,
	// runtimemetrics.lost and runtimemetrics.late.ns. With any pattern in Runtime
	// they are published anyway.
	Self bool

	// Tags stand on every gauge: "key:value" each, of letters, digits, '_', '-'
	// and '.'; values may hold the placeholders that Prefix may hold, and keep
	// their dots. Flag --metric-tags, default none. The first tag that does not
	// fit into 512 bytes is left out, and so are those after it.
	Tags []string

	// TagFormat is how the server wants tags written: "datadog" (name:1|g|#k:v),
	// "influx" (name,k=v:1|g) or "graphite" (name;k=v:1|g). Flag
	// --metric-tag-format, default "datadog".
	TagFormat string

	// Logf receives the few lines that there are to log; default is what flag
	// --metric-log says, package log if it says nothing. It is called from a
	// goroutine of its own, for one line after the other, and may block.
	Logf func(format string, args ...any)
}

// settings are a Config with nothing left open. What a server or a reader of
// gauges could tell from the outside is in wire.
type settings struct {
	wire
	pause      time.Duration
	publish    bool
	exact      bool
	packetSize int
	log        string
}

// wire says where gauges go and what they are called. When it changes, the levels
// that were sent are set to 0: nobody will go on with them.
type wire struct {
	addr         link.Address
	prefix       string
	cpu, mem, gc bool
	self         bool
	runtime      string // patterns
	tags         string
	tagFormat    string
}

// resolve fills what the Config leaves open from o. The error says which field
// is wrong and what would be right.
func (c *Config) resolve(o *options, process names.Process) (*settings, error) {
	s := new(settings)
	var err error
	pick := func(field, text string, i int) string {
		if text == "" {
			return o.text(i)
		}
		if bad := table[i].Check(text); bad != nil && err == nil {
			err = fmt.Errorf("runtimemetrics: invalid value %q for Config.%s: %w", text, field, bad)
		}
		return text
	}
	var pause, packetSize string
	if c.Pause != 0 {
		pause = c.Pause.String()
	}
	if c.PacketSize != 0 {
		packetSize = strconv.Itoa(c.PacketSize)
	}
	addr := pick("StatsD", c.StatsD, statsdFlag)
	prefix := pick("Prefix", c.Prefix, prefixFlag)
	pause = pick("Pause", pause, pauseFlag)
	packetSize = pick("PacketSize", packetSize, packetSizeFlag)
	s.runtime = pick("Runtime", strings.Join(c.Runtime, ","), runtimeFlag)
	s.tags = pick("Tags", strings.Join(c.Tags, ","), tagsFlag)
	s.tagFormat = pick("TagFormat", c.TagFormat, tagFormatFlag)
	if err != nil {
		return nil, err
	}

	// All of these texts have passed their check.
	s.addr, _ = link.ParseAddress(addr)
	s.prefix = process.Prefix(prefix)
	s.pause, _ = parsePause(pause)
	s.packetSize, _ = strconv.Atoi(packetSize)
	s.publish = isTrue(o.text(publishFlag))
	s.cpu = !c.DisableCPU && isTrue(o.text(cpuFlag))
	s.mem = !c.DisableMem && isTrue(o.text(memFlag))
	s.gc = s.mem && !c.DisableGC && isTrue(o.text(gcFlag))
	s.exact = c.Exact || isTrue(o.text(exactFlag))
	s.self = c.Self || s.runtime != ""
	s.log = o.text(logFlag)
	return s, nil
}

// collect returns a collector that hands the gauges of s to gauge.
func (s *settings) collect(gauge collector.GaugeFunc) *collector.Collector {
	c := collector.New(gauge)
	c.EnableCPU, c.EnableMem, c.EnableGC, c.Exact = s.cpu, s.mem, s.gc, s.exact
	c.Runtime, _ = collector.ParsePatterns(s.runtime)
	return c
}
