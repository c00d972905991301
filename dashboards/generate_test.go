package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/process"
)

func TestFilesAreUpToDate(t *testing.T) {
	for _, file := range files {
		if err := generate(file.name, file.dashboard, true); err != nil {
			t.Error(err)
		}
	}
}

// TestGaugesExist holds the targets to the names that the library says it sends:
// a gauge that is renamed must not leave an empty graph behind.
func TestGaugesExist(t *testing.T) {
	known := map[string]bool{
		"runtimemetrics.ticks":   true,
		"runtimemetrics.lost":    true,
		"runtimemetrics.late.ns": true,
	}
	for _, g := range process.Gauges() {
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
			names := gauge.FindAllStringSubmatch(target.expr, -1)
			if len(names) == 0 {
				t.Errorf("%s: no gauge in %s", p.title, target.expr)
			}
			for _, name := range names {
				if !known[name[1]] {
					t.Errorf("%s: nobody sends %s", p.title, name[1])
				}
			}
		}
	}
}

// Pinned, so that the test fails when the dashboard changes, not when the types
// do.
const (
	schema     = "@grafana/schema@13.2.3"
	typescript = "typescript@5.9.3"
)

// check.ts holds the dashboard to the types of Grafana's own frontend. They are
// looser than what Grafana draws: a panel's options and its fields' custom part
// are any object, and so is a target. What a time series panel takes is put in
// their place. Plain makes of the enumerations the strings that are in the file.
const checkTS = `
import type {
  AnnotationContainer, Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel,
} from '@grafana/schema';
import type { FieldConfig as Custom, Options }
  from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

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
  fromAnnotations?: true;
}
type Property =
  | { [K in keyof Custom & string]: { id: ` + "`custom.${K}`" + `; value: Custom[K] } }[keyof Custom & string]
  | { [K in 'unit' | 'min' | 'max' | 'decimals']: { id: K; value: FieldConfig[K] } }['unit' | 'min' | 'max' | 'decimals'];
interface TimeSeries extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: 'timeseries';
  title: string;
  description: string;
  options: Options;
  targets: GraphiteQuery[];
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom: Custom };
    overrides: { matcher: { id: 'byRegexp'; options: string }; properties: Property[] }[];
  };
}
interface Checked extends Omit<Dashboard, 'panels' | 'annotations'> {
  panels: TimeSeries[];
  annotations: { list: (Omit<NonNullable<AnnotationContainer['list']>[number], 'target'> & { target: GraphiteQuery })[] };
}

export const dashboard: Plain<Checked> = `

// TestGrafanaTypes type-checks the Grafana dashboard with the TypeScript
// compiler, and beside it dashboards with a mistake, since a check is worth what
// it refuses.
func TestGrafanaTypes(t *testing.T) {
	if os.Getenv("RUNTIMEMETRICS_E2E") != "required" {
		t.Skip("installs " + schema + " and a compiler by npm: only with RUNTIMEMETRICS_E2E=required")
	}
	file, err := os.ReadFile("grafana-graphite.json")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string][]byte{"dashboard": file}
	for name, spoil := range map[string]func(dashboard, panel map[string]any){
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
	} {
		var dashboard map[string]any
		if err := json.Unmarshal(file, &dashboard); err != nil {
			t.Fatal(err)
		}
		spoil(dashboard, dashboard["panels"].([]any)[0].(map[string]any))
		if sources[name], err = json.Marshal(dashboard); err != nil {
			t.Fatal(err)
		}
	}

	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	run := func(name string, args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("npm", "install", "--prefix", ".", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", schema, typescript); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	compile := []string{"node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--pretty", "false",
		"--skipLibCheck", "--module", "nodenext", "--target", "es2022"}
	for name, source := range sources {
		if err := os.WriteFile(filepath.Join(dir, name+".ts"), append([]byte(checkTS), source...), 0o666); err != nil {
			t.Fatal(err)
		}
		compile = append(compile, name+".ts")
	}
	out, _ := run("node", compile...)
	for name := range sources {
		if refused := strings.Contains(out, name+".ts("); refused != (name != "dashboard") {
			t.Errorf("%s refused: %v; the compiler says\n%s", name, refused, out)
		}
	}
	if t.Failed() || strings.Count(out, "error TS") != len(sources)-1 {
		t.Errorf("the compiler says\n%s", out)
	}
}
