# shellcheck shell=bash
# What up and down share, here and in the examples beside this one: where things
# are, how a process is started, known again and stopped.

cache=${XDG_CACHE_HOME:-${HOME:?is not set, and XDG_CACHE_HOME neither}/.cache}
work=${RUNTIMEMETRICS_GRAPHITE_DIR:-$cache/runtimemetrics-graphite}
[[ $work == /* ]] || work=$PWD/$work

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
	say "$@" >&2
	exit 1
}

have() { command -v "$1" >/dev/null; }

as_root() {
	if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# quietly shows what a command printed only if it failed.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	((status == 0)) || tail -n 20 "$log" >&2
	rm -f "$log"
	return "$status"
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

started=()

# take_back_on_failure has a start that fails half-way, is interrupted, or loses
# its reader (up | head) take back what it started.
take_back_on_failure() {
	trap take_back EXIT
	trap 'exit 130' INT
	trap 'exit 141' PIPE
	trap 'exit 143' TERM HUP
}

take_back() {
	(($?)) || return 0
	trap '' PIPE
	stop "${started[@]}" >&2 || true
}

start() { # part command...
	local part=$1
	shift
	# By setsid, so that neither Ctrl-C nor the end of the terminal reaches it.
	setsid "$@" </dev/null >>"$work/log/$part.log" 2>&1 9>&- &
	identity $! >"$work/run/$part.pid" || true
	started+=("$part")
}

fail() { # part words...
	local part=$1
	shift
	say "$*; the end of $work/log/$part.log:" >&2
	tail -n 15 "$work/log/$part.log" | sed 's/^/    /' >&2
	exit 1
}

wait_for() { # part seconds command...
	local part=$1 deadline=$((SECONDS + $2))
	shift 2
	until "$@" 2>/dev/null; do
		alive "$part" || fail "$part" "$part ended at once"
		((SECONDS < deadline)) || fail "$part" "$part is not ready after a long wait"
		sleep 0.2
	done
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }
