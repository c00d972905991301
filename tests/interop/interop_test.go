//go:build linux

// Package interop_test pushes gauges to real servers and checks what arrived.
// README.md is the table of what is tested here; keep the two the same.
package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/interop/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m)) }

// web asks servers on loopback, whatever proxy the environment names.
var web = &http.Client{Transport: &http.Transport{}, Timeout: harness.Patience}

// get reads a page of a server.
func get(url string) ([]byte, error) {
	response, err := web.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %.200s", url, response.Status, body)
	}
	return body, nil
}

// getJSON is get for what answers in JSON.
func getJSON(url string, answer any) error {
	body, err := get(url)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, answer)
}

// installed returns where a daemon of Debian's is.
func installed(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		harness.Missing(t, filepath.Base(path))
	}
	return path
}

// write writes a configuration file.
func write(t *testing.T, name, format string, args ...any) string {
	t.Helper()
	if err := os.WriteFile(name, fmt.Appendf(nil, format, args...), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
