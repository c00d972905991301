package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	process "github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

func TestFilesAreUpToDate(t *testing.T) {
	for _, file := range files {
		if err := generate(file.name, file.text, true); err != nil {
			t.Error(err)
		}
	}
}

// TestGaugesExist holds the targets to the names that the library says it sends:
// a gauge that is renamed must not leave an empty graph behind. Both languages
// have to ask for the same ones.
func TestGaugesExist(t *testing.T) {
	known := map[string]bool{
		"runtimemetrics.ticks":   true,
		"runtimemetrics.lost":    true,
		"runtimemetrics.late.ns": true,
	}
	for _, g := range append(process.Gauges(), leaks.Gauges()...) {
		known[g.Name] = true
	}
	c := collector.New(func(name string, _ uint64) { known[name] = true })
	c.Runtime = []string{"default"}
	c.Collect()
	for _, p := range panels {
		if p.title == "" || p.help == "" || strings.Contains(p.help, "\n") || p.unit.grafana == "" || len(p.targets) == 0 {
			t.Errorf("panel %q wants a title, a line of help, a unit and a target", p.title)
		}
		for _, target := range p.targets {
			names := gauge.FindAllStringSubmatch(target.query.graphite, -1)
			if len(names) == 0 {
				t.Errorf("%s: no gauge in %s", p.title, target.query.graphite)
			}
			metrics := map[string]bool{}
			for _, name := range names {
				if !known[name[1]] {
					t.Errorf("%s: nobody sends %s", p.title, name[1])
				}
				metrics[metric(name[1])] = true
			}
			found := map[string]bool{}
			for _, name := range regexp.MustCompile(`\bruntimemetrics_\w+`).FindAllString(target.query.prometheus, -1) {
				found[name] = true
			}
			if !maps.Equal(found, metrics) {
				t.Errorf("%s: Prometheus is asked for %v, Graphite for %v", p.title, found, metrics)
			}
		}
	}
	gauges := map[string]string{}
	for name := range known {
		if other, ok := gauges[metric(name)]; ok {
			t.Errorf("%s and %s are both %s", name, other, metric(name))
		}
		gauges[metric(name)] = name
	}
}

// Pinned, so that the test fails when the dashboard changes, not when the types
// do.
const (
	schema     = "@grafana/schema@13.2.3"
	queries    = "@grafana/prometheus@13.2.3"
	typescript = "typescript@5.9.3"
)

// checkTS holds a dashboard to the types of Grafana's own frontend. They are
// looser than what Grafana draws: a panel's options and its fields' custom part
// are any object, and so is a target. What a time series panel takes is put in
// their place. Plain makes of the enumerations the strings that are in the file.
const checkTS = `
import type {
  AnnotationContainer, Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel,
} from '@grafana/schema';
import type { FieldConfig as Custom, Options }
  from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';
import type { Prometheus } from './package/dist/types/dataquery.js';

type Plain<T> =
  T extends string ? ` + "`${T}`" + ` :
  T extends number ? ` + "(`${T}` extends `${infer N extends number}` ? N : never)" + ` :
  T extends boolean | null | undefined ? T :
  T extends (infer E)[] ? Plain<E>[] :
  { [K in keyof T]: Plain<T[K]> };

interface GraphiteQuery extends DataQuery {
  refId: string;
  target: string;
  textEditor: true;
}
interface GraphiteStarts {
  target: GraphiteQuery & { fromAnnotations: true };
}
interface PrometheusQuery extends Prometheus {
  refId: string;
}
// What the data source reads beside the query.
interface PrometheusStarts {
  target: PrometheusQuery;
  useValueForTime: true;
  titleFormat: string;
  tagKeys: string;
}
type Property =
  | { [K in keyof Custom & string]: { id: ` + "`custom.${K}`" + `; value: Custom[K] } }[keyof Custom & string]
  | { [K in 'unit' | 'min' | 'max' | 'decimals']: { id: K; value: FieldConfig[K] } }['unit' | 'min' | 'max' | 'decimals'];
interface TimeSeries<Query> extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: 'timeseries';
  title: string;
  description: string;
  options: Options;
  targets: Query[];
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom: Custom };
    overrides: { matcher: { id: 'byRegexp'; options: string }; properties: Property[] }[];
  };
}
interface Checked<Query, Starts> extends Omit<Dashboard, 'panels' | 'annotations'> {
  panels: TimeSeries<Query>[];
  annotations: { list: (Omit<NonNullable<AnnotationContainer['list']>[number], 'target'> & Starts)[] };
}

`

