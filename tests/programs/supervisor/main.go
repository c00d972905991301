// Supervisor runs itself twice as its workers and waits for them. The workers
// publish; the supervisor does not, unless it shall not stop.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/runtimemetrics/runtimemetrics"
)

func main() {
	stops := flag.Bool("stops", true, "the supervisor calls Stop first")
	flag.Parse()
	if os.Getenv("WORKER") != "" {
		io.Copy(io.Discard, os.Stdin) // serve until told to end
		return
	}
	if *stops {
		runtimemetrics.Stop()
	}
	for n := range 2 {
		worker := exec.Command(os.Args[0], os.Args[1:]...)
		worker.Env = append(os.Environ(), fmt.Sprint("WORKER=", n))
		worker.Stderr = os.Stderr
		stdin, err := worker.StdinPipe()
		if err == nil {
			err = worker.Start()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("worker", n, worker.Process.Pid)
		defer worker.Wait()
		defer stdin.Close()
	}
	fmt.Println("supervisor", os.Getpid())
	io.Copy(io.Discard, os.Stdin)
}
