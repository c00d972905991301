// Command fileserver serves the working directory over HTTP and tells StatsD
// about its own runtime. The blank import is all that takes.
package main

import (
	"flag"
	"log"
	"net/http"

	_ "github.com/runtimemetrics/runtimemetrics"
	"github.com/runtimemetrics/runtimemetrics/internal/hostcheck"
)

func main() {
	addr := flag.String("addr", ":8000", "`address` to serve HTTP on")
	names := flag.String("host", "", "`names` to answer to, separated by commas, besides any address, localhost and the machine's name")
	flag.Parse()

	// Not to every page that is open in a browser on this network.
	files := hostcheck.Handler(http.FileServer(http.Dir(".")), *names)
	log.Fatal(http.ListenAndServe(*addr, files))
}
