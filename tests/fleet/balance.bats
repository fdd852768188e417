#!/usr/bin/env bats
# ps-balance plan: an inventory in, a plan out.
load ../lib/common

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	cat >fleet.yaml <<-END
		servers:
		  - {name: ps1, cores: 8, memory: 12G, cache: 600G}
		  - {name: ps2, cores: 8, memory: 12G, cache: 600G, state: critical}
		  - {name: ps3, cores: 4, memory: 8G, cache: 300G}
		machines:
		  - {name: web01, churn: 20G, server: ps1}
		  - {name: db01, churn: 180G, server: ps1, pinned: true}
		  - {name: db02, churn: 90G}
		  - {name: old, churn: 1G, server: ps2}
	END
}

@test "new machines get a server, a critical one gets none" {
	ps-balance plan fleet.yaml >out
	grep -q '^db02  *-  *ps[13]  *90.0 GiB  *it has no server' out
	grep -q '^ps2 .* 1 -> 1 ' out
	ps-balance plan --json fleet.yaml >plan
	[ "$(jq -r '.machines[] | select(.name == "old").server' plan)" = ps2 ]
	jq -e '.load.after >= .load.bound and .load.left == 0' plan
}

@test "a plan is an inventory, and planning on it moves nothing" {
	ps-balance plan --json <fleet.yaml >plan
	ps-balance plan plan | grep -q 'Nothing has to move'
	ps-balance plan --json plan >again
	diff <(jq -S 'del(.moves, .load)' plan) <(jq -S 'del(.moves, .load)' again)
}

@test "a silent server's machines move, by name and with the reason" {
	sed -i '/name: ps2/s/critical/silent/' fleet.yaml
	ps-balance plan fleet.yaml | grep '^old .* ps2 .*ps2 is silent'
	sed -i '/name: old,/s/}/, pinned: true}/' fleet.yaml
	ps-balance plan fleet.yaml 2>err
	grep -q 'old is pinned to ps2, which is silent' err
}

@test "no feasible plan: what is in the way, and what would help" {
	cat >full.yaml <<-END
		servers: [{name: ps1, cores: 4, memory: 8G, cache: 300G}]
		machines:
		  - {name: a, churn: 100G, server: ps1}
		  - {name: b, churn: 170G}
	END
	fails_with 1 ps-balance plan full.yaml
	grep -q '1 of 2 machines have no room' err
	grep -q '1 more process server of 4 cores, 8.00 GiB memory' err
	sed -i 's/170G/1800G/' full.yaml
	fails_with 1 ps-balance plan full.yaml
	grep -q 'b changes .* a day: the largest server takes' err
	! grep -q 'would make it feasible' err || false # it was room for a
	grep -q '; without the 1 machine that has no room' out
	# What is too large for any does not hide what would help the others.
	echo '  - {name: c, churn: 900G}' >>full.yaml
	fails_with 1 ps-balance plan full.yaml
	grep -q '1 more process server of 12 cores, .* would make it feasible for all others' err
	# Nor is nothing said when no number of servers would do.
	printf '  - {name: m%d, churn: 1400G}\n' $(seq 70) >more
	cat full.yaml more >many.yaml
	fails_with 1 ps-balance plan many.yaml
	grep -q 'not even 64 more process servers of 12 cores' err
	sed -i '$d' full.yaml
	sed -i 's/1800G/10G/; s/100G, server: ps1/240G, server: ps1, pinned: true/' \
		full.yaml
	fails_with 1 ps-balance plan full.yaml
	grep -q 'ps1: what is pinned to it' err
}

@test "a wrong inventory is refused, with its line" {
	local bad
	while IFS='|' read -r line bad; do
		printf '%b' "$bad" >bad.yaml
		fails_with 65 ps-balance plan bad.yaml
		grep -q "bad.yaml:$line: " err || { cat err; false; }
	done <<'END'
1|- a list
1|machines: []
2|servers:\n  - {cores: 4}
2|servers:\n  - {name: a, cores: 4, memory: 8G}
2|servers:\n  - {name: a, cores: many, memory: 8G, cache: 1T}
3|servers:\n  - {name: a, cores: 4, memory: 8G, cache: 1T}\nserver: x
4|servers:\n  - {name: a, cores: 4, memory: 8G, cache: 1T}\nmachines:\n  - {name: m, churn: 1G, server: b}
4|servers:\n  - {name: a, cores: 4, memory: 8G, cache: 1T}\nmachines:\n  - {name: m, churn: 1G, pinned: yes}
4|servers:\n  - {name: a, cores: 4, memory: 8G, cache: 1T}\nmachines:\n  - {name: ../m, churn: 1G}
2|servers: [\n
2|servers: []\nservers: []\n
3|servers:\n  - {name: a, max-churn: 1T, max-machines: 9}\n  - {name: b, max-churn: 1T, max-machines: 9, max-churn: 2T}\n
3|servers: []\n---\nservers: []\n
3|servers: [{name: a, max-churn: 1T, max-machines: 9}]\nmachines:\n  - {name: m, churn: -1G}\n
3|servers: [{name: a, max-churn: 1T, max-machines: 9}]\nmachines:\n  - {name: m, churn: .nan}\n
3|servers: [{name: a, max-churn: 1T, max-machines: 9}]\nmachines:\n  - {name: m, churn: 20Gbit}\n
END
	printf 'servers: [{name: a, max-churn: 1T, max-machines: 9}, {name: a, max-churn: 1T, max-machines: 9}]' >bad.yaml
	fails_with 65 ps-balance plan bad.yaml
	grep -q "'a' stands there twice" err
	: >bad.yaml
	fails_with 65 ps-balance plan bad.yaml
	head -c 300000 /dev/zero | tr '\0' '[' >bad.yaml
	fails_with 65 timeout 20 ps-balance plan bad.yaml
	grep -q 'more than 2000 open brackets' err
	fails_with 66 ps-balance plan nowhere.yaml
	fails_with 64 ps-balance plan a b
	fails_with 64 ps-balance
}
