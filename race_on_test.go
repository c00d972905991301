//go:build race

package runtimemetrics

import (
	"runtime"
	"testing"
	"time"
)

func TestAFinalizerThatBlocksHoldsNobodyUp(t *testing.T) {
	blocks, on := make(chan struct{}), make(chan struct{})
	runtime.SetFinalizer(new([16]byte), func(*[16]byte) {
		close(blocks)
		<-on
	})
	defer close(on)
	for blocked := false; !blocked; {
		runtime.GC()
		select {
		case <-blocks:
			blocked = true
		case <-time.After(time.Millisecond):
		}
	}
	afterMain() // returns
}
