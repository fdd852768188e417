# Lets the file systems of a guest go: when its parent says so, when its parent
# is gone (standard input ends), or when the window is over. Started by the
# provider libvirt, in a session of its own. Exit status 0: in time, 1: the
# window was over, 2: they could not be let go.
# usage: bash thaw-guard.bash URI DOMAIN WINDOW-SECONDS MARK
# shellcheck shell=bash
set -u
trap '' TERM INT HUP
code=0
read -r -t "$3" _ || code=$?
for try in 1 2 3 4 5; do
	# Also what came to be frozen only now.
	if timeout -k 1 10 virsh -q -c "$1" domfsthaw --domain "$2" \
		</dev/null >/dev/null 2>&1; then
		rm -f "$4"
		[ "$code" -le 128 ] && exit 0
		exit 1
	fi
	[ "$try" = 5 ] || sleep 1
done
exit 2
