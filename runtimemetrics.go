// Package runtimemetrics tells StatsD what the Go runtime knows of the program
// that imports it. It is imported for its side effects, and they are two: it
// defines flags in flag.CommandLine, and it starts one goroutine, which waits
// for flag.Parse and then, every 10 seconds, reads the runtime's statistics and
// pushes them as StatsD gauges in one UDP datagram.
//
//	import _ "github.com/runtimemetrics/runtimemetrics"
//
// It does not stop the world to read them, unless told to, and nothing that
// goes wrong in it or around it is meant to hurt the program: it does not
// panic, it does not block, and it logs a handful of lines at most.
//
// # Flags
//
//	--statsd                 StatsD server: host:port, host, [v6]:port,
//	                         udp://host:port or unix:///path; default localhost:8125
//	--metric-prefix          prefix of every gauge; the default is go. and the host
//	                         name; may hold {host} and {exe}; default
//	                         <detect-hostname>
//	--pause                  interval between two ticks: whole seconds, or a duration
//	                         such as 500ms; default 10
//	--publish-runtime-stats  publish runtime statistics; if false, nothing is
//	                         published at all; default true
//	--cpu                    publish the gauges cpu.*; default true
//	--mem                    publish the gauges mem.*; default true
//	--gc                     publish the gauges mem.gc.* (needs mem); default true
//	--metric-exact           read memory exactly, by runtime.ReadMemStats, which
//	                         stops the world at every tick; default false
//	--metric-packet-size     largest datagram in bytes; default 1432
//	--metric-runtime         also publish these metrics of runtime/metrics: patterns
//	                         such as /sched/*,/gc/heap/live:bytes, or default, or all
//	--metric-tags            tags on every gauge, such as env:prod,service:api;
//	                         values may hold {host} and {exe}
//	--metric-tag-format      how tags are written: datadog (|#k:v), influx (,k=v) or
//	                         graphite (;k=v), format of the server; default datadog
//
// Each flag's default is taken from an environment variable, if that is set and
// not empty: RUNTIMEMETRICS_ and the flag's name in capitals with '_' for '-',
// such as RUNTIMEMETRICS_STATSD or RUNTIMEMETRICS_METRIC_PREFIX. A variable that
// is not valid is logged and ignored.
//
// # Gauges
//
// The 27 that are sent, their units, those that --metric-runtime adds, and the
// accuracy of the memory figures are listed in the documentation of
// [github.com/runtimemetrics/runtimemetrics/collector]. [Register] adds gauges
// of the program's own; packages process and expvar, imported for their side
// effects like this one, add those of the process with its container and the
// program's expvars.
//
// With --metric-runtime or Config.Self, there is also what the library knows of itself:
//
//	runtimemetrics.ticks    ticks since publishing began (cumulative)
//	runtimemetrics.lost     ticks of which the server got nothing, or not all, so far as
//	                        the system tells (cumulative)
//	runtimemetrics.late.ns  how late the tick came: a busy or stalled process shows here
//
// Where a value means "no limit", 2^62 and above, 0 is sent.
//
// # When publishing starts
//
//   - A program that parses its flags with package flag: within 100 ms of
//     flag.Parse (a second, once a minute has passed). A flag that is set later is in force soon after, so pflag works
//     too, given AddGoFlagSet(flag.CommandLine).
//   - A program that configures itself: at [Start], whose Config stands above
//     flags and environment. Without Start's fields, those hold.
//   - A program in which flag.Parse is never called: 5 seconds after its start, if
//     RUNTIMEMETRICS_STATSD is set, or 5 seconds after one of the flags was set.
//     The commands of cobra are such programs, for all their AddGoFlagSet: given
//     neither, they need Start.
//   - A test binary: never, but by Start. No goroutine is there either.
//
// A program in which none of this has happened after a minute gets one log line
// that says how to start.
//
// A program that has a flag of the same name has two ways. If its flag is
// defined first, in a package that is initialised before this one, this library
// leaves the name to it, says so in one log line, and takes that setting from
// the environment. Otherwise package flag panics at the second definition, and
// the build tag runtimemetrics_noflags is the cure: no flags are defined at all,
// environment and Start configure.
//
// # When it stops
//
// At [Stop], or with the program. StatsD repeats the last value of a gauge for
// ever; Stop sets levels to 0 and leaves cumulative gauges as they are.
//
// # What it logs
//
// Through package log, or Config.Logf: a line when it starts to publish; one
// when sending begins to fail, one when it works again with the number of ticks
// lost, and of such pairs at most one in ten minutes; and, once per cause, an
// environment variable that is not valid, a flag that was left to the program, a
// source that panicked, a pattern that matches no metric, gauges that were
// dropped, and the hint after a minute.
package runtimemetrics

//go:generate go run ./internal/tools/gendoc

