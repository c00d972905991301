// Command fileserver serves the working directory over HTTP and tells StatsD
// about its own runtime. The blank import is all that takes.
package main

import (
	"flag"
	"log"
	"net/http"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	addr := flag.String("addr", ":8000", "`address` to serve HTTP on")
	flag.Parse()

	server := &http.Server{Addr: *addr, Handler: http.FileServer(http.Dir("."))}
	log.Fatal(server.ListenAndServe())
}
