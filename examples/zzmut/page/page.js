// Asks the server every second what is new, and draws it.

import { Chart, element } from "./chart.js";
import { ago, format } from "./format.js";

const $ = (id) => document.getElementById(id);
const every = 1000; // milliseconds
const hour = 3600_000;
const byName = new Intl.Collator("en", { numeric: true }); // node2 before node10

const wish = { service: "", minutes: 1 }; // what the reader has chosen
let held = null; // data of the service that is shown, with its id and version
let charts = new Map(); // by id of service and chart
let pointing = { chart: null, time: null };
let now = 0; // of the server, when it last answered, by its clock that is never set
let wall = 0; // the same moment in Unix milliseconds, for people
let span = 0; // milliseconds that are held at least
let listed; // id of the service that the list was last scrolled to

// The choice is in the address, so that it outlives a reload and can be sent.
function readAddress() {
  const fields = new URLSearchParams(location.hash.slice(1));
  wish.service = fields.get("service") ?? "";
  wish.minutes = [1, 5, 15, 60].find((m) => String(m) === fields.get("window")) ?? 1;
  document.querySelector(`#window input[value="${wish.minutes}"]`).checked = true;
}

function writeAddress() {
  const fields = new URLSearchParams({ service: wish.service, window: wish.minutes });
  if (!wish.service) fields.delete("service");
  history.replaceState(null, "", "#" + fields);
}

let timer, asking = false, again = false;

// ask asks for what is new, now and from then on every second.
async function ask() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  clearTimeout(timer);
  const began = performance.now();
  const wanted = wish.minutes * 60_000;
  const fields = { service: wish.service || held?.id || "", span: wanted / 1000 };
  if (held && held.id === fields.service && wanted <= span) {
    fields.version = held.version;
    fields.from = held.from + Math.max(0, held.times.length - 1); // the last frame may not have been whole
  }
  try {
    const response = await fetch("api?" + new URLSearchParams(fields), { cache: "no-store", signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(response.statusText);
    take(await response.json(), wanted);
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
    alerts(["The server of this page does not answer. It is asked again every second."]);
  }
  asking = false;
  const wait = again ? 0 : Math.max(50, every - (performance.now() - began));
  again = false;
  if (!document.hidden) timer = setTimeout(ask, wait);
}

// take puts an answer on the page.
function take(answer, wanted) {
  ({ now, wall } = answer);
  const { shown } = answer;
  if (shown) {
    if (shown.sections) {
      const other = held?.id !== shown.id;
      held = { id: shown.id, version: shown.version, from: shown.from, times: shown.times, values: shown.values };
      span = wanted;
      if (other) point(null, null);
      build(shown.sections);
    } else {
      append(shown);
    }
    held.gap = shown.gap;
  } else {
    held = null;
    build([]);
  }
  answer.services.sort((a, b) => byName.compare(a.id, b.id));
  const service = answer.services.find((s) => s.id === shown?.id);
  heading(service, answer.notices);
  judge(shown);
  footer(answer);
  list(answer.services, service);
  draw();
}

// append adds new frames to those that are held, the last of which they may
// replace, and lets go of what is older than an hour.
function append({ from, times, values }) {
  const keep = from - held.from;
  let drop = 0;
  while (drop < keep && held.times[drop] < now - hour - held.gap) drop++;
  held.times = held.times.slice(drop, keep).concat(times);
  for (const key in held.values) held.values[key] = held.values[key].slice(drop, keep).concat(values[key] ?? times.map(() => null));
  held.from += drop;
}

// build makes the charts of a layout; one that is there already is kept, with
// what the reader has chosen in it.
function build(sections) {
  const old = charts;
  charts = new Map();
  $("sections").replaceChildren(...sections.map((section) => {
    const list = section.charts.map((spec) => {
      const id = JSON.stringify([held.id, spec]);
      const chart = old.get(id) ?? new Chart(spec, point);
      charts.set(id, chart);
      inSight.observe(chart.plot);
      return chart.element;
    });
    return element("section", {}, element("h2", { textContent: section.title }), element("div", { className: "charts" }, ...list));
  }));
  for (const [id, chart] of old) if (!charts.has(id)) inSight.unobserve(chart.plot);
}

// Charts that cannot be seen are not drawn.
const inSight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    for (const chart of charts.values()) {
      if (chart.plot !== target) continue;
      chart.visible = isIntersecting;
      if (held) chart.draw(held, range(), wall - now);
    }
  }
}, { rootMargin: "200px" });

function range() {
  return [now - wish.minutes * 60_000, now];
}

function draw() {
  if (!held) return;
  for (const chart of charts.values()) chart.draw(held, range(), wall - now);
}

// point shows the values at one time in all charts.
function point(chart, time) {
  pointing = { chart, time };
  requestAnimationFrame(() => {
    for (const c of charts.values()) c.point(pointing.time, c === pointing.chart);
  });
}

// setText changes a text only if it is another one, because a screen reader
// speaks what changes.
function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

function heading(service, notices) {
  setText($("name"), service ? service.title : "Waiting for a service");
  document.title = (service ? service.title + " – " : "") + "runtimemetrics live";
  const about = !service ? [] : [
    service.interval ? "every " + format(service.interval < 0.95 ? service.interval : Math.round(service.interval), "s", true) : "",
    `${service.gauges} gauge${service.gauges === 1 ? "" : "s"}`,
    "from " + service.from,
    service.tags.replaceAll(",", ", "),
    service.findings || service.gone !== null ? "" : "nothing found wrong",
  ];
  setText($("about"), about.filter(Boolean).join(" · ") || "Nothing has been received yet.");
  const gone = service && service.gone !== null;
  $("sections").classList.toggle("gone", Boolean(gone));
  $("name").classList.toggle("gone", Boolean(gone));
  const lines = [...(notices ?? [])];
  if (gone) lines.unshift(`Gone since ${ago(service.gone)}: nothing has come from this service, so its curves end.`);
  alerts(lines);
}

