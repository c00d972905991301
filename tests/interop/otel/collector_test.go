//go:build linux

package otel_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/healthcheckextension"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/groupbyattrsprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/statsdreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/service/telemetry"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

// TestKubernetesConfiguration runs a Collector with the configuration that
// examples/containers/kubernetes/opentelemetry gives it: what a pod sends must
// leave it as OTLP, and whose it is must be said of the resource.
func TestKubernetesConfiguration(t *testing.T) {
	config, err := os.ReadFile("../../../examples/containers/kubernetes/opentelemetry/collector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	backend := &otlp{points: map[string]map[string]string{}}
	server := httptest.NewServer(backend)
	defer server.Close()
	var statsd, health string
	harness.Attempt(t, func() (again bool, err error) {
		statsd = fmt.Sprintf("127.0.0.1:%d", harness.UDPPort(t))
		health = fmt.Sprintf("127.0.0.1:%d", harness.TCPPorts(t, 1)[0])
		text := string(config)
		for _, change := range [][2]string{
			{"[::]:8125", statsd},
			{"[::]:13133", health},
			{"http://otlp.example.com:4318", server.URL},
			{"aggregation_interval: 30s", "aggregation_interval: 500ms"},
		} {
			if strings.Count(text, change[0]) != 1 {
				return false, fmt.Errorf("no %s in\n%s", change[0], text)
			}
			text = strings.Replace(text, change[0], change[1], 1)
		}
		path := filepath.Join(t.TempDir(), "collector.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return false, err
		}
		err = startCollector(t, path)
		return err != nil && strings.Contains(err.Error(), "in use"), err
	})
	harness.Poll(t, "it is healthy", func() error {
		response, err := http.Get("http://" + health + "/")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("it is %s", response.Status)
		}
		return nil
	})

	conn, err := net.Dial("udp", statsd)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := map[string]string{
		"service.name": "service", "k8s.namespace.name": "shop",
		"k8s.deployment.name": "service", "k8s.pod.name": "service-0",
	}
	harness.Poll(t, "the gauges leave it", func() error {
		fmt.Fprint(conn, "runtimemetrics.cpu.goroutines:7|g|#service.name:service,k8s.namespace.name:shop,"+
			"k8s.deployment.name:service,k8s.pod.name:service-0\n")
		backend.mu.Lock()
		defer backend.mu.Unlock()
		got, ok := backend.points["runtimemetrics.cpu.goroutines 7"]
		if !ok {
			return fmt.Errorf("there is %v", backend.points)
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("the resource is %v, want %v", got, want)
		}
		return nil
	})
}

// startCollector starts one in this process and ends it with the test.
func startCollector(t *testing.T, config string) error {
	t.Helper()
	collector, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo:               component.BuildInfo{Command: "collector", Version: "test"},
		Factories:               factories,
		DisableGracefulShutdown: true,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              []string{"file:" + config},
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
		}},
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- collector.Run(context.Background()) }()
	for collector.GetState() != otelcol.StateRunning {
		select {
		case err := <-ended:
			return fmt.Errorf("the collector ended: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	harness.AtEnd(t, func() {
		collector.Shutdown()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return nil
}

func factories() (f otelcol.Factories, err error) {
	if f.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](statsdreceiver.NewFactory()); err != nil {
		return f, err
	}
	if f.Processors, err = otelcol.MakeFactoryMap[processor.Factory](groupbyattrsprocessor.NewFactory()); err != nil {
		return f, err
	}
	if f.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](otlphttpexporter.NewFactory()); err != nil {
		return f, err
	}
	// What it says of itself goes nowhere.
	f.Telemetry = telemetry.NewFactory(func() component.Config { return &struct{}{} })
	f.Extensions, err = otelcol.MakeFactoryMap[extension.Factory](healthcheckextension.NewFactory())
	return f, err
}

// otlp is a backend that takes OTLP by HTTP.
type otlp struct {
	mu     sync.Mutex
	points map[string]map[string]string // "name value" to the resource's attributes
}

func (o *otlp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body []byte
	unzipped, err := gzip.NewReader(r.Body)
	if err == nil {
		body, err = io.ReadAll(unzipped)
	}
	request := pmetricotlp.NewExportRequest()
	if err == nil {
		err = request.UnmarshalProto(body)
	}
	if err != nil || r.URL.Path != "/v1/metrics" {
		http.Error(w, fmt.Sprint(r.URL, err), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, resource := range request.Metrics().ResourceMetrics().All() {
		attributes := map[string]string{}
		for name, value := range resource.Resource().Attributes().All() {
			attributes[name] = value.AsString()
		}
		for _, scope := range resource.ScopeMetrics().All() {
			for _, metric := range scope.Metrics().All() {
				for _, point := range metric.Gauge().DataPoints().All() {
					o.points[fmt.Sprint(metric.Name(), " ", point.DoubleValue())] = attributes
				}
			}
		}
	}
}
