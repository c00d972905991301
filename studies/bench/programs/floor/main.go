// Floor is the service with the least that sends the same gauges.
package main

import (
	"log"
	"net"
	"time"

	"github.com/runtimemetrics/runtimemetrics/studies/bench/floor"
	"github.com/runtimemetrics/runtimemetrics/studies/internal/service"
)

func main() {
	service.Run(func(server string) {
		conn, err := net.Dial("udp", server)
		if err != nil {
			log.Fatal(err)
		}
		f := floor.New(conn, "go.service")
		go func() {
			for range time.Tick(service.Interval) {
				if err := f.Tick(); err != nil {
					log.Print(err)
				}
			}
		}()
	})
}
