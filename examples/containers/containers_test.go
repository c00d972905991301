//go:build linux

// Package containers_test checks the files of this directory as far as that goes
// without a container engine and without a cluster.
package containers_test

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const root = "../.."

// dockerfile returns the stages of a Dockerfile, read by the parser of docker
// build.
func dockerfile(t *testing.T, name string) []instructions.Stage {
	t.Helper()
	text, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	parsed, err := parser.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, warning := range parsed.Warnings {
		t.Errorf("%s: %s", name, warning.Short)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return stages
}

func TestDockerfile(t *testing.T) {
	stages := dockerfile(t, "Dockerfile")
	last := stages[len(stages)-1]
	if last.BaseName != "scratch" {
		t.Errorf("the image is built on %s, want scratch", last.BaseName)
	}
	got := map[string]string{}
	for _, command := range last.Commands {
		switch c := command.(type) {
		case *instructions.UserCommand:
			got["user"] = c.User
		case *instructions.StopSignalCommand:
			got["signal"] = c.Signal
		case *instructions.ExposeCommand:
			got["port"] = strings.Join(c.Ports, " ")
		case *instructions.WorkdirCommand:
			got["directory"] = c.Path
		case *instructions.EntrypointCommand:
			got["entrypoint"] = strings.Join(c.CmdLine, " ")
			if c.PrependShell {
				t.Error("the entry point wants a shell, and there is none")
			}
		}
	}
	want := map[string]string{
		"user": "65532:65532", "signal": "SIGTERM", "port": "8000", "directory": "/srv", "entrypoint": "/program",
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

// build runs the go command of the Dockerfile on the files that docker build
// would have, and returns the binary.
func build(t *testing.T, program string) string {
	t.Helper()
	source := t.TempDir()
	copyContext(t, source)
	var line string
	for _, command := range dockerfile(t, "Dockerfile")[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok && strings.Contains(run.CmdLine[0], "go build") {
			line = run.CmdLine[0]
		}
	}
	const output = "-o /program "
	if !strings.Contains(line, output) {
		t.Fatalf("no 'go build %s' in the Dockerfile, but %q", output, line)
	}
	binary := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("sh", "-c", strings.Replace(line, output, "-o "+binary+" ", 1))
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off", "PROGRAM="+program, "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return binary
}

// copyContext copies what Dockerfile.dockerignore leaves of the repository.
func copyContext(t *testing.T, to string) {
	t.Helper()
	text, err := os.Open("Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	patterns, err := ignorefile.ReadAll(text)
	if err != nil {
		t.Fatal(err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if name == ".git" && entry.IsDir() { // a file in a worktree
			return filepath.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		if ignored, err := matcher.MatchesOrParentMatches(name); err != nil || ignored {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o666)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBinary builds the programs as the Dockerfile does. What comes out must be
// small, and need nothing but itself.
func TestBinary(t *testing.T) {
	for _, test := range []struct {
		program string
		exit    int            // at SIGTERM
		said    *regexp.Regexp // README.md of its size
	}{
		// A program that does not care about signals is ended by Go, as process
		// 1 too, which the kernel spares.
		{"./examples/fileserver", 2, regexp.MustCompile(`(\d+\.\d) MB with Go 1\.26 on amd64`)},
		{"./examples/graphite/service", 0, nil},
	} {
		t.Run(filepath.Base(test.program), func(t *testing.T) {
			binary := build(t, test.program)
			info, err := os.Stat(binary)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s has %d bytes, %.1f MB", test.program, info.Size(), float64(info.Size())/1e6)
			if info.Size() > 10e6 {
				t.Errorf("the binary has %d bytes", info.Size())
			}
			if test.said != nil && strings.HasPrefix(runtime.Version(), "go1.26") && runtime.GOARCH == "amd64" {
				readme, err := os.ReadFile("README.md")
				if err != nil {
					t.Fatal(err)
				}
				said := test.said.FindSubmatch(readme)
				if said == nil {
					t.Fatalf("README.md says nothing like %s", test.said)
				}
				if megabytes, _ := strconv.ParseFloat(string(said[1]), 64); math.Abs(float64(info.Size())/1e6-megabytes) > 0.15 {
					t.Errorf("README.md says that it has %s MB", said[1])
				}
			}
			content, err := os.ReadFile(binary)
			if err != nil {
				t.Fatal(err)
			}
			built, err := buildinfo.Read(bytes.NewReader(content))
			if err != nil {
				t.Fatal(err)
			}
			for _, setting := range built.Settings {
				if setting.Key == "DefaultGODEBUG" && strings.Contains(setting.Value, "containermaxprocs=0") {
					t.Errorf("GOMAXPROCS would not know of the container's quota: the binary has GODEBUG=%s", setting.Value)
				}
			}
			if bytes.Contains(content, []byte("ld-linux")) {
				t.Error("the binary wants a dynamic linker")
			}
			runAlone(t, binary, test.exit)
		})
	}
}

// TestProgramsHaveTodaysGo: what is built in the library's module has the runtime
// defaults of the Go release that its go.mod names, which is an old one. Every
// program that is shipped says that it wants those of the other modules.
func TestProgramsHaveTodaysGo(t *testing.T) {
	defaults := func(module string, packages string) map[string]string {
		t.Helper()
		cmd := exec.Command("go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}={{.DefaultGODEBUG}}{{end}}`, packages)
		cmd.Dir = filepath.Join(root, module)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		all := map[string]string{}
		for _, line := range strings.Fields(string(out)) {
			path, value, _ := strings.Cut(line, "=")
			all[path] = value
		}
		return all
	}
	var want string
	for _, value := range defaults("tests", "./programs/service") {
		want = value
	}
	programs := defaults(".", "./examples/...")
	if len(programs) == 0 {
		t.Fatal("no programs")
	}
	for path, value := range programs {
		if value != want {
			t.Errorf("%s is built with GODEBUG=%s, want %q: it lacks a godebug.go", path, value, want)
		}
	}
}

// runAlone starts a binary as the image would: alone in its file system, as
// process 1, as nobody, configured by the environment, and ends it by the stop
// signal.
func runAlone(t *testing.T, binary string, exit int) {
	if os.Getuid() != 0 {
		t.Skip("to run the binary alone in a file system takes root")
	}
	image, err := os.MkdirTemp("", "image") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(image) })
	if err := errors.Join(
		os.Chmod(image, 0o755),
		os.Mkdir(filepath.Join(image, "srv"), 0o755),
		os.WriteFile(filepath.Join(image, "srv/page.txt"), []byte("served\n"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(image, "program"), content, 0o755); err != nil {
		t.Fatal(err)
	}

	statsd, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer statsd.Close()
	addr := freePort(t)
	var log bytes.Buffer
	cmd := exec.Command("/program", "--addr="+addr)
	cmd.Dir = "/srv"
	cmd.Env = []string{
		"RUNTIMEMETRICS_STATSD=" + statsd.LocalAddr().String(),
		"RUNTIMEMETRICS_METRIC_PREFIX=go.container",
		"RUNTIMEMETRICS_METRIC_RUNTIME=default",
	}
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     image,
		Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
		Cloneflags: syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	// Pdeathsig goes by the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		t.Skipf("to run the binary alone in a file system: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the program says: %s", &log)
		}
	})

	read := func() string {
		t.Helper()
		packet := make([]byte, 65536)
		statsd.SetReadDeadline(time.Now().Add(patience))
		n, _, err := statsd.ReadFrom(packet)
		if err != nil {
			t.Fatalf("no gauges: %v", err)
		}
		return string(packet[:n])
	}
	if first := read(); !strings.HasPrefix(first, "go.container.cpu.goroutines:") {
		t.Errorf("the first datagram is %.100q", first)
	}
	deadline := time.Now().Add(patience)
	for {
		response, err := http.Get("http://" + addr + "/page.txt")
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) != "served\n" {
				t.Errorf("it serves %.100q", body)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		var status *exec.ExitError
		if err != nil && !errors.As(err, &status) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != exit {
			t.Errorf("SIGTERM ends it with %v, want exit status %d", cmd.ProcessState, exit)
		}
	case <-time.After(patience):
		t.Fatal("SIGTERM does not end it")
	}
	if exit != 0 {
		return
	}
	for { // its last word
		if packet := read(); strings.Contains("\n"+packet, "\ngo.container.cpu.goroutines:0|g") {
			return
		}
	}
}

// TestCompose loads the file as docker compose does, schema and all, and looks
// for every file that it names.
func TestCompose(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{"compose.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for name, service := range project.Services {
		if service.Build != nil {
			if _, err := os.Stat(filepath.Join(service.Build.Context, service.Build.Dockerfile)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			program := service.Build.Args["PROGRAM"]
			if program == nil {
				t.Errorf("%s: which PROGRAM?", name)
			} else if _, err := os.Stat(filepath.Join(service.Build.Context, *program, "main.go")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type == types.VolumeTypeBind {
				if _, err := os.Stat(volume.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to everybody", name, port.Published)
			}
		}
	}
	for name, value := range project.Services["service"].Environment {
		if value == nil {
			t.Errorf("%s has no value", name)
		}
		checkVariable(t, name)
	}
	// Where the dashboard is looked for and where it is.
	mounted := project.Services["grafana"].Volumes
	for _, want := range []string{"/etc/grafana/provisioning/datasources/graphite.yaml", "/etc/grafana/provisioning/dashboards", "/var/lib/grafana/dashboards/grafana-graphite.json"} {
		if !slices.ContainsFunc(mounted, func(v types.ServiceVolumeConfig) bool { return v.Target == want }) {
			t.Errorf("grafana has nothing at %s", want)
		}
	}
}

// checkVariable holds that the library reads the variable.
func checkVariable(t *testing.T, name string) {
	t.Helper()
	flag, ok := strings.CutPrefix(name, "RUNTIMEMETRICS_")
	if !ok {
		return
	}
	doc, err := os.ReadFile(filepath.Join(root, "runtimemetrics.go"))
	if err != nil {
		t.Fatal(err)
	}
	flag = "--" + strings.ToLower(strings.ReplaceAll(flag, "_", "-"))
	if !regexp.MustCompile(regexp.QuoteMeta(flag) + `\b`).Match(doc) {
		t.Errorf("the library has no %s, so %s is for nothing", flag, name)
	}
}

// TestProvisioning holds Grafana's files to what Grafana reads in them.
func TestProvisioning(t *testing.T) {
	for _, kind := range []string{"graphite", "prometheus"} {
		var sources struct {
			APIVersion  int `json:"apiVersion"`
			Datasources []struct {
				Name      string `json:"name"`
				UID       string `json:"uid"`
				Type      string `json:"type"`
				Access    string `json:"access"`
				URL       string `json:"url"`
				IsDefault bool   `json:"isDefault"`
				JSONData  struct {
					GraphiteVersion string `json:"graphiteVersion"`
					HTTPMethod      string `json:"httpMethod"`
					PrometheusType  string `json:"prometheusType"`
					TimeInterval    string `json:"timeInterval"`
				} `json:"jsonData"`
			} `json:"datasources"`
		}
		readStrictly(t, "datasources/"+kind+".yaml", &sources)
		if len(sources.Datasources) != 1 || sources.Datasources[0].Type != kind {
			t.Errorf("the data sources of %s are %+v", kind, sources)
		}
	}
	var dashboards struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name           string `json:"name"`
			Type           string `json:"type"`
			AllowUIUpdates bool   `json:"allowUiUpdates"`
			Options        struct {
				Path string `json:"path"`
			} `json:"options"`
		} `json:"providers"`
	}
	readStrictly(t, "dashboards/runtimemetrics.yaml", &dashboards)
	if len(dashboards.Providers) != 1 || dashboards.Providers[0].Options.Path != "/var/lib/grafana/dashboards" {
		t.Errorf("the providers are %+v", dashboards)
	}
}

func readStrictly(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "dashboards/provisioning", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeStrictly(text, into); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// checkStatsD reads a configuration as StatsD does, which evaluates it.
func checkStatsD(t *testing.T, config string) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(err)
		}
		t.Skip("to read StatsD's configuration takes node")
	}
	cmd := exec.Command(node, "-e", `eval('config = ' + require('fs').readFileSync(0)); console.log(JSON.stringify(config))`)
	cmd.Stdin = strings.NewReader(config)
	cmd.Env = append(os.Environ(), "NODE=node1.example.com")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var got struct {
		Port          int
		Backends      []string
		GraphiteHost  string
		GraphitePort  int
		FlushInterval int // in milliseconds
		DeleteGauges  bool
		GaugesMaxTTL  int // in flushes
		PrefixStats   string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	const pause = 10_000 // milliseconds: the library's default
	if got.Port != 8125 || got.GraphiteHost == "" || got.GraphitePort != 2003 ||
		!slices.Equal(got.Backends, []string{"./backends/graphite"}) {
		t.Errorf("the configuration is %s", out)
	}
	if got.FlushInterval != pause || !got.DeleteGauges || got.GaugesMaxTTL*got.FlushInterval < 2*pause {
		t.Errorf("flush and TTL do not fit a pause of %d ms: %s", pause, out)
	}
	if got.PrefixStats != "" && got.PrefixStats != "statsd.node1_example_com" {
		t.Errorf("StatsD calls itself %s", got.PrefixStats)
	}
}