function alerts(lines) {
  const box = $("alerts");
  while (box.children.length > lines.length) box.lastChild.remove();
  while (box.children.length < lines.length) box.append(element("p"));
  lines.forEach((line, i) => setText(box.children[i], line));
}

// judge lists what is wrong with the service that is shown. What is listed already
// stays where it is: the reader may be about to click, and a screen reader is told
// of a finding once, not whenever a number in it changes.
function judge(shown) {
  const found = shown?.findings ?? [];
  const section = $("findings");
  section.hidden = found.length === 0;
  const ul = section.querySelector("ul");
  const items = new Map([...ul.children].map((li) => [li.dataset.finding, li]));
  const news = [];
  found.forEach((f, i) => {
    const id = shown.id + " " + f.id;
    let li = items.get(id);
    if (!li) {
      news.push(f.text);
      li = element("li", {}, element("p", { className: "text" }), element("p", { className: "next", textContent: f.next }));
      li.dataset.finding = id;
      if (f.command) {
        li.append(element("code", { textContent: f.command }));
      }
      const show = element("button", { type: "button", textContent: "Show the chart" });
      show.onclick = () => {
        const plot = document.querySelector(`[data-chart="${f.chart}"] .plot`);
        plot.scrollIntoView({ block: "center" });
        plot.focus({ preventScroll: true });
      };
      const link = element("a", { href: f.link, target: "_blank", rel: "noreferrer", textContent: "What it means" });
      link.setAttribute("aria-label", "What it means: " + f.id);
      li.append(element("p", { className: "more" }, show, link));
      // Browsers have a clipboard for pages of localhost, not for those of other addresses.
      if (f.command && navigator.clipboard) {
        const copy = element("button", { type: "button", textContent: "Copy the command" });
        copy.onclick = async () => {
          await navigator.clipboard.writeText(f.command);
          copy.textContent = "Copied";
        };
        li.lastChild.append(copy);
      }
    }
    items.delete(id);
    setText(li.querySelector(".text"), f.text);
    li.querySelector("button").hidden = !document.querySelector(`[data-chart="${f.chart}"]`);
    if (ul.children[i] !== li) ul.insertBefore(li, ul.children[i] ?? null);
  });
  for (const li of items.values()) li.remove();
  if (news.length) $("news").textContent = "Found: " + news.join(" ");
  else if (found.length === 0) setText($("news"), "");
  const wrong = new Set(found.map((f) => f.chart));
  for (const chart of charts.values()) chart.element.classList.toggle("wrong", wrong.has(chart.spec.id));
}

// list keeps the list of services as it should be, without touching what has
// not changed: the reader may be about to click.
function list(services, shown) {
  const gone = services.filter((s) => s.gone !== null).length;
  setText($("services-count"), services.length ? services.length + (gone ? `, ${gone} gone` : "") : "");
  const ul = $("services");
  const items = new Map([...ul.children].map((li) => [li.dataset.service, li]));
  services.forEach((s, i) => {
    let li = items.get(s.id);
    if (!li) {
      // A long name breaks after a dot.
      const name = element("b", {}, ...s.title.split(/(?<=\.)/).flatMap((part) => [part, element("wbr")]));
      const button = element("button", { type: "button", title: s.id }, element("i"), name, element("small"));
      button.onclick = () => choose(s.id);
      li = element("li", {}, button);
      li.dataset.service = s.id;
    }
    items.delete(s.id);
    const found = s.findings ? s.findings + (s.findings === 1 ? " finding" : " findings") : "";
    setText(li.querySelector("small"), s.gone !== null ? "gone since " + ago(s.gone) : [found, s.from, s.tags].filter(Boolean).join(" · "));
    li.classList.toggle("gone", s.gone !== null);
    li.classList.toggle("wrong", s.findings > 0);
    if (s === shown) li.setAttribute("aria-current", "true"); else li.removeAttribute("aria-current");
    if (ul.children[i] !== li) ul.insertBefore(li, ul.children[i] ?? null);
  });
  for (const li of items.values()) li.remove();
  if (shown?.id !== listed) {
    ul.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    listed = shown?.id;
  }
}

function choose(service) {
  wish.service = service;
  writeAddress();
  ask();
}

function footer({ statsd, counts }) {
  setText($("push").firstChild, "--statsd=" + statsd);
  setText($("statsd"), statsd);
  setText($("datagrams"), format(counts.datagrams, ""));
  setText($("bad"), format(counts.bad, ""));
  $("bad").classList.toggle("some", counts.bad > 0);
  setText($("ignored"), format(counts.ignored, ""));
  const last = counts.lastBad;
  $("last-bad").hidden = !last;
  if (last) setText($("last-bad"), `Last bad line, from ${last.from}: “${last.line}” (${last.why})`);
}

$("window").addEventListener("change", (e) => {
  wish.minutes = Number(e.target.value);
  writeAddress();
  point(null, null);
  draw();
  ask();
});
addEventListener("hashchange", () => {
  readAddress();
  ask();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
document.addEventListener("pointerdown", (e) => { if (!e.target.closest(".plot")) point(null, null); });
new ResizeObserver(draw).observe($("sections"));

readAddress();
ask();
