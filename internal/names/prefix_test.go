package names

import (
	"strings"
	"testing"
)

func TestAPrefixThatStatsDWouldChangeIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"a:b": "':'", "a|b": "'|'", "a@b": "'@'", "a#b": "'#'", "a;b": "';'", "a=b": "'='", "a,b": "','",
		"a b": "' '", "a\nb": `'\n'`, "a/b": "'/'", "größe": "'ö'", "a}": "'}'", "\xff": `'�'`, " ": "' '",
		"<hostname>": "'<'", "<detect-hostname>.a": "'<'",
		".a": "dot", "a..b": "dot", "a..": "dot", "..": "dot", ".{host}": "dot", "{host}..{exe}": "dot",
		strings.Repeat("a", 129): "128 bytes",
		strings.Repeat("a", 64) + "{host}." + strings.Repeat("b", 64): "128 bytes",
	} {
		if err := CheckPrefix(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckPrefix(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func TestAPrefixIsWhatItsTextStandsFor(t *testing.T) {
	long := strings.Repeat("a", 128)
	env := map[string]string{"LONG": strings.Repeat("e", 300)}
	for text, want := range map[string]string{
		"":                            "",
		".":                           "",
		"go.demo":                     "go.demo",
		"go.demo.":                    "go.demo",
		DetectHostname:                "go.web1.example.com", // keeps its dots
		"go.{host}.{exe}":             "go.web1_example_com.shop_v2",
		"{host}.":                     "web1_example_com",
		long:                          long,
		long[:127] + "{pid}":          long[:127] + "4711",
		long + "{host}":               long + "web1_example_com",
		"{env:LONG}":                  strings.Repeat("e", 192),
		"{env:LONG}.a":                strings.Repeat("e", 192),
		long + "{env:LONG}":           long + strings.Repeat("e", 64),
		strings.Repeat("{host}.", 20): strings.Repeat("web1_example_com.", 11) + "web1_", // 192
	} {
		if err := CheckPrefix(text); err != nil {
			t.Errorf("CheckPrefix(%q): %v", text, err)
		}
		if got := process(env).Prefix(text); got != want {
			t.Errorf("%q stands for %q, want %q", text, got, want)
		}
	}
}

func TestAPrefixIsCutBeforeADot(t *testing.T) {
	p := process(map[string]string{"E": strings.Repeat("e", 191)})
	if got := p.Prefix("{env:E}.a"); got != strings.Repeat("e", 191) {
		t.Errorf("got %q of %d bytes", got, len(got))
	}
}

func TestWhateverTheHostIsCalledTheDefaultPrefixIsSafe(t *testing.T) {
	for host, want := range map[string]string{
		"web1": "go.web1", "web1.example.com": "go.web1.example.com", "": "go.unknown", "münchen": "go.m_nchen",
		".a..b.": "go.a.b", "...": "go._", "\xff\xfe": "go.__", "a:b|c@d#e f": "go.a_b_c_d_e_f", "{exe}": "go._exe_",
		strings.Repeat("h", 300):        "go." + strings.Repeat("h", 189),
		strings.Repeat("h", 188) + ".h": "go." + strings.Repeat("h", 188),
	} {
		p := process(nil)
		p.Hostname = func() (string, error) { return host, nil }
		got := p.Prefix(DetectHostname)
		if got != want {
			t.Errorf("host %q: got %q, want %q", host, got, want)
		}
	}
}

// anywhere is a process in whatever surroundings.
func anywhere(host, exe, env, version, revision string) Process {
	return Process{
		Hostname:   func() (string, error) { return host, nil },
		Executable: func() (string, error) { return exe, nil },
		Pid:        func() int { return len(exe) },
		Getenv:     func(string) string { return env },
		Build:      func() (string, string) { return version, revision },
	}
}

const everyPlaceholder = "{host}.{exe}.{pid}-{env:A}{version}{revision}.{go}"

func FuzzPrefix(f *testing.F) {
	for _, seed := range []string{"", ".", "go.{host}.{exe}", DetectHostname, "a..b", "{host}{exe}", everyPlaceholder, "{env:A}.", "a:b", "{", "ö", "{env:{host}}"} {
		f.Add(seed, "web1.example.com", "/bin/shop", "a,b", "v1.2.3+dirty", "0123456789abcdef")
	}
	f.Add("{exe}", "\xff", `C:\x.exe`, "", "(devel)", "")
	f.Add(everyPlaceholder, strings.Repeat(".a", 200), ".exe", "{host}", "()", "\xff\xff\xff\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, text, host, exe, env, version, revision string) {
		if CheckPrefix(text) != nil {
			return
		}
		got := anywhere(host, exe, env, version, revision).Prefix(text)
		if got != "" && !isSafe(got) || len(got) > 192 {
			t.Errorf("prefix %q on host %q in program %q, variable %q, version %q, revision %q becomes %q of %d bytes", text, host, exe, env, version, revision, got, len(got))
		}
		if strings.Contains(text, "{") && got == "" {
			t.Errorf("prefix %q becomes nothing", text)
		}
	})
}
