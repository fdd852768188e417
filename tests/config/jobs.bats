#!/usr/bin/env bats
# ps-config: what takes long is a job; who is silent; certificates in time.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	command -v sqlite3 >/dev/null || skip "sqlite3 is not installed"
}

# back SECONDS SERVER: it was heard last so long before it really was
back() {
	sqlite3 -cmd '.timeout 5000' config/registry.db \
		"UPDATE servers SET contact = contact - $1 * 1000000000
		WHERE name = '$2'"
}

# told WHAT OBJECT: so often it stands in the audit log
told() { answer "map(select(.what == \"$1\")) | length" audit --object "$2"; }

# job FILTER ID: of what is known of a job
job() { answer "$1" jobs show "$2"; }

step_is() { [ "$(job ".steps[$2].state" "$1")" = "$3" ]; }

@test "refresh is a job: who was heard, who was not, what was cut off goes on" {
	site --interval 600s
	join ps1 >out
	join ps2 >out
	beating ps1
	beating ps2
	wait_for [ "$(answer length list)" -eq 2 ]
	ps-config refresh --json >first.json
	[ "$(jq -c '[.servers[] | .name, .heard]' first.json)" = \
		'["ps1",true,"ps2",true]' ]
	[ "$(job '[.kind, .object, .state, .result, .steps[1].note]' \
		"$(jq .job first.json)")" = \
		'["refresh","*","done","2 heard","2 of 2"]' ]
	# Nobody beats for it: it waits, and whoever waits is killed.
	end "${STARTED[-1]}"
	start ps-config refresh ps2
	wait_for step_is 2 1 running
	[ "$(job '.steps[1].note' 2)" = '0 of 1; not yet: ps2' ]
	kill -9 "${STARTED[-1]}"
	[ "$(answer '[.[] | [.job, .state]]' jobs --open)" = '[[2,"running"]]' ]
	beating ps2
	[ "$(ps-config refresh ps2 --json | jq .job)" -eq 2 ]
	[ "$(job .state 2)" = 'done' ]
	# One that was cancelled is given up by who waits.
	end "${STARTED[-1]}"
	start ps-config refresh ps2
	refresher=${STARTED[-1]}
	wait_for step_is 3 1 running
	ps-config jobs cancel 3 --note 'not now'
	ps-config jobs --last 1 --json | jq -e '.[0] | .job == 3 and
		.state == "cancelled" and .result == "not now"'
	beating ps2
	wait "$refresher" && false
	[ "$(answer length jobs --open)" -eq 0 ]
}

@test "unregister is a job, and can be cancelled: the server stays" {
	site --interval 600s
	join ps1 --port "$(cat port)" >out
	# Heard once, but nobody is there to take the wish.
	beat ps1 --once
	start ps-config unregister ps1
	leaver=${STARTED[-1]}
	wait_for step_is 1 1 'done'
	[ "$(job '[.kind, .object, .state, .steps_done]' 1)" = \
		'["unregister","ps1","running",2]' ]
	fails_with 1 ps-config jobs 'done' 1 # it says that itself
	[ "$(ps-config jobs cancel 1 --note 'after all')" = 'the server stays' ]
	[ "$(job .result 1)" = 'it stays; after all' ]
	wait "$leaver" && false
	[ "$(job '[.state, .steps_done]' 1)" = '["cancelled",2]' ]
	fails_with 1 ps-config jobs cancel 1
	beat ps1 --once # and is not sent away
	[ "$(answer '[.[].what]' audit --object ps1 -n 3)" = \
		'["server-leave","job-end","server-stay"]' ]
	# Now it goes; its farewell ends the job, whoever waits for that.
	start ps-config unregister ps1
	leaver=${STARTED[-1]}
	wait_for step_is 2 1 'done'
	kill -9 "$leaver"
	beat ps1 --once 2>err
	[ "$(job '[.state, .steps_done, .result]' 2)" = \
		'["done",3,"0 machines lost it"]' ]
	[ "$(answer length list)" -eq 0 ]
	[ ! -e ps1/login.key ]
	# One that fails says why, in the history, too.
	join ps2 --port 1 >out
	beat ps2 --once
	fails_with 69 ps-config unregister ps2
	[ "$(job .state 3)" = failed ]
	job .result 3 | grep -q '127.0.0.1'
	ps-config unregister ps2 --force --yes
	[ "$(job '[.state, .steps_done]' 4)" = '["done",1]' ]
}

