package main

import (
	"cmp"
	"embed"
	"encoding/json"
	"io/fs"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

//go:embed page
var page embed.FS

// values are a curve's points in JSON, null where there is none.
type values []float64

// MarshalJSON writes NaN as null, which package json refuses to.
func (v values) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2+8*len(v))
	b = append(b, '[')
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(f):
			b = append(b, "null"...)
		case f == math.Trunc(f):
			b = strconv.AppendFloat(b, f, 'f', -1, 64)
		default:
			b = strconv.AppendFloat(b, f, 'g', 7, 64) // a derived one; no eye sees more
		}
	}
	return append(b, ']'), nil
}

// answer is what the page asks for every second.
type answer struct {
	Now      int64         `json:"now"` // Unix milliseconds
	StatsD   string        `json:"statsd"`
	Counts   counts        `json:"counts"`
	Notices  []string      `json:"notices"`
	Services []serviceInfo `json:"services"`
	Shown    *shown        `json:"shown"` // nil while there is no service
}

// serviceInfo is a service in the list.
type serviceInfo struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Tags     string   `json:"tags"`
	From     string   `json:"from"`
	Gauges   int      `json:"gauges"`
	Interval float64  `json:"interval"` // seconds; 0 while it is not known
	Gone     *float64 `json:"gone"`     // seconds since it was last heard of, if it is gone
}

// shown is the service whose charts are looked at.
type shown struct {
	ID       string            `json:"id"`
	Version  int64             `json:"version"`
	Sections []section         `json:"sections,omitempty"` // if Version is not the one asked for
	Gap      int64             `json:"gap"`                // milliseconds that a line may bridge
	From     int64             `json:"from"`               // number of the first frame in Times
	Times    []int64           `json:"times"`              // Unix milliseconds
	Values   map[string]values `json:"values"`             // by key of the curve
}

// query is what the page has already, and what it wants to see.
type query struct {
	id      string // "" for whichever there is
	version int64
	from    int64 // first frame that it lacks, or has only a part of
	span    time.Duration
}

// answer returns what the page lacks. preferred is the prefix of the service
// that is shown if none is chosen.
func (s *store) answer(now time.Time, q query, preferred string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now)

	a := answer{Now: now.UnixMilli(), Counts: s.counts, Notices: s.counts.notices(), Services: []serviceInfo{}}
	var chosen, first, sample *service
	for _, svc := range s.services {
		info := serviceInfo{ID: svc.id, Title: svc.title(), Tags: svc.tags, From: svc.sentFrom(), Gauges: len(svc.series)}
		if svc.spacings[0] > 0 {
			info.Interval = svc.interval().Seconds()
		}
		if svc.isGone(now) {
			gone := now.Sub(svc.lastSeen).Seconds()
			info.Gone = &gone
		} else if first == nil {
			first = svc
		}
		a.Services = append(a.Services, info)
		if svc.id == q.id {
			chosen = svc
		}
		if svc.prefix == preferred {
			sample = svc
		}
	}
	slices.SortFunc(a.Services, func(x, y serviceInfo) int { return cmp.Compare(x.ID, y.ID) })
	if chosen == nil {
		chosen = cmp.Or(sample, first)
	}
	if chosen == nil && len(s.services) > 0 {
		chosen = s.services[0]
	}
	if chosen != nil {
		a.Shown = chosen.show(now, q)
	}
	return a
}

// show returns the frames that the page lacks.
func (svc *service) show(now time.Time, q query) *shown {
	out := &shown{ID: svc.id, Version: svc.version, Gap: svc.gap(), Values: make(map[string]values)}
	names := make([]string, 0, len(svc.series))
	for name := range svc.series {
		names = append(names, name)
	}
	sections := layout(names)

	from := int(max(0, q.from-svc.first))
	if q.id != svc.id || q.version != svc.version || from > len(svc.times) {
		out.Sections = sections
		oldest := now.Add(-q.span).UnixMilli()
		from, _ = slices.BinarySearch(svc.times, oldest)
		from = max(0, from-1) // the line that enters from the left
	}
	out.From = svc.first + int64(from)
	out.Times = slices.Clone(svc.times[from:])
	for _, s := range sections {
		for _, c := range s.Charts {
			for _, v := range c.Views {
				for _, l := range v.Curves {
					out.Values[l.Key] = derive(l.derive, svc.times, svc.series[l.gauge].values, from, svc.gap())
				}
			}
		}
	}
	return out
}

// web returns the handler of the page.
func web(s *store, statsd netip.AddrPort, preferred string) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, r *http.Request) {
		q := query{id: r.FormValue("service"), span: history}
		q.version, _ = strconv.ParseInt(r.FormValue("version"), 10, 64)
		q.from, _ = strconv.ParseInt(r.FormValue("from"), 10, 64)
		if seconds, err := strconv.Atoi(r.FormValue("span")); err == nil && seconds > 0 {
			q.span = min(time.Duration(seconds)*time.Second, history)
		}
		a := s.answer(time.Now(), q, preferred)
		a.StatsD = statsd.String()
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(a) // an error means that the page is gone
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store") // another version may be started on the same port
		mux.ServeHTTP(w, r)
	})
}
