//go:build linux

package containers_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/runtimemetrics/runtimemetrics/internal/tools/freeport"
)

// TestDocker builds both Dockerfiles by a real Docker, which it starts for itself,
// runs what comes out under limits, and looks at the gauges that arrive.
func TestDocker(t *testing.T) {
	docker := startDocker(t)
	base := dockerfile(t, "Dockerfile")[0].BaseName
	docker.importGo(t, base)
	if out, err := docker.command("docker", "run", "--rm", "--network=none", base, "/bin/sh", "-c", ":").CombinedOutput(); err != nil {
		t.Skipf("dockerd runs, but no container does here: %v\n%s", err, out)
	}

	docker.run(t, "build", "--network=none", "-q", "-f", "Dockerfile", "-t", "service",
		"--build-arg", "PROGRAM=./examples/graphite/service", root)
	t.Run("a program of this repository, with limits", func(t *testing.T) {
		statsd := listen(t)
		pages := publicDir(t)
		if err := os.WriteFile(filepath.Join(pages, "page.txt"), []byte("served\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		addr := freePort(t)
		docker.run(t, "run", "-d", "--name=service", "--network=host", "--read-only", "--cap-drop=ALL",
			"--security-opt=no-new-privileges", "--memory=64m", "--cpus=0.5", "--pids-limit=100",
			"-v", pages+":/srv:ro",
			"-e", "RUNTIMEMETRICS_STATSD="+statsd.addr,
			"-e", "RUNTIMEMETRICS_PAUSE=1",
			"-e", "RUNTIMEMETRICS_METRIC_PREFIX=go.container",
			"-e", "RUNTIMEMETRICS_METRIC_RUNTIME=default",
			"service", "--addr="+addr)
		get(t, addr)
		for name, want := range map[string]int64{
			"cgroup.memory.limit.bytes":   64 << 20,
			"cgroup.cpu.quota_millicores": 500,
			"cgroup.pids_limit":           100,
			// Go takes no less than 2 from a quota, and no more than there are.
			"runtime.sched.gomaxprocs": int64(min(runtime.NumCPU(), 2)),
		} {
			if got := statsd.next(t, "go.container."+name); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
		if got := statsd.next(t, "go.container.cgroup.memory.working_set.bytes"); got <= 0 || got > 64<<20 {
			t.Errorf("the working set is %d bytes of 64 MiB", got)
		}
		if got := statsd.next(t, "go.container.cpu.goroutines"); got == 0 {
			t.Error("no goroutine runs")
		}
		docker.run(t, "stop", "-t", "120", "service") // its own ten seconds are few on a busy machine
		if got := docker.run(t, "inspect", "--format={{.State.ExitCode}}", "service"); got != "0" {
			t.Errorf("the program ended with %s", got)
		}
		if got := statsd.last(t, "go.container.cpu.goroutines"); got != 0 {
			t.Errorf("its last word on goroutines is %d", got)
		}
	})

	// As nobody in particular, the socket's folder mounted to be read only.
	t.Run("a pod that sends to the Datadog Agent's socket", func(t *testing.T) {
		w := kustomize(t, filesys.MakeFsOnDisk(), "datadog-socket").workloads["service"]
		agent := publicDir(t)
		path := filepath.Join(agent, "dsd.socket")
		conn, err := net.ListenPacket("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := os.Chmod(path, 0o722); err != nil { // the Agent's own
			t.Fatal(err)
		}
		args := []string{"run", "-d", "--name=pod", "--network=none", "--read-only", "--cap-drop=ALL",
			"--security-opt=no-new-privileges",
			"-v", agent + ":" + w.pod.Spec.Containers[0].VolumeMounts[0].MountPath + ":ro"}
		for _, variable := range list(environment(t, w)) {
			args = append(args, "-e", variable)
		}
		statsd := remember(conn, path)
		docker.run(t, append(args, "service")...)
		if got := statsd.next(t, "runtimemetrics.cpu.goroutines"); got == 0 {
			t.Error("no goroutine runs")
		}
		docker.run(t, "rm", "-f", "pod")
	})

	t.Run("a program of one's own, with the library in vendor and certificates", func(t *testing.T) {
		shop := ownService(t)
		docker.run(t, "build", "--network=none", "-q", "-f", "own.Dockerfile", "-t", "shop",
			"--build-arg", "PROGRAM=./cmd/shop", shop)
		statsd := listen(t)
		docker.run(t, "run", "-d", "--name=shop", "--network=host", "--read-only", "--cap-drop=ALL",
			"-e", "RUNTIMEMETRICS_STATSD="+statsd.addr,
			"-e", "RUNTIMEMETRICS_METRIC_PREFIX=go.shop",
			"shop")
		if got := statsd.next(t, "go.shop.cpu.goroutines"); got == 0 {
			t.Error("no goroutine runs")
		}
		// What it says takes another way than its gauges, and may come later.
		eventually(t, func() error {
			if got := docker.run(t, "logs", "shop"); !strings.Contains(got+"\n", "certificates: true\n") {
				return fmt.Errorf("the program says %q", got)
			}
			return nil
		})
		docker.run(t, "rm", "-f", "shop")
	})
}

// engine is a Docker daemon of the test's own.
type engine struct {
	dir string   // everything that it writes
	env []string // PATH and libraries of its packages
}

// command returns one that finds Docker's programs.
func (e *engine) command(name string, args ...string) *exec.Cmd {
	// LookPath goes by this process's PATH.
	cmd := exec.Command("/usr/bin/env", append([]string{name}, args...)...)
	cmd.Env = e.env
	return cmd
}

// run runs the docker command and returns what it printed.
func (e *engine) run(t *testing.T, args ...string) string {
	t.Helper()
	began := time.Now()
	cmd := e.command("docker", args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if args[0] == "logs" {
		out = append(out, errs.Bytes()...)
	}
	if err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, &errs)
	}
	t.Logf("%.1f s  docker %s", time.Since(began).Seconds(), strings.Join(args, " "))
	return strings.TrimSuffix(string(out), "\n")
}

// startDocker starts dockerd without a bridge and without touching a packet
// filter, with a cgroup of its own, and takes all of it away at the end.
func startDocker(t *testing.T) *engine {
	home := os.Getenv("DOCKER_HOME")
	if home == "" {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal("DOCKER_HOME is not set")
		}
		t.Skip("DOCKER_HOME is not set: it is the folder into which ./install unpacks Docker")
	}
	if _, err := os.Stat(filepath.Join(home, "usr/sbin/dockerd")); err != nil {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(err)
		}
		t.Skipf("%v: ./install unpacks it", err)
	}
	if os.Getuid() != 0 {
		t.Skip("to run dockerd takes root")
	}
	dir, err := os.MkdirTemp("", "docker") // not t.TempDir: a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	var libraries []string
	for _, pattern := range []string{"lib/*-linux-gnu*", "usr/lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(filepath.Join(home, pattern))
		libraries = append(libraries, found...)
	}
	in := func(folders ...string) string {
		for i := range folders {
			folders[i] = filepath.Join(home, folders[i])
		}
		return strings.Join(folders, ":")
	}
	e := &engine{dir: dir, env: append(os.Environ(),
		"PATH="+in("usr/bin", "usr/sbin", "bin")+":"+os.Getenv("PATH"),
		"LD_LIBRARY_PATH="+strings.Join(libraries, ":"),
		"DOCKER_HOST=unix://"+filepath.Join(dir, "socket"),
		"DOCKER_CONFIG="+filepath.Join(dir, "config"),
		"DOCKER_BUILDKIT=1",
	)}
	group := fmt.Sprintf("runtimemetrics-docker-%d", os.Getpid())
	before := cgroups(group)
	t.Cleanup(func() {
		e.unmount(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		for _, left := range cgroups(group) {
			if !slices.Contains(before, left) {
				removeCgroup(t, left)
			}
		}
	})

	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	daemon := e.command("dockerd",
		"--data-root="+filepath.Join(dir, "data"), "--exec-root="+filepath.Join(dir, "exec"),
		"--pidfile="+filepath.Join(dir, "pid"), "--host=unix://"+filepath.Join(dir, "socket"),
		"--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false",
		"--log-level=warn", "--userland-proxy=false", "--exec-opt=native.cgroupdriver=cgroupfs", "--cgroup-parent=/"+group,
		// Docker's own are above what an unprivileged machine may give.
		"--default-ulimit=nofile=10000:10000", "--default-ulimit=nproc=30000:30000")
	daemon.Stdout, daemon.Stderr = log, log
	// Should the test be killed, dockerd ends its containers and itself. A thread
	// that nobody else has: the signal comes at its end.
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := daemon.Start()
		started <- err
		if err == nil {
			ended <- daemon.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	words := func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text[max(0, len(text)-2000):])
	}
	running := true
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dockerd says: %s", words())
		}
		if !running {
			return
		}
		if out, _ := e.command("docker", "ps", "-aq").Output(); len(out) > 0 {
			e.command("docker", append([]string{"rm", "-f"}, strings.Fields(string(out))...)...).Run()
		}
		daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			t.Error("dockerd does not end")
			daemon.Process.Kill()
			<-ended
		}
	})
	deadline := time.Now().Add(2 * time.Minute)
	for {
		if out, err := e.command("docker", "version", "--format={{.Server.Version}}").Output(); err == nil {
			t.Logf("dockerd %s", bytes.TrimSpace(out))
			return e
		}
		select {
		case err := <-ended:
			running = false
			t.Skipf("dockerd cannot run here: %v\n%s", err, words())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("dockerd does not answer")
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// unmount takes away what dockerd leaves below its directory, such as the file of
// the host's network.
func (e *engine) unmount(t *testing.T) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	mounts := strings.Split(string(text), "\n")
	slices.Reverse(mounts)
	for _, line := range mounts {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], e.dir+"/") {
			if err := syscall.Unmount(fields[4], syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount %s: %v", fields[4], err)
			}
		}
	}
}

