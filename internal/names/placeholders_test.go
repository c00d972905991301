package names

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// process is the one that the tests look at, with that environment.
func process(env map[string]string) Process {
	return Process{
		Hostname:   func() (string, error) { return "web1.example.com", nil },
		Executable: func() (string, error) { return "/usr/local/bin/shop.v2", nil },
		Pid:        func() int { return 4711 },
		Getenv:     func(name string) string { return env[name] },
		Build:      build("v1.2.3", "0123456789abcdef0123456789abcdef01234567"),
	}
}

// build returns what a program of that version finds in its build information.
func build(version, revision string) func() (string, string) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs", Value: "git"}}}
	info.Main.Version = version
	if revision != "" {
		info.Settings = append(info.Settings, debug.BuildSetting{Key: "vcs.revision", Value: revision})
	}
	return func() (string, string) { return ofBuild(info) }
}

// value returns what a text stands for as the value of a tag.
func value(t *testing.T, p Process, text string) string {
	t.Helper()
	if err := CheckTags("k:" + text); err != nil {
		t.Fatal(err)
	}
	tags := p.Tags("k:" + text)
	if len(tags) != 1 || tags[0][0] != "k" {
		t.Fatalf("%q gives the tags %q", text, tags)
	}
	return tags[0][1]
}

func TestWhatEachPlaceholderStandsFor(t *testing.T) {
	fails := errors.New("no name")
	goVersion, _, _ := strings.Cut(runtime.Version(), " ")
	tests := []struct {
		name, text       string
		change           func(*Process)
		inTag, ofAPrefix string
	}{
		{"the host", "{host}", nil, "web1.example.com", "web1_example_com"},
		{"a host without a name", "{host}", func(p *Process) { p.Hostname = func() (string, error) { return "", nil } }, "unknown", "unknown"},
		{"a host whose name cannot be read", "{host}", func(p *Process) { p.Hostname = func() (string, error) { return "", fails } }, "unknown", "unknown"},
		{"a host with characters that are not safe", "{host}", func(p *Process) { p.Hostname = func() (string, error) { return ".mün:chen..de.", nil } }, "m_n_chen.de", "m_n_chen_de"},
		{"a host of dots", "{host}", func(p *Process) { p.Hostname = func() (string, error) { return "...", nil } }, "_", "_"},

		{"the executable", "{exe}", nil, "shop.v2", "shop_v2"},
		{"one of Windows", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return `C:\bin\Shop.exe`, nil } }, "Shop", "Shop"},
		{"one in capitals", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return `C:\BIN\SHOP.EXE`, nil } }, "SHOP", "SHOP"},
		{"one with both slashes", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return `C:\bin/shop.exe`, nil } }, "shop", "shop"},
		{"one that is called exe", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return "/bin/exe", nil } }, "exe", "exe"},
		{"one that is nothing but its ending", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return "/bin/.exe", nil } }, "exe", "exe"},
		{"one that ends in a slash", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return "/bin/", nil } }, "unknown", "unknown"},
		{"one that cannot be read", "{exe}", func(p *Process) { p.Executable = func() (string, error) { return "", fails } }, "unknown", "unknown"},

		{"the process", "{pid}", nil, "4711", "4711"},

		{"a variable", "{env:POD}", nil, "pod-1.a", "pod-1_a"},
		{"an empty variable", "{env:EMPTY}", nil, "unknown", "unknown"},
		{"one that is not set", "{env:UNSET}", nil, "unknown", "unknown"},
		{"one with an underscore, digits and small letters", "{env:_a9}", nil, "under", "under"},
		{"one with characters that are not safe", "{env:LIST}", nil, "a_b_c_d_e", "a_b_c_d_e"},
		{"one that looks like a placeholder", "{env:NESTED}", nil, "_host_", "_host_"},
		{"one called like a placeholder", "{env:host}", nil, "mine", "mine"},

		{"the version", "{version}", nil, "v1.2.3", "v1_2_3"},
		{"a version of a changed tree", "{version}", func(p *Process) { p.Build = build("v1.2.3+dirty", "") }, "v1.2.3_dirty", "v1_2_3_dirty"},
		{"a version in development", "{version}", func(p *Process) { p.Build = build("(devel)", "") }, "devel", "devel"},
		{"no version", "{version}", func(p *Process) { p.Build = build("", "") }, "unknown", "unknown"},
		{"no build information", "{version}", func(p *Process) { p.Build = noBuild }, "unknown", "unknown"},

		{"the revision, of which twelve characters are kept", "{revision}", nil, "0123456789ab", "0123456789ab"},
		{"a revision of twelve characters", "{revision}", func(p *Process) { p.Build = build("", "0123456789ab") }, "0123456789ab", "0123456789ab"},
		{"a short revision", "{revision}", func(p *Process) { p.Build = build("", "1234") }, "1234", "1234"},
		{"no revision", "{revision}", func(p *Process) { p.Build = build("v1.2.3", "") }, "unknown", "unknown"},
		{"no build information and a revision", "{revision}", func(p *Process) { p.Build = noBuild }, "unknown", "unknown"},

		{"the version of Go, without experiments", "{go}", nil, Safe(goVersion), strings.ReplaceAll(Safe(goVersion), ".", "_")},

		{"several, and text around them", "a.{pid}-{env:POD}.{pid}", nil, "a.4711-pod-1.a.4711", "a.4711-pod-1_a.4711"},
		{"two without a gap", "{pid}{pid}", nil, "47114711", "47114711"},
	}
	env := map[string]string{
		"POD": "pod-1.a", "EMPTY": "", "_a9": "under", "LIST": "a,b c:d+e", "NESTED": "{host}", "host": "mine",
		"": "of no name",
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := process(env)
			if tt.change != nil {
				tt.change(&p)
			}
			if got := value(t, p, tt.text); got != tt.inTag {
				t.Errorf("in a tag %q is %q, want %q", tt.text, got, tt.inTag)
			}
			if err := CheckPrefix(tt.text); err != nil {
				t.Error(err)
			}
			if got := p.Prefix(tt.text); got != tt.ofAPrefix {
				t.Errorf("in a prefix %q is %q, want %q", tt.text, got, tt.ofAPrefix)
			}
		})
	}
}

