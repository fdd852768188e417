#!/usr/bin/env bats
# Push installation against a real sshd: each way in which it fails, and how it
# goes on.
load ../lib/common
load ../lib/style
load machines

setup_file() {
	need_all || return 0
	cd "$BATS_FILE_TMPDIR" || return 1
	start_machines
	agent_tarball . sign
	config_server
}

# Of a master target; else it would outlive the test.
stop_heartbeat() { # HOST
	local root=$BATS_FILE_TMPDIR/roots/$1
	[ ! -x "$root/usr/local/ASR/bin/ps-service" ] ||
		"$root/usr/local/ASR/bin/ps-service" stop -q --root "$root" heartbeat || true
}

need_all() {
	command -v patchelf strip socat jq strace ssh ssh-keyscan >/dev/null &&
		PATH=$PATH:/usr/sbin command -v sshd >/dev/null &&
		{ [ "$(id -u)" -ne 0 ] || can_be_root; }
}

teardown_file() {
	stop_heartbeat 4
	stop_machines "$BATS_FILE_TMPDIR"
	[ ! -e "$BATS_FILE_TMPDIR/cs.pid" ] ||
		kill "$(cat "$BATS_FILE_TMPDIR/cs.pid")" || true
}

# A configuration server with accounts, and the machine web01.
config_server() {
	local name
	export PS_CONFIG_DIR=$PWD/cs
	ps-config init >/dev/null
	ps-config passphrase new >pass
	tr 2-9 3-92 <pass >badpass
	echo wrong >badword
	chmod 600 pass badpass password badword
	for name in boss easy odd rooted plain shut; do
		ps-config account add "$name" --login "$name" --secret-file password
	done
	ps-config account add bad --login boss --secret-file badword
	ps-config server add ps1 --address 192.0.2.1 >/dev/null
	ps-config policy add p >/dev/null
	ps-config machine add web01 --policy p --server ps1 --vault /v >/dev/null
	ps-config serve -l 127.0.0.1:0 --user "$(id -un)" >csport 2>cs.log 3>&- &
	echo $! >cs.pid
	wait_for test -s csport
}

