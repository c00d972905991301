// Load asks file servers for their directory at a rate that rises and falls, so
// that their garbage collections come at a changing rate and a graph of them
// shows a curve. It ends when it is told to by a signal.
package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"time"
)

const (
	quietest = 10.0  // requests a second
	busiest  = 120.0 // requests a second
	period   = 2 * time.Minute
	step     = 50 * time.Millisecond
)

func main() {
	urls := os.Args[1:]
	if len(urls) == 0 {
		fmt.Fprintln(os.Stderr, "usage: load URL...")
		os.Exit(2)
	}
	client := &http.Client{Timeout: 5 * time.Second}
	start := time.Now()
	due := 0.0
	for range time.Tick(step) {
		phase := 2 * math.Pi * time.Since(start).Seconds() / period.Seconds()
		rate := quietest + (busiest-quietest)*(1-math.Cos(phase))/2
		for due += rate * step.Seconds(); due >= 1; due-- {
			for _, url := range urls {
				if err := get(client, url); err != nil {
					fmt.Fprintln(os.Stderr, err)
					time.Sleep(time.Second)
					due = 0
				}
			}
		}
	}
}

func get(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}
