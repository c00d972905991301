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
	"strings"
	"sync"
	"time"
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
	flag.Parse()

	var mu sync.Mutex
	messages := []json.RawMessage{}
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		out.Encode(messages)
	})
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
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
		show(os.Stdout, m)
	})
	log.Fatal(http.ListenAndServe(*addr, nil))
}

// show prints each alert of a message: what it is and of whom, then what there is
// to say about it.
func show(out io.Writer, m message) {
	for _, a := range m.Alerts {
		fmt.Fprintf(out, "%s %s %s", time.Now().Format(time.TimeOnly), strings.ToUpper(a.Status), a.Labels["alertname"])
		for _, label := range slices.Sorted(maps.Keys(a.Labels)) {
			if label != "alertname" {
				fmt.Fprintf(out, " %s=%s", label, a.Labels[label])
			}
		}
		fmt.Fprintf(out, "\n  since %s\n", a.StartsAt.Local().Format(time.TimeOnly))
		for _, name := range slices.Sorted(maps.Keys(a.Annotations)) {
			fmt.Fprintf(out, "  %s: %s\n", name, strings.TrimSpace(a.Annotations[name]))
		}
	}
}
