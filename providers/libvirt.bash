# Talks to libvirt through virsh; for the provider libvirt.
# shellcheck shell=bash

# Sets what the options say of the disk; asks nobody.
the_disk() {
	need virsh nbdfuse nbdinfo sha256sum
	OURS=$PS_MACHINE.$PS_DISK
	URI=$(opt uri qemu:///system)
	DOMAIN=$(opt domain)
	TARGET=$(opt target)
	SCRATCH=$(opt scratch)
	WINDOW=$(opt window 10)
	[[ $URI =~ ^qemu(\+unix)?:///[a-zA-Z0-9?=\&/._,:@+-]+$ ]] ||
		die 78 "uri: '$URI' is no libvirt of this machine, such as qemu:///system"
	[[ -n $DOMAIN && $DOMAIN != *[[:cntrl:]/]* ]] ||
		die 78 "domain: '$DOMAIN' is no name of a domain (virsh list --all)"
	[[ $TARGET =~ ^[a-z]{2,8}[a-z0-9]{0,8}$ ]] ||
		die 78 "target: '$TARGET' is no name of a disk such as vda (virsh domblklist)"
	[[ $(opt disks "$TARGET") =~ ^[a-z0-9]+(,[a-z0-9]+)*$ ]] ||
		die 78 "disks: '$(opt disks)' is no list such as vda,vdb"
	[[ $(opt freeze fs) =~ ^(no|fs|app)$ ]] ||
		die 78 "freeze: '$(opt freeze)' is none of no, fs, app"
	number window "$WINDOW" 1 60
	find_folders
}

find_folders() {
	if [ -z "$SCRATCH" ]; then
		SCRATCH=/var/lib/libvirt/qemu
		[ -d "$SCRATCH" ] || die 78 "scratch: name a folder of the user that QEMU runs as"
	fi
	[[ $SCRATCH =~ ^/[a-zA-Z0-9/._@:+,=-]*$ && -d $SCRATCH ]] ||
		die 78 "scratch: '$SCRATCH' is no folder, or has other characters than letters, digits and /._@:+,=-"
	KEY=$(printf '%s\n' "$PS_MACHINE" "$URI" "$DOMAIN" | sha256sum | head -c 12)
	FOLDER=$SCRATCH/ps-$KEY
	[ $((${#FOLDER} + 1 + ${#PS_SNAPSHOT})) -lt 108 ] || die 78 "scratch: the path is too long for a socket"
	SHARED=$RUN/libvirt.$KEY
	SHOWN=$SHARED/shown.$OURS
	mkdir -p "$SHARED"
}

# One at a time for each domain.
take_domain() {
	exec 8>"$SHARED/lock"
	flock -w "$(left)" 8 || die 75 "another provider is busy with $DOMAIN"
}

vir() { limited virsh -q -c "$URI" "$@" </dev/null 8>&- 7>&-; }

# Has libvirt this domain? Ends the program when libvirt does not answer.
known() {
	! vir domuuid --domain "$DOMAIN" >/dev/null 2>"$SHARED/why.$OURS" || return 0
	vir uri >/dev/null 2>&1 || die 69 "$URI: $(cat "$SHARED/why.$OURS")"
	return 1
}

# Lines "TARGET FORMAT [readonly]" of the domain's disks, no CD-ROMs; with the
# word "agent" in front when the guest's agent has connected. What libvirt
# prints is always indented the same way.
disks() {
	vir dumpxml --domain "$DOMAIN" | awk -F "'" '
		/^  <metadata>/ { skip = 1 }
		/^  <\/metadata>/ { skip = 0 }
		skip { next }
		/^      <target .* name=\047org\.qemu\.guest_agent\.0\047 state=\047connected\047/ {
			print "agent"
		}
		/^    <disk / { inside = 1; format = device = target = more = "" }
		!inside { next }
		/^    <disk / && match($0, / device=\047[a-z]+\047/) {
			device = substr($0, RSTART + 9, RLENGTH - 10)
		}
		/^      <driver / && match($0, / type=\047[a-z0-9]+\047/) {
			format = substr($0, RSTART + 7, RLENGTH - 8)
		}
		/^      <target dev=/ { target = $2 }
		/^      <readonly\/>/ || /^      <transient/ { more = " readonly" }
		/^    <\/disk>/ {
			inside = 0
			if (device == "disk") print target, format == "" ? "raw" : format more
		}'
}

# Is this file what the target shows, or behind it? Disks on the network have
# no path; nothing is said of these.
source_fits() {
	vir domstats --raw --block --backing "$DOMAIN" | awk -v t="$TARGET" \
		-v path="$PS_SOURCE" '{
			key = $0
			sub(/^ *block\.[0-9]+\./, "", key)
			if (key ~ /^name=/) mine = key == "name=" t
			if (!mine || key !~ /^path=/) next
			sub(/^path=/, "", key)
			if (key ~ /^\//) any = 1
			if (key == path) found = 1
		}
		END { exit any && !found }'
}

# Finds the disk in the running domain; sets DISKS and WANTED, the targets that
# make up the moment.
locate() {
	local state
	if ! state=$(vir domstate --domain "$DOMAIN" 2>/dev/null); then
		known || die 78 "$URI has no domain '$DOMAIN'"
		die 75 "$DOMAIN: its state is not told"
	fi
	case $state in
	running* | paused* | idle* | pmsuspended*) ;;
	*) die 75 "$DOMAIN is ${state%%$'\n'*}: its disks are not protected until it runs" ;;
	esac
	DISKS=$(disks) || die 75 "$DOMAIN: no description is told"
	AGENT=
	if grep -qx agent <<<"$DISKS"; then AGENT=1; fi
	DISKS=$(sed '/^agent$/d' <<<"$DISKS")
	grep -q "^$TARGET " <<<"$DISKS" ||
		die 78 "$DOMAIN has no disk '$TARGET' (virsh domblklist)"
	! grep -q "^$TARGET .* readonly$" <<<"$DISKS" ||
		die 78 "$DOMAIN: $TARGET is read-only"
	source_fits ||
		die 78 "$DOMAIN: $PS_SOURCE is not what lies behind $TARGET (virsh domblklist)"
	WANTED=$(opt disks)
	if [ -n "$WANTED" ]; then
		WANTED=${WANTED//,/ }
		[[ " $WANTED " == *" $TARGET "* ]] || die 78 "disks: '$TARGET' is not among them"
	else
		WANTED=$(sed -n '/ readonly$/!s/ .*//p' <<<"$DISKS" | tr '\n' ' ')
	fi
}

# ---- checkpoints ----

is_ours() { [[ $1 =~ ^ps-[a-zA-Z0-9-]{1,60}\.$KEY\.[0-9]{1,20}$ ]]; }

# The oldest first.
our_checkpoints() {
	local name all
	all=$(vir checkpoint-list --domain "$DOMAIN" --topological --name) || return 1
	for name in $all; do
		if is_ours "$name"; then echo "$name"; fi
	done
}

# Did it record this target all the time? libvirt tells sizes of such only.
usable() { # CHECKPOINT TARGET
	local xml=$SHARED/$1.xml
	[ -e "$xml" ] || vir checkpoint-dumpxml --domain "$DOMAIN" "$1" --no-domain \
		--size >"$xml" 2>/dev/null || true
	grep -q "<disk name='$2' checkpoint='bitmap' .* size='[0-9]*'/>" "$xml"
}

remove_checkpoint() {
	vir checkpoint-delete --domain "$DOMAIN" "$1" >/dev/null 2>&1 ||
		vir checkpoint-delete --domain "$DOMAIN" "$1" --metadata >/dev/null ||
		say "$DOMAIN: checkpoint $1 stays"
}

# Only qcow2 keeps bitmaps.
checkpoint_xml() { # NAME
	local target rest kind
	printf '<domaincheckpoint>\n<name>%s</name>\n<disks>\n' "$1"
	while read -r target rest; do
		kind=no
		[ "$rest" != qcow2 ] || [[ " $WANTED " != *" $target "* ]] || kind=bitmap
		printf "<disk name='%s' checkpoint='%s'/>\n" "$target" "$kind"
	done <<<"$DISKS"
	printf '</disks>\n</domaincheckpoint>\n'
}

# ---- the job ----

# A folder that QEMU can write. Its owner is not trusted: nothing is followed.
make_folder() {
	[ ! -L "$FOLDER" ] || rm "$FOLDER"
	[ -d "$FOLDER" ] || mkdir "$FOLDER"
	chown -h --reference="$SCRATCH" "$FOLDER"
	rm -f "$FOLDER"/ps-*
}

job_xml() { # FILE of "TARGET CHECKPOINT"
	local target begin how
	printf "<domainbackup mode='pull'>\n<server transport='unix' socket='%s'/>\n<disks>\n" \
		"$FOLDER/$PS_SNAPSHOT"
	while read -r target _; do
		begin=$(sed -n "s/^$target //p" "$1")
		case $begin in
		'')
			printf "<disk name='%s' backup='no'/>\n" "$target"
			continue
			;;
		-) how="backupmode='full'" ;;
		*) how="backupmode='incremental' incremental='$begin' exportbitmap='changes'" ;;
		esac
		printf "<disk name='%s' backup='yes' type='file' exportname='%s' %s>\n" \
			"$target" "$target" "$how"
		printf "<scratch file='%s'/>\n</disk>\n" "$FOLDER/$PS_SNAPSHOT.$target"
	done <<<"$DISKS"
	printf '</disks>\n</domainbackup>\n'
}

# The snapshot of the job that runs; nothing: none runs; -: it is not ours.
running_job() {
	local xml socket
	xml=$(vir backup-dumpxml --domain "$DOMAIN" 2>/dev/null) || return 0
	socket=$(sed -n "s/^ *<server transport='unix' socket='\(.*\)'\/>\$/\1/p" <<<"$xml")
	if [[ $socket == "$FOLDER"/ps-* ]] && is_id "${socket#"$FOLDER/"}"; then
		echo "${socket#"$FOLDER/"}"
	else
		echo -
	fi
}

# ---- a file of it ----

show() {
	local pid
	hide
	: >"$SHOWN"
	# In a session of its own: it outlives this program.
	setsid nbdfuse -r -P "$SHOWN.pid" "$SHOWN" \
		"nbd+unix:///$TARGET?socket=$FOLDER/$PS_SNAPSHOT" \
		</dev/null >/dev/null 2>"$SHOWN.why" 7>&- 8>&- 9>&- &
	pid=$!
	until [ -s "$SHOWN.pid" ]; do
		if [ "$SECONDS" -ge "$PS_TIMEOUT" ] || ! kill -0 "$pid" 2>/dev/null; then
			cat "$SHOWN.why" >&2
			hide
			return 1
		fi
		sleep 0.02
	done
}

# Ends our nbdfuse, also one that has not mounted yet.
hide() {
	local pid
	if grep -qF " $(realpath -m "$SHOWN") " /proc/self/mounts; then
		umount "$SHOWN" 2>/dev/null || umount -l "$SHOWN" 2>/dev/null ||
			fusermount3 -u -z "$SHOWN" || fusermount -u -z "$SHOWN" || true
	fi
	for pid in $(grep -lsxzF -e "$SHOWN" /proc/[0-9]*/cmdline | tr -dc '0-9\n'); do
		[ "$(readlink "/proc/$pid/exe")" != "$(realpath "$(command -v nbdfuse)")" ] ||
			kill "$pid" 2>/dev/null || true
	done
	rm -f "$SHOWN" "$SHOWN.pid" "$SHOWN.why"
}

# ---- the guest's file systems ----

# Asks the guest's agent to hold them. A guard lets them go after the window,
# or when this program dies.
freeze() {
	local answer=0
	[ -n "$AGENT" ] || return 0 # as after a power failure
	: >"$SHARED/frozen"
	trap '' PIPE # the guard may have ended first
	exec 7> >(exec setsid bash "${BASH_SOURCE[0]%/*}/thaw-guard.bash" "$URI" \
		"$DOMAIN" "$WINDOW" "$SHARED/frozen" 8>&- 9>&-)
	GUARD=$!
	timeout --foreground -k 1 "$WINDOW" virsh -q -c "$URI" domfsfreeze \
		--domain "$DOMAIN" </dev/null >/dev/null 7>&- 8>&- 9>&- || answer=$?
	if [ "$answer" = 0 ]; then
		FROZEN=1
	else
		say "$DOMAIN: its guest agent does not freeze: crash-consistent"
	fi
}

thaw() {
	local code=0
	[ -n "${GUARD:-}" ] || return 0
	echo thaw >&7 2>/dev/null || true
	exec 7>&-
	wait "$GUARD" || code=$?
	GUARD=
	case $code in
	0)
		# shellcheck disable=SC2034 # the provider says it
		[ -z "${FROZEN:-}" ] || [ "$(opt freeze fs)" != app ] || CONSISTENCY=app
		;;
	1) say "$DOMAIN: held longer than $WINDOW seconds: crash-consistent" ;;
	*) say "$DOMAIN: its file systems cannot be thawed: virsh domfsthaw" ;;
	esac
}

# What a provider and its guard, both killed, left frozen.
thaw_left() {
	[ -e "$SHARED/frozen" ] || return 0
	vir domfsthaw --domain "$DOMAIN" >/dev/null 2>&1 || true
	rm -f "$SHARED/frozen"
}
