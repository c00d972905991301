package leaks

import (
	"testing"
	"time"
)

func TestParseInterval(t *testing.T) {
	for _, test := range []struct {
		text  string
		want  time.Duration
		fails bool
	}{
		{text: ""},
		{text: "off"},
		{text: "false"},
		{text: "no"},
		{text: "0"},
		{text: "600", want: 10 * time.Minute},
		{text: "10m", want: 10 * time.Minute},
		{text: "1.5s", want: 1500 * time.Millisecond},
		{text: "1", want: time.Second},
		{text: "999ms", fails: true},
		{text: "-1", fails: true},
		{text: "-10m", fails: true},
		{text: "-18446744072", fails: true}, // in nanoseconds, it would be 1.7 s
		{text: "-9223372036854775808", fails: true},
		{text: "315360000", want: maxInterval},
		{text: "315360001", fails: true},
		{text: "on", fails: true},
		{text: "10 m", fails: true},
		{text: "10000000000", fails: true}, // in nanoseconds, it would overflow
		{text: "9223372036854775807", fails: true},
		{text: "99999999999999999999", fails: true},
	} {
		t.Run(test.text, func(t *testing.T) {
			got, err := parseInterval(test.text)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
