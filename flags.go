package runtimemetrics

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// detectHostname is the default of --metric-prefix, spelled as the ancestor
// spelled it: "go." and the host name, whose dots are kept.
const detectHostname = "<detect-hostname>"

const (
	minPause = 100 * time.Millisecond

	// 256 bytes hold a long prefix, a long name and a value; 65,507 is the
	// largest payload of a UDP datagram over IPv4.
	minPacketSize = 256
	maxPacketSize = 65507

	// What is written literally in a prefix must leave room for a gauge in the
	// smallest packet; what a placeholder stands for is cut instead, since a
	// service must start on whatever host it is put.
	maxPrefix      = 128
	maxPlaceholder = 64
	maxTags        = 255
)

// option is one setting: a flag and the environment variable that changes its
// default. It is the flag's flag.Value, so that reading it while the program
// parses its flags is no data race.
type option struct {
	name    string // of the flag, such as "metric-prefix"
	def     string // default, before the environment
	usage   string
	check   func(text string) error
	boolean bool // may be given as --name, without a value

	owner *options
	text  string // in force; guarded by owner.mu
}

// env returns the name of the option's environment variable.
func (o *option) env() string {
	return "RUNTIMEMETRICS_" + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// String returns the text in force. Package flag calls it on a zero option too.
func (o *option) String() string {
	if o.owner == nil {
		return ""
	}
	o.owner.mu.Lock()
	defer o.owner.mu.Unlock()
	return o.text
}

// Set changes the option, unless text is not valid.
func (o *option) Set(text string) error {
	if err := o.check(text); err != nil {
		return err
	}
	o.owner.mu.Lock()
	o.text = text
	o.owner.lastSet = time.Now()
	changed := o.owner.changed
	o.owner.mu.Unlock()
	if changed != nil {
		changed()
	}
	return nil
}

// Get makes the option a flag.Getter, as all values of package flag are:
// programs that list their flags rely on it.
func (o *option) Get() any { return o.String() }

// boolOption is a boolean option as package flag wants it.
type boolOption struct{ *option }

// String survives a zero receiver, as option's does.
func (o boolOption) String() string {
	if o.option == nil {
		return ""
	}
	return o.option.String()
}

// Get makes the option a flag.Getter.
func (o boolOption) Get() any { return isTrue(o.String()) }

// IsBoolFlag tells package flag that --name alone means true.
func (o boolOption) IsBoolFlag() bool { return true }

// options are all settings, in the order of the flags' documentation.
type options struct {
	statsd, prefix, pause    option
	publish, cpu, mem, gc    option
	exact, packetSize        option
	runtime, tags, tagFormat option
	statsdFromEnv            bool     // RUNTIMEMETRICS_STATSD is set and valid
	notes                    []string // lines to log once somebody listens
	mu                       sync.Mutex
	lastSet                  time.Time // when a flag was last set
	changed                  func()    // called after a flag was set
}

// newOptions returns the options with the defaults that the environment gives.
func newOptions(lookupEnv func(string) (string, bool)) *options {
	o := &options{
		statsd: option{name: "statsd", def: "localhost:8125", check: checkAddress,
			usage: "StatsD server: `host:port`, host, [v6]:port, udp://host:port or unix:///path"},
		prefix: option{name: "metric-prefix", def: detectHostname, check: checkPrefix,
			usage: "`prefix` of every gauge; the default is go. and the host name; may hold {host} and {exe}"},
		pause: option{name: "pause", def: "10", check: checkPause,
			usage: "`interval` between two ticks: whole seconds, or a duration such as 500ms"},
		publish: option{name: "publish-runtime-stats", boolean: true, def: "true", check: checkBool,
			usage: "publish runtime statistics; if false, nothing is published at all"},
		cpu: option{name: "cpu", boolean: true, def: "true", check: checkBool,
			usage: "publish the gauges cpu.*"},
		mem: option{name: "mem", boolean: true, def: "true", check: checkBool,
			usage: "publish the gauges mem.*"},
		gc: option{name: "gc", boolean: true, def: "true", check: checkBool,
			usage: "publish the gauges mem.gc.* (needs mem)"},
		exact: option{name: "metric-exact", boolean: true, def: "false", check: checkBool,
			usage: "read memory exactly, by runtime.ReadMemStats, which stops the world at every tick"},
		packetSize: option{name: "metric-packet-size", def: "1432", check: checkPacketSize,
			usage: "largest datagram in `bytes`"},
		runtime: option{name: "metric-runtime", check: checkRuntime,
			usage: "also publish these metrics of runtime/metrics: `patterns` such as /sched/*,/gc/heap/live:bytes, or default, or all"},
		tags: option{name: "metric-tags", check: checkTags,
			usage: "`tags` on every gauge, such as env:prod,service:api; values may hold {host} and {exe}"},
		tagFormat: option{name: "metric-tag-format", def: "datadog", check: checkTagFormat,
			usage: "how tags are written: datadog (|#k:v), influx (,k=v) or graphite (;k=v), `format` of the server"},
	}
	for _, opt := range o.all() {
		opt.owner, opt.text = o, opt.def
		// An empty variable is what a container's or a unit's file leaves
		// behind for "not set".
		text, ok := lookupEnv(opt.env())
		if !ok || text == "" {
			continue
		}
		if err := opt.check(text); err != nil {
			instead := opt.def
			if instead == "" {
				instead = "none"
			}
			o.notes = append(o.notes, fmt.Sprintf("invalid value %q for environment variable %s: %v; using %s", text, opt.env(), err, instead))
			continue
		}
		opt.text = text
		o.statsdFromEnv = o.statsdFromEnv || opt == &o.statsd
	}
	return o
}

func (o *options) all() []*option {
	return []*option{&o.statsd, &o.prefix, &o.pause, &o.publish, &o.cpu, &o.mem, &o.gc, &o.exact, &o.packetSize, &o.runtime, &o.tags, &o.tagFormat}
}

// register defines the flags in fs. A name that fs has already is left to the
// program: redefining it would panic. It must be called while nothing else uses
// fs, which is certain in init only.
func (o *options) register(fs *flag.FlagSet) {
	for _, opt := range o.all() {
		if fs.Lookup(opt.name) != nil {
			o.notes = append(o.notes, fmt.Sprintf("flag --%s is the program's own and left to it; %s configures this library instead", opt.name, opt.env()))
			continue
		}
		var value flag.Value = opt
		if opt.boolean {
			value = boolOption{opt}
		}
		fs.Var(value, opt.name, opt.usage+" (environment "+opt.env()+")")
	}
}

// sinceSet returns how long ago a flag was last set.
func (o *options) sinceSet() time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	return time.Since(o.lastSet)
}

