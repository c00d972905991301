module github.com/runtimemetrics/runtimemetrics/examples/profiles

go 1.26.0

require (
	github.com/google/pprof v0.0.0-20260906184651-6331bc6350fe
	github.com/grafana/pyroscope-go v1.5.0
	github.com/runtimemetrics/runtimemetrics v0.0.0
)

require (
	github.com/cactus/go-statsd-client/v5 v5.1.0 // indirect
	github.com/grafana/pyroscope-go/godeltaprof v0.1.12 // indirect
	github.com/klauspost/compress v1.20.2 // indirect
)

replace github.com/runtimemetrics/runtimemetrics => ../..
