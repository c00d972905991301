package main

// The state of a dashboard of graphite-web, as its /dashboard/load returns it.
type (
	graphiteDashboard struct {
		Name          string            `json:"name"`
		Graphs        [][3]any          `json:"graphs"` // title, graphiteGraph, URL (which the page makes anew)
		TimeConfig    map[string]string `json:"timeConfig"`
		RefreshConfig graphiteRefresh   `json:"refreshConfig"`
		GraphSize     graphiteSize      `json:"graphSize"`
		Defaults      map[string]string `json:"defaultGraphParams"`
	}
	graphiteGraph struct {
		Title  string   `json:"title"`
		Target []string `json:"target"`
		YMin   string   `json:"yMin"`
		System string   `json:"yUnitSystem"`
		// Of a graph with two axes it obeys these only.
		YMinLeft  string `json:"yMinLeft,omitempty"`
		YMinRight string `json:"yMinRight,omitempty"`
	}
	graphiteRefresh struct {
		Enabled  bool `json:"enabled"`
		Interval int  `json:"interval"` // in milliseconds
	}
	graphiteSize struct {
		Width  int `json:"width"`
		Height int `json:"height"`
	}
)

// graphite is a template: graphite-web puts the prefix of a service, or a
// pattern, in the place of __VALUE__.
func graphite() any {
	d := graphiteDashboard{
		Name: "go-runtime",
		TimeConfig: map[string]string{
			"type":                  "relative",
			"relativeStartQuantity": "15",
			"relativeStartUnits":    "minutes",
			"relativeUntilQuantity": "",
			"relativeUntilUnits":    "now",
		},
		RefreshConfig: graphiteRefresh{Enabled: true, Interval: 10_000},
		GraphSize:     graphiteSize{Width: 480, Height: 290},
		Defaults: map[string]string{
			"from":     "-15minutes",
			"until":    "now",
			"lineMode": "connected",
			"fontSize": "8",
		},
	}
	for _, p := range panels {
		// The unit is part of the title: beside the axis it would stand in the
		// way of its numbers.
		axis := p.unit.label
		graph := graphiteGraph{Title: p.title, YMin: "0", System: p.unit.system}
		if p.right != (unit{}) {
			axis += "; right: " + p.right.label
			graph.YMinLeft, graph.YMinRight = "0", "0"
		}
		if axis != "" {
			graph.Title += " (" + axis + ")"
		}
		for _, t := range p.targets {
			switch t.style {
			case area:
				t.query.graphite = "stacked(" + t.query.graphite + ")"
			case limit:
				t.query.graphite = "dashed(" + t.query.graphite + ")"
			case right:
				t.query.graphite = "secondYAxis(" + t.query.graphite + ")"
			case event:
				t.query.graphite = "drawAsInfinite(" + t.query.graphite + ")"
			}
			graph.Target = append(graph.Target, t.graphite("__VALUE__"))
		}
		d.Graphs = append(d.Graphs, [3]any{p.title, graph, ""})
	}
	return d
}