prepare() {
	need_all || skip "a program is missing, or (as root) mount namespaces and sudo"
	M=$BATS_FILE_TMPDIR
	PORT=$(cat "$M/port")
	CSPORT=$(cat "$M/csport")
	export PS_CONFIG_DIR=$M/cs
	rm -rf "$M"/roots/[2-9]/* "$M"/roots/sudo/*
	LOGIN=(-u "$(id -un)" -i "$M/login")
	# What is the same in all tests.
	ALL=(-p "$M" --signers "$M/signers" --known-hosts "$M/known_hosts"
		--state "$T/state")
	CS=(--cs 127.0.0.1 --cs-port "$CSPORT" -P "$M/pass")
}

at() { echo "127.0.0.$1:$PORT${2:+=$2}"; }

push() { ps-push "${ALL[@]}" "$@"; }

keyed() { push "${LOGIN[@]}" "$@"; }

# what HOST: "RESULT REASON CODE" of it in the JSON of the last run, $T/out
what() {
	jq -r --arg h "$1" '.hosts[] | select(.host == $h) |
		"\(.result) \(.failure.reason // "-") \(.failure.code // "-")"' "$T/out"
}

root_of() { echo "$M/roots/$1"; }

@test "what is wrong with the call is said before any host is asked" {
	local line
	while read -r line; do
		# shellcheck disable=SC2086
		fails_with 64 push --no-register $line
		[ -s err ]
	done <<-END
		--check
		-u -x host
		-d relative host
		-d /a;b host
		--cs-port 0 host
		--account a -u b host
		--jobs 0 host
		-r PS host
		host:0
		host:99999
		us;er@host
		host=a/b
		-oProxyCommand=x
		[::1
		a=x a=y
		a=x b=x
		u@a v@a
	END
	fails_with 64 keyed host
	grep -q -e --cs err
	fails_with 66 keyed --no-register -p "$T" "$(at 2)"
	fails_with 66 keyed --no-register --signers none "$(at 2)"
	cp "$M"/*.tar.gz .
	fails_with 66 keyed --no-register -p "$T" "$(at 2)"
	grep -q 'nobody has signed' err
	fails_with 66 push --no-register --account none "$(at 2)"
	grep -q 'account list' err
}

@test "the manual has each reason, with its code" {
	need mandoc
	local word code n=0
	mandoc -T utf8 -O width=200 "$PS_SOURCE/man/ps-push.8" | col -bx >page
	while read -r word code; do
		n=$((n + 1))
		if [ "$code" -eq 0 ]; then
			grep -qE "^ *([a-z-]+, )?$word(,| |\$)" page
		else
			grep -qE "^ *$word $code( |\$)" page
		fi || { echo "not in the manual: $word $code" >&2; false; }
	done < <(tr '\n' ' ' <"$PS_SOURCE/libcommon/push/reason.c" |
		grep -oE '\{"[a-z-]+", [0-9]+,' | tr -d '{",')
	[ "$n" -gt 30 ]
}

@test "each thing that stands in the way has its reason and its code" {
	local port
	# One that is silent, one that is another machine than it was.
	start socat TCP-LISTEN:0,bind=127.0.0.1,fork SYSTEM:'cat >/dev/null'
	port_of "${STARTED[0]}"
	sed "/127.0.0.9\]/s/ .*/ $(cut -d' ' -f1,2 "$M/host2.pub" | sed 's,/,\\/,g')/
		/127.0.0.8\]/d" "$M/known_hosts" >known
	mkdir -p "$(root_of 6)/etc/ps-toolkit" "$(root_of 7)/etc/ps-toolkit"
	printf 'version=9.0\ndir=/usr/local/ASR\nrole=MS\n' \
		>"$(root_of 6)/etc/ps-toolkit/agent-install"
	printf 'version=0.0.1\ndir=/opt/asr\nrole=MS\n' \
		>"$(root_of 7)/etc/ps-toolkit/agent-install"
	keyed --no-register --json --connect-timeout 1 "127.0.0.1:$port" >silent 3>&- &
	pid=$!
	fails_with 1 keyed --known-hosts known --no-register --json -d /usr/local/ASR \
		-j 16 "$(at 6)" "$(at 7)" "$(at 8)" "$(at 9)" "$(at 10)" "$(at 11)" \
		"$(at 12)" "$(at 13)" "$(at 17)" 127.0.0.2:1 no-such-host.invalid
	while read -r host want; do
		[ "$(what "$host")" = "$want" ] ||
			{ echo "$host: $(what "$host"), wanted $want" >&2; false; }
	done <<-END
		$(at 6) failed newer -
		$(at 7) failed elsewhere -
		$(at 8) failed host-key 95518
		$(at 9) failed host-key 95518
		$(at 10) failed unsupported -
		$(at 11) failed unsupported -
		$(at 12) failed tools -
		$(at 13) failed no-command 95103
		$(at 17) failed libc -
		127.0.0.2:1 failed no-ssh 95522
		no-such-host.invalid failed unreachable 95117
	END
	[ "$(jq .failed out)" -eq 11 ]
	jq -r '.hosts[] | select(.failure.reason == "libc").words' out |
		grep -q '^2.17 is there, 2\.[0-9]* is needed$'
	# All have a hint; nothing was changed anywhere.
	jq -e 'all(.hosts[]; .failure.hint != "")' out
	[ -z "$(find "$M"/roots/[2-9] "$M"/roots/1? -name ps-push)" ]
	# So is a look alone; and one that has the programs already needs no more.
	fails_with 1 keyed --no-register --json --check "$(at 17)"
	[ "$(what "$(at 17)")" = "failed libc -" ]
	# The key of a new machine is taken when that is allowed, another one not.
	fails_with 1 keyed --known-hosts known --accept-new --no-register --json \
		--check "$(at 8)" "$(at 9)"
	[ "$(what "$(at 8)")" = "ready - -" ]
	[ "$(what "$(at 9)")" = "failed host-key 95518" ]
	fails_with 1 wait $pid
	cp silent out
	[ "$(what "127.0.0.1:$port")" = "failed unreachable 95117" ]
	# Another key than the one that is let in.
	fails_with 1 push -u "$(id -un)" -i "$M/other" --no-register --json "$(at 2)"
	[ "$(what "$(at 2)")" = "failed login 95108" ]
}