@test "a rotation is a job: it tells who has not followed, and ends with the old one" {
	site --interval 600s
	join ps1 >out
	join ps2 >out
	mv first zeroth
	(umask 077 && ps-config passphrase rotate --overlap 1h >first)
	[ "$(job '[.kind, .state, .steps[0].note]' 1)" = \
		'["rotate","running","0 of 2; not yet: ps1 ps2"]' ]
	fails_with 1 ps-config jobs cancel 1
	grep -q 'not taken back' err
	wait_for join ps1
	# The server itself looks at it.
	followed() { [ "$(job '.steps[0].note' 1)" = '1 of 2; not yet: ps2' ]; }
	wait_for followed
	join ps2 >out
	ps-config passphrase status >out
	[ "$(job '[.state, .steps[0].percent]' 1)" = '["running",100]' ]
	# As if the hour were over.
	sqlite3 -cmd '.timeout 5000' config/registry.db \
		'UPDATE passphrases SET until = 1 WHERE generation = 1'
	finished() { [ "$(job .state 1)" = 'done' ]; }
	wait_for finished
	[ "$(job .result 1)" = '2 servers followed' ]
	(umask 077 && ps-config passphrase rotate >second)
	[ "$(job '[.state, .steps[0].percent]' 2)" = '["running",0]' ]
	# Another one takes its place.
	ps-config passphrase rotate --overlap 0 >third
	[ "$(job '[.state, .result]' 2)" = \
		'["failed","generation 4 came meanwhile"]' ]
	[ "$(job '[.state, .result]' 3)" = '["failed","not followed: ps1 ps2"]' ]
}

@test "15 minutes of silence: 806 in status, list, log and audit, until it is heard" {
	site --interval 1s
	join ps1 >out
	join ps2 >out
	join ps3 >out
	beat ps1 --once
	beat ps2 --once
	# Who has registered and was never heard is told in the same words.
	[ "$(answer '.[2].state' list)" = never ]
	[ "$(ps-config list | awk '/^ps3/ { print $5, $6 }')" = 'never never' ]
	ps-config status | grep -q '^warning *ps3 *ps *never .*no heartbeat yet'
	sqlite3 -cmd '.timeout 5000' config/registry.db "UPDATE servers
		SET registered = registered - 901000000000 WHERE name = 'ps3'"
	[ "$(answer '[.state, .code]' show ps3)" = '["silent",806]' ]
	[ "$(ps-config status --json | jq -r '.servers[2].state')" = silent ]
	ps-config list | grep -q '^ps3 .* silent 806  never '
	ps-config status | grep -q '^critical *ps3 *ps *never .* 806: no heartbeat since it registered, for 15m'
	fails_with 69 ps-config unregister ps3
	grep -q "'ps3': was never heard" err
	wait_for grep -q "'ps3': critical (806)" serve.err
	[ "$(told server-silent ps3)" -eq 1 ]
	ps-config unregister ps3 --force --yes
	back 840 ps1 # 14 minutes
	[ "$(answer '[.[].state]' list)" = '["ok","ok"]' ]
	back 62 ps1
	[ "$(answer '[.[] | .state, .code]' list)" = '["silent",806,"ok",null]' ]
	ps-config list | grep -q 'ps1 .*silent 806'
	fails_with 1 ps-config status
	grep -q '^critical *ps1 .*806: no heartbeat for 15m' out
	wait_for grep -q "'ps1': critical (806)" serve.err
	[ "$(told server-silent ps1)" -eq 1 ]
	# A second server, or the same once more, does not tell it again.
	port=$(cat port)
	end "$SERVER"
	serve --interval 1s -l "127.0.0.1:$port"
	wait_for beat ps2 --once
	[ "$(told server-silent ps1)" -eq 1 ]
	beat ps1 --once
	[ "$(answer '[.[].state]' list)" = '["ok","ok"]' ]
	[ "$(told server-back ps1)" -eq 1 ]
	answer '.[-1].detail' audit --object ps1 | grep -q 'was silent for 15m'
	[ "$(ps-config status | grep -c 806)" -eq 0 ]
	[ "$(told server-silent ps2)" -eq 0 ]
}

serial() { openssl x509 -in ps1/server.crt -noout -serial; }

# of_ps1 FILTER: of its certificate in force
of_ps1() { answer ".[] | select(.server == \"ps1\") | $1" cert 2>err; }

