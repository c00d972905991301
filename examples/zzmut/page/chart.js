// One chart: a card with title, help, plot and legend.

import { clock, format, ticks, timeTicks } from "./format.js";

// The plot's margins hold the marks of the axes.
const left = 62, right = 6, top = 8, bottom = 20;

// element makes an HTML element; children may be text.
export function element(name, properties = {}, ...children) {
  const e = Object.assign(document.createElement(name), properties);
  e.append(...children);
  return e;
}

function svg(name, attributes = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// setText changes a text only if it is another one: a change costs layout, and
// screen readers speak it.
function setText(e, text) {
  if (e.textContent !== text) e.textContent = text;
}

// How much larger than what is used a limit may be, to be in sight.
const near = 4;

let clips = 0;

export class Chart {
  // spec is a chart as in the Go type; hover is called with the chart and a
  // time when the reader points at one, or with null.
  constructor(spec, hover) {
    this.spec = spec;
    this.hover = hover;
    this.chosen = 0; // of spec.views
    this.hidden = new Set(); // keys of curves that the reader has switched off
    this.data = { times: [], values: {}, gap: 0 };
    this.range = [0, 1];
    this.offset = 0; // from the times of the data to Unix milliseconds
    this.visible = false;

    this.now = element("span", { className: "now" });
    this.header = element("header", {}, element("h3", { textContent: spec.title }));
    if (spec.views.length > 1) {
      this.viewButton = element("button", { className: "view", type: "button", title: "Show the value, or how fast it grows" });
      this.viewButton.onclick = () => {
        this.chosen = (this.chosen + 1) % spec.views.length;
        this.build();
        this.draw();
      };
      this.header.append(this.viewButton);
    }
    this.header.append(this.now);
    const clip = "clip" + ++clips;
    this.clip = svg("rect", { y: 0 });
    this.grid = svg("g");
    this.curves = svg("g", { "clip-path": `url(#${clip})` });
    this.cursor = svg("g");
    this.picture = svg("svg", { "aria-hidden": "true" },
      svg("clipPath", { id: clip }, this.clip), this.grid, this.curves, this.cursor);
    this.tip = element("div", { className: "tip", hidden: true });
    this.tip.setAttribute("aria-live", "polite");
    this.plot = element("div", { className: "plot", tabIndex: 0 }, this.picture, this.tip);
    this.plot.setAttribute("role", "group");
    this.legend = element("ul", { className: "legend" });
    this.element = element("article", { className: "chart" },
      this.header, element("p", { className: "help", textContent: spec.help }), this.plot, this.legend);
    this.element.dataset.chart = spec.id;
    this.listen();
    this.build();
  }

  get view() { return this.spec.views[this.chosen]; }

  // listen wires pointer and keyboard.
  listen() {
    const at = (event) => {
      const box = this.plot.getBoundingClientRect();
      const part = (event.clientX - box.left - left) / (box.width - left - right);
      const [t0, t1] = this.range;
      return t0 + Math.min(1, Math.max(0, part)) * (t1 - t0);
    };
    this.plot.onpointermove = (e) => this.hover(this, at(e));
    this.plot.onpointerdown = this.plot.onpointermove;
    // A finger that is lifted leaves the values to be read.
    this.plot.onpointerleave = (e) => { if (e.pointerType === "mouse") this.hover(null, null); };
    this.plot.onblur = () => this.hover(null, null);
    this.plot.onkeydown = (e) => {
      const { times } = this.data;
      const from = this.index(this.time ?? this.range[1]);
      const to = { ArrowLeft: from - (this.time ? 1 : 0), ArrowRight: from + 1, Home: this.index(this.range[0]), End: times.length - 1 }[e.key];
      if (e.key === "Escape") this.hover(null, null);
      else if (to === undefined || times.length === 0) return;
      else this.hover(this, Math.max(this.range[0], times[Math.min(times.length - 1, Math.max(0, to))]));
      e.preventDefault();
    };
  }

  // build makes what depends on the view: legend, curves, tip.
  build() {
    const { curves } = this.view;
    const several = curves.length > 1;
    if (this.viewButton) this.viewButton.textContent = this.spec.views[(this.chosen + 1) % this.spec.views.length].label;
    this.now.hidden = several;
    this.curves.replaceChildren();
    this.cursor.style.display = "none";
    this.cursor.replaceChildren(this.cursorLine = svg("line", { class: "cursor" }));
    this.tip.replaceChildren(this.tipTime = element("p"), element("ul"));
    this.legend.replaceChildren();
    this.parts = curves.map((curve, i) => {
      const color = "color-" + i % 6;
      const part = {
        curve,
        area: several ? null : svg("path", { class: "area " + color }),
        line: svg("path", { class: `line ${color}${curve.dashed ? " dashed" : ""}` }),
        dot: svg("circle", { class: "dot " + color, r: 3.5 }),
        tipRow: element("li"),
        tipValue: element("span", { className: "value" }),
      };
      const swatch = () => element("span", { className: `swatch ${color}${curve.dashed ? " dashed" : ""}` });
      this.curves.prepend(...[part.area, part.line].filter(Boolean)); // the first curve lies on top
      this.cursor.append(part.dot);
      part.tipRow.append(swatch(), element("span", { className: "label", textContent: curve.label }), part.tipValue);
      this.tip.lastChild.append(part.tipRow);
      if (several) {
        part.legendValue = element("span", { className: "value" });
        part.label = element("span", { className: "label", textContent: curve.label });
        part.button = element("button", { type: "button", title: "Show or hide " + curve.label }, swatch(), part.label, part.legendValue);
        part.button.onclick = () => {
          if (!this.hidden.delete(curve.key)) this.hidden.add(curve.key);
          this.draw();
        };
        this.legend.append(element("li", {}, part.button));
      }
      return part;
    });
    this.legend.classList.toggle("stats", !several);
    this.legend.classList.toggle("wide", curves.some((c) => c.label.length > 9));
    this.stats = null;
    if (!several) {
      this.stats = ["min", "mean", "max"].map((label) => {
        const value = element("span", { className: "value" });
        this.legend.append(element("li", {}, element("div", {}, element("span", { textContent: label }), value)));
        return value;
      });
    }
  }

  // index returns the frame that is nearest to a time.
  index(t) {
    const { times } = this.data;
    let lo = 0, hi = times.length - 1;
    while (lo < hi) {
      const middle = (lo + hi) >> 1;
      if (times[middle] < t) lo = middle + 1; else hi = middle;
    }
    return lo > 0 && t - times[lo - 1] < times[lo] - t ? lo - 1 : lo;
  }

  // draw draws everything anew. It is called once a second while the chart is
  // in sight.
  draw(data = this.data, range = this.range, offset = this.offset) {
    Object.assign(this, { data, range, offset });
    if (!this.visible) return;
    const box = this.plot.getBoundingClientRect();
    this.width = box.width;
    this.height = box.height;
    if (box.width < left + right + 10) return;

    const [t0, t1] = range;
    const shown = this.parts.filter((p) => !this.hidden.has(p.curve.key));
    const { lo, hi, integers } = this.extent(shown);
    const marks = ticks(lo, hi, this.view.unit, this.spec.zero, integers);
    this.bottomValue = marks[0];
    this.topValue = marks[marks.length - 1];
    this.drawGrid(marks);
    let empty = true;
    for (const p of this.parts) {
      const hidden = this.hidden.has(p.curve.key);
      p.button?.setAttribute("aria-pressed", String(!hidden));
      const runs = hidden ? [] : this.runs(data.values[p.curve.key] ?? []);
      if (runs.length > 0) empty = false;
      p.line.setAttribute("d", runs.map((r) => "M" + r.map((q) => q.join(" ")).join("L") + (r.length === 1 ? "h0" : "")).join(""));
      const base = this.height - bottom;
      // On an axis that does not begin at 0, an area would say nothing.
      p.area?.setAttribute("d", this.bottomValue !== 0 ? "" : runs.map((r) => `M${r[0][0]} ${base}L${r.map((q) => q.join(" ")).join("L")}L${r[r.length - 1][0]} ${base}Z`).join(""));
    }
    if (empty && shown.length > 0) {
      const note = svg("text", { class: "none", x: (left + this.width - right) / 2, y: (top + this.height - bottom) / 2, "text-anchor": "middle" });
      note.textContent = "no data in this time";
      this.grid.append(note);
    }
    // A limit that is far above what is drawn is in the legend only, and says so.
    for (const p of this.parts) {
      const latest = this.latest();
      const above = p.curve.dashed && latest >= 0 && this.value(p, latest) > this.topValue;
      if (p.label) setText(p.label, p.curve.label + (above ? " ↑" : ""));
    }
    this.drawStats(integers);
    this.describe(t0, t1);
    this.point(this.time ?? null, this.own);
  }

  // extent returns the lowest and the highest value in sight.
  extent(parts) {
    const { times, values } = this.data;
    let lo = Infinity, hi = -Infinity, integers = this.view.unit === "";
    const first = this.firstInSight();
    // A limit of gigabytes would make what is used a flat line: it is drawn if it
    // is near. The legend has its value in any case.
    const used = parts.filter((p) => !p.curve.dashed);
    const extent = used.length > 0 && used.length < parts.length ? this.extent(used) : null;
    for (const p of parts) {
      const v = values[p.curve.key] ?? [];
      for (let i = first; i < times.length; i++) {
        if (v[i] === null || v[i] === undefined) continue;
        if (extent && p.curve.dashed && extent.hi > 0 && v[i] > near * extent.hi) continue;
        if (v[i] < lo) lo = v[i];
        if (v[i] > hi) hi = v[i];
        if (integers && !Number.isInteger(v[i])) integers = false;
      }
    }
    return lo > hi ? { lo: 0, hi: 0, integers } : { lo, hi, integers };
  }

  firstInSight() {
    const i = this.index(this.range[0]);
    return this.data.times[i] < this.range[0] ? i + 1 : i;
  }

  x(t) {
    const [t0, t1] = this.range;
    return left + (t - t0) / (t1 - t0) * (this.width - left - right);
  }

  y(v) {
    return top + (this.topValue - v) / (this.topValue - this.bottomValue) * (this.height - top - bottom);
  }

  drawGrid(marks) {
    const { width, height } = this;
    const parts = [];
    for (const v of marks) {
      const y = Math.round(this.y(v)) + 0.5;
      parts.push(svg("line", { class: v === this.bottomValue ? "base" : "grid", x1: left, x2: width - right, y1: y, y2: y }));
      const label = svg("text", { x: left - 8, y: y + 3.5, "text-anchor": "end" });
      label.textContent = format(v, this.view.unit, true);
      parts.push(label);
    }
    const { offset } = this;
    for (const [t, text] of timeTicks(...this.range.map((t) => t + offset), width - left - right)) {
      const x = this.x(t - offset);
      parts.push(svg("line", { class: "base", x1: x, x2: x, y1: height - bottom, y2: height - bottom + 4 }));
      // A label that would stick out is left out.
      if (x < left + 4 || x > width - right - 18) continue;
      const label = svg("text", { x, y: height - 4, "text-anchor": "middle" });
      label.textContent = text;
      parts.push(label);
    }
    this.grid.replaceChildren(...parts);
    for (const [k, v] of Object.entries({ x: left, width: width - left - right, height })) this.clip.setAttribute(k, v);
  }

  // runs returns the points of a curve in pixels, in pieces that end where data
  // is missing. Of the values that fall on one column of pixels, the first, the
  // lowest, the highest and the last are enough to draw the same line.
  runs(values) {
    const { times, gap } = this.data;
    const runs = [];
    let run, column, kept, before = -Infinity;
    const flush = () => {
      if (!kept) return;
      const points = [...new Set([kept.first, ...(kept.low < kept.high ? [kept.low, kept.high] : [kept.high, kept.low]), kept.last])];
      for (const i of points) run.push([this.x(times[i]).toFixed(1), this.y(values[i]).toFixed(1)]);
      kept = null;
    };
    for (let i = Math.max(0, this.firstInSight() - 1); i < times.length; i++) {
      const v = values[i];
      if (v === null || v === undefined) continue;
      const c = Math.floor(this.x(times[i]));
      if (times[i] - before > gap) {
        flush();
        runs.push(run = []);
      } else if (c !== column) {
        flush();
      }
      before = times[i];
      column = c;
      if (!kept) kept = { first: i, low: i, high: i, last: i };
      if (v < values[kept.low]) kept.low = i;
      if (v > values[kept.high]) kept.high = i;
      kept.last = i;
    }
    flush();
    return runs;
  }

  // latest returns the frame that is now, if there is one.
  latest() {
    const { times, gap } = this.data;
    const last = times.length - 1;
    return last >= 0 && this.range[1] - times[last] <= Math.max(gap, 3000) ? last : -1;
  }

  // value returns a curve's value in a frame, or shortly before if it did not
  // come with that.
  value(part, frame) {
    const { times, values, gap } = this.data;
    const v = values[part.curve.key] ?? [];
    for (let i = frame; i >= 0 && times[frame] - times[i] < gap; i--) {
      if (v[i] !== null && v[i] !== undefined) return v[i];
    }
    return null;
  }

  drawStats(integers) {
    if (!this.stats) return;
    const v = (this.data.values[this.view.curves[0].key] ?? []).slice(this.firstInSight()).filter((x) => x !== null && x !== undefined);
    const write = (x) => v.length ? format(x(), this.view.unit) : "–";
    setText(this.stats[0], write(() => v.reduce((a, b) => Math.min(a, b))));
    setText(this.stats[1], write(() => {
      const mean = v.reduce((a, b) => a + b, 0) / v.length;
      return integers && mean >= 10 ? Math.round(mean) : mean;
    }));
    setText(this.stats[2], write(() => v.reduce((a, b) => Math.max(a, b))));
  }

  // describe says in words what the plot shows.
  describe(t0, t1) {
    const frame = this.latest();
    const now = this.parts.map((p) => `${p.curve.label} ${frame < 0 ? "no data" : format(this.value(p, frame), this.view.unit)}`);
    this.plot.setAttribute("aria-label", `${this.spec.title}, last ${format((t1 - t0) / 1000, "s", true)}: ${now.join(", ")}. Arrow keys read earlier values.`);
  }

  // point shows the values at a time, or at present if it is null. own tells
  // whether it is this chart that the reader points at.
  point(time, own) {
    this.time = time;
    this.own = own;
    if (!this.visible || !this.width) return;
    let frame = time === null ? this.latest() : this.index(time);
    const { times, gap } = this.data;
    if (time !== null && !(Math.abs(times[frame] - time) <= gap)) frame = -1;
    const pointing = time !== null && time >= this.range[0] && time <= this.range[1];
    const x = !pointing ? 0 : this.x(frame < 0 ? time : Math.max(this.range[0], times[frame]));
    this.cursor.style.display = pointing ? "" : "none";
    for (const [k, v] of Object.entries({ x1: x, x2: x, y1: top, y2: this.height - bottom })) this.cursorLine.setAttribute(k, v);
    for (const p of this.parts) {
      const v = frame < 0 ? null : this.value(p, frame);
      const text = format(v, this.view.unit);
      const hidden = this.hidden.has(p.curve.key);
      if (p.legendValue) setText(p.legendValue, hidden ? "" : text);
      else setText(this.now, text);
      setText(p.tipValue, text);
      p.tipRow.hidden = hidden;
      p.dot.style.display = v === null || hidden ? "none" : "";
      if (v !== null) {
        p.dot.setAttribute("cx", x);
        p.dot.setAttribute("cy", this.y(v));
      }
    }
    this.tip.hidden = !(pointing && own);
    if (!this.tip.hidden) {
      setText(this.tipTime, clock((frame < 0 ? time : times[frame]) + this.offset) + (frame < 0 ? ", no data" : ""));
      const onLeft = x + 12 + this.tip.offsetWidth > this.width;
      this.tip.style.left = onLeft ? "auto" : x + 12 + "px";
      this.tip.style.right = onLeft ? this.width - x + 12 + "px" : "auto";
    }
  }
}
