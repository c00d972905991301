//go:build linux

package containers_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// decodeStrictly is how kubectl reads a file with --validate=strict: a field
// that is unknown, written in other case or twice is an error.
func decodeStrictly(text []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	strict, err := kubejson.UnmarshalStrict(text, into)
	return errors.Join(append(strict, err)...)
}

// overlays are the folders that one applies.
var overlays = []string{"graphite", "prometheus", "opentelemetry", "datadog", "datadog-socket", "datadog-csi"}

// workload is what a Deployment and a DaemonSet have in common.
type workload struct {
	kind     string
	meta     metav1.ObjectMeta
	selector *metav1.LabelSelector
	pod      corev1.PodTemplateSpec
}

// cluster is what an overlay makes.
type cluster struct {
	namespace  corev1.Namespace
	workloads  map[string]workload
	services   map[string]corev1.Service
	configMaps map[string]corev1.ConfigMap
	monitors   []monitoringv1.PodMonitor
}

// kustomize builds an overlay as kubectl apply -k does, and decodes each object
// into the type of its API, in which an unknown field is an error.
func kustomize(t *testing.T, files filesys.FileSystem, overlay string) cluster {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("kubernetes", overlay))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, dir)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{workloads: map[string]workload{}, services: map[string]corev1.Service{}, configMaps: map[string]corev1.ConfigMap{}}
	for _, object := range objects.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		decode := func(into any) {
			t.Helper()
			if err := decodeStrictly(text, into); err != nil {
				t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
			}
		}
		switch kind := object.GetApiVersion() + " " + object.GetKind(); kind {
		case "v1 Namespace":
			decode(&c.namespace)
		case "v1 ConfigMap":
			var config corev1.ConfigMap
			decode(&config)
			c.configMaps[config.Name] = config
		case "v1 Service":
			var service corev1.Service
			decode(&service)
			c.services[service.Name] = service
		case "apps/v1 Deployment":
			var set appsv1.Deployment
			decode(&set)
			c.workloads[set.Name] = workload{kind, set.ObjectMeta, set.Spec.Selector, set.Spec.Template}
		case "apps/v1 DaemonSet":
			var set appsv1.DaemonSet
			decode(&set)
			c.workloads[set.Name] = workload{kind, set.ObjectMeta, set.Spec.Selector, set.Spec.Template}
		case "monitoring.coreos.com/v1 PodMonitor":
			var monitor monitoringv1.PodMonitor
			decode(&monitor)
			c.monitors = append(c.monitors, monitor)
		default:
			t.Errorf("an object of kind %q", kind)
		}
		if namespace := object.GetNamespace(); object.GetKind() != "Namespace" && namespace != "runtimemetrics" {
			t.Errorf("%s %s is in namespace %q", object.GetKind(), object.GetName(), namespace)
		}
	}
	return c
}

// TestKubernetes builds each overlay, follows the names that its objects call each
// other, and asks PodSecurity.
func TestKubernetes(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			c := kustomize(t, filesys.MakeFsOnDisk(), overlay)
			for name, w := range c.workloads {
				t.Run(name, func(t *testing.T) { checkWorkload(t, c, w) })
			}
			for name, service := range c.services {
				t.Run("service "+name, func(t *testing.T) { checkService(t, c, service) })
			}
			for _, monitor := range c.monitors {
				checkMonitor(t, c, monitor)
			}
			checkSecurity(t, c, overlay == "datadog-socket")
		})
	}
	folders, err := filepath.Glob("kubernetes/*/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		if name != "base" && name != "daemon" && !slices.Contains(overlays, name) {
			t.Errorf("nobody tests %s", folder)
		}
	}
}

