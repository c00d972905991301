package hosts

import (
	"os"
	"os/exec"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/tests/internal/harness"
)

// A service's unit tests import the library too. They run here for longer than
// the five seconds after which a program starts to publish that parses no flags.
func TestNothingIsPublishedFromATestBinary(t *testing.T) {
	t.Parallel()
	s := harness.ListenUDP(t)
	cmd := exec.Command("go", "test", "-count=1", "-v", "github.com/runtimemetrics/runtimemetrics/tests/programs/unittested")
	cmd.Env = append(os.Environ(), "LINGER=6s", "RUNTIMEMETRICS_STATSD="+s.Addr(), "RUNTIMEMETRICS_PAUSE=100ms")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go test: %v\n%s", err, out)
	}
	if all := s.TakeAll(); len(all) > 0 {
		t.Errorf("%d datagrams were sent, the first one is\n%s", len(all), all[0].Text)
	}
}
