// Caddyhook leaves signals to Caddy 1 as CoreDNS has it, whose handler ends the
// process.
package main

import (
	"flag"

	"github.com/coredns/caddy"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	caddy.OnProcessExit = append(caddy.OnProcessExit, runtimemetrics.Stop)
	caddy.TrapSignals()
	select {}
}
