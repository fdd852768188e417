#!/usr/bin/env bats
# ps-config serve with many machines.
load ../lib/common
load config

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
}

# What ps-health says of a server with 225 machines of 3 disks.
many_machines() {
	mkdir -p bin health
	jq -n '[range(225) as $m | range(3) as $d | {machine: "m\($m)",
		disk: "d\($d)", accepted: 100000, stored: 99999,
		pending_bytes: 1048576, lag_seconds: ($m % 60),
		changed_bytes: 123456789, crash_point: (now - 60 - $d | todate),
		app_point: (now - 1800 | todate), held: false, unseated: false,
		initial: false}] | {status: "OK", level: "ok", alerts: [],
		disks: .}' >many.json
	printf '#!/bin/sh\ncat %s/many.json\n' "$T" >bin/ps-health
	chmod +x bin/ps-health
	PATH=$T/bin:$PATH
}

@test "one server with 225 machines of three disks: all is heard of each" {
	site
	join ps1 >out
	many_machines
	ps-config policy add gold
	ps-config machine add m7 --policy gold --server ps1 --vault v
	ps-config machine disk m7 d0
	ps-config machine enable m7
	beat ps1 --once
	[ "$(answer '[.machines[] | .level, .lag_s]' status)" = '["ok",7]' ]
	# Where its points go, in the words of ps.yaml as it is now.
	stores_in() { # LINE...: what is said of m7 then
		printf '%s\n' "$@" >ps1.yaml
		beat ps1 --once --config ps1.yaml
		answer '[.machines[] | .level, .what]' status
	}
	[ "$(stores_in 'vault: w')" = "[\"warning\",\"its vault v is none of its server's\"]" ]
	[ "$(stores_in vaults: '  - {name: w, url: w}' '  - {name: v, url: file://v/}')" = '["ok",null]' ]
	[ "$(stores_in '{}')" = '["ok",null]' ]
	# What is stored counts, not what was accepted; and what it is, is said.
	stored() { # stored FILTER: of one disk of m7
		jq ".disks[] |= (if .machine == \"m7\" then .stored_point =
			(now - 7200 | floor | todate) | .stored_consistency = \"none\"
			else . end) | $1" many.json >new
		mv new many.json
		beat ps1 --once
		answer '[.machines[] | .level, .point, .behind_s >= 7200, .what]' status
	}
	[ "$(stored .)" = '["warning","none",true,"2h 00m behind, wanted are 15m 00s"]' ]
	[ "$(stored '.disks[].stored_point = (now | floor | todate)' |
		jq -c '[.[0], .[3]]')" = '["ok","its points are not crash-consistent"]' ]
	[ "$(stored '.disks[0:24][].stored_point = null' |
		jq -c '[.[0], .[3]]')" = '["critical","no recovery point stored by its server yet: protected"]' ]
}

@test "225 of three disks each, by themselves: all are heard, under 5 % of a core" {
	local begun
	[ -x "$PS_BUILD/tests/config/fleet" ] ||
		{ echo "tests/config/fleet is not built (make check)" >&2; return 1; }
	site
	begun=$(date +%s)
	"$PS_BUILD/tests/config/fleet" "$(cat port)" first "$SERVER" 225 2 0 \
		>figures
	cat figures >&3
	[ "$(jq .answered figures)" -eq 450 ]
	# Each one of them stands in the log, in the list, and is not silent.
	[ "$(grep -c 'POST	/v1/heartbeat	200' config/serve/log/cxps.xfer)" -eq 450 ]
	[ "$(answer "map(select(.state == \"ok\" and
		(.contact | fromdate) >= $begun)) | length" list)" -eq 225 ]
	[ "$(answer '[.servers[] | select(.level == "ok")] | length' status)" -eq 225 ]
	# 225 a minute: 5 % of a core are 13.3 ms for each.
	[ "${PS_SANITIZE-}" = 1 ] || jq -e '.cpu_ms_each < 13.3' figures
}
