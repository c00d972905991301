package runtimemetrics

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/mode"
	"github.com/runtimemetrics/runtimemetrics/internal/names"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

const (
	minPause = 100 * time.Millisecond

	// 256 bytes hold a long prefix, a long name and a value; 65,507 is the
	// largest payload of a UDP datagram over IPv4.
	minPacketSize = 256
	maxPacketSize = 65507
)

// The settings, in the order of their documentation.
const (
	statsdFlag = iota
	prefixFlag
	pauseFlag
	publishFlag
	cpuFlag
	memFlag
	gcFlag
	exactFlag
	packetSizeFlag
	runtimeFlag
	tagsFlag
	tagFormatFlag
	logFlag
)

// table describes the settings. The lists in the package comment and in
// docs/configuration.md are made from it.
var table = [...]registry.Setting{
	statsdFlag: {Name: "statsd", Default: "localhost:8125", Check: link.CheckAddress,
		Help: "StatsD `server`: " + link.Forms},
	prefixFlag: {Name: "metric-prefix", Default: names.DetectHostname, Check: names.CheckPrefix,
		Help: "`prefix` of every gauge; the default means go. and the host name; placeholders: " + names.Placeholders},
	pauseFlag: {Name: "pause", Default: "10", Check: checkPause,
		Help: "`interval` between two ticks: whole seconds, or a duration such as 500ms; at least 100ms"},
	publishFlag: {Name: "publish-runtime-stats", Bool: true, Default: "true", Check: checkBool,
		Help: "publish Go runtime metrics; if false, nothing is published, whatever else is set"},
	cpuFlag: {Name: "cpu", Bool: true, Default: "true", Check: checkBool,
		Help: "publish the gauges cpu.*"},
	memFlag: {Name: "mem", Bool: true, Default: "true", Check: checkBool,
		Help: "publish the gauges mem.*"},
	gcFlag: {Name: "gc", Bool: true, Default: "true", Check: checkBool,
		Help: "publish the gauges mem.gc.* (needs mem)"},
	exactFlag: {Name: "metric-exact", Bool: true, Default: "false", Check: checkBool,
		Help: "read memory exactly with runtime.ReadMemStats, which stops the world at every tick"},
	packetSizeFlag: {Name: "metric-packet-size", Default: "1432", Check: checkPacketSize,
		Help: "size of the largest datagram in `bytes`, 256 to 65507"},
	runtimeFlag: {Name: "metric-runtime", Check: checkRuntime,
		Help: "also publish these metrics of package runtime/metrics: `patterns` such as /sched/*,/gc/heap/live:bytes, or default (a curated set), or all"},
	tagsFlag: {Name: "metric-tags", Check: names.CheckTags,
		Help: "`tags` on every gauge, such as env:prod,service:api; placeholders in values: " + names.Placeholders},
	tagFormatFlag: {Name: "metric-tag-format", Default: "datadog", Check: checkTagFormat,
		Help: "`format` of tags: datadog (|#k:v), influx (,k=v) or graphite (;k=v)"},
	logFlag: {Name: "metric-log", Default: "std", Check: checkLog,
		Help: "`destination` of log lines: std (package log), stderr or off"},
}

// option is a setting with the text that it has at present. It is the flag's
// flag.Value, so that to read it while the program parses its flags is no data
// race.
type option struct {
	registry.Setting
	owner *options
	text  string // guarded by owner.mu

	// What the environment had when the option was made; main may change it.
	inEnv, fromEnv bool // a value; a valid one
}

// env returns the name of the option's environment variable.
func (o *option) env() string {
	return "RUNTIMEMETRICS_" + strings.ToUpper(strings.ReplaceAll(o.Name, "-", "_"))
}

// String returns the text. Package flag calls it on a zero option too.
func (o *option) String() string {
	if o.owner == nil {
		return ""
	}
	o.owner.mu.Lock()
	text := o.text
	o.owner.mu.Unlock()
	return text
}

// Set changes the option, unless text is not valid.
func (o *option) Set(text string) error {
	if err := o.Check(text); err != nil {
		return err
	}
	o.owner.mu.Lock()
	o.text = text
	o.owner.mu.Unlock()
	o.owner.changed()
	return nil
}

