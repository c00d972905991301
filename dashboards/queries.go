package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A query is what a target draws, in both languages. For Graphite, P stands for
// the path of a service: the root of StatsD's gauges and the service's prefix.
// For Prometheus, Grafana puts in its variables, those that begin with $.
type query struct{ graphite, prometheus string }

// root is where StatsD puts gauges.
const root = "stats.gauges"

// metric is the name that examples/prometheus gives a gauge.
func metric(gauge string) string {
	gauge = strings.TrimPrefix(gauge, "runtimemetrics.")
	gauge = strings.TrimPrefix(gauge, "runtime.")
	return "runtimemetrics_" + strings.NewReplacer(".", "_", "-", "_").Replace(gauge)
}

// chosen is the metric of the services that are chosen at the top of the
// dashboard.
func chosen(gauge string) string {
	return metric(gauge) + `{service=~"$service",host=~"$host"}`
}

func value(gauge string) query { return query{"P." + gauge, chosen(gauge)} }

// perSecond reads what only grows: it fits each archive, and leaves a restart
// out.
func perSecond(gauge string) query {
	return query{"perSecond(P." + gauge + ")", "rate(" + chosen(gauge) + "[$__rate_interval])"}
}

// scaled multiplies by a factor, which each of the two writes in its own way.
func scaled(q query, factor, operator string) query {
	return query{"scale(" + q.graphite + "," + factor + ")", q.prometheus + " " + operator}
}

func perMinute(gauge string) query { return scaled(perSecond(gauge), "60", "* 60") }

// seconds is the rate of a time in nanoseconds: how many at a time.
func seconds(gauge string) query { return scaled(perSecond(gauge), "0.000000001", "/ 1e9") }

// pressure is a share of time in percent, in which some or all (full) waited.
func pressure(of, who string) query {
	return scaled(perSecond("cgroup.pressure."+of+"."+who+".ns"), "0.0000001", "/ 1e7")
}

// millis makes milliseconds of a time in nanoseconds. Its peaks survive where
// many points are drawn as one pixel, which otherwise shows their average, or
// whichever is the last.
func millis(gauge string) query {
	return query{
		"consolidateBy(scale(P." + gauge + ",0.000001),'max')",
		"max_over_time(" + chosen(gauge) + "[$__rate_interval]) / 1e6",
	}
}

// set leaves a limit of 0 out, which says that there is none.
func set(q query) query {
	return query{"removeEmptySeries(removeBelowValue(" + q.graphite + ",0.001))", q.prometheus + " > 0"}
}

// growth is as good as a rate where it is divided by another.
func growth(gauge string) query {
	return query{"nonNegativeDerivative(P." + gauge + ")", perSecond(gauge).prometheus}
}

// overTenMinutes is how much a gauge grew in the last ten minutes, and the others
// did not.
func overTenMinutes(gauge string, others ...string) query {
	q := value(gauge)
	q.prometheus = "rate(" + q.prometheus + "[10m])"
	for _, other := range others {
		q.graphite = less(gauge, other).graphite
		q.prometheus = "(" + q.prometheus + " - rate(" + chosen(other) + "[10m]))"
	}
	q.graphite = "movingSum(nonNegativeDerivative(" + q.graphite + "),'10min')"
	return q
}

// ofCPU is a class of CPU time, without others in it, as a share of all there was
// to use. The classes stand still until a garbage collection ends.
func ofCPU(class string, others ...string) query {
	return share(overTenMinutes(class, others...), overTenMinutes("runtime.cpu.classes.total.ns"))
}

// less subtracts service by service. Graphite pairs by position.
func less(a, b string) query {
	return query{
		"diffSeriesLists(sortByName(P." + a + "),sortByName(P." + b + "))",
		chosen(a) + " - " + chosen(b),
	}
}

// share is in percent. Of nothing there is none.
func share(part, whole query) query {
	return query{
		"asPercent(" + part.graphite + "," + whole.graphite + ")",
		"100 * " + part.prometheus + " / (" + whole.prometheus + " > 0)",
	}
}

// highest is the five highest of all services, chosen or not, by their maximum
// in the whole of what is on the screen.
func highest(gauge string) query {
	return query{
		"highestMax(" + root + ".**." + gauge + ",5)",
		metric(gauge) + " and topk(5, max_over_time(" + metric(gauge) + "[$__range] @ end()))",
	}
}

// starts is not 0 where, for Graphite, the start time of a process steps. It
// keeps the last value, since a process that comes back after a minute leaves a
// hole. For Prometheus it is when the process started, in milliseconds. A process
// that was stopped has set its start time to 0.
var starts = query{
	"nonNegativeDerivative(keepLastValue(P.proc.start_time.seconds))",
	chosen("proc.start_time.seconds") + " * 1000 > 0",
}

var (
	path  = regexp.MustCompile(`\bP\.`)
	gauge = regexp.MustCompile(`(?:\bP|\*\*)\.([A-Za-z0-9_.-]+)`)
)

// graphite is the target for the services that prefix stands for: a prefix, a
// pattern, or whatever will be replaced by one. The series are called by the
// label and the prefix.
func (t target) graphite(prefix string) string {
	name := regexp.QuoteMeta(gauge.FindStringSubmatch(t.query.graphite)[1])
	return fmt.Sprintf(`aliasSub(%s,'.*?%s\.(.+?)\.%s.*','%s')`,
		path.ReplaceAllLiteralString(t.query.graphite, root+"."+prefix+"."),
		regexp.QuoteMeta(root), name, strings.TrimSpace(t.label+` \1`))
}