// everSet tells whether a flag was ever set.
func (o *options) everSet() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.lastSet.IsZero()
}

// takeNotes returns the lines to log, once.
func (o *options) takeNotes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	notes := o.notes
	o.notes = nil
	return notes
}

// Config is what Start takes. A field that is set wins; a field left zero falls
// to its flag, then to its environment variable, then to its default.
type Config struct {
	// StatsD is the server: "host:port", "host" (port 8125), "[v6]:port",
	// "udp://host:port", or "unix:///path" for a datagram socket. Flag --statsd,
	// default "localhost:8125".
	StatsD string

	// Prefix stands before the name of every gauge. It holds letters, digits,
	// '_', '-' and '.', and the placeholders {host} (the host name, dots made
	// '_') and {exe} (the program's file name); "." means none. Flag
	// --metric-prefix, default "go." and the host name, dots kept. Two
	// processes with the same prefix overwrite each other's gauges.
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

	// Self publishes what the library knows of itself: runtimemetrics.ticks,
	// runtimemetrics.lost and runtimemetrics.late.ns. With any pattern in Runtime
	// they are published anyway.
	Self bool

	// Tags stand on every gauge: "key:value" each, of letters, digits, '_', '-'
	// and '.'; values may hold {host}, which keeps its dots, and {exe}. Flag
	// --metric-tags, default none.
	Tags []string

	// TagFormat is how the server wants tags written: "datadog" (name:1|g|#k:v),
	// "influx" (name,k=v:1|g) or "graphite" (name;k=v:1|g). Flag
	// --metric-tag-format, default "datadog".
	TagFormat string

	// Logf receives the few lines that there are to log; default log.Printf. It
	// is called from the library's own goroutine.
	Logf func(format string, args ...any)
}

