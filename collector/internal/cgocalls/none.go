//go:build !cgo

package cgocalls

// Available tells whether this build has cgo.
const Available = false

// Make does nothing without cgo.
func Make(int) {}
