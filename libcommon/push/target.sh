#!/bin/sh
# What ps-push runs on a machine: it arrives on standard input and is never a
# file there. Each answer is a line that begins with a word of push/talk.c.
# usage: look DIR CS PORT
#        rights
#        work DIR ROLE PLATFORM NAME CS PORT SHA256 SIZE SIGNERS SIGNATURE
#   (sizes in bytes; "-": none; SIZE 0: it is installed already)
set -u
LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
export LC_ALL PATH
umask 077
# shellcheck disable=SC3045 # where there is no such limit nothing is lost
ulimit -c 0 2>/dev/null
ROOT=${PS_ROOT:-}
STAGE=$ROOT/var/lib/ps-push

say() { printf '%s\n' "$*"; }

fail() { # REASON WORDS...
	say "fail $*"
	exit 1
}

setting() { # NAME: as the installer keeps it
	sed -n "s/^$1=//p" "$ROOT/etc/ps-toolkit/agent-install" 2>/dev/null
}

has() { command -v "$1" >/dev/null 2>&1; }

# ---- look: changes nothing ----

look_system() {
	say "os $(uname -s)"
	say "arch $(uname -m)"
	say "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
	# As the configurator makes a name of it.
	say "name $(uname -n | sed 's/\..*//; s/[^A-Za-z0-9]/-/g; s/^-*//; s/-*$//')"
	say "uid $(id -u)"
	say "root $ROOT"
	say "time $(date +%s)"
	if ! has sudo; then
		say "sudo none"
		return
	fi
	case $(sudo -n true 2>&1 </dev/null && echo yes) in
	*yes) say "sudo yes" ;;
	*tty*) say "sudo tty" ;;
	*) say "sudo password" ;;
	esac
}

look_tools() {
	for tool in awk bash flock gzip sha256sum ssh-keygen tar; do
		has $tool || say "missing $tool"
	done
	# Signatures came with OpenSSH 8.1.
	case $(ssh-keygen -Y verify 2>&1 </dev/null) in
	*'option -- Y'*) say "missing ssh-keygen of OpenSSH 8.1 or newer" ;;
	esac
}

look_installed() {
	say "version $(setting version)"
	say "dir $(setting dir)"
	say "role $(setting role)"
	# Also one that is only unpacked.
	if [ -z "$ROOT" ] && has dpkg-query &&
		dpkg-query -W -f '${db:Status-Status}' ps-toolkit-agent 2>/dev/null |
		grep -qE '^(installed|unpacked|half|trigger)'; then
		say "package yes"
	fi
	[ -e "$ROOT/etc/ps-toolkit/machine.key" ] || return 0
	conf=$ROOT/etc/ps-toolkit/agent.yaml
	say "known-as $(sed -n 's/^machine: //p' "$conf" 2>/dev/null)"
	say "known-cs $(sed -n '/^config-server:/,/^[a-z].*:/s/^  address: "\(.*\)"$/\1/p' "$conf" 2>/dev/null)"
	say "known-port $(sed -n '/^config-server:/,$s/^  port: //p' "$conf" 2>/dev/null | head -n 1)"
}

