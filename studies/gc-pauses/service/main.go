// Service keeps a shop's orders in memory and serves them as JSON: a live heap of
// small objects full of pointers, a cache that is filled and emptied, goroutines
// that wait, and garbage with every request. It is what ../run loads, built with
// one Go release after the other, so it uses nothing that is newer than Go 1.21.
package main

import (
	"bytes"
	"container/list"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/runtimemetrics/runtimemetrics"
	_ "github.com/runtimemetrics/runtimemetrics/process"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "`address` to serve HTTP on")
	orders := flag.Int("orders", 50_000, "`number` of orders in memory")
	flag.Parse()
	if *orders < perCustomer {
		log.Fatalf("--orders=%d: a customer has %d, so that many is the least", *orders, perCustomer)
	}

	s := newShop(*orders)
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, s))
}

const (
	perCustomer = 10
	pagesCached = 5_000
	watchers    = 500
)

type order struct {
	ID       int               `json:"id"`
	Customer int               `json:"customer"`
	Placed   time.Time         `json:"placed"`
	Lines    []*line           `json:"lines"`
	Notes    map[string]string `json:"notes,omitempty"`
}

type line struct {
	SKU      string `json:"sku"`
	Title    string `json:"title"`
	Quantity int    `json:"quantity"`
	Cents    int    `json:"cents"`
}

type shop struct {
	mu        sync.Mutex
	orders    map[int]*order
	customers map[int][]*order // the newest last, perCustomer of them
	pages     cache
	watchers  []chan *order
}

func newShop(orders int) *shop {
	s := &shop{
		orders:    map[int]*order{},
		customers: map[int][]*order{},
		pages:     cache{pages: map[int]*list.Element{}},
	}
	random := rand.New(rand.NewSource(1))
	for i := 0; i < orders; i++ {
		o := &order{
			Customer: i % (orders / perCustomer),
			Placed:   time.Unix(1_700_000_000+int64(i), 0).UTC(),
			Notes:    map[string]string{"channel": fmt.Sprint("web-", random.Intn(9))},
		}
		for n := 1 + random.Intn(6); n > 0; n-- {
			sku := random.Intn(1_000_000)
			o.Lines = append(o.Lines, &line{fmt.Sprintf("SKU-%06d", sku), fmt.Sprintf("article number %d", sku), n, sku % 10_000})
		}
		s.add(o)
	}
	for i := 0; i < watchers; i++ {
		c := make(chan *order, 1)
		s.watchers = append(s.watchers, c)
		go watch(c)
	}
	return s
}

// watch is who is told of new orders, a screen in the warehouse for example.
func watch(orders <-chan *order) {
	var screen bytes.Buffer
	for o := range orders {
		screen.Reset()
		if err := json.NewEncoder(&screen).Encode(o); err != nil {
			log.Print(err)
		}
	}
}

// add files an order. When the customer has many it takes the place of the
// oldest, so that the shop neither grows nor shrinks.
func (s *shop) add(o *order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.customers[o.Customer]
	o.ID = len(s.orders) + 1
	if len(mine) == perCustomer {
		o.ID = mine[0].ID
		// A copy: somebody may be rendering the old one.
		mine = append([]*order(nil), mine[1:]...)
		s.pages.drop(o.ID)
	}
	s.orders[o.ID] = o
	s.customers[o.Customer] = append(mine, o)
	if len(s.watchers) > 0 {
		select {
		case s.watchers[o.Customer%len(s.watchers)] <- o:
		default: // busy: it will see the next one
		}
	}
}

// ServeHTTP answers GET /orders/ID, GET /customers/ID and POST /orders.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, id, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, err := strconv.Atoi(id)
	switch {
	case r.Method == http.MethodPost && what == "orders" && id == "":
		o := new(order)
		if err := json.NewDecoder(r.Body).Decode(o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		known := len(s.customers[o.Customer]) > 0
		s.mu.Unlock()
		if !known {
			http.Error(w, "no such customer", http.StatusNotFound)
			return
		}
		s.add(o)
		w.WriteHeader(http.StatusCreated)
		reply(w, render(o))
	case r.Method == http.MethodGet && what == "orders" && err == nil:
		page := s.pages.get(n)
		if page == nil {
			s.mu.Lock()
			o := s.orders[n]
			s.mu.Unlock()
			if o == nil {
				http.NotFound(w, r)
				return
			}
			page = render(o)
			s.pages.put(n, page)
		}
		reply(w, page)
	case r.Method == http.MethodGet && what == "customers" && err == nil:
		s.mu.Lock()
		mine := s.customers[n]
		s.mu.Unlock()
		if mine == nil {
			http.NotFound(w, r)
			return
		}
		reply(w, render(mine))
	default:
		http.NotFound(w, r)
	}
}

func render(v any) []byte {
	page, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // the types above can all be written as JSON
	}
	return page
}

func reply(w http.ResponseWriter, page []byte) {
	if _, err := w.Write(page); err != nil {
		log.Print(err)
	}
}

// cache keeps the pages that were asked for last.
type cache struct {
	mu    sync.Mutex
	pages map[int]*list.Element
	order list.List
}

type cached struct {
	id   int
	page []byte
}

func (c *cache) get(id int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[id]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*cached).page
}

func (c *cache) put(id int, page []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pages[id] != nil {
		return
	}
	c.pages[id] = c.order.PushFront(&cached{id, page})
	if c.order.Len() > pagesCached {
		oldest := c.order.Remove(c.order.Back()).(*cached)
		delete(c.pages, oldest.id)
	}
}

func (c *cache) drop(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.pages[id]; e != nil {
		c.order.Remove(e)
		delete(c.pages, id)
	}
}
