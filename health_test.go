package runtimemetrics

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics/internal/link"
)

func TestHealthReports(t *testing.T) {
	outcomes := map[string]error{
		"ok":      nil,
		"refused": errors.New("refused"), // the tick before; this one was sent again
		"lost":    errors.New("down"),
		"waits":   link.ErrNotResolved,
	}
	tests := []struct {
		name  string
		pause time.Duration
		ticks string
		lost  uint64
		want  []string
	}{
		{"nothing is said while all is well", time.Second, "ok ok ok ok", 0, nil},
		{"a server that is down and comes back", time.Second, "ok ok refused refused refused ok ok ok", 3,
			[]string{"2: fails, ticks are lost until it works again: refused", "6: works again; ticks lost: 3"}},
		{"a name that does not resolve at first", time.Second, "waits waits ok ok ok", 2,
			[]string{"3: works again; ticks lost: 2"}},
		{"the line of an outage is for its cause", time.Second, "waits waits lost lost ok ok", 4,
			[]string{"2: fails, ticks are lost until it works again: down", "5: works again; ticks lost: 4"}},
		{"one good tick proves nothing, since a refusal comes with the next", time.Second, "ok refused ok refused ok ok", 2,
			[]string{"1: fails, ticks are lost until it works again: refused", "5: works again; ticks lost: 2"}},
		{"what flaps is reported every ten minutes, with what has added up", time.Minute,
			"ok lost ok ok lost ok ok lost ok ok lost lost lost ok ok", 6,
			[]string{"1: fails, ticks are lost until it works again: down", "3: works again; ticks lost: 1",
				"11: fails, ticks are lost until it works again: down", "14: works again; ticks lost: 5"}},
		{"what flapped and went well is reported in the end", time.Minute,
			"ok lost ok ok lost ok ok ok ok ok ok ok ok ok ok", 2,
			[]string{"1: fails, ticks are lost until it works again: down", "3: works again; ticks lost: 1",
				"11: works again; ticks lost: 1"}},
		{"an outage that began while reports rested is reported when they go on", time.Minute,
			"ok lost ok ok lost lost lost lost lost lost lost lost lost ok ok", 10,
			[]string{"1: fails, ticks are lost until it works again: down", "3: works again; ticks lost: 1",
				"11: fails, ticks are lost until it works again: down", "14: works again; ticks lost: 9"}},
		{"between two refusals, which come once a second, nothing works", 200 * time.Millisecond,
			"ok refused refused ok ok ok ok refused ok ok ok ok ok refused ok ok ok ok refused", 5,
			[]string{"1: fails, ticks are lost until it works again: refused"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var h health
			var got []string
			now := time.Duration(0)
			for i, name := range strings.Fields(tt.ticks) {
				if line := h.tick(outcomes[name], now); line != "" {
					got = append(got, fmt.Sprintf("%d: %s", i, line))
				}
				now += tt.pause
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if h.lost != tt.lost {
				t.Errorf("%d ticks lost, want %d", h.lost, tt.lost)
			}
		})
	}
}

func TestATickIsLostOnce(t *testing.T) {
	var h health
	h.tick(nil, 0)
	if line := h.more(errors.New("down"), 1); !strings.Contains(line, "down") || h.lost != 1 {
		t.Errorf("the second part of a tick failed: %q, %d lost", line, h.lost)
	}
	h.more(errors.New("down"), 2)
	h.tick(errors.New("down"), 3)
	h.more(errors.New("down"), 3)
	if h.lost != 2 {
		t.Errorf("%d ticks lost, want 2", h.lost)
	}
}

func TestWhatWasSaidOfLostTicksAloneCountsAsAReport(t *testing.T) {
	var h health
	h.tick(link.ErrNotResolved, time.Second)
	h.tick(nil, 2*time.Second)
	if said := h.tick(nil, 3*time.Second); said != "works again; ticks lost: 1" {
		t.Errorf("said %q", said)
	}
	if said := h.tick(errors.New("refused"), 4*time.Second); said != "" {
		t.Errorf("a second later: %q", said)
	}
}
