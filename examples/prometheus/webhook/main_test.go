package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

const delivered = `{"version":"4","alerts":[{"status":"firing","startsAt":"2026-03-01T12:00:00Z",
	"labels":{"alertname":"RuntimemetricsHeapLeak","host":"web1","service":"shop"},
	"annotations":{"summary":"shop on web1 runs out of memory"}}]}`

func TestWhoMayDeliver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		host    string
		headers map[string]string
		want    int
	}{
		{"Alertmanager", "127.0.0.1:9099", nil, 200},
		{"Alertmanager by a name that was given", "webhook.example:9099", nil, 200},
		{"a foreign page, as a browser says", "127.0.0.1:9099", map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, 403},
		{"a foreign page in a browser that says no more than the origin", "127.0.0.1:9099", map[string]string{"Origin": "http://evil.example"}, 403},
		{"a foreign page whose name resolves to this machine", "evil.example:9099", map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example:9099"}, 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			h := webhook(&log, "webhook.example")
			r := httptest.NewRequest("POST", "/", strings.NewReader(delivered))
			r.Host = tt.host
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("%d, want %d", w.Code, tt.want)
			}
			if printed := log.Len() > 0; printed != (tt.want == http.StatusOK) {
				t.Errorf("it printed %q", log.String())
			}
		})
	}
}

func TestAForeignNameDoesNotReadTheMessages(t *testing.T) {
	h := webhook(&bytes.Buffer{}, "")
	for host, want := range map[string]int{"localhost:9099": 200, "evil.example:9099": 421} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Host %s: %d, want %d", host, w.Code, want)
		}
	}
}

// TestWhatIsPrintedIsOneLineForEachThing has labels that forge an alert, move the
// cursor and hide text in a terminal.
func TestWhatIsPrintedIsOneLineForEachThing(t *testing.T) {
	for _, tt := range []struct{ name, labels, annotations, want string }{
		{"plain labels stay as they are", `"alertname":"A","host":"web1.example.net","port":"9102"`, `"summary":"50 % of \"shop\""`,
			"TIME FIRING A host=web1.example.net port=9102\n  since TIME\n  summary: 50 % of \\\"shop\\\"\n"},
		{"a line end in a label", `"alertname":"A","host":"web1\n12:00:00 RESOLVED A"`, ``,
			`TIME FIRING A host="web1\n12:00:00 RESOLVED A"` + "\n  since TIME\n"},
		{"a line end in a name", `"alertname":"A\r\nB","a\nb":"c"`, `"x\ny":"z"`,
			`TIME FIRING "A\r\nB" "a\nb"=c` + "\n  since TIME\n" + `  "x\ny": z` + "\n"},
		{"escape sequences", `"alertname":"A","host":"\u001b[2K\u009bx"`, `"summary":"\u001b]0;title\u0007\nsecond"`,
			`TIME FIRING A host="\x1b[2K\u009bx"` + "\n  since TIME\n" + `  summary: \x1b]0;title\a\nsecond` + "\n"},
		{"text that runs backwards", `"alertname":"A","host":"\u202eevil"`, ``, `TIME FIRING A host="\u202eevil"` + "\n  since TIME\n"},
		{"a label that looks like two", `"alertname":"A","host":"x severity=page","y":""`, ``, `TIME FIRING A host="x severity=page" y=""` + "\n  since TIME\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var log bytes.Buffer
			body := `{"alerts":[{"status":"firing","startsAt":"2026-03-01T12:00:00Z","labels":{` + tt.labels + `},"annotations":{` + tt.annotations + `}}]}`
			r := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(body))
			w := httptest.NewRecorder()
			webhook(&log, "").ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Fatal(w.Body)
			}
			got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d|since \d\d:\d\d:\d\d`).ReplaceAllStringFunc(log.String(), func(s string) string {
				return s[:len(s)-8] + "TIME"
			})
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
