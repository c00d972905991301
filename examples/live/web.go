package main

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
)

//go:embed page
var page embed.FS

// What answers take is bounded as well: one is made at a time, of at most
// maxPoints, and those that are being written have at most maxUnderWay bytes.
const (
	maxPoints   = 1 << 20
	maxUnderWay = 64 << 20
)

// values are a curve's points in JSON, null where there is none.
type values []float64

// MarshalJSON writes as null what JSON has no number for: NaN, and what has become
// infinite by arithmetic.
func (v values) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 2+8*len(v))
	b = append(b, '[')
	for i, f := range v {
		if i > 0 {
			b = append(b, ',')
		}
		switch {
		case math.IsNaN(f) || math.IsInf(f, 0):
			b = append(b, "null"...)
		case f == math.Trunc(f) && math.Abs(f) < 1e15:
			b = strconv.AppendFloat(b, f, 'f', -1, 64)
		default:
			b = strconv.AppendFloat(b, f, 'g', 7, 64) // no eye sees more
		}
	}
	return append(b, ']'), nil
}

// answer is what the page asks for every second. Its times are in milliseconds by
// the clock of the server that never goes back.
type answer struct {
	Now      int64         `json:"now"`
	Wall     int64         `json:"wall"` // Unix milliseconds now, for people
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
	Findings int      `json:"findings"` // how many
}

// shown is the service whose charts are looked at.
type shown struct {
	ID       string            `json:"id"`
	Version  int64             `json:"version"`
	Sections []section         `json:"sections,omitempty"` // if Version is not the one asked for
	Gap      int64             `json:"gap"`                // milliseconds that a line may bridge
	From     int64             `json:"from"`               // number of the first frame in Times
	Times    []int64           `json:"times"`
	Values   map[string]values `json:"values"` // by key of the curve
	Findings []finding         `json:"findings"`
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
func (s *store) answer(now moment, q query, preferred string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trim(now)

	a := answer{Now: now.run, Wall: now.wall, Counts: s.counts, Notices: s.notices(now), Services: []serviceInfo{}}
	var chosen, first, sample *service
	for _, svc := range s.services {
		info := serviceInfo{ID: svc.id, Title: svc.title(), Tags: svc.tags, From: svc.sentFrom(), Gauges: len(svc.series), Findings: len(svc.judge(now))}
		if interval, ok := svc.interval(); ok {
			info.Interval = float64(interval) / 1000
		}
		if svc.isGone(now) {
			gone := float64(now.run-svc.lastSeen) / 1000
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
		var left time.Duration
		if a.Shown, left = chosen.show(now, q); left > 0 {
			a.Notices = append(a.Notices, fmt.Sprintf("This service has so many gauges that only its last %v could be sent.", left.Round(time.Second)))
		}
	}
	return a
}

// show returns the frames that the page lacks. left is not 0 if there are too many
// of them for an answer, and is the time that those cover which are in it.
func (svc *service) show(now moment, q query) (out *shown, left time.Duration) {
	out = &shown{ID: svc.id, Version: svc.version, Gap: svc.gap(), Values: make(map[string]values), Findings: svc.judge(now)}
	names := make([]string, 0, len(svc.series))
	for name := range svc.series {
		names = append(names, name)
	}
	sections := layout(names)
	curves := 0
	for _, s := range sections {
		for _, c := range s.Charts {
			for _, v := range c.Views {
				curves += len(v.Curves)
			}
		}
	}

	from := int(max(0, q.from-svc.first))
	if q.id != svc.id || q.version != svc.version || from > len(svc.times) {
		out.Sections = sections
		oldest := now.run - q.span.Milliseconds()
		from, _ = slices.BinarySearch(svc.times, oldest)
		from = max(0, from-1) // the line that enters from the left
	}
	if most := maxPoints / max(1, curves); len(svc.times)-from > most {
		from = len(svc.times) - most
		left = time.Duration(now.run-svc.times[from]) * time.Millisecond
	}
	out.From = svc.first + int64(from)
	out.Times = slices.Clone(svc.times[from:])
	for _, s := range sections {
		for _, c := range s.Charts {
			for _, v := range c.Views {
				for _, l := range v.Curves {
					out.Values[l.Key] = svc.curve(l.gauge, l.derive, from)
				}
			}
		}
	}
	return out, left
}

// curve derives a curve for the frames from number from on, counted from the
// oldest that is kept.
func (svc *service) curve(gauge string, how derivation, from int) []float64 {
	out := make([]float64, len(svc.times)-from)
	g := svc.series[gauge]
	skip := int(g.first - svc.first) // frames before it first came
	for i := range min(len(out), max(0, skip-from)) {
		out[i] = math.NaN()
	}
	if begin := max(from, skip); begin < len(svc.times) {
		copy(out[begin-from:], derive(how, svc.times[skip:], svc.walls[skip:], g.values, begin-skip, svc.gap()))
	}
	return out
}

// api answers the page.
type api struct {
	store     *store
	clock     *clock
	statsd    netip.AddrPort
	preferred string

	making   chan struct{} // holds an element while an answer is made
	underWay atomic.Int64  // bytes
}

func (h *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The URL's query and nothing else: a body may be of any size.
	form := r.URL.Query()
	q := query{id: form.Get("service"), span: history}
	q.version, _ = strconv.ParseInt(form.Get("version"), 10, 64)
	q.from, _ = strconv.ParseInt(form.Get("from"), 10, 64)
	if seconds, err := strconv.Atoi(form.Get("span")); err == nil && seconds > 0 {
		q.span = min(time.Duration(min(seconds, 3600))*time.Second, history)
	}
	body, err := h.body(r.Context(), q)
	switch {
	case err == errBusy:
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	case err != nil:
		log.Printf("an answer could not be made: %v", err)
		http.Error(w, "an answer could not be made; the log says why", http.StatusInternalServerError)
		return
	}
	defer h.underWay.Add(-int64(len(body)))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the page is gone
}

var errBusy = errors.New("too many answers are under way")

// body makes an answer, one at a time. Its length counts as under way until the
// caller takes it off.
func (h *api) body(ctx context.Context, q query) ([]byte, error) {
	select {
	case h.making <- struct{}{}:
		defer func() { <-h.making }()
	case <-ctx.Done():
		return nil, errBusy
	}
	a := h.store.answer(h.clock.now(), q, h.preferred)
	a.StatsD = h.statsd.String()
	body, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	if h.underWay.Load()+int64(len(body)) > maxUnderWay {
		return nil, errBusy
	}
	h.underWay.Add(int64(len(body)))
	return body, nil
}

// web returns the handler of the page. It answers to the names in hosts, which are
// separated by commas, besides those of package hostcheck.
func web(s *store, c *clock, statsd netip.AddrPort, preferred, hosts string) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /api", &api{store: s, clock: c, statsd: statsd, preferred: preferred, making: make(chan struct{}, 1)})
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store") // another version may be started on the same port
		mux.ServeHTTP(w, r)
	})
	return hostcheck.Handler(http.NewCrossOriginProtection().Handler(own), hosts)
}

// httpServer returns a server that lets nobody keep a connection for nothing.
func httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       15 * time.Second, // the page asks every second
		MaxHeaderBytes:    16 << 10,
	}
}

// maxConnections are served at a time; others wait.
const maxConnections = 256

func serve(server *http.Server, l net.Listener) error {
	return server.Serve(netutil.LimitListener(l, maxConnections))
}
