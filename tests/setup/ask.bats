#!/usr/bin/env bats
# unifiedsetup: the questions on a terminal, and the command that they are.
load ../lib/common
load setup

prepare() {
	command -v python3 >/dev/null || skip "no python3"
	files
	ps-vault init vault >/dev/null
}

cleanup() { [ ! -e root ] || ps-service stop --root "$T/root" || true; }

# answers LINE... -- COMMAND...: a terminal on which these lines are typed;
# what it shows is in $T/screen
answers() {
	local lines=()
	while [ "$1" != -- ]; do
		lines+=("$1")
		shift
	done
	shift
	printf '%s\n' "${lines[@]}" >typed
	cat >typist.py <<-'END'
		import os, pty, select, sys, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execvp(sys.argv[1], sys.argv[1:])
		end = time.monotonic() + 60
		os.write(fd, open("typed", "rb").read())
		with open("screen", "wb") as out:
		    while time.monotonic() < end:
		        if not select.select([fd], [], [], 1)[0]:
		            continue
		        try:
		            data = os.read(fd, 65536)
		        except OSError:
		            break
		        if not data:
		            break
		        out.write(data)
		    else:
		        os.kill(pid, 9)
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	python3 typist.py "$@"
}

@test "a process server by answers: wrong ones are asked again" {
	other_end
	PORT=$(free_port)
	answers nonsense 2 "" 127.0.0.1 nofile pass vaultcreds 9 direct y data \
		"$T/srv" 192.0.2 127.0.0.1 70000 "$PORT" yes -- \
		unifiedsetup --cs-port "$CS_PORT" --root "$T/root" --name ps1 \
		--skip-space-check || { cat screen; false; }
	tr -d '\r' <screen >shown
	says shown "'nonsense' is none of these"
	says shown "nofile: No such file"
	says shown "'data' is no whole path"
	says shown "'192.0.2' is no IPv4 address"
	says shown "'70000' is no port"
	lacks shown "$(cat pass)"
	[ -e root/"$T"/srv/cache ]
	# The command that is printed at the end does the same: nothing is left.
	command=$(sed -n 's/^  \(unifiedsetup .*\)/\1/p' shown | tail -n 1)
	says shown "/ServerMode PS"
	eval "$command" >again || { cat again; false; }
	[ "$(grep -c ^done again)" -eq 0 ] || { cat again; false; }
	says again "same   registration"
}

@test "back to the page before: what was answered is offered again" {
	local long
	long=$(head -c 1500 /dev/zero | tr '\0' x)
	# From the vault to the role and to another one; a whole line too long.
	fails_with 1 answers '<' PS 127.0.0.1 pass '<' back CS mysql vaultcreds \
		proxy proxy "$long" yes / /srv/cs '<' '' 127.0.0.1 9444 '<' '' '' \
		'<' '<' '' '' '' no -- unifiedsetup --name cs1
	tr -d '\r' <screen >shown
	says shown "Its address [127.0.0.1]: "
	says shown "That is too long."
	says shown "'/' is no whole path of a folder"
	says shown "Folder [/srv/cs]: "
	says shown "Port [9444]: "
	says shown "configuration and process server, cache in /srv/cs, address 127.0.0.1 port 9444"
	says shown "way to it: 192.0.2.7"
	says shown "nothing was changed"
}

@test "a configuration server by answers, and one who says no" {
	fails_with 1 answers CS mysql vaultcreds proxy proxy no /srv/cs \
		127.0.0.1 9443 no -- unifiedsetup --name cs1
	tr -d '\r' <screen >shown
	says shown "nothing was changed"
	says shown "configuration and process server, cache in /srv/cs"
	[ ! -e /srv/cs ]
}

@test "without a terminal, or with a flag, nothing is asked" {
	fails_with 64 unifiedsetup </dev/null
	says err "required and missing: /ServerMode"
	fails_with 64 answers PS -- unifiedsetup /ServerMode PS
	says screen "required and missing: /InstallLocation"
}
