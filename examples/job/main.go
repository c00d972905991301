// Command job works and ends, as a batch, a cron job or a migration does. At its end
// it pushes the 27 gauges to Prometheus' Pushgateway. It needs package collector and
// net/http, and neither StatsD nor a client of Prometheus: see docs/jobs.md.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

func main() {
	gateway := flag.String("pushgateway", "http://127.0.0.1:9091", "`URL` of the Pushgateway")
	megabytes := flag.Int("megabytes", 64, "how much there is to do")
	flag.Parse()

	work(*megabytes)

	// Metrics are no reason for the job to have failed.
	if err := push(*gateway, "compress"); err != nil {
		log.Printf("the metrics were not pushed: %v", err)
	}
}

// push gives the Pushgateway the 27 gauges as they are now, in place of all that
// it has of the job.
func push(gateway, job string) error {
	var page bytes.Buffer
	c := collector.New(func(name string, value uint64) {
		name = "runtimemetrics_" + strings.ReplaceAll(name, ".", "_")
		fmt.Fprintf(&page, "# TYPE %s gauge\n%s %d\n", name, name, value)
	})
	c.Exact = true // there are no requests that a stop of the world would delay
	c.Collect()

	request, err := http.NewRequest(http.MethodPut, gateway+"/metrics/job/"+job, &page)
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 5 * time.Second} // the job ends, whatever the Pushgateway does
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(response.Body, 500))
		return fmt.Errorf("%s: %s", response.Status, why)
	}
	return nil
}

// work compresses so many megabytes, each of them newly allocated.
func work(megabytes int) {
	for i := 0; i < megabytes; i++ {
		text := make([]byte, 1<<20)
		for j := range text {
			text[j] = byte(i * j)
		}
		w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
		w.Write(text)
		w.Close()
	}
}