// cgroups returns those of this name, and those of Docker's own name, in all
// hierarchies.
func cgroups(name string) []string {
	var all []string
	for _, below := range []string{"", "*/"} {
		for _, name := range []string{name, "docker"} {
			found, _ := filepath.Glob("/sys/fs/cgroup/" + below + name)
			all = append(all, found...)
		}
	}
	return all
}

// removeCgroup removes an empty cgroup and those in it.
func removeCgroup(t *testing.T, path string) {
	var all []string
	filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	slices.Reverse(all)
	for _, path := range all {
		deadline := time.Now().Add(patience)
		for {
			err := os.Remove(path)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if time.Now().After(deadline) { // what ended in it takes a moment
				t.Error(err)
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// importGo makes an image of this machine's Go and a shell, under the name of the
// one that the Dockerfiles build in. Nothing has to be downloaded: the image has
// the modules that the library needs, as a module proxy in a folder.
func (e *engine) importGo(t *testing.T, name string) {
	t.Helper()
	image := t.TempDir()
	for _, folder := range []string{"bin", "tmp", "proxy", "etc/ssl/certs"} {
		if err := os.MkdirAll(filepath.Join(image, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := e.command("sh", "-c", "command -v busybox").Output()
	if err != nil {
		t.Fatalf("busybox: %v", err)
	}
	copyFile(t, strings.TrimSpace(string(busybox)), filepath.Join(image, "bin/busybox"))
	if err := os.Symlink("busybox", filepath.Join(image, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	certificate(t, filepath.Join(image, "etc/ssl/certs/ca-certificates.crt"))

	cache := goCommand(t, root, "env", "GOMODCACHE")
	modules := json.NewDecoder(strings.NewReader(goCommand(t, root, "mod", "download", "-json")))
	for {
		var module struct{ Info, GoMod, Zip string }
		if err := modules.Decode(&module); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{module.Info, module.GoMod, module.Zip} {
			name, err := filepath.Rel(filepath.Join(cache, "cache/download"), file)
			if err != nil {
				t.Fatal(err)
			}
			copyFile(t, file, filepath.Join(image, "proxy", name))
		}
	}

	began := time.Now()
	tar := exec.Command("tar", "--create", "--exclude=testdata", "--exclude=*_test.go",
		"--transform=flags=rh;s,^\\(bin\\|pkg\\|src\\|lib\\|VERSION\\|go\\.env\\)\\(/\\|$\\),usr/local/go/&,",
		"-C", image, ".", "-C", goCommand(t, root, "env", "GOROOT"), "bin", "pkg", "src", "lib", "VERSION", "go.env")
	importing := e.command("docker", "import",
		"-c", "ENV PATH=/usr/local/go/bin:/bin GOPATH=/go HOME=/root GOTOOLCHAIN=local GOPROXY=file:///proxy", "-", name)
	pipe, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	importing.Stdin = pipe
	var out bytes.Buffer
	tar.Stderr, importing.Stderr = &out, &out
	if err := errors.Join(tar.Start(), importing.Run(), tar.Wait()); err != nil {
		t.Fatalf("docker import: %v\n%s", err, &out)
	}
	t.Logf("%.1f s  docker import of %s as %s", time.Since(began).Seconds(), runtime.Version(), name)
}

// ownService writes a program outside the repository, whose go.mod replaces the
// library by a folder, and has go mod vendor copy it, as own.Dockerfile says.
func ownService(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	library, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	requires := goCommand(t, root, "list", "-m", "-f", "{{if not .Main}}require {{.Path}} {{.Version}} // indirect{{end}}", "all")
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", `module example.com/shop

go 1.26

require github.com/runtimemetrics/runtimemetrics v0.0.0
`+requires+`
replace github.com/runtimemetrics/runtimemetrics => `+strconv.Quote(library)+`
`)
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("go.sum", string(sums))
	write("cmd/shop/main.go", `package main

import (
	"crypto/x509"
	"flag"
	"fmt"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	roots, err := x509.SystemCertPool()
	fmt.Println("certificates:", err == nil && !roots.Equal(x509.NewCertPool()))
	select {}
}
`)
	goCommand(t, dir, "mod", "vendor")
	return dir
}

// goCommand runs the go command in a folder and returns what it printed.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, &errs)
	}
	return strings.TrimSpace(string(out))
}

// certificate writes one that nobody has to trust.
func certificate(t *testing.T, path string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, content, 0o755)); err != nil {
		t.Fatal(err)
	}
}

// publicDir is a folder that others may read, unlike t.TempDir.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "public")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// get waits until a page.txt is served.
func get(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		response, err := http.Get("http://" + addr + "/page.txt")
		if err == nil {
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if string(body) != "served\n" {
				t.Errorf("it serves %.100q", body)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// sink is a StatsD server that remembers.
type sink struct {
	addr string

	mu     sync.Mutex
	values map[string][]int64 // by name, tags cut off
	lines  []string
	more   *sync.Cond
}

// listen starts one on a free port of loopback.
func listen(t *testing.T) *sink {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return remember(conn, conn.LocalAddr().String())
}

// remember reads a socket until it is closed.
func remember(conn net.PacketConn, addr string) *sink {
	s := &sink{addr: addr, values: map[string][]int64{}}
	s.more = sync.NewCond(&s.mu)
	go func() {
		packet := make([]byte, 65536)
		for {
			n, _, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			s.mu.Lock()
			lines := bufio.NewScanner(bytes.NewReader(packet[:n]))
			for lines.Scan() {
				s.lines = append(s.lines, lines.Text())
				name, rest, _ := strings.Cut(lines.Text(), ":")
				text, _, _ := strings.Cut(rest, "|")
				if value, err := strconv.ParseInt(text, 10, 64); err == nil {
					s.values[name] = append(s.values[name], value)
				}
			}
			s.more.Broadcast()
			s.mu.Unlock()
		}
	}()
	return s
}

// next waits for a gauge and returns its first value that nobody has taken.
func (s *sink) next(t *testing.T, name string) int64 {
	t.Helper()
	defer time.AfterFunc(patience, s.more.Broadcast).Stop()
	deadline := time.Now().Add(patience)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.values[name]) == 0 {
		if !time.Now().Before(deadline) {
			t.Fatalf("no %s came within %v, but %d others", name, patience, len(s.values))
		}
		s.more.Wait()
	}
	value := s.values[name][0]
	s.values[name] = s.values[name][1:]
	return value
}

// last returns the last value of a gauge whose sender has ended: it waits until
// that is 0 or a while has passed.
func (s *sink) last(t *testing.T, name string) int64 {
	t.Helper()
	value := s.next(t, name)
	for deadline := time.Now().Add(patience); value != 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		if left := s.values[name]; len(left) > 0 {
			value, s.values[name] = left[0], left[1:]
		}
		s.mu.Unlock()
	}
	return value
}
