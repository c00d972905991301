package link

import (
	"errors"
	"testing"
)

// refusal is how the system says that nobody listens.
var refusal = errors.New("write udp: connection refused")

func TestOnlyARefusalIsARefusal(t *testing.T) {
	if !isRefused(refusal) || isRefused(errors.New("network unreachable")) {
		t.Error("a refusal is not told from other errors")
	}
}