func checkWorkload(t *testing.T, c cluster, w workload) {
	selects, err := metav1.LabelSelectorAsMap(w.selector)
	if err != nil {
		t.Fatal(err)
	}
	if len(selects) == 0 {
		t.Error("it selects everything")
	}
	for label, value := range selects {
		if w.pod.Labels[label] != value {
			t.Errorf("it selects %s=%s, which its pods have not", label, value)
		}
	}
	volumes := map[string]bool{}
	for _, volume := range w.pod.Spec.Volumes {
		volumes[volume.Name] = true
		if source := volume.ConfigMap; source != nil {
			if _, ok := c.configMaps[source.Name]; !ok {
				t.Errorf("there is no ConfigMap %s for volume %s", source.Name, volume.Name)
			}
			if !regexp.MustCompile(`-[0-9a-z]{10}$`).MatchString(source.Name) {
				t.Errorf("ConfigMap %s: a change would not reach the pods", source.Name)
			}
		}
	}
	if len(w.pod.Spec.Containers) != 1 {
		t.Fatalf("it has %d containers", len(w.pod.Spec.Containers))
	}
	container := w.pod.Spec.Containers[0]
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("it mounts %s, which is no volume", mount.Name)
		}
		if mount.SubPath != "" {
			t.Errorf("%s is mounted by subPath and never updated", mount.MountPath)
		}
	}
	_, tag, _ := strings.Cut(container.Image, ":")
	if container.Name != "service" && (tag == "" || tag == "latest") {
		t.Errorf("which %s?", container.Image)
	}
	for _, probe := range []*corev1.Probe{container.ReadinessProbe, container.LivenessProbe} {
		if probe != nil && port(w, probe.HTTPGet.Port) == 0 {
			t.Errorf("a probe asks port %s", probe.HTTPGet.Port.String())
		}
	}
	if container.Resources.Requests.Cpu().IsZero() || container.Resources.Limits.Memory().IsZero() {
		t.Error("it says nothing of the CPU that it wants, or has no limit of memory")
	}
	for _, p := range container.Ports {
		if p.HostPort != 0 {
			t.Errorf("port %d of the node is taken", p.HostPort)
		}
	}
	for _, variable := range container.Env {
		checkVariable(t, variable.Name)
	}
	if w.kind != "apps/v1 Deployment" {
		return
	}
	if container.ReadinessProbe == nil || container.LivenessProbe == nil {
		t.Error("nobody asks whether it is ready and alive")
	}
	if container.Lifecycle == nil || container.Lifecycle.PreStop == nil || container.Lifecycle.PreStop.Sleep == nil ||
		container.Lifecycle.PreStop.Sleep.Seconds+5 >= *w.pod.Spec.TerminationGracePeriodSeconds {
		t.Error("it has no time to end")
	}
	env := environment(t, w)
	if server := env["RUNTIMEMETRICS_STATSD"]; !strings.Contains(server, "/") && server != aPod["status.hostIP"] {
		service, ok := c.services[server]
		if !ok || service.Spec.Ports[0].Port != 8125 {
			t.Errorf("the gauges go to %s, which is no Service here", server)
		}
	}
	// What the names and the tags are made of is there.
	for _, name := range []string{"RUNTIMEMETRICS_METRIC_PREFIX", "RUNTIMEMETRICS_METRIC_TAGS"} {
		if env[name] == "" {
			t.Errorf("%s is empty", name)
		}
		for _, placeholder := range regexp.MustCompile(`\{env:(\w+)\}`).FindAllStringSubmatch(env[name], -1) {
			if env[placeholder[1]] == "" {
				t.Errorf("%s has %s, which is not set", name, placeholder[0])
			}
		}
	}
	if prefix := env["RUNTIMEMETRICS_METRIC_PREFIX"]; strings.Contains(prefix, "POD") || strings.Contains(prefix, "{host}") {
		t.Errorf("the prefix has the name of the pod: %s", prefix)
	}
}

// port returns the number of a container's port, 0 if there is none.
func port(w workload, p intstr.IntOrString) int32 {
	for _, have := range w.pod.Spec.Containers[0].Ports {
		if p.StrVal == have.Name || p.IntVal == have.ContainerPort && p.IntVal != 0 {
			return have.ContainerPort
		}
	}
	return 0
}

