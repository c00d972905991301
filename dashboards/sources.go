package main

import "strings"

// A source is what the dashboard for one kind of data source has of its own.
type source struct {
	kind      string // Grafana's identifier
	label     string // at the top of the dashboard
	title     string
	from      string // where the gauges come from
	variables []object
	query     func(target) object
	starts    object // the annotation's query, and how it is read
}

// chosenSource is the data source that is chosen at the top of the dashboard.
func chosenSource(kind string) object { return object{"type": kind, "uid": "${datasource}"} }

var fromGraphite = source{
	kind: "graphite", label: "Graphite",
	title: "Go runtime",
	from:  "StatsD and Graphite 1.1",
	variables: []object{{
		"name":        "host",
		"label":       "Service",
		"description": "What --metric-prefix of a service says.",
		"type":        "query",
		"datasource":  chosenSource("graphite"),
		// ** stands for any number of nodes, and expand returns whole
		// paths: a prefix with dots in it is still one value.
		"query":      "expand(" + root + ".**.cpu.goroutines)",
		"regex":      `/^stats\.gauges\.(.+)\.cpu\.goroutines$/`,
		"refresh":    1,
		"sort":       7,
		"multi":      false,
		"includeAll": true,
		"allValue":   "**",
	}},
	query: func(t target) object {
		return object{"target": t.graphite("$host"), "textEditor": true}
	},
	starts: object{"target": object{
		"refId":      "Starts",
		"target":     target{query: starts}.graphite("$host"),
		"textEditor": true,
		// Each point that is not 0 is a mark. Without this, each point is.
		"fromAnnotations": true,
	}},
}

var fromPrometheus = source{
	kind: "prometheus", label: "Prometheus",
	title: "Go runtime (Prometheus)",
	from:  "statsd_exporter and Prometheus 2.33 or later",
	variables: []object{
		labelVariable("service", "Service", metric("cpu.goroutines")),
		labelVariable("host", "Host", metric("cpu.goroutines")+`{service=~"$service"}`),
	},
	query: func(t target) object {
		return object{
			"expr":         t.query.prometheus,
			"legendFormat": strings.TrimSpace(t.label + " {{host}} {{service}}"),
			"range":        true,
			"editorMode":   "code",
		}
	},
	starts: object{
		"target": object{
			"refId":      "Starts",
			"expr":       starts.prometheus,
			"range":      true,
			"editorMode": "code",
		},
		"useValueForTime": true,
		"titleFormat":     "Start",
		"tagKeys":         "host,service",
	},
}

// labelVariable lists the values of a label. All of them is a pattern that also
// stands for no such label.
func labelVariable(name, label, of string) object {
	return object{
		"name":       name,
		"label":      label,
		"type":       "query",
		"datasource": chosenSource("prometheus"),
		"query":      "label_values(" + of + ", " + name + ")",
		"refresh":    2, // when the time on the screen changes, too
		"sort":       7,
		"multi":      true,
		"includeAll": true,
		"allValue":   ".*",
	}
}
