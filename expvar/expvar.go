// Package expvar adds the program's expvars to the gauges that package
// runtimemetrics publishes. Importing it registers one source of gauges there, and
// imports package runtimemetrics with its flags:
//
//	import _ "github.com/runtimemetrics/runtimemetrics/expvar"
//
// Every variable that the program publishes with the standard package expvar
// and that is a number becomes the gauge expvar.<name>; one that is a map, or an
// expvar.Func that returns one, becomes a gauge for each number in it, its keys
// joined by dots. New variables appear at the next tick. Fractions are sent as
// such. Values that are not numbers are left out, and so are variables that are nil,
// and memstats and cmdline, which expvar itself publishes. In names, characters other
// than letters, digits, '_', '-' and '.' are made '_'.
//
// A variable's type does not say whether it is a counter or a level, so
// runtimemetrics.Stop leaves these gauges at their last values.
//
// The types Int, Float and Map of package expvar are read without allocating, up to
// 16,384 names. Any other variable is asked for its value, at whatever that costs, and
// for its JSON if the value is not a plain number. A variable that panics is left out
// from then on, with one log line; the others go on.
//
// An expvar.Func runs at every tick, so it must be safe to call at any time. Where it
// has a map that the program goes on writing to, it returns a copy: the map is read
// after the Func has returned, when a lock that it held no longer helps.
//
// The standard package expvar, which this package imports, links net/http and
// publishes all variables at /debug/vars of http.DefaultServeMux.
package expvar

import (
	"encoding/json"
	"expvar"
	"fmt"
	"strings"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
)

func init() {
	r := newReader()
	runtimemetrics.Register(func(t *runtimemetrics.Tick) { r.collect(t) })
}

// maxNames bounds the memory of names; the root package takes 4,096.
const maxNames = 1 << 14

// maxName is the longest name that the root package takes. No more is kept of a
// longer one than it needs to be too long.
const maxName = 255

// maxDepth is how deep maps may be in each other: one may hold itself.
const maxDepth = 8

// sink is what the variables are added to: a *runtimemetrics.Tick.
type sink interface {
	Cumulative(name string, value int64)
	CumulativeFloat(name string, value float64)
}

// reader walks the variables.
type reader struct {
	names  map[[2]string]string // what a prefix and a key make, so that a tick need not
	prefix string               // of the map that is being walked
	depth  int                  // how many maps it is in
	found  []expvar.KeyValue    // of that map and of those around it
	failed map[string]bool      // the gauges of variables that have panicked
	push   func(expvar.KeyValue)
	log    func(line string)
	tick   sink
}

func newReader() *reader {
	r := &reader{names: map[[2]string]string{}, failed: map[string]bool{}, log: registry.Log}
	r.push = func(kv expvar.KeyValue) { r.found = append(r.found, kv) }
	return r
}

// collect is the source of gauges that package runtimemetrics calls at each tick.
func (r *reader) collect(tick sink) {
	r.tick = tick
	r.prefix, r.depth, r.found = "expvar", 0, r.found[:0] // whatever a panic has left
	r.walk(expvar.Do)
	clear(r.found[:cap(r.found)]) // it would keep variables alive that the program has deleted
}

// walk gathers variables first and reads them then: a Func may take its time, or
// publish another one, and do holds the lock that publishing needs.
func (r *reader) walk(do func(func(expvar.KeyValue))) {
	start := len(r.found)
	do(r.push)
	for i := start; i < len(r.found); i++ {
		r.variable(r.found[i])
	}
	r.found = r.found[:start]
}

func (r *reader) name(key string) string {
	key = key[:min(len(key), maxName+1)]
	parts := [2]string{r.prefix, key}
	name, ok := r.names[parts]
	if !ok {
		if len(r.names) >= maxNames {
			clear(r.names)
		}
		name = r.prefix + "." + key
		r.names[[2]string{r.prefix, strings.Clone(key)}] = name
	}
	return name
}

// within walks something below a name.
func (r *reader) within(name string, walk func()) {
	if r.depth >= maxDepth {
		return
	}
	outer := r.prefix
	r.prefix = name
	r.depth++
	walk()
	r.depth--
	r.prefix = outer
}

func (r *reader) variable(kv expvar.KeyValue) {
	if r.prefix == "expvar" && (kv.Key == "memstats" || kv.Key == "cmdline") {
		return
	}
	switch v := kv.Value.(type) {
	case nil:
	case *expvar.Int:
		if v != nil {
			r.tick.Cumulative(r.name(kv.Key), v.Value())
		}
	case *expvar.Float:
		if v != nil {
			r.tick.CumulativeFloat(r.name(kv.Key), v.Value())
		}
	case *expvar.Map:
		if v != nil {
			r.within(r.name(kv.Key), func() { r.walk(v.Do) })
		}
	case *expvar.String:
	case expvar.Func:
		if v != nil {
			r.foreign(kv.Key, v)
		}
	default:
		r.foreign(kv.Key, v)
	}
}

// foreign takes a variable that runs code of the program. One that panics is left
// out from then on.
func (r *reader) foreign(key string, v expvar.Var) {
	name := r.name(key)
	if r.failed[name] {
		return
	}
	prefix, depth, found := r.prefix, r.depth, len(r.found)
	defer func() {
		fault := recover()
		if fault == nil {
			return
		}
		r.prefix, r.depth, r.found = prefix, depth, r.found[:found]
		if len(r.failed) < maxNames {
			r.failed[name] = true
		}
		r.log(fmt.Sprintf("the variable of gauge %s panicked and is left out from now on: %s", name, registry.Describe(fault)))
	}()
	if f, ok := v.(expvar.Func); ok {
		r.value(key, f.Value())
	} else {
		r.fromJSON(key, []byte(v.String()))
	}
}

// value takes what an expvar.Func returned.
func (r *reader) value(key string, value any) {
	switch v := value.(type) {
	case nil, bool, string:
	case int:
		r.tick.Cumulative(r.name(key), int64(v))
	case int64:
		r.tick.Cumulative(r.name(key), v)
	case float64:
		r.tick.CumulativeFloat(r.name(key), v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			r.tick.Cumulative(r.name(key), n)
		} else if f, err := v.Float64(); err == nil {
			r.tick.CumulativeFloat(r.name(key), f)
		}
	case map[string]any:
		r.within(r.name(key), func() {
			for k, inner := range v {
				r.value(k, inner)
			}
		})
	case []any:
	default:
		if text, err := json.Marshal(v); err == nil {
			r.fromJSON(key, text)
		}
	}
}

// fromJSON takes any other value by way of what it is at /debug/vars. Decode alone
// would take the 1.2 of a version 1.2.3.
func (r *reader) fromJSON(key string, text []byte) {
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // whole numbers above 2^53 stay exact
	var value any
	if json.Valid(text) && decoder.Decode(&value) == nil {
		r.value(key, value)
	}
}
