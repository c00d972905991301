# shellcheck shell=bash
# What the stacks beside this folder share. A stack's up reads this file and sets
#
#   all       the parts, in the order in which they start
#   settings  a line for each: its variable, its default, what it is (tcp or udp for a
#             port, else the values that it may have: no|yes), the part that has it;
#             first those that wanted asks for
#   needs     what has to be installed, as ./install takes it; test: for the tests only
#   synopsis, help  of its own options
#
# defines prepare, launch (one part), addresses and, if it has options of its own or not
# all parts are always wanted, options and wanted; and calls run.
#
# What a stack is, is in its work directory: the settings in ports, and in run a file
# for each part with its pid. A part holds a lock on its file, and its children inherit
# it: so the lock says what runs, whoever has died, and no pid is taken for another's.

# shellcheck disable=SC2034 # what the stacks use
all=() settings='' needs=() test=() synopsis='' help=''
here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd -P)
shared=$here/../internal
. "$shared/common.sh"

name=${here##*/}
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
	trusted "$work" || die "$work, or a directory that it is in, can be written by others," \
		"who could have left anything in it: use another one, or take it from them (chmod go-w)"
}

# lock keeps two runs of up or down on one work directory apart. It ends with
# the script, since what the script starts gets no copy of descriptor 9.
lock() {
	exec 9>"$work/lock"
	flock -w 120 9 || die "another up or down is at work in $work"
}

among() { # word words...
	local word=$1
	shift
	[[ " $* " == *" $word "* ]]
}

# --- Parts ---------------------------------------------------------------------

# held says whether a part or a child of it runs.
held() { [[ -e $work/run/$1.pid ]] && ! flock -n "$work/run/$1.pid" true; }

# alive says whether a part itself runs, and is no zombie; its pid is then in $pid.
alive() {
	held "$1" && pid=$(<"$work/run/$1.pid") && grep -qs '^State:.[^Z]' "/proc/$pid/status"
}

# stop ends a part and returns when it and its children are gone: each part leads a
# process group.
stop() { # part
	local file=$work/run/$1.pid pid
	[[ -e $file ]] || return 0
	pid=$(<"$file")
	if held "$1"; then
		kill -TERM -- "-$pid" 2>/dev/null || true
		until flock -w 10 "$file" true; do
			say "$1 (pid $pid) does not end by itself: killing it"
			kill -KILL -- "-$pid" 2>/dev/null || true
		done
		say "stopped $1 (pid $pid)"
	else
		say "$1 had ended already"
	fi
	rm -f "$file"
}

started=()

