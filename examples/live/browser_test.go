package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/runtimemetrics/runtimemetrics/collector"
)

// browser is a tab of Chromium.
type browser struct {
	t       *testing.T
	ctx     context.Context
	console <-chan string // what the page has complained of
}

// openBrowser starts Chromium. The test is skipped if there is none, or fails
// if RUNTIMEMETRICS_E2E=required.
func openBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		if os.Getenv("RUNTIMEMETRICS_E2E") == "required" {
			t.Fatal("there is no Chromium on the PATH")
		}
		t.Skip("there is no Chromium on the PATH; apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // which root, as in most containers, cannot have
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, giveUp)
		defer cancel()
		if err := chromedp.Cancel(ctx); err != nil {
			t.Logf("closing the browser: %v", err)
		}
	})

	console := make(chan string, 1000)
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			select {
			case console <- m.String():
			default:
			}
		}
	}()
	b := &browser{t, ctx, console}
	b.look(1200, 900, "light")
	return b
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, giveUp)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of a JavaScript expression as text.
func (b *browser) eval(expression string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, giveUp)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => String(await ("+expression+")))()", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// sees waits until a JavaScript expression is true.
func (b *browser) sees(expression string) {
	b.t.Helper()
	eventually(b.t, expression, func() bool { return b.eval("Boolean("+expression+")") == "true" })
}

// look sets the size of the window in CSS pixels and the colour scheme.
func (b *browser) look(width, height int64, scheme string, options ...chromedp.EmulateViewportOption) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height, options...))
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.t.Fatal(err)
	}
}

