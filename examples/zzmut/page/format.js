// How values and times are written, and where an axis has its ticks.

const binary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const decimal = ["", " k", " M", " G", " T", " P", " E"];

// three returns x with three significant digits; short leaves out zeros at the
// end, which a column of values needs and an axis does not.
function three(x, short) {
  const a = Math.abs(x);
  const text = x.toFixed(a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2);
  return short && text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function bytes(v, short) {
  const a = Math.abs(v);
  let i = 0;
  while (i < binary.length - 1 && a >= 1023.5 * 1024 ** i) i++;
  return (i === 0 ? three(v, true) : three(v / 1024 ** i, short)) + " " + binary[i];
}

function count(v, short) {
  const a = Math.abs(v);
  if (Number.isInteger(v) && a < 1e6 && !(short && a >= 1e4)) return v.toLocaleString("en-US");
  if (a > 0 && a < 0.01) return v.toPrecision(2);
  let i = 0;
  while (i < decimal.length - 1 && a >= 999.5 * 1000 ** i) i++;
  return three(v / 1000 ** i, short) + decimal[i];
}

// duration writes nanoseconds.
function duration(ns, short) {
  const a = Math.abs(ns);
  if (a === 0) return "0";
  if (a < 999.5) return three(ns, short) + " ns";
  if (a < 999.5e3) return three(ns / 1e3, short) + " µs";
  if (a < 999.5e6) return three(ns / 1e6, short) + " ms";
  const s = a / 1e9;
  const sign = ns < 0 ? "-" : "";
  if (s < 119.5) return three(ns / 1e9, short) + " s";
  const two = (n, big, m, small) => sign + n + " " + big + (short && m === 0 ? "" : " " + m + " " + small);
  if (s < 7199.5) return two(Math.floor(Math.round(s) / 60), "min", Math.round(s) % 60, "s");
  const minutes = Math.round(s / 60);
  if (minutes < 48 * 60) return two(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(s / 3600);
  if (short) return sign + three(hours / 24, true) + " d";
  return two(Math.floor(hours / 24), "d", hours % 24, "h");
}

// format writes a value for people. unit is as in the Go type view; short is
// for axes, which leave out what the other ticks say as well.
export function format(v, unit, short = false) {
  if (v === null || v === undefined) return "–";
  const [, base, per] = /^(.*?)(\/s|\/min)?$/.exec(unit);
  let text;
  switch (base) {
    case "bytes": text = bytes(v, short); break;
    case "ns": text = duration(v, short); break;
    case "s": text = duration(v * 1e9, short); break;
    case "cores": text = (short || v >= 0.995 ? three(v, short) : v.toFixed(3)) + (short ? "" : " cores"); break;
    case "share": text = (v !== 0 && Math.abs(v) < 1e-4 ? (v * 100).toPrecision(1) : three(v * 100, short)) + " %"; break;
    default: text = count(per && Math.abs(v) < 100 ? Math.round(v * 100) / 100 : per ? Math.round(v) : v, short);
  }
  if (!per || short) return text;
  return text + (base === "" ? " " : "") + per;
}

// ago writes how long something is ago, in whole seconds.
export function ago(seconds) {
  return duration(Math.max(1, Math.round(seconds)) * 1e9, true);
}

const clockSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

// step returns the distance of two ticks, at least least.
function step(least, unit) {
  if (unit.startsWith("bytes")) return 2 ** Math.ceil(Math.log2(least));
  const second = unit === "ns" ? 1e9 : unit === "s" ? 1 : 0;
  if (second && least > second) {
    const s = clockSteps.find((s) => s * second >= least);
    if (s) return s * second;
  }
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].find((m) => m * power >= least * 0.9999) * power;
}

// What an axis reaches to while all values are 0.
const least = { bytes: 1024, ns: 1000, share: 0.01 };

// ticks returns where an axis from lo to hi, or a little further, is marked.
export function ticks(lo, hi, unit, zero, integers) {
  // Values that hardly differ would be a flat line on an axis that begins at 0;
  // but if they do not differ at all, that is what they are.
  const spread = hi - lo;
  if (zero || spread === 0 || spread > 0.2 * Math.max(Math.abs(lo), Math.abs(hi))) {
    lo = Math.min(0, lo);
    hi = Math.max(0, hi);
  }
  if (lo === hi) return [0, least[unit.split("/")[0]] ?? 1];
  let d = step((hi - lo) / 4, unit);
  if (integers) d = Math.max(1, d);
  const first = Math.floor(lo / d + 1e-9);
  const last = Math.max(first + 1, Math.ceil(hi / d - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * d);
}

// timeTicks returns the marks of a time axis, in Unix milliseconds, and how
// each is written.
export function timeTicks(t0, t1, width) {
  const fits = (s) => (t1 - t0) / 1000 / s <= width / (s < 60 ? 84 : 62); // one with seconds is wider
  const d = (clockSteps.find(fits) ?? 86400) * 1000;
  const marks = [];
  for (let t = Math.ceil(t0 / d) * d; t <= t1; t += d) marks.push([t, clock(t, d < 60_000)]);
  return marks;
}

// clock writes the time of day.
export function clock(t, seconds = true) {
  const at = new Date(t);
  const parts = [at.getHours(), at.getMinutes()];
  if (seconds) parts.push(at.getSeconds());
  return parts.map((n) => String(n).padStart(2, "0")).join(":");
}
