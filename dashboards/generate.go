// Generate writes the dashboards for Graphite, and for Grafana with Graphite or
// Prometheus, from one table of panels, so that they cannot drift apart, and the
// targets for Graphite into docs/alerts.md. With -check it writes nothing and
// fails if the files are not what it would write. It works in the current
// directory: go run -C dashboards . -check.
//
//go:generate go run .
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
)

var files = []struct {
	name string
	text func(have string) (string, error)
}{
	{"graphite.json", dashboard(graphite)},
	{"grafana-graphite.json", dashboard(fromGraphite.dashboard)},
	{"grafana-prometheus.json", dashboard(fromPrometheus.dashboard)},
	{"../docs/alerts.md", runbook},
}

func main() {
	check := flag.Bool("check", false, "write nothing; exit with 1 if a file is not up to date")
	flag.Parse()
	for _, file := range files {
		if err := generate(file.name, file.text, *check); err != nil {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
			os.Exit(1)
		}
	}
}

// dashboard is a file as a whole, whatever was in it.
func dashboard(content func() any) func(string) (string, error) {
	return func(string) (string, error) {
		var text bytes.Buffer
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err := encoder.Encode(content())
		return text.String(), err
	}
}

func generate(name string, text func(have string) (string, error), check bool) error {
	have, err := os.ReadFile(name)
	if err != nil && (check || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	want, err := text(string(have))
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(name, []byte(want), 0o666)
	}
	if string(have) != want {
		return fmt.Errorf("%s is not what the tables say: run go generate", name)
	}
	return nil
}
