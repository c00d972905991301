# shellcheck shell=bash
# What up, down and faults share: that of examples/graphite, and another work directory.

# shellcheck source=../graphite/stack.sh
. "$here/../graphite/stack.sh"
work=${RUNTIMEMETRICS_CLUSTER_DIR:-$cache/runtimemetrics-cluster}
[[ $work == /* ]] || work=$PWD/$work

# In the order in which they start.
all=(carbon-a carbon-b relay graphite-web statsd-a statsd-b statsd-c proxy fleet)
