//go:build linux

// Package rules_test holds the alerting rules to what the library sends, to their
// unit tests and to docs/alerts.md.
package rules_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"

	"github.com/runtimemetrics/runtimemetrics"
	leaks "github.com/runtimemetrics/runtimemetrics/leaks/catalogue"
	_ "github.com/runtimemetrics/runtimemetrics/process"
	processes "github.com/runtimemetrics/runtimemetrics/process/catalogue"
)

const (
	production = "runtimemetrics.rules.yml"
	short      = "short.rules.yml"
	runbook    = "../../../docs/alerts.md"
	runbookURL = "https://github.com/runtimemetrics/runtimemetrics/blob/main/docs/alerts.md#"
)

type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// kind tells rules that share a name apart.
func (r rule) kind() string {
	return strings.Join([]string{r.Alert, r.Labels["severity"], r.Labels["pace"]}, " ")
}

func readRules(t *testing.T, file string) (rules []rule) {
	t.Helper()
	var content struct {
		Groups []struct{ Rules []rule }
	}
	readYAML(t, file, &content)
	for _, group := range content.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatalf("%s has no rules", file)
	}
	return rules
}

type unitTests struct {
	Tests []struct {
		InputSeries []struct{ Series string } `yaml:"input_series"`
		AlertTests  []struct {
			Alertname string
			Expected  []struct {
				Labels map[string]string `yaml:"exp_labels"`
			} `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func readUnitTests(t *testing.T) (tests []unitTests) {
	t.Helper()
	for _, file := range unitTestFiles(t) {
		var content unitTests
		readYAML(t, file, &content)
		tests = append(tests, content)
	}
	return tests
}

func unitTestFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no unit tests: %v", err)
	}
	return files
}

// TestPromtool has Prometheus' own tool check the rules and run their unit tests.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		missing(t, err.Error()+"; 'examples/prometheus/up --install' installs it")
	}
	checks := [][]string{{"check", "rules", "--lint=all", "--lint-fatal", production, short}}
	for _, file := range unitTestFiles(t) {
		checks = append(checks, []string{"test", "rules", file})
	}
	for _, check := range checks {
		t.Run(strings.Join(check, " "), func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command(promtool, check...).CombinedOutput()
			if err != nil {
				t.Errorf("promtool %s: %v", strings.Join(check, " "), err)
			}
			t.Logf("%s", out)
		})
	}
}

var (
	metricName = regexp.MustCompile(`\bruntimemetrics_\w+`)
	recordName = regexp.MustCompile(`\bruntimemetrics:[\w:]+`)
)

// TestMetrics holds that whatever the rules and their tests read is sent by the
// library, or recorded by a rule.
func TestMetrics(t *testing.T) {
	sent := map[string]bool{}
	for _, gauge := range published(t) {
		sent[prometheusName(gauge)] = true
	}
	// What only a container, or a release of Go, has.
	for _, gauge := range append(processes.Gauges(), leaks.Gauges()...) {
		sent[prometheusName(gauge.Name)] = true
	}
	if len(sent) < 100 {
		t.Fatalf("only %d gauges", len(sent))
	}
	used := map[string]bool{}
	for _, file := range []string{production, short} {
		rules := readRules(t, file)
		recorded := map[string]bool{}
		for _, r := range rules {
			recorded[r.Record] = true
		}
		for _, r := range rules {
			for _, name := range metricName.FindAllString(r.Expr, -1) {
				used[name] = true
				if !sent[name] {
					t.Errorf("%s: %s%s reads %s, which the library does not send", file, r.Record, r.Alert, name)
				}
			}
			for _, name := range recordName.FindAllString(r.Expr, -1) {
				if !recorded[name] {
					t.Errorf("%s: %s%s reads %s, which no rule records", file, r.Record, r.Alert, name)
				}
			}
		}
	}
	for _, content := range readUnitTests(t) {
		for _, test := range content.Tests {
			for _, series := range test.InputSeries {
				if name := metricName.FindString(series.Series); !sent[name] {
					t.Errorf("a unit test makes up %s, which the library does not send", series.Series)
				}
			}
		}
	}
	t.Logf("the rules read %d gauges, each of which the library sends", len(used))
}

// TestComplete holds that each alert is tested, explained and labelled.
func TestComplete(t *testing.T) {
	page, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	fired := map[string]bool{}
	for _, content := range readUnitTests(t) {
		for _, test := range content.Tests {
			for _, alert := range test.AlertTests {
				for _, expected := range alert.Expected {
					fired[rule{Alert: alert.Alertname, Labels: expected.Labels}.kind()] = true
				}
			}
		}
	}
	alerts := 0
	for _, file := range []string{production, short} {
		for _, r := range readRules(t, file) {
			if r.Alert == "" {
				continue
			}
			if file == production {
				alerts++
				if !fired[r.kind()] {
					t.Errorf("%s: no unit test sees it fire", r.kind())
				}
			}
			if !strings.HasPrefix(r.Alert, "Runtimemetrics") {
				t.Errorf("%s does not begin with Runtimemetrics", r.Alert)
			}
			if s := r.Labels["severity"]; s != "page" && s != "ticket" {
				t.Errorf("%s: severity is %q, not page or ticket", r.Alert, s)
			}
			if r.Annotations["summary"] == "" || !strings.Contains(r.Annotations["description"], "$value") &&
				!strings.Contains(r.Annotations["summary"], "$labels") {
				t.Errorf("%s has no summary or description that says who and how much", r.kind())
			}
			if want := runbookURL + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
				t.Errorf("%s: runbook_url is %s, not %s", r.Alert, r.Annotations["runbook_url"], want)
			}
			if !strings.Contains(string(page), "\n## "+r.Alert+"\n") {
				t.Errorf("%s has no section in %s", r.Alert, runbook)
			}
			if !strings.Contains(string(page), "| ["+r.Alert+"](#"+strings.ToLower(r.Alert)+") |") {
				t.Errorf("%s has no line in the table of %s", r.Alert, runbook)
			}
		}
	}
	if alerts < 20 {
		t.Errorf("only %d alerts", alerts)
	}
}

var duration = regexp.MustCompile(`\d+[smhd]\b`)

// TestShort holds that the rules of seconds are those of hours, each hour made
// four seconds, so that what the end-to-end test sees is what production gets.
func TestShort(t *testing.T) {
	scale := func(text string) string {
		return duration.ReplaceAllStringFunc(text, func(d string) string {
			n, err := time.ParseDuration(d)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%ds", int(n.Hours()*4))
		})
	}
	want := map[string]rule{}
	for _, r := range readRules(t, production) {
		if r.Record == "" && r.Labels["pace"] != "hours" || strings.HasSuffix(r.Record, "d") {
			continue
		}
		want[scale(r.Record)+r.Alert] = r
	}
	for _, r := range readRules(t, short) {
		w, ok := want[r.Record+r.Alert]
		if !ok {
			t.Errorf("%s%s is in %s only", r.Record, r.Alert, short)
			continue
		}
		if scaled := scale(w.Expr); r.Expr != scaled {
			t.Errorf("%s%s is\n%s, want\n%s", r.Record, r.Alert, r.Expr, scaled)
		}
		if scaled := scale(w.For); r.For != scaled {
			t.Errorf("%s waits for %s, not %s", r.Alert, r.For, scaled)
		}
		if r.Alert != "" && r.Labels["pace"] != "seconds" {
			t.Errorf("%s: pace is %q: nobody could tell it from the real one", r.Alert, r.Labels["pace"])
		}
	}
}

// published returns the names of what the library sends with all that this
// machine has.
func published(t *testing.T) (names []string) {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = runtimemetrics.Start(runtimemetrics.Config{
		StatsD: c.LocalAddr().String(), Prefix: "x", Runtime: []string{"all"}, Pause: 100 * time.Millisecond, Logf: t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer runtimemetrics.Stop()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<16)
	for {
		n, _, err := c.ReadFrom(buffer)
		if err != nil {
			t.Fatalf("the library sends nothing: %v", err)
		}
		for line := range strings.Lines(string(buffer[:n])) {
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "x."), ":")
			if slices.Contains(names, name) && name == "cpu.goroutines" {
				return names // the second tick
			}
			names = append(names, name)
		}
	}
}

// prometheusName is the name that ../mapping.yml makes of a gauge.
func prometheusName(gauge string) string {
	gauge, found := strings.CutPrefix(gauge, "runtimemetrics.")
	if !found {
		gauge = strings.TrimPrefix(gauge, "runtime.")
	}
	return "runtimemetrics_" + strings.NewReplacer(".", "_", "-", "_").Replace(gauge)
}

func readYAML(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// missing ends a test for want of a part: skipped, unless the environment says
// that everything is there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
		t.Fatalf("%s, and RUNTIMEMETRICS_E2E=required", what)
	}
	t.Skip("SKIPPED: " + what)
}
