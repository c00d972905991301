// The configuration of StatsD: one JavaScript object.
{
  // Stock StatsD listens on every address of the machine.
  address: '127.0.0.1',
  port: @STATSD_PORT@,
  mgmt_address: '127.0.0.1',
  mgmt_port: @STATSD_MGMT_PORT@,

  backends: ['./backends/graphite'],
  graphiteHost: '127.0.0.1',
  graphitePort: @CARBON_PORT@,

  // In milliseconds. Short, so that a demonstration moves; the stock value is
  // 10 s. The first archive in storage-schemas.conf has to have the same.
  flushInterval: 1000,

  // Stock StatsD repeats the last value of a gauge for ever, so a process that
  // died looks like one that idles. Here a gauge ends when it has not been
  // heard of for gaugesMaxTTL flushes. The slowest sender reports every 10 s,
  // the library's default, which is 10 flushes; 25 of them let one datagram
  // get lost and the next one be late without a gap: 2 x 10 + 5.
  deleteGauges: true,
  gaugesMaxTTL: 25,

  // up writes this file anew; StatsD would read it half-written, and fall.
  automaticConfigReload: false
}
