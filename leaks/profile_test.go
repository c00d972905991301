package leaks

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// stack is what the parser finds.
type stack struct {
	goroutines int
	pcs        []uintptr
}

func read(text string, chunk int) ([]stack, error) {
	var all []stack
	s := newStacks(func(goroutines int, pcs []uintptr) {
		all = append(all, stack{goroutines, append([]uintptr(nil), pcs...)})
	})
	for len(text) > 0 {
		n := min(chunk, len(text))
		s.Write([]byte(text[:n]))
		text = text[n:]
	}
	return all, s.finish()
}

func TestTheTextOfAProfile(t *testing.T) {
	const none = "goroutineleak profile: total 0\n"
	for _, test := range []struct {
		name, text string
		want       []stack
		fails      bool
	}{
		{name: "without leaks", text: none},
		{name: "Go 1.27", text: `goroutineleak profile: total 4
3 @ 0x47f3ea 0x41425c 0x413e57 0x4e459e 0x485601
#	0x4e459d	main.leak.func1.1+0x1d	/src/main.go:12

1 @ 0x47f3ea 0x414eb9
#	0x4e46d6	main.leak.func5+0x16	/src/main.go:16

`, want: []stack{{3, []uintptr{0x47f3ea, 0x41425c, 0x413e57, 0x4e459e, 0x485601}}, {1, []uintptr{0x47f3ea, 0x414eb9}}}},
		{name: "labels", text: `goroutineleak profile: total 2
2 @ 0x1 0x2
# labels: {"5 @ 0x7":"v\n0", "path":"/"}
#	0x1	main.main+0x1	/src/1 @ 0x8.go:12

`, want: []stack{{2, []uintptr{1, 2}}}},
		{name: "labels longer than what is kept of a line", text: "goroutineleak profile: total 1\n1 @ 0x1\n# labels: {\"k\":\"" + strings.Repeat("5 @ 0x9 ", 1<<16) + "\"}\n#\t0x1\tmain.f\tf.go:1\n\n",
			want: []stack{{1, []uintptr{1}}}},
		{name: "counted, but without a stack", text: "goroutineleak profile: total 3\n2 @ 0x1\n#\t0x1\tmain.f\tf.go:1\n\n1 @\n#\t0x0\n\n",
			want: []stack{{2, []uintptr{1}}}},
		{name: "nothing", fails: true},
		{name: "no end of the last line", text: "goroutineleak profile: total 0", fails: true},
		{name: "fewer than the total", text: "goroutineleak profile: total 3\n2 @ 0x1\n", want: []stack{{2, []uintptr{1}}}, fails: true},
		{name: "more than the total", text: "goroutineleak profile: total 1\n2 @ 0x1\n", fails: true},
		{name: "no number of goroutines", text: "goroutineleak profile: total 1\nx @ 0x1\n", fails: true},
		{name: "a negative number of goroutines", text: "goroutineleak profile: total 1\n-1 @ 0x1\n2 @ 0x1\n", fails: true},
		{name: "a negative total", text: "goroutineleak profile: total -1\n", fails: true},
		{name: "no addresses", text: "goroutineleak profile: total 1\n1 @ main.f\n", fails: true},
		{name: "no total", text: "goroutineleak profile:\n1 @ 0x1\n", fails: true},
		{name: "another text", text: "goroutine 1 [running]:\nmain.main()\n", fails: true},
		{name: "a compressed profile", text: "\x1f\x8b\x08\x00\n\x00\n", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, chunk := range []int{1, 7, 1 << 30} {
				got, err := read(test.text, chunk)
				if !reflect.DeepEqual(got, test.want) || (err != nil) != test.fails {
					t.Errorf("in parts of %d bytes: got %v, %v; want %v, fails: %v", chunk, got, err, test.want, test.fails)
				}
			}
		})
	}
}

func FuzzStacks(f *testing.F) {
	f.Add("goroutineleak profile: total 3\n2 @ 0x1 0x2\n# labels: {}\n#\t0x1\tmain.f\tf.go:1\n\n1 @\n#\t0x0\n\n", 3)
	f.Add("goroutineleak profile: total 0\n", 1)
	f.Fuzz(func(t *testing.T, text string, chunk int) {
		if chunk <= 0 {
			chunk = 1
		}
		whole, wholeErr := read(text, 1<<30)
		parts, partsErr := read(text, chunk)
		if !reflect.DeepEqual(whole, parts) || wholeErr != partsErr {
			t.Errorf("whole: %v, %v; in parts: %v, %v", whole, wholeErr, parts, partsErr)
		}
		sum := 0
		for _, s := range whole {
			if sum += s.goroutines; s.goroutines <= 0 || sum < 0 {
				t.Errorf("%d goroutines of %d", s.goroutines, sum)
			}
			placeOf(frames(s.pcs), "example.com/m")
		}
	})
}

