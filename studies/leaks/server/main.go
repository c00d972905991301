// Command server is a nats-server that counts its goroutines that have leaked. At
// the signal SIGUSR1 it leaks some, as a client of it might: it asks for replies
// and leaves before they come.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/leaks"
)

func main() {
	dir := flag.String("store", "", "`folder` of JetStream")
	port := flag.Int("port", 4222, "`port` on loopback")
	flag.Parse()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: *port, JetStream: true, StoreDir: *dir, NoSigs: true})
	if err != nil {
		log.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		log.Fatal("the server does not start")
	}
	log.Printf("listening at %v", s.Addr())
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, os.Interrupt)
	for got := range signals {
		if got != syscall.SIGUSR1 {
			break
		}
		for i := 0; i < 7; i++ {
			ask()
		}
		log.Print("leaked 7 goroutines")
	}
	s.Shutdown()
	runtimemetrics.Stop()
}

// ask asks, and does not wait for the reply. The mistake: its channel has no
// room for a reply that comes late.
func ask() {
	reply := make(chan string)
	go func() {
		time.Sleep(10 * time.Millisecond)
		reply <- "late"
	}()
}
