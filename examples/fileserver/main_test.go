package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// TestAForeignNameGetsNoFile plays a page of another site whose name resolves to
// this machine.
func TestAForeignNameGetsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := files(dir, "files.example")
	for host, want := range map[string]int{
		"127.0.0.1:8000": 200, "[::1]:8000": 200, "localhost:12345": 200, "files.example:8000": 200, "evil.example:8000": 421,
	} {
		r := httptest.NewRequest("GET", "/secret", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || (w.Body.String() == "secret") != (want == 200) {
			t.Errorf("Host %s: %d %q, want %d", host, w.Code, w.Body, want)
		}
	}
}