port_of() { # PID: sets port
	wait_for eval "ss -Hltnp | grep -q 'pid=$1,'"
	port=$(ss -Hltnp | sed -n "s/.*127.0.0.1:\([0-9]*\) .*pid=$1,.*/\1/p")
}

@test "accounts: what they may not, and a root that needs no password" {
	can_be_root || skip "needs root"
	local account host want pids=()
	while read -r account host want; do
		push --account "$account" --no-register --json --state "$T/$account" \
			"$(at "$host")" >"out.$account.$host" 2>"err.$account" 3>&- &
		pids+=($!)
	done <<-END
		easy 16
		plain 16
		rooted 16
		shut 16
		bad 16
		bad 14
	END
	rc=0
	for pid in "${pids[@]}"; do wait "$pid" || rc=$((rc + 1)); done
	[ "$rc" -eq 5 ]
	while read -r account host want; do
		cp "out.$account.$host" out
		[ "$(what "$(at "$host")")" = "$want" ] ||
			{ echo "$account: $(what "$(at "$host")")" >&2; false; }
	done <<-END
		easy 16 installed - -
		plain 16 failed rights 95517
		rooted 16 failed rights 95517
		shut 16 failed disabled 95519
		bad 16 failed login 95108
		bad 14 failed too-many-tries 95520
	END
	[ -x "$M/roots/sudo/usr/local/ASR/bin/ps-agent" ]
	# A wrong password is tried once, and nothing else in place of one.
	grep -q '1 incorrect password attempt' out.rooted.16
	# Where sudo asks for none it is no command of the shell there.
	fails_with 1 push --account rooted --no-register --check "$(at 16)"
	push --account odd --no-register --json --check --role MT "$(at 16)" >out 2>err
	[ "$(what "$(at 16)")" = "ready - -" ]
	fails_with 1 grep -qi 'word\|not found' out err
	fails_with 1 keyed --no-register --json "$(at 15)"
	[ "$(what "$(at 15)")" = "failed space 95524" ]
	# What a run that was killed has left goes with the next.
	run=$(mktemp -d /tmp/r.XXXXXX)
	mkdir -m 700 "$run/ps-push.abcdef"
	mkfifo "$run/ps-push.abcdef/0x1"
	XDG_RUNTIME_DIR=$run push --account easy --no-register --json --check \
		-d /none/such "$(at 16)" >out
	[ "$(what "$(at 16)")" = "ready - -" ]
	rmdir "$run"
}

# Is anything left of a look at host 9, whose grub.cfg never ends?
hangs() { pgrep -f "cat $(root_of 9)/boot/grub/grub.cfg"; }
is_over() { ! hangs; }

@test "a machine that hangs is given up, and nothing stays there" {
	mkdir -p "$(root_of 9)/boot/grub"
	mkfifo "$(root_of 9)/boot/grub/grub.cfg"
	fails_with 1 keyed --no-register --json --timeout 1 "$(at 9)"
	[ "$(what "$(at 9)")" = "failed timeout -" ]
	wait_for is_over
	# Nobody is there any more to be told.
	ps-push "${ALL[@]}" "${LOGIN[@]}" --no-register "$(at 9)" >out 2>&1 3>&- &
	pid=$!
	wait_for hangs
	kill -KILL $pid
	wait_for is_over
	wait $pid || true
}

