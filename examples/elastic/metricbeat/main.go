// Command metricbeat is Metricbeat with two of its modules: statsd and golang.
// What Elastic ships has all of them, and the same code for these two.
package main

import (
	"os"

	"github.com/elastic/beats/v7/libbeat/cmd"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"
	"github.com/elastic/beats/v7/metricbeat/beater"
	_ "github.com/elastic/beats/v7/metricbeat/module/golang/expvar"
	_ "github.com/elastic/beats/v7/metricbeat/module/golang/heap"
	_ "github.com/elastic/beats/v7/x-pack/metricbeat/module/statsd/server"
)

func main() {
	root := cmd.GenRootCmdWithSettings(beater.DefaultCreator(), instance.Settings{Name: "metricbeat"})
	if err := root.Execute(); err != nil {
		os.Exit(1)
	}
}
