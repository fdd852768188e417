#!/usr/bin/env bats
# ps-service: the services of a server as processes, below a folder.
load ../lib/common
load ../lib/style

prepare() {
	unset PS_CONFIG
	R=$T/root
	CONF=$R$(make_var sysconfdir)/ps-toolkit
	LOGS=$R$(make_var localstatedir)/log/ps-toolkit
	mkdir -p "$CONF"
}

cleanup() {
	ps-service stop -q --root "$R" receive pipeline health verify renew agent \
		config heartbeat || true
}

# A server that works, on a free port.
configure_server() {
	ps-cache init -q -C "$R/cache"
	ps-vault init "$R/vault"
	ps-receive -q --new-cert --cert "$R/cert" --key "$R/key"
	ps-receive -q --new-passphrase -P "$R/pass"
	PORT=$(python3 -c 'import socket; s = socket.socket()
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	cat >"$CONF/ps.yaml" <<-END
		cache: $R/cache
		vault: $R/vault
		receive: {listen: "127.0.0.1:$PORT", cert: $R/cert, key: $R/key,
		  passphrase: $R/pass, user: $(id -un)}
		pipeline: {seat: auto}
	END
}

service() { # WORD [NAME...]
	ps-service "$1" --root "$R" "${@:2}"
}

field() { # NAME FIELD
	service status --json "$1" | jq -r ".[0].$2"
}

running() { [ "$(field "$1" state)" = running ]; }

@test "a server in a folder: started, replicates, told, stopped" {
	configure_server
	service start
	service status >out
	[ "$(grep -c ' running \| idle ' out)" -eq 5 ]
	cxpsclient --derive-key m -P "$R/pass" -o m.key
	random_file disk.img 3000000
	ps-scan --machine m --disk d --map map disk.img |
		cxpsclient -i 127.0.0.1 -l "$PORT" -P m.key --put - |
		ps-scan --commit --map map >acks
	grep -q '^durable' acks
	stored() { [ "$(ps-vault list "$R/vault" --json | jq length)" -eq 1 ]; }
	wait_for stored
	[ -s "$LOGS/receive.log" ]
	grep -qE '^20[0-9-]*T[0-9:]*Z ' "$LOGS/pipeline.log"
	pid=$(field receive pid)
	sampled() { [ "$(field health last_exit.code)" != null ]; }
	wait_for sampled
	[ -s "$R$(make_var localstatedir)/lib/ps-toolkit/health/samples" ]
	next=$(date -d "$(field health next)" +%s)
	[ "$next" -gt $(($(date +%s) - 20)) ] && [ "$next" -le $(($(date +%s) + 60)) ]
	service stop
	fails_with 1 service status
	[ ! -d "/proc/$pid" ]
	[ "$(field receive state)" = stopped ]
	[ "$(field receive last_exit.code)" -eq 0 ]
}

@test "stop ends what runs, named or not, and also with a damaged ps.yaml" {
	configure_server
	echo 'service: {names: receive}' >>"$CONF/ps.yaml"
	service start
	service start renew
	service status >out
	[ "$(grep -cE '^(receive +running|renew +idle)' out)" -eq 2 ]
	[ "$(service status --services receive | wc -l)" -eq 2 ]
	fails_with 1 service status verify
	echo 'cache: [' >"$CONF/ps.yaml"
	fails_with 78 service start
	fails_with 1 service status
	grep -q 'ps.yaml:' err
	# Named by hand, as the machine's own is read: no hindrance, either.
	PS_CONFIG=$CONF/ps.yaml fails_with 1 service status
	PS_CONFIG=$CONF/ps.yaml fails_with 78 service renew
	PS_CONFIG=$CONF/ps.yaml service stop &
	service stop
	wait $!
	[ "$(field receive state) $(field renew state)" = "stopped stopped" ]
	# Both waited: nobody was killed.
	[ "$(field receive last_exit.code)" -eq 0 ]
}

@test "two starts at one time start one, a restart another" {
	configure_server
	service start receive &
	service start receive
	wait $!
	pid=$(field receive pid)
	service start receive
	[ "$(field receive pid)" -eq "$pid" ]
	[ "$(pgrep -cf "ps-service start --root $R receive")" -eq 1 ]
	service restart receive
	[ "$(field receive pid)" -ne "$pid" ]
	[ "$(field receive restarts)" -eq 0 ]
}

@test "a renewed certificate is taken into use, an old one is left alone" {
	configure_server
	service start receive pipeline
	pid=$(field receive pid)
	touch -d '-1 hour' "$R/cert" "$R/key" "$R/pass"
	service run renew
	[ "$(field receive pid)" -eq "$pid" ]
	touch -d '+1 second' "$R/cert"
	pipeline=$(field pipeline pid)
	stamp=$R$(make_var localstatedir)/lib/ps-toolkit/health/job.renew
	rm "$stamp"
	service run renew
	[ -e "$stamp" ]
	[ "$(field receive pid)" -ne "$pid" ]
	[ "$(field pipeline pid)" -eq "$pipeline" ]
}

@test "a killed supervisor leaves nothing that a start cannot take over" {
	configure_server
	service start receive
	pid=$(field receive pid)
	kill -9 "$(pgrep -f "ps-service start --root $R receive")"
	service start receive
	running receive
	[ "$(field receive pid)" -ne "$pid" ]
	gone() { [ ! -d "/proc/$pid" ]; }
	wait_for gone
	kill -9 "$(pgrep -f "ps-service start --root $R receive")"
	service stop receive
	fails_with 1 service status receive
}

@test "a wrong configuration is told by start, and not tried for ever" {
	configure_server
	chmod 644 "$R/key"
	fails_with 77 service start receive
	grep -q 'ps-service: receive: .*others' err
	[ "$(field receive state)" = failed ]
	[ "$(field receive last_exit.code)" -eq 77 ]
	chmod 600 "$R/key"
	service start receive
	running receive
}

@test "what is not configured is not started" {
	fails_with 78 ps-service start --root "$R"
	fails_with 78 service start agent
	grep -q 'agent.yaml is not there' err
	fails_with 64 service start receiver
	grep -q 'there are: receive' err
	fails_with 64 service run receive
	service stop receive
	fails_with 1 service status receive
	configure_server
	# Whose identity is meant: that of the folder, or what ps.yaml says.
	echo "config: {identity: $R/other}" >>"$CONF/ps.yaml"
	fails_with 75 service start heartbeat
	grep -qF "$R/other/identity.json" "$LOGS/heartbeat.log"
	service stop heartbeat
	sed -i '/^config:/d' "$CONF/ps.yaml"
	fails_with 75 service start heartbeat
	grep -qF "$R$(make_var localstatedir)/lib/ps-toolkit/identity/" \
		"$LOGS/heartbeat.log"
	service stop heartbeat
	echo 'service: {names: "receive,health"}' >>"$CONF/ps.yaml"
	service start
	[ "$(service status --json | jq -c '[.[].name]')" = '["receive","health"]' ]
	[ "$(field pipeline state)" = stopped ]
}

@test "a job is done once at a time, and by its supervisor if it has one" {
	configure_server
	service run verify
	[ -e "$R$(make_var localstatedir)/lib/ps-toolkit/health/job.verify" ]
	# Locked by somebody who runs it already.
	jobs=$R$(make_var localstatedir)/lib/ps-toolkit/jobs
	rm "$R$(make_var localstatedir)/lib/ps-toolkit/health/job.verify"
	flock "$jobs/verify" ps-service run -v --root "$R" verify 2>err
	grep -q 'runs already' err
	service start verify
	service run -v verify 2>err
	grep -q 'its supervisor runs it' err
	[ "$(field verify state)" = idle ]
	[ ! -e "$R$(make_var localstatedir)/lib/ps-toolkit/health/job.verify" ]
	# A vault that is not there is no success.
	service stop verify
	mv "$R/vault" "$R/away"
	fails_with 66 service run verify
	[ ! -e "$R$(make_var localstatedir)/lib/ps-toolkit/health/job.verify" ]
}

@test "a job that fails is told at once, until it ends well" {
	configure_server
	failing() { # what ps-health says of jobs
		ps-health sample -q --config "$CONF/ps.yaml" --state "$STATE"
		ps-health check --config "$CONF/ps.yaml" --state "$STATE" \
			--format json >health || true
		jq -r '.alerts[] | select(.code == "job-failed") |
			.key + " " + .evidence + " " + .since' health
	}
	STATE=$R$(make_var localstatedir)/lib/ps-toolkit/health
	service run verify
	[ -z "$(failing)" ]
	mv "$R/vault" "$R/away"
	fails_with 66 service run verify
	failing >first
	grep -q '^job-failed:verify .*exit-code' first
	touch -d '-2 hours' "$STATE/job.verify.failed"
	fails_with 66 service run verify
	[ "$(jq '.alerts[] | select(.code == "job-failed") | .seconds' health)" -lt 60 ]
	failing >second # since the first failure
	[ "$(jq '.alerts[] | select(.code == "job-failed") | .seconds' health)" -ge 7200 ]
	mv "$R/away" "$R/vault"
	# One that was stopped has not failed, and has not been done.
	SERVICE_RESULT=success ps-health stamp verify --state "$STATE"
	[ -n "$(failing)" ]
	service run verify
	[ -z "$(failing)" ]
}

@test "the doctor starts again what ps-service has started" {
	configure_server
	service start receive pipeline
	service stop pipeline
	doctor() { ps-doctor --config "$CONF/ps.yaml" --fix --yes services; }
	doctor >out 2>err || { cat out err; false; }
	grep -qF "ps-service restart --root $R pipeline" err
	running pipeline
}

@test "all vaults of the configuration are verified, whatever one of them is" {
	configure_server
	sed -i '/^vault:/d' "$CONF/ps.yaml"
	ps-vault init "$R/far"
	cat >>"$CONF/ps.yaml" <<-END
		vaults:
		  - {name: near, url: $R/vault}
		  - {name: far, url: "file://$R/far"}
	END
	random_file disk.img 300000
	ps-scan --machine m --disk d --map map disk.img | tee segs |
		ps-upload -q "$R/vault" >acks
	ps-upload -q "file://$R/far" <segs >acks
	stamp=$R$(make_var localstatedir)/lib/ps-toolkit/health/job.verify
	service run verify >out
	[ "$(grep -c 'sound$' out)" -eq 2 ]
	[ -e "$stamp" ]
	ps-vault verify --config "$CONF/ps.yaml" --json |
		jq -se --arg v "$R/vault" 'length == 2 and .[0].vault == $v'
	# The second is looked at behind one that is gone, and the answer is no.
	rm "$stamp"
	mv "$R/vault" "$R/away"
	fails_with 66 service run verify
	grep -qx 'far:' out
	grep -q 'sound$' out
	grep -qF "$R/vault" err
	mv "$R/away" "$R/vault"
	truncate -s -1 "$(find "$R/far/m/d" -type f | head -n 1)"
	fails_with 65 service run verify
	[ ! -e "$stamp" ]
	# What does not go over all of them asks which.
	fails_with 64 ps-vault list --config "$CONF/ps.yaml"
	grep -q 'has 2 vaults: name one' err
}

@test "a program that is not root can have a server of its own" {
	[ "$(id -u)" -eq 0 ] || skip "is not root anyway"
	need setpriv
	as_nobody() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
	as_nobody test -x "$PS_BUILD/tools/ps-service" ||
		skip "the build folder is closed"
	R=$(mktemp -d /tmp/ps-service.XXXXXX)
	CONF=$R$(make_var sysconfdir)/ps-toolkit
	mkdir -p "$CONF"
	chown -R nobody "$R"
	as_nobody env HOME=/ bash -c "cd / && $(declare -f configure_server)
		R=$R CONF=$CONF; PATH=$PATH; configure_server"
	as_nobody ps-service start --root "$R" receive
	running receive
	as_nobody ps-service stop --root "$R" receive
	if [ ! -d /run/systemd/system ] && [ ! -d /run/ps-toolkit/service ]; then
		fails_with 77 as_nobody ps-service start receive
		grep -q -e '--root DIR' err
	fi
	rm -rf "$R"
}
