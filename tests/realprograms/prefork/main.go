// Prefork is a server of several processes: Fiber starts the program once more for
// each processor, and all of them listen on one port.
package main

import (
	"flag"
	"fmt"
	"log"

	"github.com/gofiber/fiber/v2"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "`address` to listen on")
	flag.Parse()
	if !fiber.IsChild() {
		runtimemetrics.Stop()
	}
	app := fiber.New(fiber.Config{Prefork: true, DisableStartupMessage: true})
	app.Hooks().OnFork(func(pid int) error {
		fmt.Println("worker", pid)
		return nil
	})
	log.Fatal(app.Listen(*listen))
}