import (
	"errors"
	"flag"
	"log"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

// stopWait is how long Stop waits for the goroutine to return, after it has
// written the last datagram, which takes at most twice writeTimeout.
const stopWait = 400 * time.Millisecond

// std is the publisher behind the package's functions.
var std = newPublisher(os.LookupEnv)

func init() {
	registry.NewTick = func(lookupEnv func(string) (string, bool)) (tick, end func()) {
		p := newPublisher(lookupEnv)
		for _, s := range std.sources.get() {
			p.sources.add(s)
		}
		r := p.newRun(Config{}, false)
		r.publish()
		return r.tick, r.end
	}
	if defineFlags {
		std.opts.register(flag.CommandLine)
	}
	std.opts.changed = std.flagSet
	// A package's tests must not publish because the package, or one that it
	// imports, is meant for a service that does.
	if !testing.Testing() {
		std.startByItself = true
		std.spawn(Config{}, true)
	}
}

// Start begins to publish, with cfg where it is set, else with the flags, the
// environment and the defaults. It replaces an automatic start, and it starts
// again after Stop. It returns an error if a field of cfg is not valid, or if
// Start has been called before without a Stop. If --publish-runtime-stats is
// false, nothing is published, which is no error.
//
// Start does not wait for the server, nor for its name to resolve. Call it
// after flag.Parse if flags are to count from the first tick on; flags that
// are set later bring what they change in force within 100 ms or so.
func Start(cfg Config) error { return std.start(cfg) }

// Stop ends publishing: the levels are set to 0, since StatsD would repeat
// their last values for ever, cumulative gauges are left as they are, and the
// socket is closed. It returns within a second, whatever the server or a
// registered source does. It may be called at any time and more than once;
// after it nothing starts by itself.
func Stop() { std.stopByHand() }

// Register adds a source of custom gauges. At each tick, collect is called with a
// Tick that takes the gauges, under the same prefix as the library's own. Register
// may be called at any time, also before publishing starts, and again after it
// was stopped; sources are called one after the other in the order in which they
// came. The function that it returns unregisters the source, whose levels are
// then set to 0; a call of collect that is under way goes on.
//
// Names hold letters, digits, '_', '-' and '.'; other characters are made '_'.
// There may be 4,096 names in all, of at most 255 bytes; others are dropped,
// with one log line.
//
// A source that panics or calls runtime.Goexit is logged once and left out. One
// that blocks holds up the ticks but neither the service nor Stop.
func Register(collect func(*Tick)) (unregister func()) {
	return std.sources.add(newSource(collect))
}

// publisher is the whole of the library's state: what its functions and flags
// work on. There is one, and one for each test.
type publisher struct {
	opts    *options
	sources sources

	// What a test replaces.
	parsed func() bool // whether the program has parsed its flags
	host   hostInfo
	net    netCalls

	mu            sync.Mutex
	startByItself bool    // nothing is to be done to publish but to parse flags
	byHand        *Config // what Start was given, until Stop
	run           *run    // the last one, nil if there was none
}

func newPublisher(lookupEnv func(string) (string, bool)) *publisher {
	return &publisher{opts: newOptions(lookupEnv), parsed: flagsParsed, host: realHost, net: realNet}
}

// parsedOffset is where package flag keeps whether a set of flags was parsed.
var parsedOffset, parsedKnown = func() (uintptr, bool) {
	field, ok := reflect.TypeOf(flag.FlagSet{}).FieldByName("parsed")
	return field.Offset, ok && field.Type.Kind() == reflect.Bool
}()

// flagsParsed is flag.Parsed without a report of the race detector. There is no
// way to ask from another goroutine that is not a data race, and none of it
// matters: at worst, the answer comes a poll later, and values are read through
// option, which is guarded. Calling flag.Parsed would do if it were inlined
// here, which a build for a debugger does not do.
//
//go:norace
func flagsParsed() bool {
	if !parsedKnown {
		return flag.Parsed()
	}
	return *(*bool)(unsafe.Add(unsafe.Pointer(flag.CommandLine), parsedOffset))
}

// spawn starts a run.
func (p *publisher) spawn(cfg Config, auto bool) {
	p.run = p.newRun(cfg, auto)
	go p.run.main()
}

func (p *publisher) newRun(cfg Config, auto bool) *run {
	return &run{
		pub: p, cfg: cfg, auto: auto,
		stop: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
}

func (p *publisher) start(cfg Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	set, err := cfg.resolve(p.opts, p.host)
	if err != nil {
		return err
	}
	if p.byHand != nil {
		return errors.New("runtimemetrics: Start has been called already; call Stop first")
	}
	p.endRun()
	p.byHand = &cfg
	if set.publish {
		p.spawn(cfg, false)
	}
	return nil
}

func (p *publisher) stopByHand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.startByItself, p.byHand = false, nil
	p.endRun()
}

// endRun ends the run, if there is one, and waits a moment for its goroutine,
// which may be waiting for a source.
func (p *publisher) endRun() {
	if p.run == nil {
		return
	}
	p.run.end()
	wait := time.NewTimer(stopWait)
	defer wait.Stop()
	select {
	case <-p.run.done:
	case <-wait.C:
	}
	p.run = nil
}

// flagSet is called after a flag was set. It brings the new value in force, or
// starts what ended because --publish-runtime-stats was false.
func (p *publisher) flagSet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil && !closed(p.run.done) {
		select {
		case p.run.wake <- struct{}{}:
		default: // it has been told already
		}
		return
	}
	p.startAgain()
}

// ended is called by a run after it has closed done. A flag may have been set
// when it was too late for the run to look.
func (p *publisher) ended(r *run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-r.wake:
		if p.run == r {
			p.startAgain()
		}
	default:
	}
}

// startAgain starts a run as the last one was started, if anything shall run.
func (p *publisher) startAgain() {
	if p.byHand != nil {
		p.spawn(*p.byHand, false)
	} else if p.startByItself {
		p.spawn(Config{}, true)
	}
}

// logf logs one line, through cfg.Logf if there is one. That may panic: it is
// the program's own.
func (p *publisher) logf(cfg Config, line string) {
	defer func() { _ = recover() }()
	if cfg.Logf != nil {
		cfg.Logf("runtimemetrics: %s", line)
	} else {
		log.Printf("runtimemetrics: %s", line)
	}
}
