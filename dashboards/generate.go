// Generate writes the dashboards for Graphite, and for Grafana with Graphite or
// Prometheus, from one table of panels, so that they cannot drift apart. With -check it writes nothing and
// fails if the files are not what it would write. It works in the current
// directory: go run -C dashboards . -check.
//
//go:generate go run .
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

var files = []struct {
	name      string
	dashboard func() any
}{
	{"graphite.json", graphite},
	{"grafana-graphite.json", fromGraphite.dashboard},
	{"grafana-prometheus.json", fromPrometheus.dashboard},
}

func main() {
	check := flag.Bool("check", false, "write nothing; exit with 1 if a file is not up to date")
	flag.Parse()
	for _, file := range files {
		if err := generate(file.name, file.dashboard, *check); err != nil {
			fmt.Fprintln(os.Stderr, "dashboards:", err)
			os.Exit(1)
		}
	}
}

func generate(name string, dashboard func() any, check bool) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(dashboard()); err != nil {
		return err
	}
	if !check {
		return os.WriteFile(name, text.Bytes(), 0o666)
	}
	have, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, text.Bytes()) {
		return fmt.Errorf("%s is not what the table of panels says: run go generate", name)
	}
	return nil
}
