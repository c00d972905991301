package bench

import (
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for linkname

	datadog "github.com/DataDog/datadog-go/v5/statsd"
	ancestor "github.com/bmhatfield/go-runtime-metrics/collector"
	cactus "github.com/cactus/go-statsd-client/v5/statsd"
	hashicorp "github.com/hashicorp/go-metrics"
	"github.com/peterbourgon/g2s"
	rcrowley "github.com/rcrowley/go-metrics"
	smira "github.com/smira/go-statsd"

	_ "github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/registry"
	"github.com/runtimemetrics/runtimemetrics/studies/bench/floor"
)

// prefix of every name that is sent.
const prefix = "go.bench"

// flushInterval is what clients with a goroutine that sends are set to. It is
// shorter than the pauses of the second mode, so that there, as in production, what
// goes out is one tick.
const flushInterval = 20 * time.Millisecond

// subject is one of those that are compared.
type subject struct {
	name string

	// start prepares to send to addr and returns what makes a tick.
	start func(tb testing.TB, addr string) (tick func())

	// flushes tells how often a goroutine of the client's sends what is left,
	// if it does not send at once.
	flushes time.Duration
}

var subjects = []subject{
	// What the benchmark itself costs, of which there is no getting rid when it
	// sleeps between the ticks.
	{"nothing", func(testing.TB, string) func() { return func() {} }, 0},
	{"floor", startFloor, 0},
	{"runtimemetrics", startOurs(nil), 0},
	{"runtimemetrics-exact", startOurs(map[string]string{"METRIC_EXACT": "true"}), 0},
	{"runtimemetrics-all", startOurs(map[string]string{"METRIC_RUNTIME": "all"}), 0},
	{"go-runtime-metrics", startAncestor, 0},
	{"statsd-naive", startNaive, 0},
	{"statsd-buffered", startBuffered, flushInterval},
	{"smira", startSmira, flushInterval},
	{"datadog", startDatadog, 0},
	{"hashicorp", startHashicorp, 100 * time.Millisecond},
	{"rcrowley", startRcrowley, 0},
}

func startFloor(tb testing.TB, addr string) func() {
	f := floor.New(dial(tb, addr), prefix)
	return func() { must(tb, f.Tick()) }
}

// startOurs starts this library, set by environment variables whose names lack
// RUNTIMEMETRICS_ here.
func startOurs(env map[string]string) func(testing.TB, string) func() {
	return func(tb testing.TB, addr string) func() {
		tick, end := registry.NewTick(func(name string) (string, bool) {
			switch name = strings.TrimPrefix(name, "RUNTIMEMETRICS_"); name {
			case "STATSD":
				return addr, true
			case "METRIC_PREFIX":
				return prefix, true
			}
			value, ok := env[name]
			return value, ok
		})
		tb.Cleanup(end)
		return tick
	}
}

// ancestorTick is what go-runtime-metrics' Run does at each tick. Run itself would
// start with a ticker and end with 27 zeros.
//
//go:linkname ancestorTick github.com/bmhatfield/go-runtime-metrics/collector.(*Collector).outputStats
func ancestorTick(*ancestor.Collector)

// startAncestor connects go-runtime-metrics' collector to its StatsD client as the
// library does. Its root package would define the flags of this one.
func startAncestor(tb testing.TB, addr string) func() {
	client, err := g2s.Dial("udp", addr)
	must(tb, err)
	dotted := prefix + "."
	c := ancestor.New(func(key string, value uint64) {
		client.Gauge(1.0, dotted+key, strconv.FormatUint(value, 10))
	})
	return func() { ancestorTick(c) }
}

// What follows are clients that do not collect, or not these gauges. They are
// given what the floor collects, so that the difference is the client's.

func startNaive(tb testing.TB, addr string) func() {
	return cactusTick(tb, &cactus.ClientConfig{Address: addr, Prefix: prefix})
}

// startBuffered, like the others that have a goroutine send, lets it run at the
// end of a tick: on one core it would otherwise not, and the queue overflow.
func startBuffered(tb testing.TB, addr string) func() {
	tick := cactusTick(tb, &cactus.ClientConfig{Address: addr, Prefix: prefix, UseBuffered: true, FlushInterval: flushInterval})
	return func() { tick(); runtime.Gosched() }
}

func cactusTick(tb testing.TB, config *cactus.ClientConfig) func() {
	client, err := cactus.NewClientWithConfig(config)
	must(tb, err)
	tb.Cleanup(func() { client.Close() })
	reader := floor.NewReader()
	return func() {
		for i, v := range reader.Read() {
			client.Gauge(floor.Names[i], int64(v), 1)
		}
	}
}

func startSmira(tb testing.TB, addr string) func() {
	client := smira.NewClient(addr, smira.MetricPrefix(prefix+"."), smira.FlushInterval(flushInterval))
	tb.Cleanup(func() { client.Close() })
	reader := floor.NewReader()
	return func() {
		for i, v := range reader.Read() {
			client.Gauge(floor.Names[i], int64(v))
		}
		runtime.Gosched()
	}
}

// startDatadog leaves out the client's metrics about itself, which would not be
// the same work.
func startDatadog(tb testing.TB, addr string) func() {
	client, err := datadog.New(addr, datadog.WithNamespace(prefix), datadog.WithoutTelemetry(), datadog.WithoutOriginDetection())
	must(tb, err)
	tb.Cleanup(func() { client.Close() })
	reader := floor.NewReader()
	return func() {
		for i, v := range reader.Read() {
			client.Gauge(floor.Names[i], float64(v), nil, 1)
		}
		must(tb, client.Flush())
	}
}

func startHashicorp(tb testing.TB, addr string) func() {
	sink, err := hashicorp.NewStatsdSink(addr)
	must(tb, err)
	tb.Cleanup(sink.Shutdown)
	config := hashicorp.DefaultConfig(prefix)
	config.EnableHostname, config.EnableRuntimeMetrics = false, false
	client, err := hashicorp.New(config, sink)
	must(tb, err)
	var keys [len(floor.Names)][]string
	for i, name := range floor.Names {
		keys[i] = strings.Split(name, ".")
	}
	reader := floor.NewReader()
	return func() {
		for i, v := range reader.Read() {
			client.SetPrecisionGauge(keys[i], float64(v))
		}
		runtime.Gosched()
	}
}

// startRcrowley collects by the registry's own function, which has a few gauges
// more. The registry has no StatsD client; its gauges go through a plain one.
func startRcrowley(tb testing.TB, addr string) func() {
	client, err := cactus.NewClientWithConfig(&cactus.ClientConfig{Address: addr, Prefix: prefix})
	must(tb, err)
	tb.Cleanup(func() { client.Close() })
	// The package keeps these gauges in variables of its own, for one registry.
	rcrowley.RegisterRuntimeMemStats(rcrowley.DefaultRegistry)
	return func() {
		rcrowley.CaptureRuntimeMemStatsOnce(rcrowley.DefaultRegistry)
		rcrowley.DefaultRegistry.Each(func(name string, metric any) {
			switch metric := metric.(type) {
			case rcrowley.Gauge:
				client.Gauge(name, metric.Value(), 1)
			case rcrowley.GaugeFloat64:
				client.(cactus.ExtendedStatSender).GaugeFloat(name, metric.Value(), 1)
			}
		})
	}
}

func dial(tb testing.TB, addr string) net.Conn {
	conn, err := net.Dial("udp", addr)
	must(tb, err)
	tb.Cleanup(func() { conn.Close() })
	return conn
}

func must(tb testing.TB, err error) {
	if err != nil {
		tb.Helper()
		tb.Fatal(err)
	}
}