@test "certificates are renewed by the heartbeat, expired ones by the passphrase" {
	local first pin
	site --interval 1s --valid 1h
	join ps1 >out
	first=$(serial)
	pin=$(of_ps1 .pin)
	# More than half of its hour is over: the same key gets another one.
	beat ps1 --once
	[ "$(serial)" = "$first" ]
	sqlite3 -cmd '.timeout 5000' config/registry.db "UPDATE certificates SET
		begins = begins - 2400000000000, ends = ends - 2400000000000
		WHERE subject = 'ps1'"
	[ "$(of_ps1 .state)" = renew ]
	grep -q "the certificate of 'ps1' expires in 0 days" err
	fails_with 1 ps-config status
	grep -q 'ps1.*its certificate: renew' out
	beat ps1 --once 2>err
	grep -q 'the certificate was renewed' err
	[ "$(serial)" != "$first" ]
	[ "$(of_ps1 .pin)" = "$pin" ]
	[ "$(answer '[.[].state] | unique' cert --all 2>err)" = \
		'["ok","renew","replaced"]' ]
	# One for two seconds, by hand; after that only with a proof.
	openssl req -new -key ps1/server.key -subj /CN=x -out csr 2>/dev/null
	ps-config cert issue ps1 --csr csr --valid 2s -o ps1/server.crt
	first=$(serial)
	over() { ! openssl x509 -in ps1/server.crt -noout -checkend 0; }
	wait_for over
	[ "$(of_ps1 .state)" = expired ]
	fails_with 1 ps-config status
	grep -q 'its certificate: expired' out
	fails_with 77 ps-config cert issue ps1 --csr csr
	ps-config register --identity ps1 --machine-id id-ps1 -P first >out
	[ "$(serial)" != "$first" ]
	openssl x509 -in ps1/server.crt -noout -checkend 600
	[ "$(of_ps1 .pin)" = "$pin" ]
}

authority() { openssl x509 -in "$1/authority.crt" -noout "${@:2}"; }

# From here on the configuration server has another key of its own.
lose_own_key() { # PORT
	end "$SERVER"
	rm config/server.key config/serve/server.crt
	serve -l "127.0.0.1:$1"
}

@test "the authority is renewed on the same key, and servers follow by their heartbeats" {
	local first port
	command -v faketime >/dev/null || skip "faketime is not installed"
	# It has 1250 days left: no certificate of three years is cut off yet.
	use "$T/config"
	faketime -f -2400d ps-config init
	(umask 077 && ps-config passphrase new >first)
	serve
	join ps1 >out
	join ps2 >out
	first=$(authority ps1 -serial)
	port=$(cat port)
	beat ps1 --once 2>err
	[ ! -s err ]
	[ "$(answer .generation cert authority)" -eq 1 ]
	end "$SERVER"
	serve -l "127.0.0.1:$port" --valid 1300d
	[ "$(answer '[.generation, .state]' cert authority)" = '[2,"ok"]' ]
	[ "$(told authority-renew authority)" -eq 1 ]
	authority ps1 -checkend $((1260 * 86400)) && false
	beat ps1 --once 2>err
	grep -q 'the certificate was renewed' err
	[ "$(authority ps1 -serial)" != "$first" ]
	authority ps1 -checkend $((3600 * 86400))
	openssl x509 -in ps1/server.crt -noout -checkend $((1290 * 86400))
	# Both chains are good for what was signed before and after.
	openssl verify -CAfile ps2/authority.crt ps1/server.crt >out
	openssl verify -CAfile ps1/authority.crt ps2/server.crt >out
	beat ps1 --once 2>err
	[ ! -s err ]
	# Who has only the old one believes a server that has another key now.
	lose_own_key "$port"
	beat ps1 --once
	beat ps2 --once 2>err
	grep -q 'the certificate was renewed' err
	cmp ps1/authority.crt ps2/authority.crt
}

@test "an authority whose end is near is told; an expired one comes back" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	use "$T/config"
	faketime -f -3600d ps-config init
	fails_with 1 ps-config status
	grep -q "^warning .*authority: renew, ends" out
	[ "$(ps-config status --json | jq -c '.level, .authority.state' |
		paste -sd' ')" = '"warning" "renew"' ]
	ps-config cert 2>err
	grep -q "'ps-config authority' expires in 49 days\|expires in 50 days" err
	rm -r config
	faketime -f -3660d ps-config init
	fails_with 1 ps-config status
	grep -q "^critical .*authority: expired" out
	(umask 077 && ps-config passphrase new >first)
	serve
	join ps1 >out
	openssl verify -CAfile ps1/authority.crt ps1/server.crt >out
	[ "$(answer .authority.state status || true)" = ok ]
	ps-config init
	[ "$(answer .generation cert authority)" -eq 2 ]
}
