// Package runtimemetrics publishes Go runtime metrics to StatsD. It is imported
// for two side effects: it defines flags in flag.CommandLine, and it starts one
// goroutine. The goroutine waits for flag.Parse; then, every 10 seconds, it reads the
// runtime's statistics and pushes them as StatsD gauges in one UDP datagram.
//
//	import _ "github.com/runtimemetrics/runtimemetrics"
//
// It does not stop the world to read them, unless told to. No failure in it or around
// it hurts the program: it does not panic, it does not block, and it logs a handful of
// lines at most.
//
// [github.com/runtimemetrics/runtimemetrics/env] is the same library without
// flags, configured by environment variables alone.
//
// # Flags
//
//	--statsd                 StatsD server: host:port, host, :port, [v6]:port,
//	                         udp://host:port, unix:///path of a datagram socket;
//	                         default localhost:8125
//	--metric-prefix          prefix of every gauge; the default means go. and the
//	                         host name; placeholders: {host}, {exe}, {pid},
//	                         {env:NAME}, {version}, {revision}, {go}; default
//	                         <detect-hostname>
//	--pause                  interval between two ticks: whole seconds, or a duration
//	                         such as 500ms; at least 100ms; default 10
//	--publish-runtime-stats  publish Go runtime metrics; if false, nothing is
//	                         published, whatever else is set; default true
//	--cpu                    publish the gauges cpu.*; default true
//	--mem                    publish the gauges mem.*; default true
//	--gc                     publish the gauges mem.gc.* (needs mem); default true
//	--metric-exact           read memory exactly with runtime.ReadMemStats, which
//	                         stops the world at every tick; default false
//	--metric-packet-size     size of the largest datagram in bytes, 256 to 65507;
//	                         default 1432
//	--metric-runtime         also publish these metrics of package runtime/metrics:
//	                         patterns such as /sched/*,/gc/heap/live:bytes, or
//	                         default (a curated set), or all
//	--metric-tags            tags on every gauge, such as env:prod,service:api;
//	                         placeholders in values: {host}, {exe}, {pid},
//	                         {env:NAME}, {version}, {revision}, {go}
//	--metric-tag-format      format of tags: datadog (|#k:v), influx (,k=v) or
//	                         graphite (;k=v); default datadog
//	--metric-log             destination of log lines: std (package log), stderr or
//	                         off; default std
//
// An environment variable changes a flag's default: RUNTIMEMETRICS_ and the flag's
// name in capitals with '_' for '-', such as RUNTIMEMETRICS_STATSD or
// RUNTIMEMETRICS_METRIC_PREFIX. White space around its value is ignored, and so is
// an empty variable. An invalid value is logged and ignored, except that a switch
// is then off: nobody sets RUNTIMEMETRICS_PUBLISH_RUNTIME_STATS or RUNTIMEMETRICS_GC
// to something odd in order to have it on. A flag wins over its environment variable, and a field
// of [Config] over both.
//
// Placeholders in a prefix and in the values of tags stand for the host name
// ({host}), the program's file name ({exe}), the process ID ({pid}) and an
// environment variable ({env:NAME}). The build provides the version of the main
// module ({version}), the first 12 digits of its revision ({revision}) and the release
// of Go ({go}). Placeholders are read when publishing starts. An empty or unset value
// is "unknown". Characters that StatsD would not take become '_'; in a prefix, dots
// do too.
//
// # Gauges
//
// The documentation of [github.com/runtimemetrics/runtimemetrics/collector] lists the
// 27 gauges that are sent by default, their units, those that --metric-runtime adds,
// and the accuracy of the memory figures. [Register] adds custom gauges. Packages
// process, expvar and leaks, imported for their side effects like this one, add the
// gauges of the process and its container, the program's expvars, and the number of
// leaked goroutines.
//
// With --metric-runtime or Config.Self, the library also reports itself:
//
//	runtimemetrics.ticks    ticks since publishing began (cumulative)
//	runtimemetrics.lost     ticks of which the server got nothing, or not all, so far
//	                        as the system tells (cumulative)
//	runtimemetrics.late.ns  how late the tick came: a busy or stalled process shows here
//
// Where a value means "no limit", 2^62 and above, 0 is sent.
//
// # When publishing starts
//
//   - A program that parses its flags with package flag: soon after flag.Parse. The
//     first tick comes a second later, so a command that ends at once sends nothing.
//     A flag that is set later takes effect soon after, so pflag works too, given
//     AddGoFlagSet(flag.CommandLine).
//   - A program that configures itself: at [Start], with the first tick at once.
//     Config wins over flags and environment.
//   - A program in which flag.Parse is never called: 5 seconds after its start, if
//     RUNTIMEMETRICS_STATSD is set, or 5 seconds after one of the flags was set; the
//     first tick a second later. Commands of cobra are such programs, even with
//     AddGoFlagSet: with neither, they need Start.
//   - A test binary: only by Start. Without it, there is no goroutine either.
//
// The second tick comes after a random part of the pause, so that processes that
// were started together do not tick together.
//
// A program in which nothing has started after a minute gets one log line that says
// how to start.
//
// A program may have a flag of the same name. If its flag is defined first, in a
// package that is initialised before this one, this library leaves the name to the
// program, says so in one log line, and takes that setting from the environment.
// Otherwise package flag panics at the second definition. Two things prevent that: to
// import package env, instead of this one or beside it, or the build tag
// runtimemetrics_noflags. Then no flags are defined at all, and the environment and
// Start configure the library.
//
// # When it stops
//
// At [Stop], or with the program. StatsD repeats the last value of a gauge for
// ever; Stop sets levels to 0 and leaves cumulative gauges as they are.
//
// # What it logs
//
// It logs one line when it starts to publish, one when sending begins to fail, and one
// with the number of lost ticks when sending works again; there is at most one such
// pair in ten minutes. It also logs, once per cause: an invalid environment variable, a
// flag that was left to the program, a source that panicked or does not return, a
// pattern that matches no metric, gauges that were dropped, and the hint after a
// minute. Lines go through package log, or where --metric-log or Config.Logf says. A
// goroutine of their own writes them, because a logger may block.
//
// On Windows the system does not report that nobody listens at a UDP port, so an
// outage of the server on this machine is not noticed there. Linux reports it once a
// second at most to another machine, so that of many services on that machine some do
// not notice.
package runtimemetrics

