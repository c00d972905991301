// Cobraparses is a command of cobra's that takes the flags of package flag too,
// and says when they are parsed.
package main

import (
	"flag"
	"io"
	"os"

	"github.com/spf13/cobra"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	root := &cobra.Command{Use: "cobraparses"}
	root.PersistentFlags().Bool("verbose", false, "a flag of cobra's own")
	root.PersistentFlags().AddGoFlagSet(flag.CommandLine)
	cobra.OnInitialize(func() { flag.CommandLine.Parse(nil) })
	root.AddCommand(&cobra.Command{
		Use: "serve",
		RunE: func(*cobra.Command, []string) error {
			_, err := io.Copy(io.Discard, os.Stdin) // serve until told to end
			return err
		},
	})
	if root.Execute() != nil {
		os.Exit(1)
	}
}
