// The configuration of StatsD's cluster proxy: one JavaScript object.
{
  // By address: a name is resolved for each line, and then lines overtake each
  // other, so that a negative gauge may end as 0.
  nodes: [
    {host: '127.0.0.1', port: @STATSD_A_PORT@, adminport: @STATSD_A_MGMT_PORT@},
    {host: '127.0.0.1', port: @STATSD_B_PORT@, adminport: @STATSD_B_MGMT_PORT@},
    {host: '127.0.0.1', port: @STATSD_C_PORT@, adminport: @STATSD_C_MGMT_PORT@},
  ],

  // The example that comes with it says host; what is read is address.
  address: '127.0.0.1',
  port: @STATSD_PORT@,
  mgmt_address: '127.0.0.1',
  mgmt_port: @STATSD_MGMT_PORT@,

  // In milliseconds. For so long a dead StatsD gets its share of the lines, and
  // they are lost; stock is 10 s.
  checkInterval: 1000,

  // Each name is hashed once while there is room for it: more than there are
  // gauges, or each one is hashed each time.
  cacheSize: 10000,

  // With a second process each would keep a ring of its own.
  forkCount: 0,

  // A new configuration would be half taken over: the nodes, not their checks.
  automaticConfigReload: false
}
