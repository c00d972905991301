// Command size is a file server, built with and without package leaks to compare
// their sizes. It prints how often the heap is sampled and ends.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"runtime"
)

func main() {
	serve := flag.Bool("serve", false, "serve files")
	flag.Parse()
	if *serve {
		http.ListenAndServe("127.0.0.1:8080", http.FileServer(http.Dir(".")))
	}
	fmt.Println(runtime.MemProfileRate)
}
