//go:build !unix

package runtimemetrics

// rawStderr is standard error, which does not end the program here.
type rawStderr struct{}

func (rawStderr) Write(line []byte) (int, error) { return stderr.Write(line) }
