# shellcheck shell=bash
# What install and the stacks' scripts share.

# A file that others may write to is nothing to read a state from, see trusted.
umask 022

# Empty if the environment names none; to ask for help takes none.
cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}
[[ -z $cache || $cache == /* ]] || cache=$PWD/$cache

self=${0##*/}

say() { printf '%s: %s\n' "$self" "$*"; }

die() {
	say "$@" >&2
	exit 1
}

have() { command -v "$1" >/dev/null; }

# quietly shows what a command printed only if it failed.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 || status=$?
	((status == 0)) || tail -n 20 "$log" >&2
	rm -f "$log"
	return "$status"
}

# trusted says whether nobody but us (and root) can have written what is in a
# directory, or can put another one in its place.
trusted() { # directory
	local dir=$1 ancestor
	# The name itself, which may be a link, and what is in it.
	[[ -z $(find "$dir" "$dir/." -maxdepth 1 \
		\( ! -user "$EUID" ! -user 0 -o ! -type l -perm /022 \) -print -quit) ]] || return 1
	ancestor=$(realpath "$dir")
	while [[ $ancestor != / ]]; do
		ancestor=$(dirname "$ancestor")
		# /tmp is open to all, but lets nobody move what belongs to another.
		[[ -z $(find "$ancestor" -maxdepth 0 -perm /002 ! -perm -1000) ]] || return 1
	done
}
