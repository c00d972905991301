// A backend of StatsD that tells the simulator what StatsD has counted. It is
// asked by a line on stdin and answers with a line of JSON on descriptor 3, which
// it cannot do before the first flush. When stdin ends, the simulator is gone, and
// StatsD ends too.
const fs = require('fs');
const readline = require('readline');

const names = { packets: 'packets_received', lines: 'metrics_received', bad: 'bad_lines_seen' };
const before = { packets: 0, lines: 0, bad: 0 }; // up to the last flush
let current = null; // StatsD's own hashes: it keeps them, and sets the counters to 0
let early = []; // questions
let blocked = 0;

function tell(what) { fs.writeSync(3, JSON.stringify(what) + '\n'); }

// A flush goes on for some turns of the event loop, until its data is written.
// How long datagrams have to wait meanwhile is how late a timer is.
function watch() {
  const every = 5, end = performance.now() + 3000;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    blocked = Math.max(blocked, now - last - every);
    last = now;
    if (now > end) clearInterval(timer);
  }, every);
}

function answer(question) {
  const counts = { blocked };
  for (const key in names) {
    counts[key] = before[key] + current.counters['statsd.' + names[key]];
  }
  if (question === 'gauges') counts.gauges = Object.keys(current.gauges).length;
  blocked = 0;
  tell(counts);
}

exports.init = (startup, config, events) => {
  events.on('flush', (time, metrics) => {
    current = metrics;
    for (const key in names) before[key] += metrics.counters['statsd.' + names[key]];
    watch();
    // By then StatsD has set its counters to 0.
    if (early.length) setImmediate((questions) => questions.forEach(answer), early);
    early = [];
  });
  readline.createInterface({ input: process.stdin })
    .on('line', (question) => current ? answer(question) : early.push(question))
    .on('close', () => process.exit());
  tell({ startup });
  return true;
};
