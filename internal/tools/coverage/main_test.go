package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestShares(t *testing.T) {
	got, err := parse(strings.NewReader(`mode: set
m/a.go:1.1,2.2 3 0
m/a.go:3.1,4.2 1 1
m/p/b.go:1.1,2.2 5 0
m/a.go:1.1,2.2 3 1
m/a.go:3.1,4.2 1 0
m/a.go:5.1,6.2 4 0
`))
	want := map[string]share{"m": {4, 8}, "m/p": {0, 5}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if p := got["m"].percent(); p != 50 {
		t.Errorf("%v %%, want 50", p)
	}
	for _, bad := range []string{"", "mode: set\n", "m/a.go:1.1,2.2 3 0\n", "mode: set\nm/a.go:1.1,2.2 x 0\n"} {
		if _, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is no profile, but was read as one", bad)
		}
	}
}
