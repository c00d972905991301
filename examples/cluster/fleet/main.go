//go:build linux

// Command fleet runs many copies of a program that uses the library, each a
// process with a prefix of its own: fleet.p00, fleet.p01 and so on. It ends when
// one of them does, and all of them end with it.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	log.SetFlags(0)
	copies := flag.Int("copies", 50, "how many `processes`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: fleet [-copies n] program [flag...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if *copies < 1 || *copies > 100 {
		log.Fatalf("-copies=%d: want 1 to 100", *copies)
	}
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)

	// Pdeathsig is sent when the thread that started the process ends.
	runtime.LockOSThread()
	ended := make(chan error)
	for i := 0; i < *copies; i++ {
		prefix := fmt.Sprintf("--metric-prefix=fleet.p%02d", i)
		one := exec.Command(flag.Arg(0), append([]string{prefix}, flag.Args()[1:]...)...)
		one.Stderr = os.Stderr
		one.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := one.Start(); err != nil {
			log.Fatal(err)
		}
		go func() { ended <- fmt.Errorf("%s: %v", prefix, one.Wait()) }()
	}
	select {
	case <-stop:
	case err := <-ended:
		log.Fatal(err)
	}
}
