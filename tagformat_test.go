package runtimemetrics

import (
	"strings"
	"testing"
)

// Where a way to write tags is chosen, all of them are named.
func TestEveryTagFormatIsNamedWhereItIsChosen(t *testing.T) {
	usage := newFlagSet(newOptions(env())).Lookup("metric-tag-format").Usage
	refusal := checkTagFormat("none of them").Error()
	for format := range tagFormats {
		if !strings.Contains(usage, format) {
			t.Errorf("-help does not name %s: %s", format, usage)
		}
		if !strings.Contains(refusal, format) {
			t.Errorf("the error does not name %s: %s", format, refusal)
		}
	}
}
