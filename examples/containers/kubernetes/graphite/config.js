// The configuration of StatsD: one JavaScript object.
{
  port: 8125,
  // Both kinds of addresses. Without it StatsD listens on IPv4 only, and the
  // gauges of a cluster with IPv6 go nowhere. A node whose kernel was started
  // without IPv6 (ipv6.disable=1) wants false.
  address_ipv6: true,
  mgmt_address: '127.0.0.1',
  mgmt_port: 8126,

  backends: ['./backends/graphite'],
  graphiteHost: 'graphite.example.com',
  graphitePort: 2003,
  // Many StatsDs write to one Graphite: each has statistics of itself of its own,
  // or they would overwrite each other's.
  prefixStats: 'statsd.' + process.env.NODE.replace(/\./g, '_'),

  // In milliseconds: as often as services send, and the step of Graphite's finest
  // archive.
  flushInterval: 10000,

  // A pod that is gone must not look like one that idles: its gauges end after so
  // many flushes without news. One datagram may get lost.
  deleteGauges: true,
  gaugesMaxTTL: 3
}
