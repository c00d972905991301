// Command service is what the browser test starts as a process of its own: a
// program that imports the library and parses its flags, no more.
package main

import (
	"flag"

	_ "github.com/runtimemetrics/runtimemetrics"
)

func main() {
	flag.Parse()
	select {}
}
