package main

import (
	"flag"

	"github.com/alecthomas/kingpin/v2"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func init() {
	flag.VisitAll(func(f *flag.Flag) { kingpin.Flag("runtimemetrics."+f.Name, f.Usage).SetValue(f.Value) })
	kingpin.CommandLine.PreAction(func(*kingpin.ParseContext) error { return flag.CommandLine.Parse(nil) })
}
