package hostcheck

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestHostsThatAreAnswered(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "secret") }), "shop.example, Other.Example.")
	for _, tt := range []struct {
		name, host string
		want       int
	}{
		{"an IPv4 address with a port", "127.0.0.1:8080", 200},
		{"another address of the machine", "192.0.2.7", 200},
		{"an IPv6 address with a port", "[::1]:8080", 200},
		{"an IPv6 address without one", "[::1]", 200},
		{"an IPv6 address with a zone", "[fe80::1%eth0]:8080", 200},
		{"localhost", "localhost:8080", 200},
		{"the other end of ssh -L, on another port", "localhost:12345", 200},
		{"localhost in full, in capitals", "LOCALHOST.:8080", 200},
		{"the machine's name", machine + ":8080", 200},
		{"a name that was given", "shop.example:8080", 200},
		{"a given name in other letters", "OTHER.example", 200},
		{"no Host, which no browser sends", "", 200},
		{"a foreign name", "evil.example:8080", 421},
		{"a foreign name that begins with an address", "127.0.0.1.evil.example", 421},
		{"a foreign name that ends in localhost's", "evil-localhost", 421},
		{"a subdomain of a given name", "x.shop.example", 421},
		{"a number that some resolvers take for an address", "2130706433", 421},
		{"an address without brackets and a name", "::1.evil.example", 421},
		{"a user before an address", "127.0.0.1@evil.example:80", 421},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Host = tt.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("Host %q: %d, want %d", tt.host, w.Code, tt.want)
			}
			if w.Code != 200 && strings.Contains(w.Body.String(), "secret") {
				t.Errorf("Host %q gets what is not for it", tt.host)
			}
		})
	}
}

// TestAForeignHostOnTheWire sends what net/http parses itself: a URL in the
// request line counts more than the header.
func TestAForeignHostOnTheWire(t *testing.T) {
	server := httptest.NewServer(Handler(http.NotFoundHandler(), ""))
	defer server.Close()
	for request, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                   421,
		"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n":                   421,
		"GET / HTTP/1.0\r\n\r\n":                                                         404,
		"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\n\r\n":    404,
		"GET / HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: 127.0.0.1:80\r\n\r\n": 421,
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, request)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%q: %d, want %d", request, resp.StatusCode, want)
		}
		resp.Body.Close()
		conn.Close()
	}
}