look_room() { # WORD PATH
	place=$ROOT$2
	while [ -n "$place" ] && [ ! -d "$place" ]; do place=${place%/*}; done
	say "$1 $(df -Pk "${place:-/}" | awk 'NR == 2 { print $4 }')"
}

# After look_room: of the same place.
look_noexec() {
	case ,$(findmnt -nvo OPTIONS -T "${place:-/}" 2>/dev/null), in
	*,noexec,*) say "noexec $place" ;;
	esac
}

# Which disks hold a file system: one name each, none when it has no disk.
disks_of() { # PATH
	part=$(findmnt -nvo SOURCE -T "$1" 2>/dev/null) || return 0
	[ -b "$part" ] || return 0
	lsblk -nslo NAME,TYPE "$part" 2>/dev/null |
		awk '$2 == "disk" { print $1 }' | sort -u | tr '\n' ' '
}

look_boot() {
	say "disks-root $(disks_of /)"
	say "disks-boot $(disks_of /boot)"
	if cat "$ROOT/boot/grub/grub.cfg" "$ROOT/boot/grub2/grub.cfg" \
		"$ROOT/boot/grub/menu.lst" "$ROOT/etc/default/grub" 2>/dev/null |
		grep -v '^[[:space:]]*#' |
		grep -qE '(root|resume)=/dev/(sd|hd|vd|xvd|nvme)'; then
		say "grub device"
	fi
}

look() { # DIR CS PORT
	look_system
	look_tools
	look_installed
	dir=$1
	[ "$dir" != - ] || dir=$(setting dir)
	look_room room "${dir:-/usr/local/ASR}"
	look_noexec
	look_room stage "${STAGE#"$ROOT"}"
	look_boot
	# The address is a word of the command line, never code.
	# shellcheck disable=SC2016
	if [ "$2" != - ] && has bash && has timeout; then
		if timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>/dev/null; then
			say "cs yes"
		else
			say "cs no"
		fi
	fi
}

# Runs that, and ends it with the session: who asked may be gone, and what
# hangs here would stay. With timeout(1) all of it is a group of its own.
guarded() { # COMMAND...
	exec 3<&0 </dev/null
	{
		while read -r _; do :; done
		if has timeout; then kill 0; else kill $$; fi
	} <&3 >/dev/null 2>&1 3<&- &
	watch=$!
	exec 3<&-
	"$@"
	kill "$watch" 2>/dev/null
	wait "$watch" 2>/dev/null
	return 0
}

rights() {
	say "uid $(id -u)"
}

# ---- work ----

begin() {
	mkdir -p "$STAGE" 2>/dev/null || fail rights "$STAGE cannot be made"
	if [ -L "$STAGE" ] || [ ! -O "$STAGE" ]; then
		fail rights "$STAGE belongs to somebody else"
	fi
	chmod 700 "$STAGE"
	exec 9>"$STAGE/lock"
	flock -n 9 || fail busy "another push is under way on this machine"
	trap 'tidy' EXIT
	trap 'exit 1' HUP INT TERM PIPE
	# Of another package, or of a push that was cut off.
	for old in "$STAGE"/*; do
		case $old in
		"$STAGE/lock" | "$STAGE/part.$1") ;;
		*) rm -rf "$old" ;;
		esac
	done
}

# What came of the package stays for the next push, and nothing else.
tidy() {
	for old in "$STAGE"/*; do
		case $old in
		"$STAGE/lock" | "$STAGE"/part.*) ;;
		*) rm -rf "$old" ;;
		esac
	done
	for old in "$STAGE"/part.*; do
		[ ! -s "$old" ] || return 0
	done
	rm -rf "$STAGE"
}

# The package follows them, which a block of one byte leaves alone.
take() { # BYTES FILE
	dd bs=1 count="$1" of="$2" 2>/dev/null || fail space "$2 cannot be written"
	[ "$(stat -c %s "$2")" -ge "$1" ] || fail copy "the connection ended"
}

# What an earlier push brought is not sent again.
copy() { # SHA256 SIZE SIGNERS SIGNATURE
	part=$STAGE/part.$1
	take "$3" "$STAGE/signers"
	take "$4" "$STAGE/signature"
	have=$(stat -c %s "$part" 2>/dev/null) || have=0
	if [ "$have" -gt "$2" ]; then
		rm -f "$part"
		have=0
	fi
	say "have $have"
	head -c $(($2 - have)) >>"$part" || fail space "$part cannot be written"
	[ "$(stat -c %s "$part")" -eq "$2" ] || fail copy "the connection ended"
}

verify() { # SHA256
	say "at verify"
	sum=$(sha256sum <"$part")
	if [ "${sum%% *}" != "$1" ]; then
		rm -f "$part"
		fail damaged "other bytes arrived than were sent"
	fi
	if ! ssh-keygen -Y verify -f "$STAGE/signers" -I ps-toolkit-packages \
		-n ps-toolkit-package -s "$STAGE/signature" \
		<"$part" >"$STAGE/out" 2>&1; then
		rm -f "$part"
		fail signature "$(last_words)"
	fi
}

# The last line that a program said, fit for one line of an answer.
last_words() {
	grep -v '^$' "$STAGE/out" | tail -n 1 | sed 's/[^ -~]/?/g' | cut -c 1-300
}

put() { # DIR ROLE PLATFORM
	say "at unpack"
	mkdir "$STAGE/unpacked"
	(umask 022 && exec tar -C "$STAGE/unpacked" --strip-components=1 \
		--no-same-owner -xzf "$part") >"$STAGE/out" 2>&1 ||
		fail unpack "$(last_words)"
	say "at install"
	rc=0
	dir=$1
	set -- -r "$2" -v "$3"
	[ "$dir" = - ] || set -- "$@" -d "$dir"
	(umask 022 && exec bash "$STAGE/unpacked/install" -q "$@") \
		>"$STAGE/out" 2>&1 </dev/null 9>&- || rc=$?
	[ $rc -eq 0 ] || fail "install-$rc" "$(last_words)"
	rm -rf "$STAGE/unpacked" "$part"
}

# The configurator reads the passphrase from the connection by itself.
register() { # NAME CS PORT
	say "at register"
	say "want passphrase"
	name=$1
	set -- -i "$2" -p "$3" -P -
	[ "$name" = - ] || set -- "$@" -n "$name"
	rc=0
	"$ROOT$(setting dir)/Vx/bin/UnifiedAgentConfigurator.sh" "$@" \
		>"$STAGE/out" 2>&1 9>&- || rc=$?
	[ $rc -eq 0 ] || fail "register-$rc" "$(last_words)"
	if grep -q 'does not know this machine' "$STAGE/out"; then
		say "unknown"
	fi
}

work() { # DIR ROLE PLATFORM NAME CS PORT SHA256 SIZE SIGNERS SIGNATURE
	begin "$7"
	if [ "$8" -gt 0 ]; then
		copy "$7" "$8" "$9" "${10}"
		verify "$7"
		put "$1" "$2" "$3"
	fi
	[ "$5" = - ] || register "$4" "$5" "$6"
	say "done"
}

say "ps-push 1"
case $1 in
look) guarded "$@" ;;
*) "$@" ;;
esac
