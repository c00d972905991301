package floor

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// TestTheFloorSendsWhatTheLibraryCollects sees to it that the floor is no lower
// than it may be.
func TestTheFloorSendsWhatTheLibraryCollects(t *testing.T) {
	runtime.GC() // so that there is something to tell of past cycles
	var library, floor bytes.Buffer
	c := collector.New(func(key string, value uint64) { fmt.Fprintf(&library, "p.%s:%d|g\n", key, value) })
	f := New(&floor, "p")
	for range 100 { // until nothing was allocated in between
		library.Reset()
		floor.Reset()
		c.Collect()
		if err := f.Tick(); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(bytes.TrimSuffix(library.Bytes(), []byte("\n")), floor.Bytes()) {
			return
		}
	}
	t.Errorf("the library collects\n%s, the floor sends\n%s", &library, &floor)
}
