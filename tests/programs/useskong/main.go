// Useskong has some of the library's flags among those of kong, whose flags are
// fields.
package main

import (
	"flag"
	"io"
	"os"

	"github.com/alecthomas/kong"

	_ "github.com/runtimemetrics/runtimemetrics"
)

// goFlag is a flag of kong's that sets the one of package flag with its name.
type goFlag struct{}

func (goFlag) Decode(ctx *kong.DecodeContext) error {
	var text string
	if err := ctx.Scan.PopValueInto("value", &text); err != nil {
		return err
	}
	return flag.Set(ctx.Value.Name, text)
}

func main() {
	var options struct {
		Verbose bool   `help:"a flag of kong's own"`
		StatsD  goFlag `name:"statsd" help:"StatsD server" placeholder:"HOST:PORT"`
		Prefix  goFlag `name:"metric-prefix" help:"prefix of every gauge"`
		Pause   goFlag `name:"pause" help:"interval between two ticks"`
		GC      goFlag `name:"gc" help:"publish the gauges mem.gc.*" placeholder:"true|false"`
	}
	kong.Parse(&options)
	flag.CommandLine.Parse(nil)
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
