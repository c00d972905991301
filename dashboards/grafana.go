package main

import (
	"maps"
	"regexp"
)

// The dashboard model of Grafana, as far as it is used here. The test checks the
// files against the types that Grafana publishes.
type (
	object map[string]any

	grafanaDashboard struct {
		UID           string         `json:"uid"`
		Title         string         `json:"title"`
		Description   string         `json:"description"`
		Tags          []string       `json:"tags"`
		SchemaVersion int            `json:"schemaVersion"`
		Editable      bool           `json:"editable"`
		GraphTooltip  int            `json:"graphTooltip"`
		Refresh       string         `json:"refresh"`
		Time          object         `json:"time"`
		Timezone      string         `json:"timezone"`
		Annotations   object         `json:"annotations"`
		Templating    object         `json:"templating"`
		Panels        []grafanaPanel `json:"panels"`
	}
	grafanaPanel struct {
		ID          int             `json:"id"`
		Type        string          `json:"type"`
		Title       string          `json:"title"`
		Description string          `json:"description"`
		GridPos     grafanaPosition `json:"gridPos"`
		Datasource  object          `json:"datasource"`
		Targets     []object        `json:"targets"`
		FieldConfig grafanaFields   `json:"fieldConfig"`
		Options     object          `json:"options"`
	}
	grafanaPosition struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	}
	grafanaFields struct {
		Defaults  object   `json:"defaults"`
		Overrides []object `json:"overrides"`
	}
)

func (s source) dashboard() any {
	marks := object{
		"name":       "Starts",
		"datasource": chosenSource(s.kind),
		"enable":     true,
		"iconColor":  "orange",
	}
	maps.Copy(marks, s.starts)
	d := grafanaDashboard{
		UID:         "runtimemetrics-" + s.kind,
		Title:       s.title,
		Description: "What Go services push with runtimemetrics, from " + s.from + ". The panels from Alive on want --metric-runtime=default and package process.",
		Tags:        []string{"go", "runtimemetrics"},
		// That of Grafana 11; newer ones convert it when they load it.
		SchemaVersion: 39,
		Editable:      true,
		GraphTooltip:  1, // the crosshair is at the same time in all panels
		Refresh:       "10s",
		Time:          object{"from": "now-1h", "to": "now"},
		Timezone:      "browser",
		Annotations:   object{"list": []object{marks}},
		Templating: object{"list": append([]object{{
			"name":  "datasource",
			"label": s.label,
			"type":  "datasource",
			"query": s.kind,
		}}, s.variables...)},
	}
	x, y := 0, 0
	const height = 8
	for i, p := range panels {
		width := p.width
		if width == 0 {
			width = 8
		}
		if i == len(panels)-1 {
			width = 24 - x // whatever is left of the last row
		}
		d.Panels = append(d.Panels, s.panel(p, i+1, grafanaPosition{x, y, width, height}))
		if x += width; x >= 24 {
			x, y = 0, y+height
		}
	}
	return d
}

func (s source) panel(p panel, id int, at grafanaPosition) grafanaPanel {
	custom := object{
		"drawStyle":   "line",
		"lineWidth":   1,
		"fillOpacity": 10,
		"showPoints":  "never",
		// A process that is gone leaves a gap; one lost tick does not.
		"spanNulls": 30_000,
	}
	defaults := object{
		"unit":       p.unit.grafana,
		"min":        0,
		"color":      object{"mode": "palette-classic"},
		"custom":     custom,
		"thresholds": object{"mode": "absolute", "steps": []object{{"color": "green", "value": nil}}},
	}
	if p.unit.grafana == "short" && p.unit.label != "" {
		custom["axisLabel"] = p.unit.label
	}
	if p.warn != 0 {
		custom["thresholdsStyle"] = object{"mode": "dashed+area"}
		defaults["thresholds"] = object{"mode": "absolute", "steps": []object{
			{"color": "transparent", "value": nil},
			{"color": "orange", "value": p.warn},
			{"color": "red", "value": p.bad},
		}}
	}
	out := grafanaPanel{
		ID: id, Type: "timeseries", Title: p.title, Description: p.help, GridPos: at, Datasource: chosenSource(s.kind),
		FieldConfig: grafanaFields{Defaults: defaults, Overrides: []object{}},
		Options: object{
			"legend":  object{"showLegend": true, "displayMode": "list", "placement": "bottom", "calcs": []string{}},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
	for i, t := range p.targets {
		if t.style == event {
			continue // an annotation, over all panels
		}
		query := object{
			"refId":      string(rune('A' + i)),
			"datasource": chosenSource(s.kind),
		}
		maps.Copy(query, s.query(t))
		out.Targets = append(out.Targets, query)
		if properties := t.style.overrides(p); properties != nil {
			out.FieldConfig.Overrides = append(out.FieldConfig.Overrides, object{
				// By name, since frames from Graphite know of their query only
				// since Grafana 11.6.
				"matcher":    object{"id": "byRegexp", "options": "/^" + regexp.QuoteMeta(t.label) + " /"},
				"properties": properties,
			})
		}
	}
	return out
}

func (s style) overrides(p panel) []object {
	property := func(id string, value any) object { return object{"id": id, "value": value} }
	switch s {
	case area:
		return []object{
			property("custom.stacking", object{"mode": "normal", "group": "A"}),
			property("custom.fillOpacity", 40),
		}
	case limit:
		return []object{
			property("custom.lineStyle", object{"fill": "dash", "dash": []int{10, 10}}),
			property("custom.fillOpacity", 0),
		}
	case right:
		return []object{
			property("unit", p.right.grafana),
			property("custom.axisPlacement", "right"),
			property("custom.axisLabel", ""),
			property("custom.fillOpacity", 0),
		}
	}
	return nil
}
