package procstat

import "time"

// Reader reads what the catalogue lists. It may be used by one goroutine at a
// time.
type Reader struct {
	readings
	system // what it takes on this operating system

	// Tests put other ones here.
	now         func() time.Time
	initialized time.Time // stands for the start of the process where the system does not tell it

	sources []source
}

// New returns a Reader. It opens nothing before the first Publish.
func New() *Reader {
	r := &Reader{now: time.Now, initialized: initialized}
	r.system.init()
	return r
}

// Tick is what Publish adds gauges to: levels, and what only grows.
type Tick interface {
	Gauge(name string, value int64)
	Cumulative(name string, value int64)
}

// Publish reads all there is to read and adds it to the tick. What the system
// does not tell is left out.
func (r *Reader) Publish(to Tick) {
	r.read()
	for i := range catalogue {
		switch g := &catalogue[i]; {
		case !r.known[i]:
		case g.kind == cumulative:
			to.Cumulative(g.name, r.value[i])
		default:
			to.Gauge(g.name, r.value[i])
		}
	}
}

// A source is what is read together: one file mostly. Only it sets its gauges.
type source struct {
	gauges []int
	read   func()
	slow   int // how many times in a row it was
	skip   int // ticks until it is read again
}

const (
	slow      = time.Millisecond
	slowTicks = 10
)

func (r *Reader) add(read func(), gauges ...int) {
	r.sources = append(r.sources, source{gauges: gauges, read: read})
}

func (r *Reader) read() {
	r.find()
	start := r.now()
	for i := range r.sources {
		s := &r.sources[i]
		if s.skip > 0 {
			s.skip--
			continue
		}
		for _, g := range s.gauges {
			r.known[g] = false
		}
		s.read()
		end := r.now()
		// Being slow once may be the scheduler's doing.
		if end.Sub(start) > slow {
			s.slow++
		} else {
			s.slow = 0
		}
		if s.slow > 1 {
			s.skip = slowTicks - 1
		}
		start = end
	}
}

// Packages are initialized within milliseconds of the start of the process.
var initialized = time.Now()

// setStart sets the gauges that tell when the process started.
func (r *Reader) setStart(start time.Time, ago time.Duration) {
	r.set(startTime, uint64(start.Unix()), true)
	r.set(uptime, uint64(ago/time.Second), ago >= 0)
}

// setInitialized does so where the system does not tell the start.
func (r *Reader) setInitialized() {
	r.setStart(r.initialized, r.now().Sub(r.initialized))
}

// readings holds the last value of each gauge of the catalogue.
type readings struct {
	value [len(catalogue)]int64
	known [len(catalogue)]bool
}

// set takes what a parser returned. From 2^62 on, nothing that is counted here
// is a count: the kernel had no number to tell, or a subtraction wrapped.
func (r *readings) set(gauge int, value uint64, ok bool) {
	if r.known[gauge] = ok && value < noLimit; r.known[gauge] {
		r.value[gauge] = int64(value)
	}
}

// setLimit is set for limits, of which 0 says that there is none. A limit that
// really is 0 (a cgroup that may start no thread) is therefore left out.
func (r *readings) setLimit(gauge int, value uint64, ok bool) {
	if value >= noLimit {
		r.set(gauge, 0, ok)
	} else {
		r.set(gauge, value, ok && value > 0)
	}
}
