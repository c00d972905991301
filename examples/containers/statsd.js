// The configuration of StatsD in the Graphite image: one JavaScript object.
{
  port: 8125,
  mgmt_port: 8126,

  backends: ['./backends/graphite'],
  graphiteHost: '127.0.0.1',
  graphitePort: 2003,

  // In milliseconds: as often as services send, and the step of the finest
  // archive in the image's storage-schemas.conf (10s:6h,1m:6d,10m:1800d).
  flushInterval: 10000,

  // A container that is gone must not look like one that idles: its gauges end
  // after so many flushes without news. One datagram may get lost.
  deleteGauges: true,
  gaugesMaxTTL: 3
}
