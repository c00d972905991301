//go:build linux

package containers_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// patience is how long a test waits for what must happen; it says nothing about
// how long that takes.
const patience = 2 * time.Minute

// TestPods runs the service with the environment that each overlay gives its pods,
// beside the server that the overlay has, with its configuration.
func TestPods(t *testing.T) {
	binary := build(t, "./examples/graphite/service")
	t.Run("graphite", func(t *testing.T) { testGraphite(t, binary) })
	t.Run("prometheus", func(t *testing.T) { testPrometheus(t, binary) })
	for _, overlay := range []string{"datadog", "datadog-socket", "datadog-csi"} {
		t.Run(overlay, func(t *testing.T) { testDatadog(t, binary, overlay) })
	}
	// What the OpenTelemetry Collector makes of it: tests/interop/otel.
}

// process is a program that the test started.
type process struct {
	*exec.Cmd
	ended chan struct{}
}

// said returns what it has written so far.
func (p *process) said() string {
	text, _ := os.ReadFile(p.Stdout.(*os.File).Name())
	return string(text)
}

// start starts a program and ends it with the test.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	p := &process{cmd, make(chan struct{})}
	started := make(chan error)
	go func() { // Pdeathsig goes by the thread
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s says: %s", filepath.Base(cmd.Path), p.said())
		}
	})
	return p
}

// serve starts a server, on new ports if one that was free is taken when the server
// wants it, and waits until it is up.
func serve(t *testing.T, command func() (cmd *exec.Cmd, up func() error)) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		cmd, up := command()
		p := start(t, cmd)
		deadline := time.Now().Add(patience)
		for {
			err := up()
			if err == nil {
				return
			}
			ended := false
			select {
			case <-p.ended:
				ended = true
			case <-time.After(100 * time.Millisecond):
			}
			if ended && attempt < 3 {
				break
			}
			if ended || time.Now().After(deadline) {
				t.Fatalf("%s is not up: %v", filepath.Base(cmd.Path), err)
			}
		}
	}
}

// answers holds that something answers with 200 OK.
func answers(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}

// pod starts the service as a pod of an overlay, but for where the server is and
// how often it sends.
func pod(t *testing.T, binary string, w workload, name, server string) *process {
	t.Helper()
	env := environment(t, w)
	env["POD_NAME"] = name
	env["RUNTIMEMETRICS_STATSD"] = server
	env["RUNTIMEMETRICS_PAUSE"] = "500ms"
	cmd := exec.Command(binary, "--addr=127.0.0.1:0")
	cmd.Env = list(env)
	return start(t, cmd)
}

// list turns an environment into what exec.Cmd takes.
func list(env map[string]string) []string {
	var all []string
	for name, value := range env {
		all = append(all, fmt.Sprintf("%s=%s", name, value))
	}
	return all
}

