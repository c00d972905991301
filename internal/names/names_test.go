package names

import (
	"strings"
	"testing"
)

func TestSafeLeavesASafeNameAndMakesTheOthersSafe(t *testing.T) {
	for name, want := range map[string]string{
		"queue.depth": "queue.depth", "a": "a", "A-Z_09": "A-Z_09", "-": "-", "_._": "_._",
		"": "_", ".": "_", "..": "_", ".a": "a", "a.": "a", "a..b": "a.b", "...a...b...": "a.b",
		"a b": "a_b", "a/b:c|d": "a_b_c_d", "a@b#c;d=e,f": "a_b_c_d_e_f", "a.:.b": "a._.b",
		"größe": "gr__e", "世界": "__", "\x00": "_", "\n": "_", "\xff\xfe": "__", "{host}": "_host_",
	} {
		if got := Safe(name); got != want {
			t.Errorf("Safe(%q) = %q, want %q", name, got, want)
		}
		if isSafe(name) != (name == want) {
			t.Errorf("isSafe(%q) = %v", name, isSafe(name))
		}
	}
}

func TestASafeNameIsLookedAtWithoutAllocating(t *testing.T) {
	name := strings.Repeat("queue.depth_", 10)
	if n := testing.AllocsPerRun(100, func() { Safe(name) }); n != 0 {
		t.Errorf("Safe allocates %v times", n)
	}
}

func TestCutLeavesNoDotAtTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want string
	}{
		{"abc", 4, "abc"}, {"abc", 3, "abc"}, {"abc", 2, "ab"}, {"ab.c", 3, "ab"}, {"ab..c", 4, "ab"}, {"abc", 0, ""}, {"", 3, ""},
	} {
		if got := Cut(tt.name, tt.n); got != tt.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tt.name, tt.n, got, tt.want)
		}
	}
}
