# Machines for tests of push installation: one sshd on loopback that is a host
# at each of 127.0.0.2 to .17 (it listens at 16 addresses at most); each has a folder of its own as its root
# (PS_ROOT). As root it runs in a mount namespace with users of its own, so
# that passwords and sudo are real, and nothing of this machine is changed.
# shellcheck shell=bash

# The agent's tarball of the build: with the few programs that are run here.
agent_tarball() { # OUT KEY [PROGRAM...]: with those programs, too
	local tree=$BATS_FILE_TMPDIR/tree server=$BATS_FILE_TMPDIR/server tool
	mkdir -p "$tree"/usr/{bin,libexec/ps-toolkit,share/man,share/ps-toolkit} \
		"$tree/lib/systemd/system"
	for tool in ps-agent ps-config ps-service cxpsclient "${@:3}"; do
		strip -o "$tree/usr/bin/$tool" "$PS_BUILD/tools/$tool"
	done
	cp "$PS_BUILD"/packaging/systemd/ps-{agent,heartbeat}.service \
		"$tree/lib/systemd/system/"
	mkdir -p "$server/usr/bin"
	for tool in ps-restore ps-vault; do
		strip -o "$server/usr/bin/$tool" "$PS_BUILD/tools/$tool"
	done
	"$PS_SOURCE/packaging/agent/make-tarball" "$tree" "$server" 0.1.0 "$1" "$2"
}

make_keys() {
	local name
	for name in login other host1 host2 sign; do
		ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$name"
	done
	cp login.pub authorized_keys
	echo "ps-toolkit-packages $(cut -d' ' -f1,2 sign.pub)" >signers
}

# Conditions of a host are its number: see the tests.
sshd_config() { # PORT
	local i
	cat <<-END
		HostKey $PWD/host1
		PidFile none
		StrictModes no
		AuthorizedKeysFile $PWD/authorized_keys
		PermitRootLogin yes
		PasswordAuthentication yes
		KbdInteractiveAuthentication no
		UsePAM no
		MaxStartups 200
		KexAlgorithms curve25519-sha256
		Ciphers aes128-gcm@openssh.com
		Subsystem sftp internal-sftp
	END
	for i in {2..17}; do echo "ListenAddress 127.0.0.$i:$1"; done
	cat <<-END
		Match LocalAddress 127.0.0.10
		  SetEnv PS_ROOT=$PWD/roots/10 PATH=$PWD/arm:/usr/bin:/bin
		Match LocalAddress 127.0.0.11
		  SetEnv PS_ROOT=$PWD/roots/11 PATH=$PWD/bsd:/usr/bin:/bin
		Match LocalAddress 127.0.0.12
		  SetEnv PS_ROOT=$PWD/roots/12 PATH=$PWD/old:/usr/bin:/bin
		Match LocalAddress 127.0.0.17
		  SetEnv PS_ROOT=$PWD/roots/17 PATH=$PWD/aged:/usr/bin:/bin
		Match LocalAddress 127.0.0.13
		  ForceCommand internal-sftp
		Match LocalAddress 127.0.0.14
		  MaxAuthTries 1
	END
	for i in {2..15}; do
		echo "Match LocalAddress 127.0.0.$i"
		echo "  SetEnv PS_ROOT=$PWD/roots/$i"
	done
}

# Programs of machines that are not at hand: what they would say.
odd_machines() {
	mkdir arm bsd old aged
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n[ "$1" = -m ] && echo riscv64 || exec /usr/bin/uname "$@"\n' >arm/uname
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n[ "$1" = -s ] && echo FreeBSD || exec /usr/bin/uname "$@"\n' >bsd/uname
	printf '#!/bin/sh\necho "unknown option -- Y" >&2\nexit 1\n' >old/ssh-keygen
	printf '#!/bin/sh\necho glibc 2.17\n' >aged/getconf
	chmod +x {arm,bsd,old,aged}/*
}

# Users of the namespace: boss may sudo with the password, easy without one,
# odd without one to a shell alone, rooted with that of root; plain not at
# all; shut has no shell.
user_files() {
	local hash uid=64000 name
	hash=$(openssl passwd -6 -salt ab "$(cat password)")
	# Not what this machine's root has in its home.
	sed -nE -e 's,^(root:.*):[^:]*:[^:]*$,\1:/:/bin/sh,p' -e '/^(sshd|nobody):/p' \
		/etc/passwd >passwd
	grep -E '^(root|sshd|nobody):' /etc/shadow >shadow
	for name in boss easy odd rooted plain shut; do
		uid=$((uid + 1))
		echo "$name:x:$uid:64000::/:/bin/sh" >>passwd
		echo "$name:$hash:19000::::::" >>shadow
	done
	sed -i '/^shut:/s,/bin/sh$,/usr/sbin/nologin,' passwd
	printf '%s\n' "Defaults env_file=$PWD/sudo.env" 'root ALL=(ALL) ALL' \
		'boss ALL=(ALL) ALL' 'easy ALL=(ALL) NOPASSWD: ALL' \
		'odd ALL=(ALL) ALL, NOPASSWD: /bin/sh, /usr/bin/sh' \
		'rooted ALL=(ALL) ALL' 'Defaults:rooted rootpw' >sudoers
	echo "PS_ROOT=$PWD/roots/sudo" >sudo.env
	chmod 644 passwd authorized_keys
	chmod 600 shadow
	chmod 440 sudoers
}

can_be_root() {
	[ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null &&
		command -v sudo >/dev/null
}

# Becomes sshd; in the folder of the machines.
become_sshd() {
	local sshd
	sshd=$(PATH=$PATH:/usr/sbin command -v sshd)
	if can_be_root; then
		exec unshare -m bash -euc '
			for file in passwd shadow sudoers; do mount --bind $file /etc/$file; done
			mount -t tmpfs tmpfs /run
			mkdir /run/sshd /run/sudo
			mount -t tmpfs -o size=16m tmpfs roots/15
			exec "$1" -D -e -f sshd_config' sh "$sshd"
	fi
	exec "$sshd" -D -e -f sshd_config
}

listening() {
	ssh-keyscan -T 2 -p "$1" 127.0.0.2 2>/dev/null | grep -q ssh-
}

# In a folder of the test file: sshd.pid, port, known_hosts.
start_machines() {
	local port i
	make_keys
	odd_machines
	printf 'pass word$1"\n' >password
	can_be_root && user_files
	for i in {2..17} sudo; do mkdir -p "roots/$i"; done
	while :; do
		port=$((20000 + RANDOM % 12000))
		sshd_config "$port" >sshd_config
		(become_sshd) >sshd.log 2>&1 3>&- &
		echo $! >sshd.pid
		for ((i = 0; i < 200; i++)); do
			if listening "$port"; then break 2; fi
			# The port may be somebody's: then it ends at once.
			kill -0 "$(cat sshd.pid)" 2>/dev/null || continue 2
			sleep 0.05
		done
		cat sshd.log >&2
		return 1
	done
	echo "$port" >port
	for i in {2..17}; do
		echo "[127.0.0.$i]:$port $(cut -d' ' -f1,2 host1.pub)"
	done >known_hosts
}

stop_machines() {
	[ ! -e "$1/sshd.pid" ] || kill "$(cat "$1/sshd.pid")" || true
}