@test "it installs, registers, and is skipped the next time" {
	keyed "${CS[@]}" --json "$(at 2 web01)" "$(at 3 web03)" >out
	[ "$(what "$(at 2)")" = "installed - -" ]
	[ "$(what "$(at 3)")" = "installed - -" ]
	jq -e --arg h "$(at 3)" 'any(.hosts[]; .host == $h and
		.warnings[].reason == "unknown-machine")' out
	for i in 2 3; do
		[ -x "$(root_of $i)/usr/local/ASR/bin/ps-agent" ]
		[ ! -e "$(root_of $i)/var/lib/ps-push" ]
		[ "$(stat -c %a "$(root_of $i)/etc/ps-toolkit/machine.key")" = 600 ]
	done
	grep -qx 'machine: web01' "$(root_of 2)/etc/ps-toolkit/agent.yaml"
	fails_with 1 grep -rqF "$(cat "$M/pass")" "$(root_of 2)" "$(root_of 3)" state
	keyed "${CS[@]}" --json "$(at 2 web01)" >out
	[ "$(what "$(at 2)")" = "skipped - -" ]
	# Another name is registered; the files are left alone.
	inode=$(stat -c %i "$(root_of 2)/usr/local/ASR")
	keyed "${CS[@]}" --json "$(at 2 web02)" >out
	[ "$(what "$(at 2)")" = "registered - -" ]
	[ "$(stat -c %i "$(root_of 2)/usr/local/ASR")" -eq "$inode" ]
	: >"$(root_of 2)/usr/local/ASR/bin/ps-agent"
	keyed --no-register --again "$(at 2)" >out
	grep -q "^$(at 2) *installed  *0.1.0 " out
	"$(root_of 2)/usr/local/ASR/bin/ps-agent" --version >/dev/null
	# A master target is a server of the site.
	own_etc "$(root_of 4)"
	keyed "${CS[@]}" -r MT --json "$(at 4 mt1)" >out
	[ "$(what "$(at 4)")" = "installed - -" ]
	ps-config server list --json | jq -e '.[] | select(.name == "mt1" and .role == "mt")'
	"$(root_of 4)/usr/local/ASR/bin/ps-service" status --root "$(root_of 4)" heartbeat
	stop_heartbeat 4
}

@test "what fails at registering is told, and the next push goes on" {
	mkdir -p "$(root_of 3)/etc/ps-toolkit"
	printf 'version=0.0.9\ndir=/usr/local/ASR\nrole=MS\n' \
		>"$(root_of 3)/etc/ps-toolkit/agent-install"
	fails_with 1 keyed "${CS[@]}" -P "$M/badpass" --json "$(at 2 web01)"
	[ "$(what "$(at 2)")" = "failed passphrase -" ]
	[ ! -e "$(root_of 2)/etc/ps-toolkit/machine.key" ]
	fails_with 1 keyed "${CS[@]}" --cs-port 1 --json "$(at 2 web01)" "$(at 3)"
	[ "$(what "$(at 2)")" = "failed cs-unreachable -" ]
	[ "$(what "$(at 3)")" = "failed cs-unreachable -" ]
	keyed "${CS[@]}" --retry >out
	grep -q "^$(at 2) *registered " out
	grep -q "^$(at 3) *upgraded  *0.1.0 (was 0.0.9) " out
	keyed "${CS[@]}" --retry --json >out
	[ "$(jq '.hosts | length' out)" -eq 0 ]
}

