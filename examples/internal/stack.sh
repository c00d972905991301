# shellcheck shell=bash
# What the scripts up and down of the stacks beside this folder share. A stack's
# own stack.sh sets these and then reads this file:
#
#   here   where the stack's files are
#   name   for its work directory, and for the variable that names another one
#   all    the parts, in the order in which they start
#   ports  of each port its variable, default, kind and part
#   late   parts that nobody knows by their ports: they may come later and choose
#   keep   other variables that are to stay as they were for what runs, each with
#          its default
#
# down calls down. up sets synopsis, help and needs (what has to be installed, as
# ./install takes it; to test: of the tests only), defines options, addresses and,
# if not all parts are wanted, wanted, and calls begin.

late=() keep=() needs=() test=()
# shellcheck disable=SC2154,SC2034 # what the stacks set, and what they use
. "$here/../internal/common.sh"

variable=RUNTIMEMETRICS_${name^^}_DIR
work=${!variable:-${cache:+$cache/runtimemetrics-$name}}
[[ -z $work || $work == /* ]] || work=$PWD/$work
printf -v down '%s%q' "${!variable:+$variable=${work@Q} }" "$here/down"

# The first line of $work/ports, which says that a directory is ours.
signature="# runtimemetrics: examples/$name"

ours() { [[ -f $work/ports && $(head -n 1 "$work/ports") == "$signature" ]]; }

# What is in the work directory is believed: which processes to end, which
# directory to remove.
only_ours() {
	trusted "$work" || die "$work, or a directory that it is in, can be written by others, who could have left anything in it: use another one, or take it from them (chmod go-w)"
}

# lock keeps two runs of up or down on one work directory apart. It ends with
# the script, since what the script starts gets no copy of descriptor 9.
lock() {
	exec 9>"$work/lock"
	flock -w 120 9 || die "another up or down is at work in $work"
}

# --- Processes -----------------------------------------------------------------

# identity names one process for good. A pid alone may belong to somebody else
# by now; with the start time, which counts from the boot, it does not.
identity() { # pid
	local stat fields
	[[ $1 =~ ^[1-9][0-9]*$ ]] || return 1
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
# its reader (up | head) stop what it started.
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

# wait_for gives up early on a part that has ended, and late on one that is only
# slow: the machine may be busy.
wait_for() { # part command...
	local part=$1 deadline=$((SECONDS + 120))
	shift
	until "$@" 2>/dev/null; do
		alive "$part" || fail "$part" "$part ended at once"
		((SECONDS < deadline)) || fail "$part" "$part is not ready after a long wait"
		sleep 0.2
	done
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

# get is an HTTP client for loopback, whatever proxy the environment names.
get() ( # port path
	exec 3<>"/dev/tcp/127.0.0.1/$1"
	printf 'GET %s HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' "$2" >&3
	read -r -t 5 _ status _ <&3
	[[ $status == 200 ]] && timeout 5 cat <&3
)

answers() { get "$@" >/dev/null; }

built() { # command...
	have go || die "go not found: parts of this stack are built from source"
	# Without the version control stamp, which fails in a clone that belongs to
	# somebody else.
	(cd "$here" && GOFLAGS="${GOFLAGS-} -buildvcs=false" "$@")
}

# --- down ----------------------------------------------------------------------

down() {
	local i left
	case $* in
	'' | --purge) ;;
	*)
		echo "usage: down [--purge]" >&2
		exit 2
		;;
	esac
	if ! ours; then
		[[ ! -d $work || -z $(ls -A "$work") ]] || die "$work is not what up has made: left as it is"
		say "nothing to stop in ${work:-a work directory, of which there is none without HOME}"
		exit
	fi
	only_ours
	lock
	left=$(find "$work/run" -name '*.pid')
	for ((i = ${#all[@]} - 1; i >= 0; i--)); do stop "${all[i]}"; done
	[[ -n $left ]] || say "nothing was running"
	if [[ ${1-} == --purge ]]; then
		rm -rf "$(realpath "$work")" "$work"
		say "removed $work; what apt-get and npm installed stays"
	fi
}

# --- up ------------------------------------------------------------------------

usage() {
	local i
	cat <<END
usage: up ${synopsis:+$synopsis }[--free-ports] [--no-install]
       up --install

${help:+$help
}  --free-ports  whichever ports are free, instead of the defaults
  --no-install  install nothing; exit 3, naming what is missing
  --install     install what is missing, for the tests as well, and start nothing

Ports, each an environment variable with its default:
END
	for ((i = 0; i < ${#ports[@]}; i += 4)); do printf '  %s=%s (%s)\n' "${ports[@]:i:3}"; done
	echo "$variable is the work directory (now: ${work:-none, since HOME is not set})."
}

among() { # word words...
	local word=$1
	shift
	[[ " $* " == *" $word "* ]]
}

wanted() { parts=("${all[@]}"); }

# in_use says whether somebody has a port, on whatever address. Carbon itself would
# share its port with another carbon and take half of its gauges.
in_use() { # kind port
	local hex
	printf -v hex '%04X' "$2"
	cat "/proc/net/$1" "/proc/net/${1}6" 2>/dev/null |
		awk -v port=":$hex" -v kind="$1" \
			'substr($2, length($2) - 4) == port && (kind == "udp" || $4 == "0A") { found = 1 } END { exit !found }'
}

# choose sets the ports and the other variables to what is given, or to what they
# were for what runs: it knows the others by their ports.
choose() { # whether to look for free ports
	local i variable default kind part value seen=' '
	local -A was=()
	if ((${#running[@]})); then
		while IFS='=' read -r variable value; do was[$variable]=$value; done <"$work/ports"
	fi
	for ((i = 0; i < ${#keep[@]}; i += 2)); do
		variable=${keep[i]} value=${was[${keep[i]}]-}
		[[ -z $value || -z ${!variable-} || ${!variable} == "$value" ]] ||
			die "it is up with $variable=$value: stop it first: $down"
		printf -v "$variable" %s "${!variable:-${value:-${keep[i + 1]}}}"
		[[ ${!variable} =~ ^[a-z]+$ ]] || die "$work/ports: $variable=${!variable} is no such value"
	done
	for ((i = 0; i < ${#ports[@]}; i += 4)); do
		read -r variable default kind part <<<"${ports[*]:i:4}"
		value=${!variable-}
		if [[ -n ${was[$variable]-} ]] && { ! among "$part" "${late[@]}" || among "$part" "${running[@]}"; }; then
			value=${was[$variable]}
		elif [[ -z $value && $1 == yes ]]; then
			# Below those that Linux gives to whoever asks for any.
			until value=$((20000 + RANDOM % 12000)) && [[ $seen != *" $value "* ]] && ! in_use "$kind" "$value"; do :; done
		fi
		printf -v "$variable" %s "${value:-$default}"
		if [[ ! ${!variable} =~ ^[1-9][0-9]{0,4}$ ]] || ((${!variable} > 65535)); then
			die "$variable=${!variable} is not a port: say $variable=18080, for example"
		fi
		seen+="${!variable} "
	done
}

# obstacles prints which ports of what is to be started cannot be had.
obstacles() {
	local i variable default kind part seen=' '
	for ((i = 0; i < ${#ports[@]}; i += 4)); do
		read -r variable default kind part <<<"${ports[*]:i:4}"
		among "$part" "${todo[@]}" || continue
		if [[ $seen == *" $kind/${!variable} "* ]]; then
			say "port ${!variable}/$kind is given twice: set $variable to another one, or say --free-ports"
		elif in_use "$kind" "${!variable}"; then
			say "port ${!variable}/$kind is in use: set $variable to another one, or say --free-ports"
		fi
		seen+="$kind/${!variable} "
	done
}

# begin sets todo, the parts that are to be started, or ends the script.
begin() { # arguments of up
	local argument install=yes start=yes free=no status=0 missing i part
	for argument; do
		case $argument in
		--free-ports) free=yes ;;
		--no-install) install=no ;;
		--install) start=no ;;
		-h | --help)
			usage
			exit
			;;
		*)
			options "$argument" || {
				usage >&2
				exit 2
			}
			;;
		esac
	done
	[[ $install$start != nono ]] || die "--install and --no-install exclude each other"

	[[ $start == yes ]] || needs+=("${test[@]}")
	if [[ $install == yes ]]; then
		"$here/../internal/install" "${needs[@]}"
	else
		missing=$("$here/../internal/install" --check "${needs[@]}") || status=$?
		if ((status == 3)); then say "not installed: $missing; '$here/up --install' installs it" >&2; fi
		((status == 0)) || exit "$status"
	fi
	if [[ $start == no ]]; then
		say "everything is installed"
		exit
	fi

	[[ -n $work ]] || die "HOME is not set, and XDG_CACHE_HOME neither: say $variable=/tmp/some/directory"
	case $work in
	*[\"\'\\\&\|%]* | *[[:cntrl:]]*) die "the name of the work directory goes into configuration files and must do without quotes and \\ & | %: $work" ;;
	esac
	# down --purge removes this directory, so it must be ours and nothing else.
	if ! ours; then
		[[ ! -e $work || -d $work && -z $(ls -A "$work") ]] ||
			die "$work holds something else: $variable wants an empty or a new directory"
		mkdir -p "$work"
		only_ours
		echo "$signature" >"$work/ports"
	fi
	only_ours
	mkdir -p "$work"/{bin,conf,log,run}
	lock

	running=() todo=()
	for part in "${all[@]}"; do
		if alive "$part"; then running+=("$part"); fi
	done
	choose "$free"
	{
		echo "$signature"
		for ((i = 0; i < ${#keep[@]}; i += 2)); do echo "${keep[i]}=${!keep[i]}"; done
		for ((i = 0; i < ${#ports[@]}; i += 4)); do echo "${ports[i]}=${!ports[i]}"; done
	} >"$work/ports"
	wanted
	for part in "${parts[@]}"; do
		among "$part" "${running[@]}" || todo+=("$part")
	done
	if ((${#todo[@]} == 0)); then
		say "it is up already"
		addresses
		exit
	fi
	# Some of it may have died: wait until what it left is gone as well.
	stop "${todo[@]}"

	obstacles=$(obstacles)
	if [[ -n $obstacles ]]; then
		echo "$obstacles" >&2
		((${#running[@]} == 0)) || say "to change the ports of what runs, stop it first: $down" >&2
		die "nothing was started"
	fi
	# What is started is to have its own defaults.
	unset "${!RUNTIMEMETRICS_@}"
	cd "$work"
	take_back_on_failure
}

# configure fills a template in.
configure() { # file name, further sed script
	local script="s|@WORK@|$work|g;${3-}" i
	for ((i = 0; i < ${#ports[@]}; i += 4)); do script+=";s|@${ports[i]}@|${!ports[i]}|g"; done
	sed "$script" "$1" >"$work/conf/$2"
}

is_up() { # part
	alive "$1" || fail "$1" "$1 ended at once"
	say "$1 is up (pid $pid)"
}