func TestPlaces(t *testing.T) {
	const mod = "example.com/m"
	at := func(functions ...string) []runtime.Frame {
		var all []runtime.Frame
		for i, f := range functions {
			all = append(all, runtime.Frame{Function: f, File: "/src/f.go", Line: i})
		}
		return all
	}
	for _, test := range []struct {
		name   string
		stack  []runtime.Frame
		module string
		want   place
	}{
		{"one's own code at once", at("runtime.gopark", "runtime.chansend", "runtime.chansend1", "main.f"), mod, place{"chan send", "main.f", "f.go", 3, "main.f"}},
		{"the main module in a library", at("runtime.gopark", "runtime.selectgo", "io.(*pipe).read", mod+"/db.(*Pool).get", mod+".Serve", "example.org/lib.run"), mod,
			place{"select", mod + "/db.(*Pool).get", "f.go", 3, "example.org/lib.run"}},
		{"a module whose path begins like the main one's is another", at("runtime.chanrecv1", mod+"x.g", mod+".f"), mod, place{"chan receive", mod + ".f", "f.go", 2, mod + ".f"}},
		{"only a library", at("runtime.chanrecv1", "io.ReadAll", "example.org/lib.g", "example.org/lib.run"), mod, place{"chan receive", "example.org/lib.g", "f.go", 2, "example.org/lib.run"}},
		{"only the standard library", at("runtime.chanrecv2", "net/http.(*x).f", "net/http.(*x).serve"), mod, place{"chan receive", "net/http.(*x).f", "f.go", 1, "net/http.(*x).serve"}},
		{"a module without a dot in its path", at("runtime.chanrecv1", "io.ReadAll", "shop/cart.g"), "shop", place{"chan receive", "shop/cart.g", "f.go", 2, "shop/cart.g"}},
		{"no module is known", at("runtime.chanrecv1", "io.ReadAll", "shop/cart.g", "main.f"), "", place{"chan receive", "main.f", "f.go", 3, "main.f"}},
		{"a path that ends in a version", at("runtime.block", "gopkg.in/m%2ev3.f", "gopkg.in/m%2ev3.g"), "gopkg.in/m.v3", place{"select without cases", "gopkg.in/m%2ev3.f", "f.go", 1, "gopkg.in/m%2ev3.g"}},
		{"what a WaitGroup started waits for a mutex", at("internal/sync.(*Mutex).Lock", "sync.(*Mutex).Lock", "sync.(*WaitGroup).Go.func1"), mod,
			place{"sync.Mutex", "sync.(*WaitGroup).Go.func1", "f.go", 2, "sync.(*WaitGroup).Go.func1"}},
		{"a WaitGroup", at("sync.runtime_SemacquireWaitGroup", "sync.(*WaitGroup).Wait", "main.f"), mod, place{"sync.WaitGroup", "main.f", "f.go", 2, "main.f"}},
		{"a function without a package", at("runtime.chanrecv1", "callback", "main.f"), mod, place{"chan receive", "main.f", "f.go", 2, "main.f"}},
		{"a RWMutex takes a Mutex", at("sync.runtime_SemacquireMutex", "sync.(*Mutex).lockSlow", "sync.(*RWMutex).Lock", "main.f"), mod, place{"sync.RWMutex", "main.f", "f.go", 3, "main.f"}},
		{"type parameters", at("runtime.chansend1", "main.(*Queue[...]).Put", "main.f[...].func1"), mod, place{"chan send", "main.(*Queue[...]).Put", "f.go", 1, "main.f[...].func1"}},
		{"what is new in a later release", at("runtime.gopark", "runtime.waitForGodot", "main.f"), mod, place{"something", "main.f", "f.go", 2, "main.f"}},
		{"nothing but the runtime", at("runtime.gopark", "runtime.chanrecv1"), mod, place{"chan receive", "runtime.chanrecv1", "f.go", 1, "runtime.chanrecv1"}},
		{"no frames", nil, mod, place{waitsFor: "something"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := placeOf(test.stack, test.module); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestAFileIsNamedWithoutItsDirectory(t *testing.T) {
	for _, file := range []string{"/src/shop/cart.go", `C:\src\cart.go`, "example.com/shop@v1.2.3/cart.go", "cart.go"} {
		if got := placeOf([]runtime.Frame{{Function: "main.f", File: file, Line: 7}}, ""); fmt.Sprint(got.file, ":", got.line) != "cart.go:7" {
			t.Errorf("%s: %+v", file, got)
		}
	}
}
