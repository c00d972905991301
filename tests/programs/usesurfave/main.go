// Usesurfave makes the library's flags those of a command of urfave/cli.
package main

import (
	"context"
	"flag"
	"io"
	"os"

	"github.com/urfave/cli/v3"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	command := &cli.Command{
		Flags: []cli.Flag{&cli.BoolFlag{Name: "verbose", Usage: "a flag of urfave/cli's own"}},
		Action: func(context.Context, *cli.Command) error {
			flag.CommandLine.Parse(nil)
			_, err := io.Copy(io.Discard, os.Stdin) // serve until told to end
			return err
		},
	}
	flag.VisitAll(func(f *flag.Flag) {
		command.Flags = append(command.Flags, &cli.GenericFlag{Name: f.Name, Usage: f.Usage, Value: f.Value.(cli.Value)})
	})
	if command.Run(context.Background(), os.Args) != nil {
		os.Exit(1)
	}
}
