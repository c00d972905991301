// Package settings defines a program's flags when it is initialised. Since it
// imports less than the library does, that is before the library is.
package settings

import "flag"

var (
	// CPU is a flag whose name the library uses too.
	CPU = flag.String("cpu", "", "write a CPU profile to this `file`")
	// StatsD is another.
	StatsD = flag.Int("statsd", 0, "number of something else")
)