// moveTo moves the mouse to a point of an element, given in parts of its size.
func (b *browser) moveTo(selector string, x, y float64) {
	b.t.Helper()
	var px, py float64
	box := b.eval(fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.scrollIntoView({ block: "nearest" });
		const b = e.getBoundingClientRect(); return [b.x + %v * b.width, b.y + %v * b.height].join(" ") })()`, selector, x, y))
	if _, err := fmt.Sscan(box, &px, &py); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.MouseEvent(chromedp.MouseMoved, px, py))
}

// hovers moves the mouse to a point of an element until a JavaScript expression is
// true: what is found wrong in between, such as a busy machine, moves the charts.
func (b *browser) hovers(selector string, x, y float64, expression string) {
	b.t.Helper()
	eventually(b.t, expression, func() bool {
		b.moveTo(selector, x, y)
		return b.eval("Boolean("+expression+")") == "true"
	})
}

// click clicks an element.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

// serviceProcess starts another program that imports the library, and returns a
// function that kills it.
func serviceProcess(t *testing.T, binary, statsd, prefix string) (kill func()) {
	t.Helper()
	cmd := exec.Command(binary, "--statsd="+statsd, "--metric-prefix="+prefix, "--pause=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}

func buildService(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", binary, "./testdata/service").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// curveOf is the JavaScript for the path of a chart's first curve.
func curveOf(chart string) string {
	return fmt.Sprintf(`document.querySelector('[data-chart=%q] .line:last-of-type')?.getAttribute("d")`, chart)
}

func TestPageInABrowser(t *testing.T) {
	b := openBrowser(t)
	l := start(t, config{sample: true})
	binary := buildService(t)
	b.do(chromedp.Navigate(l.page))

	step := func(name string, f func(*browser)) {
		if !t.Failed() {
			t.Run(name, func(t *testing.T) { f(&browser{t, b.ctx, b.console}) })
		}
	}

	step("charts are drawn and change", func(b *browser) {
		b.sees(`document.querySelector("#name").textContent === "go.sample"`)
		for _, c := range []string{"goroutines", "heap", "allocation", "pause", "rate", "since"} {
			b.sees(curveOf(c) + `?.split("L").length > 2`)
		}
		before := b.eval(curveOf("goroutines"))
		b.sees(curveOf("goroutines") + " !== " + fmt.Sprintf("%q", before))
		want(b.t, b.eval(`document.querySelectorAll("[data-chart=heap] .line[d^=M]").length`), "6")
		b.sees(`document.querySelector("[data-chart='shop.requests_in_flight']")`)
	})

	step("a curve moves with what is measured", func(b *browser) {
		// The sample's goroutines come and go, so its curve is no straight line.
		b.sees(`new Set(` + curveOf("goroutines") + `.match(/ [\d.]+/g)).size > 3`)
	})

	step("hovering shows the values of all curves", func(b *browser) {
		b.hovers("[data-chart=heap] .plot", 0.97, 0.5, `!document.querySelector("[data-chart=heap] .tip").hidden`)
		for _, row := range strings.Split(b.eval(`[...document.querySelectorAll("[data-chart=heap] .tip li")].map((e) => e.innerText.replaceAll("\n", " ")).join("|")`), "|") {
			fields := strings.Fields(row)
			if len(fields) < 3 || !strings.HasSuffix(fields[len(fields)-1], "B") {
				b.t.Errorf("%q is not a name and a size", row)
			}
		}
		want(b.t, b.eval(`document.querySelectorAll("[data-chart=heap] .tip li").length`), "6")
		b.sees(`document.querySelector("[data-chart=goroutines] .cursor").parentNode.style.display === ""`)
		b.sees(`document.querySelector("[data-chart=goroutines] .tip").hidden`)
		b.hovers("h1", 0.5, 0.5, `document.querySelector("[data-chart=heap] .tip").hidden`)
	})

	step("arrow keys read values too", func(b *browser) {
		b.eval(`document.querySelector("[data-chart=pause] .plot").focus()`)
		b.do(chromedp.KeyEvent(kb.ArrowLeft))
		b.sees(`!document.querySelector("[data-chart=pause] .tip").hidden`)
		at := b.eval(`document.querySelector("[data-chart=pause] .tip p").textContent`)
		b.do(chromedp.KeyEvent(kb.ArrowLeft))
		b.sees(fmt.Sprintf(`document.querySelector("[data-chart=pause] .tip p").textContent !== %q`, at))
		b.do(chromedp.KeyEvent(kb.Escape))
		b.sees(`document.querySelector("[data-chart=pause] .tip").hidden`)
	})

	step("the legend switches a curve off and on", func(b *browser) {
		for _, lines := range []string{"5", "6"} {
			b.click("[data-chart=heap] .legend li:nth-child(3) button")
			b.sees(`document.querySelectorAll("[data-chart=heap] .line[d^=M]").length === ` + lines)
		}
	})

	step("a gauge that is not known can be seen as a rate", func(b *browser) {
		const card = `[data-chart='shop.cache.bytes']`
		b.eval(`document.querySelector("` + card + `").scrollIntoView()`)
		b.sees(`document.querySelector("` + card + ` .now").textContent.endsWith("iB")`)
		b.click(card + " .view")
		b.sees(`document.querySelector("` + card + ` .now").textContent.endsWith("B/s")`)
		b.eval(`scrollTo(0, 0)`)
	})

	step("a time window is chosen and kept", func(b *browser) {
		b.eval(`document.querySelector('#window input[value="15"]').click()`)
		b.sees(`location.hash.includes("window=15")`)
		b.sees(`document.querySelector("[data-chart=heap] .plot").getAttribute("aria-label").includes("last 15 min")`)
		b.do(chromedp.Reload())
		b.sees(`document.querySelector('#window input[value="15"]').checked`)
		b.eval(`document.querySelector('#window input[value="1"]').click()`)
		b.sees(curveOf("goroutines"))
	})

	const other = "go.web1.eu.example.net"
	kill := serviceProcess(t, binary, l.statsd, other)
	item := fmt.Sprintf(`[data-service=%q]`, other)

	step("another process appears and can be picked", func(b *browser) {
		b.sees(`document.querySelector('` + item + `')`)
		b.click(item + " button")
		b.sees(fmt.Sprintf(`document.querySelector("#name").textContent === %q`, other))
		b.sees(fmt.Sprintf(`document.querySelector('[aria-current=true]').dataset.service === %q`, other))
		b.sees(curveOf("goroutines") + `?.split("L").length > 2`)
		b.sees(`document.querySelector("#about").textContent.startsWith("every 1 s · 27 gauges · from 127.0.0.1:")`)
	})

	step("one that dies is gone, and its curve ends", func(b *browser) {
		kill()
		b.sees(`document.querySelector('` + item + `').classList.contains("gone")`)
		b.sees(`/^Gone since \d+(\.\d)? s/.test(document.querySelector("#alerts").innerText)`)
		end := `Number(/.*[ML]([\d.]+) /.exec(` + curveOf("goroutines") + `)[1])`
		first := b.eval(end)
		b.sees(end + " < " + first + " - 20") // it wanders off to the left
	})

	step("the same service is back with the same curve", func(b *browser) {
		serviceProcess(b.t, binary, l.statsd, other)
		b.sees(`!document.querySelector('` + item + `').classList.contains("gone")`)
		b.sees(curveOf("goroutines") + `.split("M").length >= 3`) // two pieces, with a gap; more if a tick was late
		want(b.t, b.eval(`document.querySelectorAll("#services li").length`), "2")
	})

	step("bad lines are counted, and text from outside stays text", func(b *browser) {
		push(b.t, l, "<img src=x onerror=alert(1)>:1|g\n<b>bad</b>")
		b.sees(`document.querySelector("#bad").textContent === "1"`)
		b.sees(`document.querySelector("#last-bad").textContent.includes("<b>bad</b>")`)
		b.click(`[data-service="other gauges"] button`)
		b.sees(`[...document.querySelectorAll("h3")].some((e) => e.textContent === "<img src=x onerror=alert(1)>")`)
		want(b.t, b.eval(`document.querySelectorAll("main img").length`), "0")
		b.click(`[data-service="go.sample"] button`)
		b.sees(`document.querySelector("#name").textContent === "go.sample"`)
	})

	step("it is dark for those who like it dark", func(b *browser) {
		luma := `(() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number); return (r + g + b) / 3 })()`
		b.sees(luma + " > 200")
		b.look(1200, 900, "dark")
		b.sees(luma + " < 50")
	})

	for _, width := range []int64{320, 390, 768} {
		step(fmt.Sprintf("nothing sticks out at %d pixels", width), func(b *browser) {
			b.look(width, 800, "light", chromedp.EmulateMobile, chromedp.EmulateTouch)
			b.sees(`document.documentElement.clientWidth === ` + fmt.Sprint(width))
			b.sees(`document.documentElement.scrollWidth <= innerWidth && innerWidth === ` + fmt.Sprint(width))
			if width < 500 {
				want(b.t, b.eval(`new Set([...document.querySelectorAll(".chart")].map((e) => e.getBoundingClientRect().x)).size`), "1")
			}
			b.sees(`document.querySelector("[data-chart=goroutines] .line").getAttribute("d")`)
		})
	}

	step("nothing is loaded from elsewhere", func(b *browser) {
		want(b.t, b.eval(`performance.getEntriesByType("resource").filter((e) => !e.name.startsWith(location.origin)).length`), "0")
	})

	step("the console is empty", func(b *browser) {
		for {
			select {
			case line := <-b.console:
				b.t.Error(line)
				continue
			default:
			}
			break
		}
	})

	step("a server that ends is noticed", func(b *browser) {
		l.stop()
		b.sees(`document.querySelector("#alerts").innerText.includes("does not answer")`)
	})
}

func TestValuesAreWrittenForPeople(t *testing.T) {
	b := openBrowser(t)
	l := start(t, config{})
	b.do(chromedp.Navigate(l.page))
	for _, tt := range []struct{ call, want string }{
		{`format(0, "")`, "0"},
		{`format(1234567, "")`, "1.23 M"},
		{`format(12345, "")`, "12,345"},
		{`format(12345, "", true)`, "12.3 k"},
		{`format(-5, "")`, "-5"},
		{`format(0.25, "")`, "0.25"},
		{`format(null, "bytes")`, "–"},
		{`format(0, "bytes")`, "0 B"},
		{`format(1023, "bytes")`, "1023 B"},
		{`format(1024, "bytes")`, "1.00 KiB"},
		{`format(1024, "bytes", true)`, "1 KiB"},
		{`format(100.4 * 2 ** 20, "bytes")`, "100 MiB"},
		{`format(2 ** 62, "bytes")`, "4.00 EiB"},
		{`format(1536, "bytes/s")`, "1.50 KiB/s"},
		{`format(0, "ns")`, "0"},
		{`format(83_123, "ns")`, "83.1 µs"},
		{`format(1.5e9, "ns")`, "1.50 s"},
		{`format(119.9, "s")`, "2 min 0 s"},
		{`format(3 * 86400, "s")`, "3 d 0 h"},
		{`format(250e6, "ns/s")`, "250 ms/s"},
		{`format(0.0123, "share")`, "1.23 %"},
		{`format(0.00000456, "share")`, "0.0005 %"},
		{`format(6.4, "/min")`, "6.40 /min"},
		{`format(0.0134, "cores")`, "0.013 cores"},
		{`format(1.5, "cores", true)`, "1.5"},
		{`ago(0.2)`, "1 s"},
		{`ago(12.4)`, "12 s"},
		{`ago(300)`, "5 min"},
		{`ticks(0, 100, "", true, true)`, "0,50,100"},
		{`ticks(0, 3, "", true, true)`, "0,1,2,3"},
		{`ticks(0, 0, "bytes", true)`, "0,1024"},
		{`ticks(0, 100 * 2 ** 20, "bytes", true).map((v) => format(v, "bytes", true))`, "0 B,32 MiB,64 MiB,96 MiB,128 MiB"},
		{`ticks(0, 100e9, "ns", true).map((v) => format(v, "ns", true))`, "0,30 s,60 s,90 s,2 min"},
		{`ticks(1000, 1010, "", false, true)`, "1000,1005,1010"},
		{`ticks(-3, 5, "", false, true)`, "-4,-2,0,2,4,6"},
		{`ticks(7, 7, "", false, true)`, "0,2,4,6,8"},
	} {
		got := b.eval(fmt.Sprintf(`import("./format.js").then(({ format, ago, ticks }) => %s)`, strings.ReplaceAll(tt.call, "\n", " ")))
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.call, got, tt.want)
		}
	}
}

// TestAnHourIsDrawn opens the page on a store that holds a full hour.
func TestAnHourIsDrawn(t *testing.T) {
	b := openBrowser(t)
	s := newStore()
	c := newClock()
	now := c.now()
	for i := 3600; i >= 0; i-- {
		d := datagram{}
		for n, g := range collector.Gauges() {
			v := 1e6 * (1.5 + math.Sin(float64(i)/float64(50*(n+1))) + rand.Float64()/5)
			if g.Kind == collector.Cumulative {
				v = 1e6 * float64(3600-i)
			}
			d.samples = append(d.samples, sample{name: "go.old." + g.Name, value: v})
		}
		if i > 1500 && i < 1800 {
			continue // a gap
		}
		s.add(now.plus(-1000*int64(i)), sender, d)
	}
	server := httptest.NewServer(web(s, c, sender, "", ""))
	defer server.Close()
	b.do(chromedp.Navigate(server.URL + "/#window=60"))
	b.sees(curveOf("goroutines") + `?.split("M").length === 3`)
	// All of the hour is there, but not all of its points have to be drawn.
	columns, err := strconv.Atoi(b.eval(`Math.ceil(document.querySelector("[data-chart=goroutines] .plot").clientWidth)`))
	if err != nil {
		t.Fatal(err)
	}
	points, err := strconv.Atoi(b.eval(curveOf("goroutines") + `.split(/[ML]/).length`))
	if err != nil || points < columns || points > 4*columns {
		t.Errorf("%d points are drawn on %d columns of pixels (%v)", points, columns, err)
	}
	t.Logf("an answer takes %s ms and has %s kB", b.eval(`performance.getEntriesByType("resource").filter((e) => e.name.includes("/api"))[0].duration.toFixed(0)`),
		b.eval(`(performance.getEntriesByType("resource").filter((e) => e.name.includes("/api"))[0].encodedBodySize / 1000).toFixed(0)`))
	if path := os.Getenv("LIVE_HOUR"); path != "" {
		b.moveTo("[data-chart=heap] .plot", 0.5, 0.5)
		b.picture(path)
	}
}

// ill is a feed of two services, one of which has faults. It begins half an hour
// ago.
type ill struct {
	*feed
	second float64
	worlds map[string]world
}

func newIll(now moment) *ill {
	w := healthy()
	w["cpu.goroutines"] = changed(w["cpu.goroutines"], 700, grows(1.5))
	w["runtime.sched.latencies.ns.p99"] = changed(w["runtime.sched.latencies.ns.p99"], 1500, is(40e6))
	w["cgroup.cpu.throttled_periods"] = changed(w["cgroup.cpu.throttled_periods"], 1500, grows(4))
	w["leaks.goroutines"] = changed(w["leaks.goroutines"], 800, func(since float64) float64 { return math.Floor(since / 60) })
	const seconds = 1800
	i := &ill{feed: &feed{store: newStore()}, worlds: map[string]world{"go.checkout.": w, "go.shop.": healthy()}}
	for s := range seconds {
		i.tick(now.plus(int64(1000 * (s - seconds))))
	}
	return i
}

func (i *ill) tick(at moment) {
	for prefix, w := range i.worlds {
		var d datagram
		for name, value := range w {
			d.samples = append(d.samples, sample{name: prefix + name, value: value(i.second)})
		}
		i.add(at, netipPort(uint16(41000+len(prefix))), d)
	}
	i.second++
}

// TestFindingsReachEverybody looks at findings as a reader does who has a mouse, a
// keyboard or a screen reader. LIVE_FINDINGS=DIR writes pictures to that directory.
func TestFindingsReachEverybody(t *testing.T) {
	b := openBrowser(t)
	c := newClock()
	both := newIll(c.now())
	server := httptest.NewServer(web(both.store, c, sender, "", ""))
	defer server.Close()
	// The services go on, so that the page does not call them gone.
	var going sync.WaitGroup
	done := make(chan bool)
	going.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			both.tick(c.now())
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	defer going.Wait()
	defer close(done)

	b.do(chromedp.Navigate(server.URL + "/#window=60&service=go.checkout"))
	const text = `[...document.querySelectorAll("#findings .text")].map((e) => e.innerText).join("|")`
	b.sees(`!document.querySelector("#findings").hidden`)
	for i, part := range []string{"goroutines leaked: nobody can wake them", "The least number of goroutines has risen for", "the CPU quota is used up"} {
		if got := strings.Split(b.eval(text), "|"); len(got) != 3 || !strings.Contains(got[i], part) {
			t.Fatalf("the findings are %q, of which number %d should have %q", got, i, part)
		}
	}
	b.sees(`document.querySelector("#news[role=status]").textContent.startsWith("Found: ")`)
	b.sees(`document.querySelector('[data-service="go.checkout"]').innerText.includes("3 findings")`)
	b.sees(`document.querySelectorAll(".chart.wrong").length === 3`)

	t.Run("by keyboard", func(t *testing.T) {
		b := &browser{t, b.ctx, b.console}
		b.eval(`document.activeElement.blur()`)
		reached := make(map[string]bool)
		for range 40 {
			b.do(chromedp.KeyEvent(kb.Tab))
			reached[b.eval(`document.activeElement.closest("#findings") ? document.activeElement.tagName + " " + [...document.querySelectorAll("#findings li")].indexOf(document.activeElement.closest("li")) : ""`)] = true
		}
		for i := range 3 {
			for _, tag := range []string{"BUTTON", "A"} {
				if !reached[fmt.Sprint(tag, " ", i)] {
					t.Errorf("%s of finding %d cannot be reached", tag, i)
				}
			}
		}
		b.eval(`document.querySelector("#findings li:nth-child(2) button").focus()`)
		b.do(chromedp.KeyEvent(kb.Enter))
		b.sees(`document.activeElement.closest("[data-chart=goroutines]")`)
		b.eval(`document.activeElement.blur(), scrollTo(0, 0)`)
	})

	t.Run("by a screen reader", func(t *testing.T) {
		tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			t.Fatal(err)
		}
		says := make(map[string]bool)
		for _, n := range tree.Nodes {
			if !n.Ignored && n.Role != nil && n.Name != nil {
				says[strings.ToLower(strings.Trim(string(n.Role.Value), `"`)+" "+strings.Trim(string(n.Name.Value), `"`))] = true
			}
		}
		for _, what := range []string{"region What is wrong", "heading What is wrong", "button Show the chart",
			"link What it means: RuntimemetricsGoroutineLeak", "StaticText Look where most of them wait."} {
			if !says[strings.ToLower(what)] {
				t.Errorf("it does not say %q", what)
			}
		}
	})

	t.Run("once", func(t *testing.T) {
		b := &browser{t, b.ctx, b.console}
		b.eval(`(window.told = 0, new MutationObserver((m) => window.told += m.length).observe(document.querySelector("#news"), { childList: true, characterData: true, subtree: true }))`)
		first := b.eval(`document.querySelector("#findings li").dataset.mark = "same"`)
		datagrams := `Number(document.querySelector("#datagrams").textContent.replace(/\D/g, ""))`
		before := b.eval(datagrams)
		b.sees(datagrams + " > 4 + " + before)
		want(t, b.eval(`window.told`), "0")
		want(t, b.eval(`document.querySelector("#findings li").dataset.mark`), first)
	})

	t.Run("and a healthy service has none", func(t *testing.T) {
		b := &browser{t, b.ctx, b.console}
		b.click(`[data-service="go.shop"] button`)
		b.sees(`document.querySelector("#name").textContent === "go.shop" && document.querySelector("#findings").hidden`)
		b.sees(`document.querySelector("#about").textContent.includes("nothing found wrong")`)
		b.click(`[data-service="go.checkout"] button`)
		b.sees(`!document.querySelector("#findings").hidden`)
	})

	for _, width := range []int64{320, 360, 390, 768, 1200, 2200} {
		t.Run(fmt.Sprintf("at %d pixels", width), func(t *testing.T) {
			b := &browser{t, b.ctx, b.console}
			for _, scheme := range []string{"light", "dark"} {
				options := []chromedp.EmulateViewportOption{}
				if width < 800 {
					options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
				}
				b.look(width, 900, scheme, options...)
				b.sees(`document.documentElement.clientWidth === ` + fmt.Sprint(width))
				b.sees(`document.documentElement.scrollWidth <= innerWidth && innerWidth === ` + fmt.Sprint(width))
				// Nothing runs out of its card, and no name in a legend is cut.
				want(t, b.eval(`[...document.querySelectorAll(".chart, #findings li")].filter((card) => [...card.querySelectorAll(".value, .label, h3, .text, .next, a, button")]
					.some((e) => !e.closest(".tip") && e.offsetWidth && (e.getBoundingClientRect().right > card.getBoundingClientRect().right || e.scrollWidth > e.offsetWidth + 1))).map((e) => e.innerText)`), "")
				if dir := os.Getenv("LIVE_FINDINGS"); dir != "" {
					b.picture(filepath.Join(dir, fmt.Sprintf("findings-%d-%s.png", width, scheme)))
					b.eval(`document.querySelector("[data-chart=cpu]").scrollIntoView()`)
					b.picture(filepath.Join(dir, fmt.Sprintf("charts-%d-%s.png", width, scheme)))
					b.eval(`scrollTo(0, 0)`)
				}
			}
		})
	}
}

// TestScreenshot makes the pictures of the README: LIVE_SCREENSHOT=live.png for
// that file, and live-dark.png beside it.
func TestScreenshot(t *testing.T) {
	path := os.Getenv("LIVE_SCREENSHOT")
	if path == "" {
		t.Skip("LIVE_SCREENSHOT is not set to the file to write")
	}
	b := openBrowser(t)
	// With the ports that a reader will see, if they are free.
	l := start(t, config{sample: true, listen: defaultListen, statsd: defaultStatsD})
	binary := buildService(t)
	serviceProcess(t, binary, l.statsd, "go.web1.example.net")
	kill := serviceProcess(t, binary, l.statsd, "go.web2.example.net")
	b.do(chromedp.Navigate(l.page))
	time.Sleep(70 * time.Second)
	kill()
	b.sees(`document.querySelector("#services .gone")`)
	time.Sleep(9 * time.Second)
	if n := b.eval(`document.querySelectorAll("#services li").length`); n != "3" {
		t.Fatalf("there are %s services, so somebody else pushes to %s; try again", n, l.statsd)
	}
	// The longest GC pause in sight, in ns: the charts scale with it.
	const longest = `Math.max(...(await (await fetch("/api?service=go.sample&span=60")).json()).shown.values["mem.gc.pause|"])`
	if ns, err := strconv.ParseFloat(b.eval(longest), 64); err != nil || ns > 5e6 {
		t.Fatalf("GC pauses of %v ns (%v) say that the machine is too busy for its portrait; try again", ns, err)
	}

	ext := filepath.Ext(path)
	for _, scheme := range []string{"light", "dark"} {
		b.look(1200, 924, scheme)
		b.moveTo("[data-chart=rate] .plot", 0.35, 0.5)
		b.picture(path)
		path = strings.TrimSuffix(path, ext) + "-dark" + ext
	}
}

// picture writes what is seen to a file.
func (b *browser) picture(path string) {
	b.t.Helper()
	time.Sleep(1500 * time.Millisecond) // until it is drawn anew
	shot, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		b.t.Fatal(err)
	}
	var small bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&small, img); err != nil {
		b.t.Fatal(err)
	}
	if small.Len() < len(shot) {
		shot = small.Bytes()
	}
	if err := os.WriteFile(path, shot, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%s: %d bytes", path, len(shot))
}
