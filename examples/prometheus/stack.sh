# shellcheck shell=bash
# What up and down share: the processes are kept as those of ../graphite are, in
# a work directory of their own.

# shellcheck source=../graphite/stack.sh disable=SC2154 # here is set by who reads this
. "$here/../graphite/stack.sh"

work=${RUNTIMEMETRICS_PROMETHEUS_DIR:-$cache/runtimemetrics-prometheus}
[[ $work == /* ]] || work=$PWD/$work
