#!/usr/bin/env bats
# limits.cpu of ps-agent, in a machine whose control groups are version 2.
load ../lib/common

prepare() {
	[ -n "${PS_LONG:-}" ] || skip "boots a machine: PS_LONG=1"
	command -v qemu-system-x86_64 cpio >/dev/null ||
		skip "qemu or cpio is not installed"
	cat >script <<-'END'
		mkdir -p /sys/fs/cgroup /t /prov
		mount -t cgroup2 c /sys/fs/cgroup
		mount -t tmpfs t /t
		mv /bin/none /bin/common.bash /prov
		umask 077
		cd /t
		export PS_PROVIDER_DIR=/prov
		ps-receive --new-passphrase -P passphrase >/dev/null
		ps-cache init -C cache >/dev/null
		ps-receive --new-cert --cert cert --key key >/dev/null
		ps-receive -l 127.0.0.1:9443 -C cache --cert cert --key key \
			-P passphrase &
		cxpsclient --derive-key m -P passphrase -o m.key
		dd if=/dev/urandom of=a.img bs=1M count=24
		svc=/sys/fs/cgroup/svc
		mkdir $svc
		echo +cpu >/sys/fs/cgroup/cgroup.subtree_control
		# once SHARE: in the group of a service, and what it got
		once() {
			cat >agent.yaml <<-YAML
			machine: m
			server: {host: 127.0.0.1, port: 9443, key: /t/m.key}
			state: /t/state$1
			limits: {cpu: $1%}
			disks: [{name: a$1, source: /t/a.img, provider: none}]
			YAML
			bash -c "echo \$\$ >$svc/cgroup.procs
				exec ps-agent once -c agent.yaml"
			echo "once $1 ends with $?"
			sed "s/^/$1 max /" $svc/ps-agent.work/cpu.max
			sed "s/^/$1 /" $svc/ps-agent.work/cpu.stat
			ps-agent status -c agent.yaml
		}
	END
	T_PROGRAMS=("$PS_BUILD"/tools/{ps-agent,ps-scan,ps-compress,ps-receive,cxpsclient,ps-cache}
		"$BATS_TEST_DIRNAME"/../../providers/{none,common.bash})
}

guest() {
	local code=0
	"$BATS_TEST_DIRNAME/../lib/guest" "$BATS_FILE_TMPDIR/guest" \
		"$T/script" "${T_PROGRAMS[@]}" >out || code=$?
	[ "$code" -ne 69 ] || skip "no kernel to be had"
	cat out
	[ "$code" -eq 0 ]
}

# of SHARE FIGURE: from the group's cpu.stat
of() { sed -n "s/^$1 $2 //p" out; }

@test "programs keep the share, and the next start has it too" {
	echo 'once 100; once 10' >>script
	guest
	grep -q 'once 100 ends with 0' out
	grep -q 'once 10 ends with 0' out
	grep -q '^10 max 10000 100000' out
	[ "$(of 100 usage_usec)" -gt 100000 ]
	[ "$(of 10 usage_usec)" -gt $(($(of 100 usage_usec) + 100000)) ]
	[ "$(of 10 nr_throttled)" -gt $(($(of 100 nr_throttled) + 5)) ]
	run ! grep 'cannot be kept' out
}

@test "a group that others are in is left alone, and status says so" {
	cat >>script <<-'END'
		sleep 1000 &
		echo $! >$svc/cgroup.procs
		once 10
		echo "handed down: '$(cat $svc/cgroup.subtree_control)'"
	END
	guest
	grep -q 'once 10 ends with 0' out
	grep -q 'cannot be kept' out
	grep -q "handed down: ''" out
}
