# shellcheck shell=bash disable=SC2154 # what that sets
# What this stack and ../cluster need of StatsD and Graphite. To be read after
# ../internal/stack.sh.

# Pinned: 0.9.0 is what the configurations and the tests are written for.
statsd=$cache/runtimemetrics-statsd-0.9.0/node_modules/statsd

# shellcheck disable=SC2034 # what up uses
graphite_needs=(
	/usr/bin/carbon-cache=graphite-carbon /usr/bin/graphite-manage=graphite-web /usr/bin/gunicorn=gunicorn
	/usr/lib/python3/dist-packages/whitenoise=python3-whitenoise node=nodejs npm:statsd@0.9.0
)

# The Python parts are the distribution's, by absolute path: a virtual
# environment or packages in the home directory must not get between them.
unset PYTHONPATH PYTHONHOME GUNICORN_CMD_ARGS
export PYTHONNOUSERSITE=1 PYTHONDONTWRITEBYTECODE=1
export DJANGO_SETTINGS_MODULE=graphite.settings GRAPHITE_SETTINGS_MODULE=local_settings

start_graphite_web() {
	export PYTHONPATH=$work/conf
	if [[ ! -s storage/secret_key ]]; then
		(umask 077 && head -c 32 /dev/urandom | base64 >storage/secret_key)
	fi
	quietly /usr/bin/graphite-manage migrate --run-syncdb || die "graphite-web's database could not be made: see above"
	# graphite-web 1.1.8, of Debian 12 and Ubuntu 22.04, calls a function
	# that it does not have when it opens or saves a dashboard.
	rm -rf storage/static
	cp -r /usr/share/graphite-web/static storage/static
	echo 'window.htmlEncode = window.htmlEncode || Ext.util.Format.htmlEncode;' >>storage/static/js/dashboard.js
	# Threads, not processes: a dashboard asks for many graphs at once, and
	# a worker of this kind sees within a second that its master is gone.
	# A graph of several targets is a long address.
	start graphite-web /usr/bin/gunicorn --bind "127.0.0.1:$GRAPHITE_PORT" --limit-request-line 8190 \
		--worker-class gthread --threads 8 --graceful-timeout 2 graphite.wsgi:application
	wait_for graphite-web answers "$GRAPHITE_PORT" /version
}

# start_statsd starts StatsD or its proxy.
start_statsd() { # part script configuration management-port
	start "$1" node --require "$work/conf/util-log.js" "$statsd/$2" "$work/conf/$3"
	wait_for "$1" healthy "$4"
}

# healthy asks as StatsD's proxy does.
healthy() ( # management port
	exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
	echo health >&3
	read -r -t 2 line <&3
	[[ $line == "health: up" ]]
)
