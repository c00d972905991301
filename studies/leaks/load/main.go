// Command load keeps a nats-server busy: clients that come and go, subjects,
// queues, requests, and JetStream with streams and consumers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var published, received, requested, stored, connected atomic.Int64

func main() {
	url := flag.String("server", nats.DefaultURL, "`address` of the server")
	length := flag.Duration("for", time.Minute, "`how long`")
	pause := flag.Duration("every", 5*time.Millisecond, "`time` between two rounds of a client")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *length)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for ctx.Err() == nil { // each life of a client has some hundred rounds
				if err := live(ctx, *url, i, *pause); err != nil && ctx.Err() == nil {
					log.Fatal(err)
				}
			}
		}()
	}
	clients.Wait()
	fmt.Printf("%d connections, %d messages published, %d received, %d requests, %d messages stored and consumed\n",
		connected.Load(), published.Load(), received.Load(), requested.Load(), stored.Load())
}

// live is one life of a client.
func live(ctx context.Context, url string, id int, pause time.Duration) error {
	nc, err := nats.Connect(url, nats.Name(fmt.Sprint("client ", id)))
	if err != nil {
		return err
	}
	defer nc.Close()
	connected.Add(1)
	count := func(*nats.Msg) { received.Add(1) }
	if _, err := nc.Subscribe("news.>", count); err != nil {
		return err
	}
	if _, err := nc.QueueSubscribe("work", "workers", count); err != nil {
		return err
	}
	if _, err := nc.Subscribe(fmt.Sprint("ask.", id), func(m *nats.Msg) { m.Respond(m.Data) }); err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	name := fmt.Sprint("stream", id)
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}, Storage: jetstream.MemoryStorage, MaxMsgs: 1000})
	if err != nil {
		return err
	}
	consumer, err := stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: 10 * time.Second})
	if err != nil {
		return err
	}
	data := make([]byte, 200)
	for range 200 {
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, subject := range []string{"news.sport", "news.weather", "work"} {
			if err := nc.Publish(subject, data); err != nil {
				return err
			}
			published.Add(1)
		}
		if _, err := nc.RequestWithContext(ctx, fmt.Sprint("ask.", id), data); err != nil {
			return err
		}
		requested.Add(1)
		if _, err := js.Publish(ctx, name+".x", data); err != nil {
			return err
		}
		m, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			return err
		}
		if err := m.Ack(); err != nil {
			return err
		}
		stored.Add(1)
		time.Sleep(pause)
	}
	return js.DeleteStream(ctx, name)
}
