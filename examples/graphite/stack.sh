# shellcheck shell=bash
# What up and down share: see ../internal/stack.sh.

# shellcheck disable=SC2034 # what that uses
{
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
	name=graphite
	all=(carbon graphite-web statsd fileserver service load)
	ports=(
		STATSD_PORT 8125 udp statsd STATSD_MGMT_PORT 8126 tcp statsd
		CARBON_PORT 2003 tcp carbon CARBON_QUERY_PORT 7002 tcp carbon
		GRAPHITE_PORT 8080 tcp graphite-web
		FILESERVER_PORT 8000 tcp fileserver SERVICE_PORT 8001 tcp service
	)
}
. "$here/../internal/stack.sh"
