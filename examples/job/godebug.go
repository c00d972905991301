//go:build go1.26

// The library's go.mod says go 1.21, for the sake of those who link it. Without
// this line the program would have Go 1.21's defaults, GOMAXPROCS that does not
// know of the container's CPU quota among them.
//
//go:debug default=go1.26

package main
