package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAListReplacesTheOneThatStandsThere(t *testing.T) {
	for name, test := range map[string]struct {
		change     func(text string) (string, error)
		text, want string
		wrong      string // part of the error
	}{
		"between marks": {
			func(text string) (string, error) { return betweenMarks(text, "x", "new\n") },
			"a\n<!-- x -->\nold\nold\n<!-- end x -->\nb", "a\n<!-- x -->\nnew\n<!-- end x -->\nb", "",
		},
		"without a mark": {
			func(text string) (string, error) { return betweenMarks(text, "x", "new\n") },
			"a", "a", "",
		},
		"without the second mark": {
			func(text string) (string, error) { return betweenMarks(text, "x", "new\n") },
			"<!-- x -->\nold", "", "has no",
		},
		"below a line": {
			func(text string) (string, error) { return belowLine(text, "These:", "//\tnew\n//\tnewer\n") },
			"// These:\n//\n//\told\n//\n// More.\n", "// These:\n//\n//\tnew\n//\tnewer\n//\n// More.\n", "",
		},
		"without the line": {
			func(text string) (string, error) { return belowLine(text, "These:", "//\tnew\n") },
			"// Those:\n//\n//\told\n", "", `no comment with the line "These:"`,
		},
		"without a block": {
			func(text string) (string, error) { return belowLine(text, "These:", "//\tnew\n") },
			"// These:\n//\n// None.\n", "", "no indented block",
		},
	} {
		got, err := test.change(test.text)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: error %v, want one with %q", name, err, test.wrong)
			}
		} else if err != nil || got != test.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
}

func TestFlagsInATableAndInAComment(t *testing.T) {
	flags := []setting{
		{"cpu", "true", "publish the gauges cpu.*"},
		{"metric-tag-format", "", "how tags are written: datadog (|#k:v), influx (,k=v) or graphite (;k=v), all"},
	}
	const table = "| flag | default | |\n|---|---|---|\n" +
		"| `--cpu` | `true` | publish the gauges cpu.* |\n" +
		"| `--metric-tag-format` |  | how tags are written: datadog (\\|#k:v), influx (,k=v) or graphite (;k=v), all |\n"
	if got := flagTable(flags); got != table {
		t.Errorf("the table is\n%s\nwant\n%s", got, table)
	}
	const block = "//\t--cpu                    publish the gauges cpu.*; default true\n" +
		"//\t--metric-tag-format      how tags are written: datadog (|#k:v), influx (,k=v) or\n" +
		"//\t                         graphite (;k=v), all\n"
	if got := flagBlock(flags); got != block {
		t.Errorf("the block is\n%s\nwant\n%s", got, block)
	}
}

func TestTheFlagsComeInTheOrderOfTheirTable(t *testing.T) {
	all := settings()
	if len(all) < 12 || all[0].name != "statsd" || all[1].name != "metric-prefix" || all[1].def != "<detect-hostname>" {
		t.Errorf("the flags are %+v", all)
	}
	for _, s := range all {
		if s.help == "" || strings.Contains(s.help, "RUNTIMEMETRICS_") || strings.Contains(s.help, "`") {
			t.Errorf("--%s has the help %q", s.name, s.help)
		}
	}
}

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	root := t.TempDir()
	for file, text := range map[string]string{
		"README.md":      "# A `part`, and\n[a](docs/a.md) [b](docs/b.md#part) [up](https://example.com/x) [c](#a-part-and) ![d](d.png) [h](#part)\n```\n# code\n[i](i.md)\n```\n[j](#code)",
		"docs/a.md":      "[back](../README.md#a-part-and) [dir](../docs) [e](e.md) [k](../README.md#a-part)\n## Twice\n## Twice\n[l](#twice) [m](#twice-1) [n](#twice-2)",
		".hidden/x.md":   "[f](f.md)",
		"docs/other.txt": "[g](g.md)",
	} {
		path := filepath.Join(root, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, dead := range deadLinks(root) {
		_, to, _ := strings.Cut(dead, "the link to ")
		got = append(got, strings.TrimSuffix(to, " leads nowhere"))
	}
	if want := "docs/b.md#part d.png #part #code e.md ../README.md#a-part #twice-2"; strings.Join(got, " ") != want {
		t.Errorf("dead are %q, want %s", got, want)
	}
}
