package unittested

import (
	"flag"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whoever runs this package decides how long the process lives and watches
// whether it sends anything.
func TestFlagsAreParsed(t *testing.T) {
	if !flag.Parsed() {
		t.Error("a test binary parses its flags")
	}
	if linger, err := time.ParseDuration(os.Getenv("LINGER")); err == nil {
		time.Sleep(linger)
	}
}
