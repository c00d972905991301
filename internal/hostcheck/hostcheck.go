// Package hostcheck keeps other people's web pages out of a server that has no
// password. A page whose own name resolves to this machine's address (DNS
// rebinding) is of the same origin as the server for the browser, and could read
// it from a tab beside; but the browser sends that name as Host.
package hostcheck

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
)

// Handler passes on to next the requests whose Host is an IP address, localhost,
// the machine's name or one of names, which are separated by commas. Other
// requests are answered with 421 (Misdirected Request). The port does not matter,
// so what is forwarded by ssh or kubectl comes through. Nor does a missing Host:
// every browser sends one.
func Handler(next http.Handler, names string) http.Handler {
	allowed := map[string]bool{"": true, "localhost": true}
	if name, err := os.Hostname(); err == nil {
		name = plain(name)
		short, _, _ := strings.Cut(name, ".")
		allowed[name], allowed[short] = true, true
	}
	for _, name := range strings.Split(names, ",") {
		allowed[plain(strings.TrimSpace(name))] = true
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		host = plain(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		if _, err := netip.ParseAddr(host); err != nil && !allowed[host] {
			http.Error(w, "This server does not answer to that name. Use its address, or localhost.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// plain returns a name as it is compared: names are the same in upper and lower
// case, and with a dot at the end.
func plain(name string) string {
	return strings.TrimSuffix(strings.ToLower(name), ".")
}
