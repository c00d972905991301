package process

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/collector"
	"github.com/runtimemetrics/runtimemetrics/internal/procstat"
)

func TestPackageCommentListsTheCatalogue(t *testing.T) {
	source, err := os.ReadFile("process.go")
	if err != nil {
		t.Skip(err) // where a binary runs without its source
	}
	var want strings.Builder
	for i, g := range procstat.Gauges() {
		grows, everywhere := " ", "*"
		if g.Kind == collector.Cumulative {
			grows = "+"
		}
		if procstat.OnLinuxOnly(i) {
			everywhere = " "
		}
		fmt.Fprintf(&want, "//\t%-34s%s%s %s\n", g.Name, grows, everywhere, g.Help)
	}
	if !strings.Contains(string(source), want.String()) {
		t.Errorf("the package comment should contain\n%s", &want)
	}
}