// Get makes the option a flag.Getter, as all values of package flag are:
// programs that list their flags rely on it.
func (o *option) Get() any {
	if o.Bool {
		return isTrue(o.String())
	}
	return o.String()
}

// IsBoolFlag tells package flag whether --name alone means true.
func (o *option) IsBoolFlag() bool { return o.Bool }

// options are all settings.
type options struct {
	lookupEnv func(string) (string, bool)
	changed   func() // called after a flag was set

	list  []*option // in the order of table
	added []*option // of linked packages, whose init functions add them while the goroutine runs

	mu    sync.Mutex
	notes []string // lines to log once somebody listens
}

// newOptions returns the options with the defaults that the environment gives.
func newOptions(lookupEnv func(string) (string, bool)) *options {
	o := &options{lookupEnv: lookupEnv, changed: func() {}}
	for _, s := range table {
		o.list = append(o.list, o.option(s))
	}
	return o
}

// add adds a setting of a linked package.
func (o *options) add(s registry.Setting) *option {
	opt := o.option(s)
	o.added = append(o.added, opt)
	return opt
}

// option returns a setting with the default that the environment gives.
func (o *options) option(s registry.Setting) *option {
	opt := &option{Setting: s, owner: o, text: s.Default}
	// An empty variable is what a container's or a unit's file leaves behind for
	// "not set".
	text, _ := o.lookupEnv(opt.env())
	if text = strings.TrimSpace(text); text != "" {
		opt.inEnv = true
		if err := s.Check(text); err == nil {
			opt.text, opt.fromEnv = text, true
		} else {
			instead := "using " + s.Default
			if s.Bool {
				// Whoever set it did not mean on.
				opt.text, instead = "false", "using false"
			} else if s.Name == "statsd" && mode.EnvOnly {
				instead = "nothing is published, unless by Start"
			} else if s.Default == "" {
				instead = "using none"
			}
			o.note("invalid value %q for environment variable %s: %v; %s", text, opt.env(), err, instead)
		}
	}
	return opt
}

// settings is registry.Settings.
func (o *options) settings() (all []registry.Setting) {
	for _, opt := range append(slices.Clip(o.list), o.added...) {
		all = append(all, opt.Setting)
	}
	return all
}

// text returns the text of a setting.
func (o *options) text(i int) string { return o.list[i].String() }

// define defines the options as flags in fs. A name that fs has already is left
// to the program: to define it again would panic. It must be called while nothing
// else uses fs, which is certain in init only.
func (o *options) define(fs *flag.FlagSet, list ...*option) {
	for _, opt := range list {
		if fs.Lookup(opt.Name) != nil {
			o.note("flag --%s is the program's own and left to it; %s configures this library instead", opt.Name, opt.env())
			continue
		}
		fs.Var(opt, opt.Name, opt.Help+" (environment "+opt.env()+")")
	}
}

// note adds a line to log.
func (o *options) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	o.mu.Lock()
	o.notes = append(o.notes, line)
	o.mu.Unlock()
}

// takeNotes returns the lines to log, once.
func (o *options) takeNotes() []string {
	o.mu.Lock()
	notes := o.notes
	o.notes = nil
	o.mu.Unlock()
	return notes
}

func checkBool(text string) error {
	if _, err := parseBool(text); err != nil {
		return errors.New("must be true or false")
	}
	return nil
}

// parseBool reads what package flag reads, and on, off, yes and no.
func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "yes":
		return true, nil
	case "off", "no":
		return false, nil
	}
	return strconv.ParseBool(text)
}

func isTrue(text string) bool {
	v, _ := parseBool(text)
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

// parsePause reads whole seconds, as go-runtime-metrics' flag took them, or a
// duration.
func parsePause(text string) (time.Duration, error) {
	const right = `use whole seconds such as 10, or a duration such as 500ms`
	d, err := time.ParseDuration(text)
	if n, intErr := strconv.ParseInt(text, 0, 64); intErr == nil {
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

func checkTagFormat(text string) error {
	if _, ok := tagFormats[text]; !ok {
		return errors.New(`is not a format of tags; use datadog, influx or graphite`)
	}
	return nil
}

func checkLog(text string) error {
	switch text {
	case "std", "stderr", "off":
		return nil
	}
	return errors.New("must be std (package log), stderr or off")
}
