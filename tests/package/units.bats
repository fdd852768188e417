#!/usr/bin/env bats
# Units of systemd, and what goes with them where there is none.
load ../lib/common
load ../lib/style

# Units as they are installed, with programs that are there.
prepare() {
	need systemd-analyze
	make -s --no-print-directory -C "$PS_BUILD" install-nodist_unitDATA \
		install-dist_unitDATA DESTDIR="$T" systemdsystemunitdir=/units >log 2>&1 ||
		{ cat log; false; }
	local bin
	bin=$(make_var bindir)
	sed -i "s,=${bin}/,=$PS_BUILD/tools/," units/*.service
}

@test "systemd has nothing to say against the units" {
	systemd-analyze verify --man=no units/* >out 2>&1 || { cat out; false; }
	cat out
	[ ! -s out ]
}

@test "what a service is exposed to is at most 2.5" {
	local unit
	for unit in units/*.service; do
		systemd-analyze security --offline=true --no-pager --threshold=25 \
			"$unit" >out || { cat out; false; }
		grep -q 'Overall exposure level' out
	done
}

@test "a service may make all system calls that our own sandboxes let through" {
	local set
	expand() { # what systemd counts in
		systemd-analyze syscall-filter "$1" | grep -v '^ *#' | tail -n +2 |
			while read -r set; do
				case $set in
				@*) expand "$set" ;;
				*) echo "$set" ;;
				esac
			done
	}
	for set in @system-service @privileged @resources; do
		expand "$set" | sort -u >"${set#@}"
	done
	# What is said after the sets counts last.
	sed -n 's/^SystemCallFilter=\([a-z]\)/\1/p' units/ps-receive.service |
		tr ' ' '\n' >more
	sort -u privileged resources | comm -23 system-service - |
		sort -u - more >allowed
	# SQLite asks for fchown only as root, which no service of ours is.
	grep -oE '__NR_[a-z0-9_]+|SYS_[a-z0-9_]+' "$PS_SOURCE/libcommon/net/seccomp.c" |
		sed -E 's/^(__NR|SYS)_//' | grep -vx fchown | sort -u >ours
	[ "$(wc -l <ours)" -gt 30 ]
	printf '%s\n' landlock_create_ruleset landlock_add_rule \
		landlock_restrict_self seccomp prctl setrlimit prlimit64 close_range |
		sort -u - ours | comm -23 - allowed | none "not allowed to ps-receive"
}

@test "cron runs each job that a timer runs" {
	local timer name
	cron=$PS_SOURCE/packaging/cron.d/ps-toolkit.in
	for timer in units/*.timer; do
		name=${timer##*/ps-}
		name=${name%.timer}
		grep -qE "ps-service run -q $name\$" "$cron" || echo "$name"
		[ -e "units/ps-$name.service" ] || echo "no ps-$name.service"
	done | none "no line in cron.d"
	[ "$(grep -c 'ps-service run' "$cron")" -eq "$(find units -name '*.timer' | wc -l)" ]
	# Where systemd is in charge, they do nothing.
	[ "$(grep -c 'd /run/systemd/system' "$cron")" -eq \
		"$(grep -c 'ps-service run' "$cron")" ]
}

@test "the timer of a check is shorter than the silence that is an alert" {
	local week=$((7 * 86400)) late
	late=$(systemd-analyze timespan 6h | sed -n 's/.*μs: //p')
	grep -qx 'OnCalendar=weekly' units/ps-verify.timer
	grep -qx 'RandomizedDelaySec=6h' units/ps-verify.timer
	[ $((week + late / 1000000)) -lt $((8 * 86400)) ]
	grep -q 'stamp verify$' units/ps-verify.service
	grep -qx 'OnCalendar=daily' units/ps-renew.timer # 2 days
	grep -q 'stamp renew$' units/ps-renew.service
}

@test "a service that says when it is ready is waited for" {
	local name
	for name in agent config heartbeat pipeline receive; do
		grep -qx Type=notify "units/ps-$name.service" || echo "$name"
	done | none "no Type=notify"
}

@test "logs that nobody else rotates are rotated" {
	need logrotate
	make -s --no-print-directory -C "$PS_BUILD" packaging/logrotate.d/ps-toolkit >log
	mkdir logs
	sed "s,^/.*/setup.log,$T/logs/setup.log," \
		"$PS_BUILD/packaging/logrotate.d/ps-toolkit" >conf
	chmod 644 conf
	yes | head -c 1200000 >logs/setup.log
	logrotate --state "$T/state" conf
	[ -e logs/setup.log.1 ] && [ ! -e logs/setup.log ]
}

@test "users and folders are understood" {
	need systemd-sysusers
	need systemd-tmpfiles
	make -s --no-print-directory -C "$PS_BUILD" packaging/sysusers.d/ps-toolkit.conf \
		packaging/tmpfiles.d/ps-toolkit.conf packaging/tmpfiles.d/ps-agent.conf >log
	mkdir -p root/etc
	systemd-sysusers --root="$T/root" "$PS_BUILD/packaging/sysusers.d/ps-toolkit.conf"
	grep -q '^ps-toolkit:' root/etc/passwd
	systemd-tmpfiles --root="$T/root" --create \
		"$PS_BUILD/packaging/tmpfiles.d/ps-toolkit.conf" \
		"$PS_BUILD/packaging/tmpfiles.d/ps-agent.conf" >log 2>&1 || { cat log; [ "$(id -u)" -ne 0 ]; }
	[ -d root/run/ps-toolkit ]
}
