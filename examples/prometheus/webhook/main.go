// Command webhook prints the alerts that Alertmanager delivers to it, and keeps
// the last ones: GET answers with them as JSON, as they came.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
)

// kept is how many messages are kept.
const kept = 100

// message is what this program reads of an Alertmanager message of version 4.
type message struct {
	Alerts []struct {
		Status      string
		Labels      map[string]string
		Annotations map[string]string
		StartsAt    time.Time
	}
}

func main() {
	addr := flag.String("addr", "127.0.0.1:9099", "`address` to listen on")
	names := flag.String("host", "", "`names` to answer to, separated by commas, besides any IP address, localhost and the machine's name")
	flag.Parse()
	server := &http.Server{Addr: *addr, Handler: webhook(os.Stdout, *names), ReadTimeout: time.Minute, IdleTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}

// webhook takes messages from Alertmanager, and prints them to out. It takes none
// from other people's pages in a browser on this machine.
func webhook(out io.Writer, names string) http.Handler {
	var mu sync.Mutex
	messages := []json.RawMessage{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		answer := json.NewEncoder(w)
		answer.SetIndent("", "  ")
		answer.Encode(messages)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		var m message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			http.Error(w, "not a message of Alertmanager: "+err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		messages = append(messages, body)
		messages = messages[max(0, len(messages)-kept):]
		show(out, m)
	})
	return hostcheck.Handler(http.NewCrossOriginProtection().Handler(mux), names)
}

// show prints each alert of a message: what it is and of whom, then what there is
// to say about it.
func show(out io.Writer, m message) {
	for _, a := range m.Alerts {
		fmt.Fprintf(out, "%s %s %s", time.Now().Format(time.TimeOnly), quoted(strings.ToUpper(a.Status)), quoted(a.Labels["alertname"]))
		for _, label := range slices.Sorted(maps.Keys(a.Labels)) {
			if label != "alertname" {
				fmt.Fprintf(out, " %s=%s", quoted(label), quoted(a.Labels[label]))
			}
		}
		fmt.Fprintf(out, "\n  since %s\n", a.StartsAt.Local().Format(time.TimeOnly))
		for _, name := range slices.Sorted(maps.Keys(a.Annotations)) {
			fmt.Fprintf(out, "  %s: %s\n", quoted(name), printable(strings.TrimSpace(a.Annotations[name])))
		}
	}
}

// quoted returns what somebody else chose as one word of one line: a label may
// hold a line that looks like another alert, or escape sequences for the terminal
// that shows the log.
func quoted(s string) string {
	if q := strconv.Quote(s); s == "" || q != `"`+s+`"` || strings.ContainsAny(s, " =") {
		return q
	}
	return s
}

// printable does the same for the rest of a line, which may have spaces.
func printable(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
