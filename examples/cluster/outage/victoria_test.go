//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/examples/internal/stacktest"
)

// StatsD's graphite backend writes into VictoriaMetrics as it does into carbon.
func TestVictoriaMetrics(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	statsd := filepath.Join(cache, "runtimemetrics-statsd-0.9.0/node_modules/statsd/stats.js")
	_, noStatsD := os.Stat(statsd)
	_, noNode := exec.LookPath("node")
	_, noVictoria := exec.LookPath("victoria-metrics")
	if err := errors.Join(noStatsD, noNode, noVictoria); err != nil {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal(err)
		}
		t.Skipf("examples/cluster/up --install installs what is missing: %v", err)
	}

	port := map[string]string{}
	for _, name := range []string{"STATSD_A_PORT", "STATSD_A_MGMT_PORT", "RELAY_PORT", "GRAPHITE_PORT"} {
		_, port[name], _ = net.SplitHostPort(stacktest.FreeAddress(t))
	}
	dir := t.TempDir()
	template, err := os.ReadFile("../conf/statsd.js")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("@NAME@", "a", "@STATSD_DELETE_GAUGES@", "true", "@PORT@", port["STATSD_A_PORT"],
		"@MGMT_PORT@", port["STATSD_A_MGMT_PORT"], "@RELAY_PORT@", port["RELAY_PORT"]).Replace(string(template))
	if err := os.WriteFile(filepath.Join(dir, "statsd.js"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	victoria := "127.0.0.1:" + port["GRAPHITE_PORT"]
	stacktest.Start(t, exec.Command("victoria-metrics", "-storageDataPath="+filepath.Join(dir, "data"), "-httpListenAddr="+victoria,
		"-graphiteListenAddr=127.0.0.1:"+port["RELAY_PORT"], "-search.latencyOffset=1s"))
	util, err := filepath.Abs("../../graphite/conf/util-log.js")
	if err != nil {
		t.Fatal(err)
	}
	stacktest.Start(t, exec.Command("node", "--require", util, statsd, filepath.Join(dir, "statsd.js")))

	defer runtimemetrics.Register(func(t *runtimemetrics.Tick) { t.Gauge("degrees", -5) })()
	defer runtimemetrics.Stop()
	err = runtimemetrics.Start(runtimemetrics.Config{
		StatsD: net.JoinHostPort("127.0.0.1", port["STATSD_A_PORT"]),
		Prefix: "go.web-1.api",
		Tags:   []string{"service:api"},
		Pause:  250 * time.Millisecond,
		Logf:   t.Logf,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ query, want string }{
		{`count({__name__=~"stats\\.gauges\\.go\\.web-1\\.api\\..*",service="api"})`, "28"},
		// Its * stands for one part of a name, as Graphite's does; ** is no more.
		{`count({__graphite__="stats.gauges.go.*.api.mem.gc.*"})`, "6"},
		{`{__name__="stats.gauges.go.web-1.api.degrees"}`, "-5"},
	} {
		err := eventually(func() error {
			got, err := instant(victoria, one.query)
			if err == nil && got != one.want {
				err = fmt.Errorf("got %q, want %q", got, one.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", one.query, err)
		}
	}
}

// instant is the value of a query that has one result.
func instant(victoria, query string) (string, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + victoria + "/api/v1/query?query=" + url.QueryEscape(query))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	if len(answer.Data.Result) != 1 {
		return "", fmt.Errorf("%d results %s", len(answer.Data.Result), answer.Error)
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1]), nil
}