func noBuild() (string, string) { return ofBuild(nil) }

func TestWhatAPlaceholderStandsForIsNotLookedAtAgain(t *testing.T) {
	p := process(map[string]string{"A": "{env:B}", "B": "{pid}", "OPEN": "{", "CLOSE": "pid}"})
	for text, want := range map[string]string{
		"{env:A}":                 "_env_B_",
		"{env:OPEN}pid{env:OPEN}": "_pid_",
		"{env:OPEN}{env:CLOSE}":   "_pid_",
		"{env:A}.{pid}.{env:B}":   "_env_B_.4711._pid_",
	} {
		if got := value(t, p, text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestAPlaceholderThatDoesNotExistIsAnError(t *testing.T) {
	for text, named := range map[string]string{
		"{hostname}":    `"{hostname}"`,
		"{Host}":        `"{Host}"`,
		"{}":            `"{}"`,
		"{ host}":       `"{ host}"`,
		"{env}":         `"{env}"`,
		"{env:}":        `"{env:}"`,
		"{env:1A}":      `"{env:1A}"`,
		"{env:A-B}":     `"{env:A-B}"`,
		"{env:A B}":     `"{env:A B}"`,
		"{env:GRÖSSE}":  `"{env:GRÖSSE}"`,
		"{ENV:A}":       `"{ENV:A}"`,
		"{exe}{pid:1}":  `"{pid:1}"`,
		"{e{host}xe}":   `"{e{host}"`,
		"{{host}}":      `"{{host}"`,
		"{host":         `"{host"`,
		"a{":            `"{"`,
		"{host}.{pid":   `"{pid"`,
		"{env:A":        `"{env:A"`,
		"{version}{go)": `"{go)"`,
	} {
		for of, err := range map[string]error{"prefix": CheckPrefix(text), "tag": CheckTags("k:" + text)} {
			if err == nil || !strings.Contains(err.Error(), named+" is not a placeholder") || !strings.Contains(err.Error(), Placeholders) {
				t.Errorf("%s %q: error %v, want one that names %s and says which there are", of, text, err, named)
			}
		}
	}
}

func TestThePlaceholdersInErrorsArePlaceholders(t *testing.T) {
	if err := CheckPrefix(strings.ReplaceAll(Placeholders, ", ", "-")); err != nil {
		t.Error(err)
	}
	for _, key := range strings.Split(Placeholders, ", ") {
		if value(t, process(map[string]string{"NAME": "x"}), key) == "unknown" {
			t.Errorf("%s stands for nothing", key)
		}
	}
}

func TestThisIsTheRunningProcess(t *testing.T) {
	t.Setenv("RUNTIMEMETRICS_TEST_NAME", "here")
	host, _ := os.Hostname()
	if got, want := This.Prefix("{host}"), strings.ReplaceAll(Safe(host), ".", "_"); host != "" && got != want {
		t.Errorf("the host is %q, want %q", got, want)
	}
	if got := This.Prefix("{env:RUNTIMEMETRICS_TEST_NAME}"); got != "here" {
		t.Errorf("the variable is %q", got)
	}
	if This.Pid() != os.Getpid() {
		t.Errorf("the process is %d", This.Pid())
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	want := strings.TrimSuffix(filepath.Base(exe), ".exe")
	if got := This.Tags("k:{exe}"); len(got) != 1 || got[0][1] != Safe(want) {
		t.Errorf("the executable %q is %q, want %q", exe, got, want)
	}
}