# take_back has a start that fails half-way, is interrupted, or loses its reader
# (up | head) stop what it started.
take_back() {
	local i
	trap '' INT TERM HUP PIPE
	exec 8>&- # a start that was interrupted holds the lock itself
	for ((i = ${#started[@]} - 1; i >= 0; i--)); do stop "${started[i]}" >&2 || true; done
}

start() { # part command...
	local part=$1
	shift
	started+=("$part")
	exec 8>"$work/run/$part.pid"
	flock 8
	# By setsid, so that neither Ctrl-C nor the end of the terminal reaches it.
	(echo "$BASHPID" >&8 && exec setsid "$@") </dev/null >>"$work/log/$part.log" 2>&1 9>&- &
	exec 8>&-
	until [[ -s $work/run/$part.pid ]] || ! held "$part"; do sleep 0.01; done
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

# get is for loopback, whatever proxy the environment names.
get() { # port path, further flags
	curl --noproxy '*' --max-time 10 -fsSg "http://127.0.0.1:$1$2" "${@:3}"
}

answers() { get "$@" >/dev/null; }

built() { # packages
	have go || die "go not found: parts of this stack are built from source"
	say "building ${*##*/}"
	# Without the version control stamp, which fails in a clone that belongs to
	# somebody else.
	(cd "$here" && go build -buildvcs=false -o "$work/bin/" "$@")
}

# configure fills a template in.
configure() { # file name, further sed script
	local script="s|@WORK@|$work|g;${3-}" variable
	while read -r variable _; do script+=";s|@$variable@|${!variable}|g"; done <<<"$settings"
	sed "$script" "$1" >"$work/conf/$2"
}

# --- down ----------------------------------------------------------------------

down() {
	local i left
	self=down
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
	left=$(compgen -G "$work/run/*.pid" || true)
	for ((i = ${#all[@]} - 1; i >= 0; i--)); do stop "${all[i]}"; done
	[[ -n $left ]] || say "nothing was running"
	if [[ ${1-} == --purge ]]; then
		rm -rf "$(realpath "$work")" "$work"
		say "removed $work; what apt-get and npm installed stays"
	fi
	exit
}

# --- up ------------------------------------------------------------------------

usage() {
	cat <<END
usage: up ${synopsis:+$synopsis }[--free-ports] [--no-install]
       up --install

${help:+$help
}  --free-ports  whichever ports are free, instead of the defaults
  --no-install  install nothing; exit 3, naming what is missing
  --install     install what is missing, for the tests as well, and start nothing

Settings, each an environment variable with its default:
END
	sed -E 's/^(\S+) +(\S+) +(\S+).*/  \1=\2 (\3)/' <<<"$settings"
	echo "$variable is the work directory (now: ${work:-none, since HOME is not set})."
}

options() { false; }

wanted() { true; } # part

# Carbon itself would share its port with another carbon and take half of its gauges.
in_use() { [[ -n $(ss -Hln "--$1" "sport = :$2") ]]; } # kind port, on whatever address

# choose sets the settings: of what runs to what they were; else to what is given, to
# what they were while the others, who know them, run, or to a free port or the default.
choose() { # whether to look for free ports
	local variable default kind part value seen=' ' refused=''
	while read -r variable default kind part; do
		value=${was[$variable]-}
		if among "$part" "${running[@]}"; then
			[[ ${!variable:-$value} == "$value" ]] ||
				die "it is up with $variable=$value: to change that, stop it first: $down"
		else
			value=${!variable:-$value}
		fi
		if [[ $kind != tcp && $kind != udp ]]; then
			value=${value:-$default}
			[[ $value =~ ^($kind)$ ]] || die "$variable=$value is not one of $kind"
		else
			if [[ -z $value && $1 == yes ]]; then
				# Below those that Linux gives to whoever asks for any.
				until value=$((20000 + RANDOM % 12000)) && [[ $seen != *"/$value "* ]] &&
					! in_use "$kind" "$value"; do :; done
			fi
			value=${value:-$default}
			if [[ ! $value =~ ^[1-9][0-9]{0,4}$ ]] || ((value > 65535)); then
				die "$variable=$value is not a port: say $variable=18080, for example"
			elif among "$part" "${running[@]}" || ! wanted "$part"; then
				: # nobody is going to take it
			elif [[ $seen == *" $kind/$value "* ]]; then
				refused+="port $value/$kind is given twice: set $variable to another one"$'\n'
			elif in_use "$kind" "$value"; then
				refused+="port $value/$kind is in use: set $variable to another one"$'\n'
			fi
		fi
		printf -v "$variable" %s "$value"
		seen+="$kind/$value "
	done <<<"$settings"
	[[ -z $refused ]] || die "nothing was started, --free-ports takes others:"$'\n'"${refused%$'\n'}"
}

# installed installs what is missing, or ends the script if it must not.
installed() { # yes, no or only
	local missing status=0
	needs+=(curl=curl ss=iproute2)
	case $1 in
	no)
		missing=$("$shared/install" --check "${needs[@]}") || status=$?
		[[ -z $missing ]] || say "not installed: $missing; '$here/up --install' installs it" >&2
		((status == 0)) || exit "$status"
		;;
	yes) "$shared/install" "${needs[@]}" ;;
	only)
		"$shared/install" "${needs[@]}" "${test[@]}"
		say "everything is installed"
		exit
		;;
	esac
}

# enter makes the work directory, or makes sure that it is one, and locks it.
enter() {
	[[ -n $work ]] || die "HOME is not set, and XDG_CACHE_HOME neither: say $variable=/tmp/some/directory"
	case $work in
	*[\"\'\\\&\|%]* | *[[:cntrl:]]*)
		die "the name of the work directory goes into configuration files" \
			"and must do without quotes and \\ & | %: $work"
		;;
	esac
	# down --purge removes this directory, so it must be ours and nothing else.
	ours || [[ ! -e $work || -d $work && -z $(ls -A "$work") ]] ||
		die "$work holds something else: $variable wants an empty or a new directory"
	mkdir -p "$work"
	only_ours
	ours || echo "$signature" >"$work/ports"
	lock
	mkdir -p "$work"/{bin,conf,log,run}
}

run() { # arguments of up
	local argument install=yes free=no key value part
	local -A was=()
	[[ ${1-} != --down ]] || down "${@:2}"
	for argument; do
		case $argument in
		--free-ports) free=yes ;;
		--no-install) install=no ;;
		--install) install=only ;;
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
	installed "$install"
	enter

	running=() todo=()
	for part in "${all[@]}"; do
		# What has died may have left something that has its port.
		if alive "$part"; then running+=("$part"); else stop "$part"; fi
	done
	if ((${#running[@]})); then
		while IFS='=' read -r key value; do was[$key]=$value; done <"$work/ports"
	fi
	choose "$free"
	for part in "${all[@]}"; do
		among "$part" "${running[@]}" || ! wanted "$part" || todo+=("$part")
	done
	if ((${#todo[@]} == 0)); then
		say "it is up already"
		addresses
		exit
	fi
	{
		echo "$signature"
		while read -r key _ _ part; do
			if among "$part" "${running[@]}" "${todo[@]}"; then echo "$key=${!key}"; fi
		done <<<"$settings"
	} >"$work/ports.new"
	mv "$work/ports.new" "$work/ports"
	# What is started is to have its own defaults.
	unset "${!RUNTIMEMETRICS_@}"
	trap take_back EXIT
	cd "$work" || exit
	prepare
	for part in "${todo[@]}"; do
		launch "$part"
		alive "$part" || fail "$part" "$part ended at once"
		say "$part is up (pid $pid)"
	done
	say "it is up"
	addresses
	started=()
}
