// Usescobra is a command of cobra's that takes the flags of package flag too.
package main

import (
	"flag"
	"io"
	"os"

	"github.com/spf13/cobra"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	root := &cobra.Command{Use: "usescobra"}
	root.PersistentFlags().AddGoFlagSet(flag.CommandLine)
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