// settings are a Config with nothing left open.
type settings struct {
	addr         address
	prefix       string
	pause        time.Duration
	publish      bool
	cpu, mem, gc bool
	exact, self  bool
	packetSize   int
	runtime      string // patterns
	tags         string
	tagFormat    string
}

// resolve fills what the Config leaves open from o. The error says which field
// is wrong and what would be right.
func (c Config) resolve(o *options, host hostInfo) (settings, error) {
	var s settings
	var err error
	pick := func(field, text string, opt *option) string {
		if text == "" {
			return opt.String()
		}
		if bad := opt.check(text); bad != nil && err == nil {
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
	addr := pick("StatsD", c.StatsD, &o.statsd)
	prefix := pick("Prefix", c.Prefix, &o.prefix)
	pause = pick("Pause", pause, &o.pause)
	packetSize = pick("PacketSize", packetSize, &o.packetSize)
	s.runtime = pick("Runtime", strings.Join(c.Runtime, ","), &o.runtime)
	s.tags = pick("Tags", strings.Join(c.Tags, ","), &o.tags)
	s.tagFormat = pick("TagFormat", c.TagFormat, &o.tagFormat)
	if err != nil {
		return s, err
	}

	// All of these texts have passed their check.
	s.addr, _ = parseAddress(addr)
	s.prefix = expandPrefix(prefix, host)
	s.pause, _ = parsePause(pause)
	s.packetSize, _ = strconv.Atoi(packetSize)
	s.publish = isTrue(o.publish.String())
	s.cpu = !c.DisableCPU && isTrue(o.cpu.String())
	s.mem = !c.DisableMem && isTrue(o.mem.String())
	s.gc = !c.DisableGC && isTrue(o.gc.String())
	s.self = c.Self || s.runtime != ""
	s.exact = c.Exact || isTrue(o.exact.String())
	return s, nil
}

func checkBool(text string) error {
	if _, err := strconv.ParseBool(text); err != nil {
		return errors.New("must be true or false")
	}
	return nil
}

func isTrue(text string) bool {
	v, _ := strconv.ParseBool(text)
	return v
}

func checkRuntime(text string) error {
	_, err := collector.ParsePatterns(text)
	return err
}

func checkPause(text string) error {
	_, err := parsePause(text)
	return err
}

// parsePause reads whole seconds, as the ancestor's flag took, or a duration.
func parsePause(text string) (time.Duration, error) {
	const right = `use whole seconds such as 10, or a duration such as 500ms`
	d, err := time.ParseDuration(text)
	if n, intErr := strconv.ParseInt(text, 10, 64); intErr == nil {
		if n > math.MaxInt64/int64(time.Second) {
			return 0, fmt.Errorf("is too long; %s", right)
		}
		d, err = time.Duration(n)*time.Second, nil
		if n < 0 {
			d = -1 // the product might wrap
		}
	}
	if err != nil {
		return 0, fmt.Errorf("is not an interval; %s", right)
	}
	if d < minPause {
		return 0, fmt.Errorf("must be at least %v; %s", minPause, right)
	}
	return d, nil
}

func checkPacketSize(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < minPacketSize || n > maxPacketSize {
		return fmt.Errorf("must be a number of bytes from %d to %d, such as 1432", minPacketSize, maxPacketSize)
	}
	return nil
}

// placeholders stand in a prefix for what the process finds out about itself.
const (
	hostPlaceholder = "{host}"
	exePlaceholder  = "{exe}"
)

// checkPrefix refuses what StatsD would cut, drop, change or read as syntax:
// it keeps [A-Za-z0-9_.-] only, and Graphite collapses empty parts.
func checkPrefix(text string) error {
	if text == detectHostname {
		return nil
	}
	const right = `use letters, digits, '_', '-' and '.', and the placeholders {host} and {exe}, as in go.{host}.{exe}`
	literal := replacePlaceholders(text, "_", "_")
	for _, c := range literal {
		if !safeRune(c) {
			return fmt.Errorf("must not hold %q; %s", c, right)
		}
	}
	placeholders := strings.Count(text, hostPlaceholder) + strings.Count(text, exePlaceholder)
	if placeholders > 2 {
		return fmt.Errorf("must not hold more than two placeholders; %s", right)
	}
	if len(literal)-placeholders > maxPrefix {
		return fmt.Errorf("must not be longer than %d bytes beside its placeholders, to leave room for a gauge in a packet", maxPrefix)
	}
	if text = strings.TrimSuffix(text, "."); strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") || strings.Contains(text, "..") {
		return fmt.Errorf("must not begin with a dot or hold two in a row; %s", right)
	}
	return nil
}

// hostInfo finds out what the placeholders stand for.
type hostInfo struct {
	hostname, executable func() (string, error)
}

var realHost = hostInfo{os.Hostname, os.Executable}

// safeHost returns the host name made safe and cut, dots kept; never refused.
func (h hostInfo) safeHost() string {
	name, err := h.hostname()
	if err != nil || name == "" {
		name = "unknown"
	}
	return cut(safeName(name), maxPlaceholder)
}

// safeExe returns the file name of the program, made safe and cut.
func (h hostInfo) safeExe() string {
	exe, err := h.executable()
	if err != nil {
		exe = ""
	}
	exe = strings.TrimSuffix(exe[strings.LastIndexAny(exe, `/\`)+1:], ".exe")
	if exe == "" {
		exe = "unknown"
	}
	return cut(safeName(exe), maxPlaceholder)
}

// expandPrefix returns the prefix without its trailing dot and with its
// placeholders replaced.
func expandPrefix(text string, host hostInfo) string {
	if text == detectHostname {
		return "go." + host.safeHost()
	}
	onePart := func(name string) string { return strings.ReplaceAll(name, ".", "_") }
	text = replacePlaceholders(text, onePart(host.safeHost()), onePart(host.safeExe()))
	return strings.TrimSuffix(text, ".")
}

// replacePlaceholders does without strings.Replacer, which would add 28 KiB to
// every program. Neither of the two may be empty: the second could then be made
// of what is left around the first.
func replacePlaceholders(text, host, exe string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, hostPlaceholder, host), exePlaceholder, exe)
}

// cut returns the first n bytes of name, without a dot at their end.
func cut(name string, n int) string {
	if len(name) > n {
		name = strings.TrimRight(name[:n], ".")
	}
	return name
}

// safeRune tells whether StatsD and Graphite leave c in a name as it is.
func safeRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// safeName returns name with each character that is not safe made '_' and
// empty parts left out; "_" if nothing remains.
func safeName(name string) string {
	if isSafeName(name) {
		return name
	}
	name = strings.Map(func(c rune) rune {
		if safeRune(c) {
			return c
		}
		return '_'
	}, name)
	parts := strings.FieldsFunc(name, func(c rune) bool { return c == '.' })
	if len(parts) == 0 {
		return "_"
	}
	return strings.Join(parts, ".")
}

// isSafeName tells whether safeName would leave name as it is.
func isSafeName(name string) bool {
	afterDot := true
	for i := 0; i < len(name); i++ {
		if !safeRune(rune(name[i])) || name[i] == '.' && afterDot {
			return false
		}
		afterDot = name[i] == '.'
	}
	return !afterDot
}