// eventually waits until check has nothing to complain about.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// need skips a test that lacks a part, or fails it where nothing may be lacking.
func need(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// ports returns different ports of loopback that are free for both protocols.
func ports(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for len(all) < n {
		_, port, _ := net.SplitHostPort(freePort(t))
		if !slices.Contains(all, port) {
			all = append(all, port)
		}
	}
	return all
}

// testGraphite runs StatsD with the ConfigMap's configuration, sends to it by IPv4
// and IPv6, and reads what it would store in Graphite.
func testGraphite(t *testing.T, binary string) {
	statsd := os.Getenv("STATSD_JS")
	node, err := exec.LookPath("node")
	if statsd == "" || err != nil {
		need(t, "StatsD takes node, and STATSD_JS, the path of its stats.js")
	}
	c := kustomize(t, filesys.MakeFsOnDisk(), "graphite")
	server := c.workloads["statsd"]
	config := c.configMaps[server.pod.Spec.Volumes[0].ConfigMap.Name].Data["config.js"]
	carbon := newCarbon(t)
	file := filepath.Join(t.TempDir(), "config.js")
	command := server.pod.Spec.Containers[0].Command
	if !slices.Equal(command, []string{"node", "stats.js", "/etc/statsd/config.js"}) {
		t.Fatalf("the command is %q", command)
	}
	var free []string
	serve(t, func() (*exec.Cmd, func() error) {
		free = ports(t, 2)
		text := config
		for old, with := range map[string]string{
			`(?m)^  port: 8125,`:    "port: " + free[0] + ",",
			`mgmt_port: 8126`:       "mgmt_port: " + free[1],
			`'graphite.example.com`: "'127.0.0.1",
			`graphitePort: 2003`:    "graphitePort: " + carbon.port,
			`flushInterval: 10000`:  "flushInterval: 500",
		} {
			changed := regexp.MustCompile(old).ReplaceAllString(text, with)
			if changed == text {
				t.Fatalf("no %s in %s", old, text)
			}
			text = changed
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(node, statsd, file)
		cmd.Dir = filepath.Dir(statsd)
		cmd.Env = append(os.Environ(), list(environment(t, server))...)
		return cmd, func() error {
			conn, err := net.Dial("tcp", "127.0.0.1:"+free[1])
			if err == nil {
				conn.Close()
			}
			return err
		}
	})

	hosts := []string{"127.0.0.1"}
	if l, err := net.ListenPacket("udp6", "[::1]:0"); err == nil {
		l.Close()
		hosts = append(hosts, "::1")
	} else {
		t.Logf("SKIPPED: nothing is sent by IPv6: %v", err)
	}
	service := c.workloads["service"]
	var pods []*process
	series := func(i int) string {
		return fmt.Sprintf("stats.gauges.go.service.cpu.goroutines;deployment=service;namespace=shop;pod=service-%d", i)
	}
	for i, host := range hosts {
		pods = append(pods, pod(t, binary, service, fmt.Sprintf("service-%d", i), net.JoinHostPort(host, free[0])))
	}
	for i := range hosts {
		eventually(t, func() error {
			if values := carbon.values(series(i)); len(values) == 0 || values[0] == "0" {
				return fmt.Errorf("%s has %q; carbon got\n%s", series(i), values, carbon.some("goroutines"))
			}
			return nil
		})
	}
	if carbon.some("statsd.node1_example_com.") == "" {
		t.Error("StatsD does not call itself by its node")
	}

	// A pod that is told to end says 0, and its series end three flushes later. One
	// that is killed does not, and its series end all the same.
	for i, p := range pods {
		signal := []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}[i]
		p.Process.Signal(signal)
		<-p.ended
		// Until nothing new has come for as many flushes as the TTL has, twice.
		var after []string
		eventually(t, func() error {
			before := len(carbon.values(series(i)))
			flushes := carbon.flushes()
			for end := time.Now().Add(patience); carbon.flushes() < flushes+6 && time.Now().Before(end); {
				time.Sleep(100 * time.Millisecond)
			}
			after = carbon.values(series(i))
			if len(after) != before {
				return fmt.Errorf("%s goes on: %q", series(i), after)
			}
			return nil
		})
		if last := after[len(after)-1]; (last == "0") != (signal == syscall.SIGTERM) {
			t.Errorf("after %v the last value of %s is %s: %q", signal, series(i), last, after)
		}
	}
}

// carbon is Graphite's side of StatsD.
type carbon struct {
	port string

	mu    sync.Mutex
	lines []string
}

func newCarbon(t *testing.T) *carbon {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &carbon{}
	_, c.port, _ = net.SplitHostPort(l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					c.mu.Lock()
					c.lines = append(c.lines, lines.Text())
					c.mu.Unlock()
				}
			}()
		}
	}()
	return c
}

// values returns those of one series, tags in alphabetical order.
func (c *carbon) values(series string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, line := range c.lines {
		fields := strings.Fields(line)
		name, tags, _ := strings.Cut(fields[0], ";")
		sorted := strings.Split(tags, ";")
		slices.Sort(sorted)
		if name+";"+strings.Join(sorted, ";") == series {
			all = append(all, fields[1])
		}
	}
	return all
}

// flushes returns how often StatsD has sent.
func (c *carbon) flushes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, line := range c.lines {
		if strings.Contains(line, ".numStats ") {
			n++
		}
	}
	return n
}

// some returns the last few lines with a text in them.
func (c *carbon) some(text string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, line := range c.lines {
		if strings.Contains(line, text) {
			all = append(all, line)
		}
	}
	return strings.Join(all[max(0, len(all)-5):], "\n")
}

