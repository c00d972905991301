//go:build !unix && !windows

package procstat

type system struct{}

func (system) init() {}

func (r *Reader) findSystem() {
	r.add(r.setInitialized, startTime, uptime)
}
