// Http is the service with an HTTP server, which those who are scraped need, at
// the address that is its argument.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(string) {
		go func() { log.Fatal(http.ListenAndServe(flag.Arg(0), nil)) }()
	})
}