// testPrometheus runs statsd_exporter with the ConfigMap's mapping and the pod's
// arguments, and a Prometheus that scrapes it as the PodMonitor says.
func testPrometheus(t *testing.T, binary string) {
	prometheus, err := exec.LookPath("prometheus")
	if err != nil {
		need(t, err.Error()+"; 'examples/prometheus/up --install' installs it")
	}
	exporter := filepath.Join(t.TempDir(), "statsd_exporter")
	goCommand(t, "../prometheus", "build", "-buildvcs=false", "-o", exporter, "github.com/prometheus/statsd_exporter")

	c := kustomize(t, filesys.MakeFsOnDisk(), "prometheus")
	server := c.workloads["statsd"]
	config := t.TempDir()
	for name, text := range c.configMaps[server.pod.Spec.Volumes[0].ConfigMap.Name].Data {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	container := server.pod.Spec.Containers[0]
	var statsd, page, api string
	serve(t, func() (*exec.Cmd, func() error) {
		free := ports(t, 2)
		statsd, page = "127.0.0.1:"+free[0], "127.0.0.1:"+free[1]
		var args []string
		for _, arg := range container.Args {
			arg = strings.ReplaceAll(arg, container.VolumeMounts[0].MountPath+"/", config+"/")
			args = append(args, strings.ReplaceAll(arg, ":8125", statsd))
		}
		return exec.Command(exporter, append(args, "--web.listen-address="+page)...), func() error {
			return errors.Join(
				answers("http://"+page+container.ReadinessProbe.HTTPGet.Path),
				answers("http://"+page+container.LivenessProbe.HTTPGet.Path))
		}
	})

	// What the operator makes of the PodMonitor, for one pod of the DaemonSet.
	endpoint := c.monitors[0].Spec.PodMetricsEndpoints[0]
	var relabel []map[string]any
	for _, rule := range endpoint.MetricRelabelConfigs {
		relabel = append(relabel, map[string]any{
			"action": rule.Action, "source_labels": rule.SourceLabels, "regex": rule.Regex, "target_label": rule.TargetLabel,
		})
	}
	settings, err := json.Marshal(map[string]any{"scrape_configs": []any{map[string]any{
		"job_name": "statsd", "scrape_interval": "1s", "honor_labels": endpoint.HonorLabels, "metric_relabel_configs": relabel,
		"static_configs": []any{map[string]any{
			"targets": []string{page},
			"labels":  map[string]string{"namespace": "runtimemetrics", "pod": "statsd-8kx2m", "container": "statsd"},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "prometheus.yml"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, func() (*exec.Cmd, func() error) {
		api = "127.0.0.1:" + ports(t, 1)[0]
		cmd := exec.Command(prometheus, "--config.file="+filepath.Join(config, "prometheus.yml"),
			"--storage.tsdb.path="+filepath.Join(config, "data"), "--web.listen-address="+api)
		return cmd, func() error { return answers("http://" + api + "/-/ready") }
	})

	pod(t, binary, c.workloads["service"], "service-0", statsd)
	pod(t, binary, c.workloads["service"], "service-1", statsd)
	eventually(t, func() error {
		found, err := query(api, `runtimemetrics_mem_heap_alloc`)
		if err != nil {
			return err
		}
		var pods []string
		for _, labels := range found {
			pods = append(pods, labels["pod"])
			delete(labels, "pod")
			host := labels["host"]
			delete(labels, "host")
			want := map[string]string{
				"__name__": "runtimemetrics_mem_heap_alloc", "namespace": "shop", "deployment": "service",
				"service": "service", "container": "statsd", "job": "statsd", "instance": page,
			}
			if host != pods[len(pods)-1] || !maps.Equal(labels, want) {
				return fmt.Errorf("pod %s, host %s has labels %v, want %v", pods[len(pods)-1], host, labels, want)
			}
		}
		slices.Sort(pods)
		if !slices.Equal(pods, []string{"service-0", "service-1"}) {
			return fmt.Errorf("Prometheus knows of the pods %q", pods)
		}
		return nil
	})
}

// query returns the labels of what Prometheus has for an expression now.
func query(addr, expression string) ([]map[string]string, error) {
	response, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("%w: %s", err, text)
	}
	var all []map[string]string
	for _, series := range answer.Data.Result {
		all = append(all, series.Metric)
	}
	return all, nil
}

// testDatadog has no Agent: it holds what the pods send to what an Agent reads.
func testDatadog(t *testing.T, binary, overlay string) {
	w := kustomize(t, filesys.MakeFsOnDisk(), overlay).workloads["service"]
	env := environment(t, w)
	var s *sink
	server := env["RUNTIMEMETRICS_STATSD"]
	if overlay == "datadog" {
		if server != aPod["status.hostIP"] {
			t.Errorf("the gauges go to %s, want the node", server)
		}
		t.Run("on a node with IPv6", func(t *testing.T) { testHostIP(t, binary, env) })
		s = listen(t)
		server = s.addr
	} else {
		mounted := w.pod.Spec.Containers[0].VolumeMounts[0].MountPath
		if server != "unix://"+mounted+"/dsd.socket" {
			t.Errorf("the gauges go to %s, and %s is mounted", server, mounted)
		}
		path := filepath.Join(publicDir(t), "dsd.socket")
		conn, err := net.ListenPacket("unixgram", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s = remember(conn, path)
		server = "unix://" + path
	}
	pod(t, binary, w, aPod["metadata.name"], server)
	s.next(t, "runtimemetrics.cpu.goroutines")
	s.mu.Lock()
	defer s.mu.Unlock()
	const want = "|g|#env:production,service:service,version:1.0.0,pod_name:service-5c9f8d7b6-x2x7q," +
		"dd.internal.entity_id:0d1f7f2e-92c4-4a6e-9a55-5b9d6d0f7a11"
	for _, line := range s.lines {
		if !strings.HasPrefix(line, "runtimemetrics.") || !strings.HasSuffix(line, want) {
			t.Fatalf("it sends %q, want %s at the end", line, want)
		}
	}
}

// testHostIP starts the service as the pod is, its node's address included, in a
// network of its own, from which nothing gets out: it says where it would send.
func testHostIP(t *testing.T, binary string, env map[string]string) {
	if os.Getuid() != 0 {
		t.Skip("a network of its own takes root")
	}
	cmd := exec.Command(binary, "--addr=127.0.0.1:0")
	cmd.Env = list(env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	p := start(t, cmd)
	eventually(t, func() error {
		want := net.JoinHostPort(aPod["status.hostIP"], "8125")
		if said := p.said(); !strings.Contains(said, want) {
			return fmt.Errorf("it says nothing of %s, but %s", want, said)
		}
		return nil
	})
}