// TestGrafanaTypes type-checks the Grafana dashboards with the TypeScript
// compiler, and beside each the same with a mistake, since a check is worth what
// it refuses.
func TestGrafanaTypes(t *testing.T) {
	if os.Getenv("RUNTIMEMETRICS_E2E") != "required" {
		t.Skip("installs " + schema + ", " + queries + " and a compiler by npm: only with RUNTIMEMETRICS_E2E=required")
	}
	mistakes := map[string]func(dashboard, panel map[string]any){
		"as-it-is":        func(_, _ map[string]any) {},
		"unknown-field":   func(dashboard, _ map[string]any) { dashboard["shemaVersion"] = 39 },
		"missing-version": func(dashboard, _ map[string]any) { delete(dashboard, "schemaVersion") },
		"missing-width":   func(_, panel map[string]any) { delete(panel["gridPos"].(map[string]any), "w") },
		"wrong-placement": func(_, panel map[string]any) {
			defaults := panel["fieldConfig"].(map[string]any)["defaults"].(map[string]any)
			defaults["custom"].(map[string]any)["axisPlacement"] = "rihgt"
		},
		"wrong-legend": func(_, panel map[string]any) {
			panel["options"].(map[string]any)["legend"].(map[string]any)["displayMode"] = "lost"
		},
		"unknown-query": func(_, panel map[string]any) {
			panel["targets"].([]any)[0].(map[string]any)["textEdtor"] = true
		},
		"wrong-mark": func(dashboard, _ map[string]any) {
			annotations := dashboard["annotations"].(map[string]any)["list"].([]any)
			annotations[0].(map[string]any)["useValuesForTime"] = true
		},
	}
	sources := map[string][]byte{} // by the name of the TypeScript file
	var good []string
	for file, checked := range map[string]string{
		"grafana-graphite":   "Checked<GraphiteQuery, GraphiteStarts>",
		"grafana-prometheus": "Checked<PrometheusQuery, PrometheusStarts>",
	} {
		good = append(good, file+"-as-it-is.ts")
		text, err := os.ReadFile(file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for name, spoil := range mistakes {
			var dashboard map[string]any
			if err := json.Unmarshal(text, &dashboard); err != nil {
				t.Fatal(err)
			}
			spoil(dashboard, dashboard["panels"].([]any)[0].(map[string]any))
			source, err := json.Marshal(dashboard)
			if err != nil {
				t.Fatal(err)
			}
			name = file + "-" + name + ".ts"
			sources[name] = append([]byte(checkTS+"export const dashboard: Plain<"+checked+"> = "), source...)
		}
	}

	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		return cmd
	}
	run := func(name string, args ...string) {
		if out, err := command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	run("npm", "install", "--prefix", ".", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", schema, typescript)
	// Only its types are wanted, not what it takes to run it.
	run("npm", "pack", "--prefer-offline", queries)
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		t.Fatalf("npm pack made %q, %v", packed, err)
	}
	run("tar", "-xzf", packed[0], "package/dist/types/dataquery.d.ts")
	compile := []string{"node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--pretty", "false",
		"--skipLibCheck", "--module", "nodenext", "--target", "es2022"}
	for name, source := range sources {
		if err := os.WriteFile(filepath.Join(dir, name), source, 0o666); err != nil {
			t.Fatal(err)
		}
		compile = append(compile, name)
	}
	text, _ := command("node", compile...).CombinedOutput() // it fails, as it should
	out, refused := string(text), 0
	for name := range sources {
		got := strings.Contains(out, name+"(")
		if want := !slices.Contains(good, name); got != want {
			t.Errorf("%s refused: %v, want %v", name, got, want)
		}
		if got {
			refused++
		}
	}
	// One error for each mistake, the one that was meant.
	if t.Failed() || strings.Count(out, "error TS") != refused {
		t.Errorf("the compiler says\n%s", out)
	}
}
