package names

import (
	"reflect"
	"strings"
	"testing"
)

func TestTagsThatAServerWouldReadOtherwiseAreAnError(t *testing.T) {
	for text, want := range map[string]string{
		"prod": "lacks", "env:": "lacks", ":prod": "lacks", "env:prod,": "lacks", ",": "lacks", ",env:prod": "lacks", ":": "lacks",
		"1env:prod": "letter", "_a:b": "letter", "größe:a": "'ö'", "ö:a": "letter", "a:1, b:2": "letter",
		"name:x": "Graphite", "a:1,a:2": "twice", "a:b:c": "':'", "a:b|c": "'|'", "a:b;c=d": "';'", "a:b c": "' '", "a:b#": "'#'",
		"a:b\nc:d": `'\n'`, "a=b": "lacks", "a b:c": "' '", "a:b}": "'}'", "a:\xff": `'�'`,
		"{host}:a": "letter", "a{host}:a": "'{'", "a{env:B}:c": "'{'",
		"a:{hostname}": "{hostname}", "a:{e{host}xe}": "is not a placeholder", "a:{env:B,c:d}": "is not a placeholder",
		"a:" + strings.Repeat("x", 254):     "255 bytes",
		"a:1,b:" + strings.Repeat("x", 250): "255 bytes",
	} {
		if err := CheckTags(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckTags(%q) = %v, want an error with %q", text, err, want)
		}
		if got := process(nil).Tags(text); got != nil {
			t.Errorf("%q gives the tags %q, though it is refused", text, got)
		}
	}
}

func TestTagsAreWhatTheirTextStandsFor(t *testing.T) {
	type tags = [][2]string
	long := strings.Repeat("x", 253)
	for text, want := range map[string]tags{
		"":                           nil,
		"env:prod":                   {{"env", "prod"}},
		"env:prod,service:api-1.a_b": {{"env", "prod"}, {"service", "api-1.a_b"}},
		"Name:x,names:y":             {{"Name", "x"}, {"names", "y"}},
		"a:1,A:2":                    {{"a", "1"}, {"A", "2"}},
		"host:{host},exe:{exe}":      {{"host", "web1.example.com"}, {"exe", "shop.v2"}}, // dots kept
		"pod:{env:POD}-{pid}":        {{"pod", "a_b_c-4711"}},
		"a:" + long:                  {{"a", long}},
		"a:" + long + "{pid}":        {{"a", long + "4711"}},
	} {
		if err := CheckTags(text); err != nil {
			t.Errorf("CheckTags(%q): %v", text, err)
		}
		if got := process(map[string]string{"POD": "a,b:c"}).Tags(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q stands for %q, want %q", text, got, want)
		}
	}
}

func TestTagsThatDoNotFitAreLeftOutWhole(t *testing.T) {
	fill := func(n int) Process { return process(map[string]string{"FILL": strings.Repeat("f", n)}) }
	const text = "a:1,b:{env:FILL},c:3" // a:1,b: has 6 bytes, and so have a:1 and ,c:3 with one more
	for _, tt := range []struct {
		name string
		n    int
		want int
	}{
		{"all fit", 502, 3},
		{"the last one has no room by a byte", 503, 2},
		{"the middle one just fits", 506, 2},
		{"it has no room by a byte", 507, 1},
		{"a variable as long as they may be", 1 << 17, 1},
	} {
		got := fill(tt.n).Tags(text)
		if len(got) != tt.want || got[0] != [2]string{"a", "1"} {
			t.Errorf("%s: %d tags are left, want %d", tt.name, len(got), tt.want)
		}
		if len(got) > 1 && len(got[1][1]) != tt.n {
			t.Errorf("%s: the value is cut at %d bytes", tt.name, len(got[1][1]))
		}
	}
	if got := fill(511).Tags("b:{env:FILL}"); len(got) != 0 {
		t.Errorf("one that has no room at all: %d tags are left", len(got))
	}
}

func FuzzTags(f *testing.F) {
	for _, seed := range []string{"", "env:prod", "a:{host},b:{exe}", "a:" + everyPlaceholder, "a:{env:A},b:{env:B},c:d", "a:", ":b", "a:b,a:c", "a:b|c", "{host}:x"} {
		f.Add(seed, "web1.example.com", "/bin/shop", "a,b", "v1.2.3+dirty", "0123456789abcdef")
	}
	f.Add("a:{env:A},b:{exe},c:1", "\xff", `C:\x.exe`, strings.Repeat("e", 505), "(devel)", "")
	f.Fuzz(func(t *testing.T, text, host, exe, env, version, revision string) {
		if CheckTags(text) != nil {
			return
		}
		seen := map[string]bool{}
		size := -1
		for _, tag := range anywhere(host, exe, env, version, revision).Tags(text) {
			plain := strings.Map(func(c rune) rune {
				if SafeRune(c) {
					return -1
				}
				return c
			}, tag[0]+tag[1])
			if tag[0] == "" || tag[1] == "" || plain != "" || seen[tag[0]] {
				t.Errorf("%q gives the tag %q", text, tag)
			}
			seen[tag[0]] = true
			size += len(tag[0]) + len(tag[1]) + len(":,")
		}
		if size > 512 {
			t.Errorf("%q gives %d bytes of tags", text, size)
		}
	})
}
