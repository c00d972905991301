package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"github.com/runtimemetrics/runtimemetrics/internal/names"
)

const (
	defaultPort = 8125 // StatsD's

	maxSocketPath = 107 // sockaddr_un's 108 bytes on Linux, less the final NUL
	maxHost       = 253 // RFC 1035, without the final dot

	localhost = "localhost"
)

// unixSockets tells whether the system has unix datagram sockets.
const unixSockets = runtime.GOOS != "windows" && runtime.GOOS != "js" && runtime.GOOS != "wasip1" && runtime.GOOS != "plan9"

// Forms lists the forms that an address may have, for help texts.
var Forms = func() string {
	forms := "host:port, host, :port, [v6]:port, udp://host:port"
	if unixSockets {
		forms += ", unix:///path of a datagram socket"
	}
	return forms
}()

// Address is a parsed address of a server.
type Address struct {
	network string // "udp" or "unixgram"
	host    string // host name or IP address; path of a unix socket
	port    uint16 // of udp
}

// String returns the address as log lines and errors show it.
func (a Address) String() string {
	if a.network == "unixgram" {
		return "unix " + a.host
	}
	return "udp " + net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

// CheckAddress refuses what ParseAddress does not take.
func CheckAddress(text string) error {
	_, err := ParseAddress(text)
	return err
}

// ParseAddress reads an address in one of the Forms. IPv6 with a port needs
// brackets, since ::1:8125 is an address without a port.
func ParseAddress(text string) (Address, error) {
	a, wrong := parse(text)
	if wrong == "" {
		return a, nil
	}
	example := "use host:port such as localhost:8125 or [::1]:8125"
	if unixSockets {
		example += ", or unix:///path/of/socket"
	}
	return Address{}, errors.New(wrong + "; " + example)
}

// parse reads an address, or says what is wrong with it.
func parse(text string) (a Address, wrong string) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		rest = text
	case scheme == "unix" || scheme == "unixgram":
		return parsePath(rest)
	case scheme == "tcp" || scheme == "unixstream" || scheme == "unixpacket":
		return a, scheme + " is a stream, and gauges are sent as datagrams"
	case scheme != "udp" && unixSockets:
		return a, fmt.Sprintf("%q is neither udp nor unix", scheme)
	case scheme != "udp":
		return a, fmt.Sprintf("%q is not udp", scheme)
	}

	host, port := rest, strconv.Itoa(defaultPort)
	if ip, err := netip.ParseAddr(rest); err == nil && ip.Is6() { // the whole of it
		bare, ok := strings.CutSuffix(rest, ":8125")
		if bare == ":" {
			bare = "::"
		}
		if _, err := netip.ParseAddr(bare); ok && err == nil {
			return a, fmt.Sprintf("is an IPv6 address that ends in 8125: write [%s]:8125 for that port, or [%s] for that address", bare, rest)
		}
	} else if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
		host = rest[1 : len(rest)-1]
	} else if strings.Contains(rest, ":") {
		var err error
		if host, port, err = net.SplitHostPort(rest); err != nil {
			return a, "is neither host:port nor [v6]:port"
		}
		if strings.HasPrefix(rest, ":") {
			host = localhost // as package net has it, and so go-runtime-metrics
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return a, fmt.Sprintf("port %q is not a number from 1 to 65535", port)
	}
	name := host
	if ip, err := netip.ParseAddr(host); err == nil {
		name = ip.Zone() // all else of an IP address has been checked
	} else if host == "" {
		return a, "the host is missing"
	}
	for _, c := range name {
		if !names.SafeRune(c) {
			return a, fmt.Sprintf("host %q must not hold %q", host, c)
		}
	}
	if len(name) > maxHost {
		return a, fmt.Sprintf("the host is longer than %d bytes", maxHost)
	}
	return Address{network: "udp", host: host, port: uint16(n)}, ""
}

func parsePath(path string) (a Address, wrong string) {
	switch {
	case !unixSockets:
		return a, "unix datagram sockets do not exist on " + runtime.GOOS
	case !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0):
		return a, "the path of a unix socket must be absolute"
	case len(path) > maxSocketPath:
		return a, fmt.Sprintf("the path of a unix socket must not be longer than %d bytes", maxSocketPath)
	}
	return Address{network: "unixgram", host: path}, ""
}
