// Logs has a log of its own: the environment variable LOG says which.
package main

import (
	"flag"
	"io"
	"log"
	"log/slog"
	"os"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	switch os.Getenv("LOG") {
	case "discarded": // as serf does
		log.SetOutput(io.Discard)
	case "json":
		slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	case "prefixed":
		log.SetFlags(0)
		log.SetPrefix("web: ")
	}
	flag.Parse()
	io.Copy(io.Discard, os.Stdin) // serve until told to end
}
