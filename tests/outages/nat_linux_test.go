package outages

import (
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// A container's host port, podman's and kube-proxy's services are rules of address
// translation. The system decides by them once for each pair of ports, and a sender
// that goes on sending keeps what was decided: a service that was refused before
// the rule was there must come with a new port to be heard.
func TestAServerThatComesUpBehindAddressTranslationIsHeard(t *testing.T) {
	t.Parallel()
	n := harness.NewNamespace(t)
	// Nothing meets this rule. That there is one turns connection tracking on.
	n.IPTables("-t", "nat", "-A", "OUTPUT", "-p", "udp", "--dport", "1", "-j", "REDIRECT", "--to-ports", "2")
	p := n.Start(harness.Host{Program: "service", Race: true, Args: []string{"--metric-prefix=svc", "--pause=100ms", "--statsd=127.0.0.1:8125"}})
	waitTicks(t, p, 20) // all refused
	for round := range 3 {
		var s *harness.Server
		n.Do(func() { s = harness.Listen(t, "udp4", "127.0.0.1:0") }) // each container's port is another one
		rule := []string{"OUTPUT", "-p", "udp", "--dport", "8125", "-j", "REDIRECT", "--to-ports", s.Port()}
		n.IPTables(append([]string{"-t", "nat", "-A"}, rule...)...)
		last := tick(t, s.Next())
		for range 10 {
			next := tick(t, s.Next())
			if next != last+1 {
				t.Errorf("tick %d arrived after tick %d", next, last)
			}
			last = next
		}
		if round == 0 {
			p.WaitLog("works again; ticks lost") // later outages wait for ten minutes to be reported
		}
		n.IPTables(append([]string{"-t", "nat", "-D"}, rule...)...)
		n.Do(s.Down)
		waitTicks(t, p, ticks(t, p)+20)
	}
	p.End()
}
