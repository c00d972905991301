package main

import (
	"log"
	"time"

	"github.com/grafana/pyroscope-go"
)

// profileAlways takes profiles all the time and pushes them to a Pyroscope server.
func profileAlways(server string, every time.Duration) (*pyroscope.Profiler, error) {
	return pyroscope.Start(pyroscope.Config{
		ApplicationName: "profiles", // the same as in --metric-tags=service:…
		ServerAddress:   server,
		UploadRate:      every,
		Logger:          errorsOnly{},
		// Otherwise an idle service has a collection forced for each heap profile.
		DisableGCRuns: true,
	})
}

// errorsOnly is what Pyroscope's client logs to.
type errorsOnly struct{}

func (errorsOnly) Debugf(string, ...any)          {}
func (errorsOnly) Infof(string, ...any)           {}
func (errorsOnly) Errorf(format string, a ...any) { log.Printf("pyroscope: "+format, a...) }