@test "only what is signed by who may sign is unpacked" {
	local i pids=()
	mkdir changed stranger purpose
	for i in changed stranger purpose; do cp "$M"/*.tar.gz* $i; done
	flip_bit changed/*.gz 5000
	"$PS_SOURCE/packaging/sign" "$M/other" stranger/*.gz
	# The right key, for something else.
	rm purpose/*.sig
	ssh-keygen -q -Y sign -f "$M/sign" -n file purpose/*.gz
	sed 's/^ps-toolkit-packages/somebody-else/' "$M/signers" >signers
	# It is found here; and on the machine, if this side is deceived.
	mkdir deceived
	ln -s /bin/true deceived/ssh-keygen
	set -- -p changed -p stranger -p purpose --signers=signers
	for i in 2 3 4 5; do
		keyed "$1" ${2:+"$2"} --no-register --check --json "$(at $i)" \
			>"out.$((i + 10))" 3>&- &
		pids+=($!)
		PATH=$PWD/deceived:$PATH keyed "$1" ${2:+"$2"} --no-register --json \
			--state "$T/state$i" "$(at $i)" >"out.$i" 3>&- &
		pids+=($!)
		shift $(($# > 1 ? 2 : 1))
	done
	for pid in "${pids[@]}"; do fails_with 1 wait "$pid"; done
	for i in 2 3 4 5; do
		cp "out.$((i + 10))" out
		[ "$(what "$(at $i)")" = "failed signature -" ]
		cp "out.$i" out
		[ "$(what "$(at $i)")" = "failed signature -" ]
		[ ! -e "$(root_of $i)/usr" ]
		[ -z "$(find "$(root_of $i)" -name 'part.*' -o -name unpacked)" ]
	done
}

# A way to 127.0.0.$1 on which $2 bytes pass, then $3 gets the others.
slow_way() {
	start socat TCP-LISTEN:0,bind=127.0.0.1,fork \
		SYSTEM:"{ stdbuf -o0 head -c $2; $3; } | socat - TCP\\:127.0.0.$1\\:$PORT"
	port_of "${STARTED[-1]}"
	echo "[127.0.0.1]:$port $(cut -d' ' -f1,2 "$M/host1.pub")" >>known
}

@test "what was cut off goes on where it ended" {
	local part port size
	cp "$M/known_hosts" known
	part=$(root_of 5)/var/lib/ps-push/part.$(sha256sum "$M"/*.tar.gz | cut -c 1-64)
	size=$(stat -c %s "$M"/*.tar.gz)
	slow_way 5 1000000 :
	fails_with 1 keyed --known-hosts known --no-register --json "127.0.0.1:$port"
	[ "$(what "127.0.0.1:$port")" = "failed copy 95106" ]
	had=$(stat -c %s "$part")
	[ "$had" -gt 500000 ] && [ "$had" -lt 1000000 ]
	# It stands still: a deadline ends it, or somebody does.
	slow_way 5 1000000 'cat >/dev/null'
	fails_with 1 keyed --known-hosts known --no-register --json --idle-timeout 1 \
		"127.0.0.1:$port"
	[ "$(what "127.0.0.1:$port")" = "failed timeout -" ]
	wait_for flock -n "${part%/*}/lock" true
	now=$(stat -c %s "$part")
	[ "$now" -ge "$had" ] && [ "$now" -lt "$size" ]
	ps-push "${ALL[@]}" "${LOGIN[@]}" --known-hosts known --no-register --json \
		"127.0.0.1:$port" >out 3>&- &
	pid=$!
	STARTED+=("$pid")
	wait_for eval "[ \$(stat -c %s '$part') -gt $now ]"
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	[ $rc -eq 75 ]
	[ "$(what "127.0.0.1:$port")" = "failed cancelled -" ]
	wait_for flock -n "${part%/*}/lock" true
	keyed --known-hosts known --no-register -v "$(at 5)" 2>err
	grep -q 'goes on with copying' err
	[ -x "$(root_of 5)/usr/local/ASR/bin/ps-agent" ] && [ ! -e "${part%/*}" ]
}

@test "other bytes than were sent are thrown away; one push at a time" {
	local stage
	stage=$(root_of 5)/var/lib/ps-push
	mkdir -p "$stage"
	head -c "$(stat -c %s "$M"/*.tar.gz)" /dev/zero \
		>"$stage/part.$(sha256sum "$M"/*.tar.gz | cut -c 1-64)"
	fails_with 1 keyed --no-register --json "$(at 5)"
	[ "$(what "$(at 5)")" = "failed damaged -" ]
	[ ! -e "$stage" ]
	mkdir -p "$stage"
	exec 9>"$stage/lock"
	flock 9
	fails_with 1 keyed --no-register --json "$(at 5)"
	[ "$(what "$(at 5)")" = "failed busy -" ]
	exec 9>&-
	exec 9>"state/127.0.0.5_$PORT.lock"
	flock 9
	fails_with 1 keyed --no-register --json "$(at 5)"
	[ "$(what "$(at 5)")" = "failed busy -" ]
	exec 9>&-
}

@test "secrets are in no argument, no environment and no file" {
	local how=("${LOGIN[@]}" "$(at 5 web16)")
	# Its password is asked for by ssh, and by sudo.
	! can_be_root || how=(--account boss "$(at 16 web16)")
	strace -f -qq -v -s 100000 -e trace=execve,openat,mknodat -o trace \
		ps-push "${ALL[@]}" "${how[@]}" "${CS[@]}"
	grep -q 'execve.*ssh.*ps-push work' trace
	fails_with 1 grep -qF "$(cat "$M/pass")" trace
	if can_be_root; then
		[ "$(stat -c %U "$M/roots/sudo/usr/local/ASR/bin/ps-agent")" = root ]
		grep -q 'execve.*tools/ps-push.*PS_PUSH_PIPE=' trace
		fails_with 1 grep -qF 'pass word' trace
		fails_with 1 grep -rqF "$(cat "$M/pass")" "$M/roots/sudo"
	fi
}
