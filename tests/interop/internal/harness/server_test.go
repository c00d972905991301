//go:build linux

package harness

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

// The error of a format that there is not names all that there are.
func TestEveryTagFormatIsTried(t *testing.T) {
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "--metric-tag-format=none-of-them").CombinedOutput()
	if err == nil {
		t.Fatalf("it was taken: %s", out)
	}
	_, named, _ := strings.Cut(string(out), "; use ")
	named, _, _ = strings.Cut(named, "\n")
	all := strings.FieldsFunc(strings.ReplaceAll(named, " or ", ", "), func(r rune) bool { return r == ',' || r == ' ' })
	if want := strings.Join(Forms[1:], " "); strings.Join(all, " ") != want {
		t.Errorf("tried are %s; the library has %v:\n%.200s", want, all, out)
	}
}
