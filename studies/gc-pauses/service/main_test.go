package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestShop(t *testing.T) {
	s := newShop(100)
	server := httptest.NewServer(s)
	defer server.Close()
	get := func(path string, into any) {
		t.Helper()
		answer, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("GET %s: %s", path, answer.Status)
		}
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
	}
	post := func(body string) (*http.Response, order) {
		t.Helper()
		answer, err := http.Post(server.URL+"/orders", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var o order
		if answer.StatusCode == http.StatusCreated {
			if err := json.NewDecoder(answer.Body).Decode(&o); err != nil {
				t.Fatal(err)
			}
		}
		return answer, o
	}

	var old order
	get("/orders/4", &old)
	if old.ID != 4 || old.Customer != 3 || len(old.Lines) == 0 {
		t.Errorf("order 4 is %+v", old)
	}
	// It takes the place of the customer's oldest, also in the cache.
	if _, o := post(`{"customer":3,"lines":[{"sku":"new"}]}`); o.ID != 4 {
		t.Errorf("the new order has ID %d, want 4", o.ID)
	}
	var now order
	if get("/orders/4", &now); len(now.Lines) != 1 || now.Lines[0].SKU != "new" {
		t.Errorf("order 4 is %+v after it was replaced", now)
	}
	var mine []order
	if get("/customers/3", &mine); len(mine) != perCustomer || mine[perCustomer-1].ID != 4 || mine[0].ID != 14 {
		t.Errorf("the customer has %d orders, first %d, last %d", len(mine), mine[0].ID, mine[len(mine)-1].ID)
	}
	if len(s.orders) != 100 {
		t.Errorf("%d orders, want 100", len(s.orders))
	}

	for body, want := range map[string]int{`{"customer":10}`: http.StatusNotFound, `{`: http.StatusBadRequest} {
		if answer, _ := post(body); answer.StatusCode != want {
			t.Errorf("POST %s: %s, want %d", body, answer.Status, want)
		}
	}
	for _, path := range []string{"/", "/orders/101", "/orders/x", "/customers/10"} {
		answer, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s, want 404", path, answer.Status)
		}
	}
}

func TestCacheKeepsWhatWasAskedForLast(t *testing.T) {
	s := newShop(10)
	for id := 1; id <= pagesCached; id++ {
		s.pages.put(id, []byte("page"))
	}
	s.pages.get(1)
	s.pages.put(pagesCached+1, []byte("page"))
	if s.pages.get(1) == nil || s.pages.get(2) != nil || len(s.pages.pages) != pagesCached {
		t.Errorf("of %d pages, 1 is kept: %t, 2 is kept: %t", len(s.pages.pages), s.pages.get(1) != nil, s.pages.get(2) != nil)
	}
}
