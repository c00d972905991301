module github.com/runtimemetrics/runtimemetrics/studies/gc-pauses/service

// Not to be raised: it has to build with the oldest Go release that is compared,
// and it decides which of Go's defaults the newer ones keep.
go 1.21

require github.com/runtimemetrics/runtimemetrics v0.0.0

require github.com/cactus/go-statsd-client/v5 v5.1.0 // indirect

replace github.com/runtimemetrics/runtimemetrics => ../../..
