# shellcheck shell=bash
# What up, down and faults share: see ../internal/stack.sh.

# shellcheck disable=SC2034 # what that uses
{
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
	name=cluster
	all=(carbon-a carbon-b relay graphite-web statsd-a statsd-b statsd-c proxy fleet)
	ports=(
		STATSD_PORT 8125 udp proxy STATSD_MGMT_PORT 8126 tcp proxy
		STATSD_A_PORT 8127 udp statsd-a STATSD_A_MGMT_PORT 8128 tcp statsd-a
		STATSD_B_PORT 8129 udp statsd-b STATSD_B_MGMT_PORT 8130 tcp statsd-b
		STATSD_C_PORT 8131 udp statsd-c STATSD_C_MGMT_PORT 8132 tcp statsd-c
		RELAY_PORT 2003 tcp relay
		CARBON_A_PORT 2013 tcp carbon-a CARBON_A_QUERY_PORT 7012 tcp carbon-a
		CARBON_B_PORT 2023 tcp carbon-b CARBON_B_QUERY_PORT 7022 tcp carbon-b
		GRAPHITE_PORT 8080 tcp graphite-web
	)
}
. "$here/../internal/stack.sh"