func checkService(t *testing.T, c cluster, service corev1.Service) {
	var behind []workload
	for _, w := range c.workloads {
		matches := len(service.Spec.Selector) > 0
		for label, value := range service.Spec.Selector {
			matches = matches && w.pod.Labels[label] == value
		}
		if matches {
			behind = append(behind, w)
		}
	}
	if len(behind) != 1 {
		t.Fatalf("%d workloads are behind it", len(behind))
	}
	for _, p := range service.Spec.Ports {
		if port(behind[0], p.TargetPort) == 0 {
			t.Errorf("its port %s leads to %s", p.Name, p.TargetPort.String())
		}
		for _, have := range behind[0].pod.Spec.Containers[0].Ports {
			protocol := p.Protocol
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			behindProtocol := have.Protocol
			if behindProtocol == "" {
				behindProtocol = corev1.ProtocolTCP
			}
			if have.Name == p.TargetPort.StrVal && behindProtocol != protocol {
				t.Errorf("its port %s is %s, and %s behind it", p.Name, protocol, behindProtocol)
			}
		}
	}
	if behind[0].kind == "apps/v1 DaemonSet" {
		if p := service.Spec.InternalTrafficPolicy; p == nil || *p != corev1.ServiceInternalTrafficPolicyLocal {
			t.Error("datagrams go to any node")
		}
	}
}

func checkMonitor(t *testing.T, c cluster, monitor monitoringv1.PodMonitor) {
	selects, err := metav1.LabelSelectorAsMap(&monitor.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	scraped := 0
	for _, w := range c.workloads {
		matches := len(selects) > 0
		for label, value := range selects {
			matches = matches && w.pod.Labels[label] == value
		}
		if !matches {
			continue
		}
		scraped++
		for _, endpoint := range monitor.Spec.PodMetricsEndpoints {
			if endpoint.Port == nil || port(w, intstr.FromString(*endpoint.Port)) == 0 {
				t.Errorf("%s is scraped at a port that it has not", w.meta.Name)
			}
			if !endpoint.HonorLabels {
				t.Error("pod and namespace of a gauge would be the exporter's")
			}
		}
	}
	if scraped != 1 {
		t.Errorf("%d workloads are scraped", scraped)
	}
}

// TestCollectorKnowsTheTags: what the OpenTelemetry Collector moves to the resource
// is what the pods send.
func TestCollectorKnowsTheTags(t *testing.T) {
	c := kustomize(t, filesys.MakeFsOnDisk(), "opentelemetry")
	var config struct {
		Processors struct {
			GroupByAttrs struct{ Keys []string }
		}
	}
	text := c.configMaps[c.workloads["statsd"].pod.Spec.Volumes[0].ConfigMap.Name].Data["collector.yaml"]
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	var tags []string
	for _, tag := range strings.Split(environment(t, c.workloads["service"])["RUNTIMEMETRICS_METRIC_TAGS"], ",") {
		name, _, _ := strings.Cut(tag, ":")
		tags = append(tags, name)
	}
	if !slices.Equal(config.Processors.GroupByAttrs.Keys, tags) {
		t.Errorf("the Collector moves %q, the pods send %q", config.Processors.GroupByAttrs.Keys, tags)
	}
}

// checkSecurity asks the code of the PodSecurity admission. An overlay with a
// hostPath must be refused for that alone, and be in a namespace that admits it.
func checkSecurity(t *testing.T, c cluster, hostPath bool) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	evaluate := func(w workload, level podsecurity.Level) policy.AggregateCheckResult {
		lv := podsecurity.LevelVersion{Level: level, Version: podsecurity.LatestVersion()}
		return policy.AggregateCheckResults(evaluator.EvaluatePod(lv, &w.pod.ObjectMeta, &w.pod.Spec))
	}
	enforced := podsecurity.Level(c.namespace.Labels[podsecurity.EnforceLevelLabel])
	for name, w := range c.workloads {
		if result := evaluate(w, enforced); !result.Allowed {
			t.Errorf("its own namespace (%s) refuses %s: %s", enforced, name, result.ForbiddenDetail())
		}
		restricted := evaluate(w, podsecurity.LevelRestricted)
		switch {
		case !hostPath && !restricted.Allowed:
			t.Errorf("restricted refuses %s: %s", name, restricted.ForbiddenDetail())
		case hostPath && restricted.Allowed:
			t.Errorf("restricted admits %s, which need not be privileged then", name)
		case hostPath:
			reasons := evaluate(w, podsecurity.LevelBaseline).ForbiddenReasons
			if !slices.Equal(reasons, []string{"hostPath volumes"}) {
				t.Errorf("baseline refuses %s because of %q", name, reasons)
			}
		}
	}
	if !hostPath && enforced != podsecurity.LevelRestricted {
		t.Errorf("the namespace enforces %q", enforced)
	}
}

