//go:build go1.24

package leaks

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"
)

func init() { children["weak"] = sendThroughWeak }

type mailbox struct{ letters chan int }

// sendThroughWeak has a goroutine wait for a letter to a mailbox that nothing but
// a weak pointer reaches, as caches and pools of subscribers do, and sends one.
func sendThroughWeak() {
	address, got := make(chan weak.Pointer[mailbox]), make(chan int)
	go func() {
		m := &mailbox{make(chan int)}
		address <- weak.Make(m)
		got <- <-m.letters
		runtime.KeepAlive(m)
	}()
	to := <-address
	if os.Getenv("CHECK") != "" {
		fmt.Println("leaked:", checkUntil(1).goroutines)
	} else {
		time.Sleep(10 * time.Millisecond)
		runtime.GC()
	}
	if m := to.Value(); m != nil {
		m.letters <- 1
		fmt.Println("received:", <-got)
	}
}

// TestACheckCanEndAProgramWithWeakPointers shows why nothing is checked unless
// somebody asks for it. It fails when a release of Go mends that: then the
// warning in this package's documentation can name it.
func TestACheckCanEndAProgramWithWeakPointers(t *testing.T) {
	if out, err := child(t, "weak"); err != nil || out != "received: 1\n" {
		t.Fatalf("without a check: %v\n%s", err, out)
	}
	out, err := child(t, "weak", "CHECK=1")
	if err == nil || !strings.HasPrefix(out, "leaked: 1\n") || !strings.Contains(out, "\nfatal error: bad g->status in ready\n") {
		t.Errorf("with a check, the program ends with %v:\n%.1000s", err, out)
	}
}
