# shellcheck shell=bash
# What up and down share: where things are, and how a process is known again.

cache=${XDG_CACHE_HOME:-${HOME:?is not set, and XDG_CACHE_HOME neither}/.cache}
work=${RUNTIMEMETRICS_GRAPHITE_DIR:-$cache/runtimemetrics-graphite}
[[ $work == /* ]] || work=$PWD/$work

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
	say "$@" >&2
	exit 1
}

# lock keeps two runs of up or down on one work directory apart. It ends with
# the script, since what the script starts gets no copy of descriptor 9.
lock() {
	exec 9>"$work/lock"
	flock -w 120 9 || die "another up or down is at work in $work"
}

# identity names one process for good. A pid alone may belong to somebody else
# by now; with the start time, which counts from the boot, it does not.
identity() { # pid
	local stat fields
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	# The second field is the program's name and may hold blanks and brackets.
	read -ra fields <<<"${stat##*) }"
	[[ ${fields[0]} != Z ]] || return 1
	echo "$1 ${fields[19]} $(</proc/sys/kernel/random/boot_id)"
}

# alive says whether a part is running; its last known pid is then in $pid.
alive() { # part
	local recorded
	[[ -s $work/run/$1.pid ]] || return 1
	recorded=$(<"$work/run/$1.pid")
	pid=${recorded%% *}
	[[ $(identity "$pid") == "$recorded" ]]
}

# group_alive says whether anything of a process group still runs.
group_alive() { # pid of its leader
	cat /proc/[0-9]*/stat 2>/dev/null | sed 's/.*) //' |
		awk -v group="$1" '$3 == group && $1 != "Z" { found = 1 } END { exit !found }'
}

# stop ends parts and returns when they and their children are gone.
stop() { # part...
	local part pid how deadline known=()
	for part; do
		[[ -e $work/run/$part.pid ]] || continue
		pid=
		if alive "$part"; then
			kill -TERM "$pid" 2>/dev/null || true
			known+=("$part $pid stopped")
		else
			known+=("$part ${pid:-none} gone")
		fi
	done
	for part in "${known[@]}"; do
		read -r part pid how <<<"$part"
		deadline=$((SECONDS + 10))
		while alive "$part"; do
			if ((SECONDS >= deadline)); then
				say "$part (pid $pid) does not end by itself: killing it"
				kill -KILL -- "-$pid" 2>/dev/null || true
				deadline=$((SECONDS + 10))
			fi
			sleep 0.1
		done
		# Each part leads a process group of its own. A gunicorn worker whose
		# master was killed notices within a second, and has the port until then.
		while group_alive "$pid" && ((SECONDS < deadline)); do sleep 0.1; done
		rm -f "$work/run/$part.pid"
		case $how in
		stopped) say "stopped $part (pid $pid)" ;;
		gone) say "$part had ended already" ;;
		esac
	done
}