// TestHostPortsAreRefused: what these manifests avoid is what PodSecurity refuses.
func TestHostPortsAreRefused(t *testing.T) {
	c := kustomize(t, filesys.MakeFsOnDisk(), "graphite")
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := c.workloads["statsd"].pod
	pod.Spec.Containers[0].Ports[0].HostPort = 8125
	lv := podsecurity.LevelVersion{Level: podsecurity.LevelBaseline, Version: podsecurity.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(lv, &pod.ObjectMeta, &pod.Spec))
	if !slices.Equal(result.ForbiddenReasons, []string{"hostPort"}) {
		t.Errorf("baseline refuses a host port because of %q", result.ForbiddenReasons)
	}
}

// TestAChangedConfigurationMakesNewPods: the pods of the DaemonSet name the
// ConfigMap by a hash of what is in it.
func TestAChangedConfigurationMakesNewPods(t *testing.T) {
	before := kustomize(t, filesys.MakeFsOnDisk(), "graphite")
	config, err := filepath.Abs("kubernetes/graphite/config.js")
	if err != nil {
		t.Fatal(err)
	}
	after := kustomize(t, changedFile{filesys.MakeFsOnDisk(), config}, "graphite")
	name := func(c cluster) string { return c.workloads["statsd"].pod.Spec.Volumes[0].ConfigMap.Name }
	if name(before) == name(after) {
		t.Errorf("the pods mount %s before and after", name(before))
	}
}

// changedFile is a file system in which one file has a line more.
type changedFile struct {
	filesys.FileSystem
	path string
}

func (c changedFile) ReadFile(path string) ([]byte, error) {
	content, err := c.FileSystem.ReadFile(path)
	if path == c.path {
		content = append(content, "// changed\n"...)
	}
	return content, err
}

// aPod is what the Downward API knows of a pod.
var aPod = map[string]string{
	"metadata.name":      "service-5c9f8d7b6-x2x7q",
	"metadata.namespace": "shop",
	"metadata.uid":       "0d1f7f2e-92c4-4a6e-9a55-5b9d6d0f7a11",
	"status.hostIP":      "2001:db8::7",
	"spec.nodeName":      "node1.example.com",
}

// environment returns what the kubelet would give a pod: values in their order,
// $(NAME) for what stands before, fields of the pod.
func environment(t *testing.T, w workload) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, variable := range w.pod.Spec.Containers[0].Env {
		value := variable.Value
		if from := variable.ValueFrom; from != nil {
			field := from.FieldRef.FieldPath
			label, isLabel := strings.CutPrefix(field, "metadata.labels['")
			var ok bool
			if isLabel {
				value, ok = w.pod.Labels[strings.TrimSuffix(label, "']")]
			} else {
				value, ok = aPod[field]
			}
			if !ok {
				t.Errorf("%s is %s, which a pod has not", variable.Name, field)
			}
		}
		env[variable.Name] = regexp.MustCompile(`\$\((\w+)\)`).ReplaceAllStringFunc(value, func(reference string) string {
			before, ok := env[reference[2:len(reference)-1]]
			if !ok {
				t.Errorf("%s has %s, which nothing before it sets", variable.Name, reference)
			}
			return before
		})
	}
	return env
}

// TestStatsDConfigurations: both are evaluated as StatsD does it.
func TestStatsDConfigurations(t *testing.T) {
	compose, err := os.ReadFile("statsd.js")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("compose", func(t *testing.T) { checkStatsD(t, string(compose)) })
	c := kustomize(t, filesys.MakeFsOnDisk(), "graphite")
	mounted := c.workloads["statsd"].pod.Spec.Volumes[0].ConfigMap.Name
	t.Run("kubernetes", func(t *testing.T) { checkStatsD(t, c.configMaps[mounted].Data["config.js"]) })
}
