// The configuration of one of three StatsD: one JavaScript object.
{
  address: '127.0.0.1',
  port: @PORT@,
  mgmt_address: '127.0.0.1',
  mgmt_port: @MGMT_PORT@,

  backends: ['./backends/graphite'],
  graphiteHost: '127.0.0.1',
  graphitePort: @RELAY_PORT@,

  // Its statistics of itself; without a name each the three overwrite each other.
  prefixStats: 'statsd.@NAME@',

  // In milliseconds; the first archive in storage-schemas.conf has to have the same.
  flushInterval: 1000,

  // When another StatsD has died or has come back, gauges move, and the one that
  // had them repeats their last value beside the one that has them now. Without
  // this it does so for ever. gaugesMaxTTL is in flushes: with pause / flush + 1
  // a line has no gaps, each one more is for a lost datagram, and for so many
  // flushes an old value may be seen among the new ones.
  deleteGauges: @STATSD_DELETE_GAUGES@,
  gaugesMaxTTL: 3,
  // Counters and timers of other clients move in the same way.
  deleteIdleStats: true,

  automaticConfigReload: false
}
