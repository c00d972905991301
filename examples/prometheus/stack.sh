# shellcheck shell=bash
# What up and down share: see ../internal/stack.sh.

# shellcheck disable=SC2034 # what that uses
{
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
	name=prometheus
	all=(webhook alertmanager exporter prometheus service leaky)
	ports=(
		EXPORTER_STATSD_PORT 9125 udp exporter EXPORTER_PORT 9102 tcp exporter
		PROMETHEUS_PORT 9090 tcp prometheus
		ALERTMANAGER_PORT 9093 tcp alertmanager WEBHOOK_PORT 9099 tcp webhook
		SERVICE_PORT 8002 tcp service LEAKY_PORT 8003 tcp leaky
	)
}
. "$here/../internal/stack.sh"
