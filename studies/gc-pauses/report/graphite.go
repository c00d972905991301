package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// graphite is graphite-web.
type graphite struct{ url string }

// render asks by POST: a picture of many curves is too long for an address.
func (g graphite) render(query url.Values) ([]byte, error) {
	// Gunicorn closes idle connections; to use one just then is an error of a POST.
	client := &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.PostForm(g.url+"/render", query)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		// Graphite's page ends in what went wrong.
		return nil, fmt.Errorf("%s/render: %s: %s", g.url, answer.Status, body[max(0, len(body)-1500):])
	}
	return body, nil
}

// The gauges that are read. The last one exists from Go 1.22 on.
const (
	pause    = "mem.gc.pause"
	stopped  = "mem.gc.pause_total"
	count    = "mem.gc.count"
	user     = "proc.cpu.user.ns"
	sys      = "proc.cpu.sys.ns"
	stopping = "runtime.sched.pauses.stopping.gc.ns.upper"
)

// measured is what the gauges say of one run. Times are in nanoseconds.
type measured struct {
	seconds     float64 // between the first and the last point
	collections float64
	stopped     float64   // stop-the-world of all of them
	pauses      []float64 // each is the stop-the-world of one of them
	stopping    []float64 // each is how long it took, in one of them, until all had stopped
	cpu         float64   // of the process
}

func (g graphite) measure(r *run) error {
	query := url.Values{
		"format": {"json"},
		"from":   {strconv.FormatInt(r.from-1, 10)},
		"until":  {strconv.FormatInt(r.to, 10)},
	}
	for _, name := range []string{pause, stopped, count, user, sys, stopping} {
		query.Add("target", "stats.gauges."+r.prefix+"."+name)
	}
	body, err := g.render(query)
	if err != nil {
		return err
	}
	var series []struct {
		Target     string
		Datapoints [][2]*float64 // value or null, seconds since 1970
	}
	if err := json.Unmarshal(body, &series); err != nil {
		return fmt.Errorf("%s/render: %w", g.url, err)
	}
	// One datagram holds all gauges of a tick, so those of one second belong
	// together.
	points := map[int64]map[string]float64{}
	for _, s := range series {
		name := strings.TrimPrefix(s.Target, "stats.gauges."+r.prefix+".")
		for _, p := range s.Datapoints {
			if p[0] == nil || p[1] == nil {
				continue
			}
			at := int64(*p[1])
			if at < r.from || at > r.to {
				continue
			}
			if points[at] == nil {
				points[at] = map[string]float64{}
			}
			points[at][name] = *p[0]
		}
	}
	var first, last map[string]float64
	var begin, end int64
	for at := r.from; at <= r.to; at++ {
		now := points[at]
		if _, ok := now[sys]; !ok || len(now) < 5 {
			continue
		}
		if first == nil {
			first, begin = now, at
		} else if now[count] != last[count] {
			r.pauses = append(r.pauses, now[pause])
		}
		if v := now[stopping]; v > 0 {
			r.stopping = append(r.stopping, v)
		}
		last, end = now, at
	}
	if len(r.pauses) == 0 {
		return fmt.Errorf("round %d with Go %s: of %s.* Graphite has %d points between %d and %d, and no collection in them: let it run longer",
			r.round, r.release, r.prefix, len(points), r.from, r.to)
	}
	grown := func(name string) float64 { return last[name] - first[name] }
	r.seconds = float64(end - begin)
	r.collections = grown(count)
	r.stopped = grown(stopped)
	r.cpu = grown(user) + grown(sys)
	return nil
}

// From old to new.
var colours = []string{"c51b7d", "e6550d", "d9a400", "31a354", "1c9099", "2b6cb0", "54278f", "222222"}

// picture draws mem.gc.pause: a block for each release, old to new, in it the
// rounds side by side, which in truth took turns with those of the others. A thin
// line has the points, a thick one is at their median in that round.
func (g graphite) picture(releases []release) ([]byte, error) {
	runs, last, longest := 0, int64(0), int64(0)
	for _, release := range releases {
		for _, r := range release.runs {
			runs++
			last, longest = max(last, r.to), max(longest, r.to-r.from)
		}
	}
	gap := 2 + longest/4
	// Graphite draws no future.
	begin := last - int64(runs)*(longest+1) - int64(len(releases)+1)*gap
	at := begin + gap
	var thin, thick []string
	for i, release := range releases {
		for _, r := range release.runs {
			// The first point that Graphite has is one second after what it was
			// asked for, which timeSlice overlooks. Before the first collection, for which a
			// busy machine may take seconds, there is 0, which a logarithm has no place for.
			points := fmt.Sprintf("timeSlice(scale(removeBelowValue(stats.gauges.%s.%s,1),0.000001),'%d','%d')", r.prefix, pause, r.from-1, r.to-1)
			curve := func(points string, width int) string {
				return fmt.Sprintf("lineWidth(color(alias(timeShift(%s,'%+ds'),'Go %s'),'#%s'),%d)",
					points, r.from-at, release.name, colours[i%len(colours)], width)
			}
			thin = append(thin, curve(points, 1))
			thick = append(thick, curve(fmt.Sprintf("offset(scale(%s,0),%.3f)", points, quantile(r.pauses, 0.5)/1e6), 5))
			at += longest + 1
		}
		at += gap
	}
	return g.render(url.Values{
		"target": append(thin, thick...),
		"from":   {strconv.FormatInt(begin, 10)},
		"until":  {strconv.FormatInt(at, 10)},
		"format": {"png"}, "width": {"1000"}, "height": {"460"},
		"title":  {"GC pauses of one service under the same load, by Go release"},
		"vtitle": {"stop-the-world per GC, milliseconds"}, "yUnitSystem": {"none"}, "logBase": {"10"},
		"lineMode": {"staircase"}, "hideXAxis": {"true"}, "hideLegend": {"false"}, "uniqueLegend": {"true"},
		"bgcolor": {"white"}, "fgcolor": {"black"}, "majorGridLineColor": {"cccccc"}, "minorGridLineColor": {"eeeeee"},
	})
}