//go:generate go run ./internal/tools/gendoc

import (
	"errors"
	"flag"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link"
	"github.com/runtimemetrics/runtimemetrics/internal/mode"
	"github.com/runtimemetrics/runtimemetrics/internal/names"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

// stopWait is how long Stop waits for the goroutine to return, which takes as
// long as three writes at most: a tick's, that of its sources, and the last one.
const stopWait = time.Second

// std is the publisher behind the package's functions.
var std = newPublisher(os.LookupEnv)

func init() {
	registry.Settings = std.opts.settings
	registry.AddSetting = func(s registry.Setting) func() string {
		opt := std.opts.add(s)
		if defineFlags && !mode.EnvOnly {
			std.opts.define(flag.CommandLine, opt)
		}
		return opt.String
	}
	registry.Log = std.log
	registry.NewTick = std.newTick
	if defineFlags && !mode.EnvOnly {
		std.opts.define(flag.CommandLine, std.opts.list...)
	}
	std.opts.changed = std.flagSet
	// A package's tests must not publish because the package, or one that it
	// imports, is meant for a service that does.
	if !testing.Testing() && (!mode.EnvOnly || std.opts.list[statsdFlag].inEnv) {
		std.begin(&Config{})
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
// are set later take effect within 100 ms or so.
func Start(cfg Config) error { return std.start(cfg) }

// Stop ends publishing: the levels are set to 0, since StatsD would repeat
// their last values for ever, cumulative gauges are left as they are, and the
// socket is closed. It returns within a second, whatever the server, a
// registered source or a logger does. It may be called at any time and more than
// once; after it nothing starts by itself.
func Stop() { std.stop() }

// publisher is the whole of the library's state: what its functions and flags
// work on. There is one, and one for each test.
type publisher struct {
	opts  *options
	began time.Time // what now counts from
	logs  *logger
	books books     // of the session whose goroutine is at work
	fault sync.Once // of a guest, which one line is enough for

	// What a test replaces.
	parsed    func() bool // whether the program has parsed its flags
	afterMain func()
	process   names.Process
	net       *link.Net

	// mu is held for moments, and never while something else is waited for.
	mu       sync.Mutex
	byItself bool      // nothing is to be done to publish but to parse flags
	given    *Config   // what Start was given, until Stop
	session  *session  // the last one, nil if there is none or it has ended
	sources  []*source // replaced, never changed: a tick goes on with what it has
}

func newPublisher(lookupEnv func(string) (string, bool)) *publisher {
	return &publisher{
		opts: newOptions(lookupEnv), began: time.Now(), logs: new(logger), books: books{said: map[string]bool{}},
		parsed: flagsParsed, afterMain: afterMain, process: names.This, net: link.System(),
	}
}

// now returns the time since the program began. Unlike time.Now, it does not read
// time.Local, which main may be about to replace.
func (p *publisher) now() time.Duration { return time.Since(p.began) }

// begin starts the automatic session, which waits for the flags.
func (p *publisher) begin(cfg *Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byItself = true
	p.spawn(cfg, true, nil)
}

// spawn starts a session after the last one. The caller holds mu.
func (p *publisher) spawn(cfg *Config, auto bool, set *settings) {
	before := p.session
	p.session = p.newSession(cfg)
	go p.session.main(before, auto, set)
}

func (p *publisher) start(cfg Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := cfg.resolve(p.opts, p.process); err != nil {
		return err
	}
	if p.given != nil {
		return errors.New("runtimemetrics: Start has been called already; call Stop first")
	}
	p.halt()
	cfg.Tags, cfg.Runtime = slices.Clone(cfg.Tags), slices.Clone(cfg.Runtime)
	p.given = &cfg
	p.spawn(&cfg, false, nil)
	return nil
}

func (p *publisher) stop() {
	p.mu.Lock()
	p.byItself, p.given = false, nil
	p.halt()
	s := p.session
	p.mu.Unlock()
	if s == nil {
		return
	}
	wait := time.NewTimer(stopWait)
	defer wait.Stop()
	select {
	case <-s.done:
	case <-wait.C:
	}
}

// halt tells the session to end, if there is one. The caller holds mu.
func (p *publisher) halt() {
	if p.session != nil && !closed(p.session.stop) {
		close(p.session.stop)
	}
}

// flagSet is called after a flag was set. It tells the session, or starts what
// ended because --publish-runtime-stats was false.
func (p *publisher) flagSet() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
}

// wake tells the session that a flag has been set, or starts one. The caller holds
// mu.
func (p *publisher) wake() {
	if p.session == nil {
		p.startAgain()
		if p.given != nil {
			return // it begins by looking at the flags
		}
	}
	if p.session != nil {
		select {
		case p.session.wake <- struct{}{}:
		default: // it has been told already
		}
	}
}

// succeed starts the session that follows upon s with other settings, unless s
// was told to end meanwhile.
func (p *publisher) succeed(s *session, set *settings) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != s || closed(s.stop) {
		return false
	}
	p.spawn(s.cfg, false, set)
	if len(s.wake) > 0 {
		p.wake()
	}
	return true
}

// ended is called by a session at its end. A flag may have been set when it was
// too late for the session to look.
func (p *publisher) ended(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session != s {
		return
	}
	p.session = nil
	if len(s.wake) > 0 {
		p.wake()
	}
}

// startAgain starts a session as the last one was started, if anything shall be
// published. The caller holds mu.
func (p *publisher) startAgain() {
	if p.given != nil {
		p.spawn(p.given, false, nil)
	} else if p.byItself {
		p.spawn(&Config{}, true, nil)
	}
}

// log logs a line of a package that adds gauges.
func (p *publisher) log(line string) {
	p.mu.Lock()
	var logf func(string, ...any)
	if p.given != nil {
		logf = p.given.Logf
	}
	p.mu.Unlock()
	p.logs.print(logTo(logf, p.opts.text(logFlag)), line)
}

// newTick is registry.NewTick.
func (p *publisher) newTick(lookupEnv func(string) (string, bool)) (tick, end func()) {
	own := newPublisher(lookupEnv)
	own.sources, own.logs = p.registered(), p.logs
	s := own.newSession(&Config{})
	s.set, _ = s.cfg.resolve(own.opts, own.process)
	s.begin(nil, false)
	tick = func() {
		s.tick(own.now())
		if s.guests.running {
			s.take(<-s.guests.done)
		}
	}
	return tick, func() { s.finish(); s.end() }
}
