//go:build cgo

// Package cgocalls calls C, for tests: test files cannot use cgo themselves.
package cgocalls

// #include <time.h>
// static void wait_a_little(void) {
// 	struct timespec t = {0, 20 * 1000 * 1000};
// 	nanosleep(&t, 0);
// }
import "C"

import "sync"

// Available tells whether this build has cgo.
const Available = true

// Make makes n calls to C at the same time, so that each has a thread of its
// own, and returns when all have ended.
func Make(n int) {
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() { defer wg.Done(); C.wait_a_little() }()
	}
	wg.Wait()
}
