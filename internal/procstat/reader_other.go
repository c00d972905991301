//go:build !linux

package procstat

// find says what there is to read, which is the same for ever.
func (r *Reader) find() {
	if r.sources == nil {
		r.findSystem()
	}
}
