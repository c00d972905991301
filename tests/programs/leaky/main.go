// Leaky leaks goroutines when it is told to on standard input, as code that uses
// libraries does.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/leaks"
)

func main() {
	flag.Parse()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Println(lines.Text()) {
		switch lines.Text() {
		case "errgroup":
			go first()
		case "context":
			forget()
		case "stop":
			runtimemetrics.Stop()
		}
	}
}

// first wants the first of three results. The mistake: nobody takes the other
// two, so their goroutines never end, nor does the Wait for them.
func first() {
	var group errgroup.Group
	results := make(chan int)
	for i := range 3 {
		group.Go(func() error {
			square := i * i // were i sent itself, Go would not find it: see go doc leaks
			results <- square
			return nil
		})
	}
	<-results
	group.Wait()
}

// forget starts what ends with a context that nobody cancels.
func forget() {
	ctx, cancel := context.WithCancelCause(context.Background())
	_ = func() { cancel(errors.New("the end")) }
	go func() {
		<-ctx.Done()
	}()
}
