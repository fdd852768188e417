#!/usr/bin/env bats
# ps-doctor reads the rules of a firewall: real ones, in a network of their
# own.
load ../lib/common
load ../lib/chain
load doctor

# net_for TOOL: a network namespace in which TOOL works
net_for() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	PATH=$PATH:/usr/sbin:/sbin
	command -v jq >/dev/null || skip "jq is not installed"
	command -v "$1" >/dev/null || skip "$1 is not installed"
	unshare -n true 2>/dev/null || skip "no network namespaces here"
	echo 'receive: {listen: "9443"}' >ps.yaml
	start unshare -n sleep 300
	NS=${STARTED[-1]}
	wait_for other_net
	case $1 in
	nft) inside nft list ruleset ;;
	*) inside "$1" -L ;;
	esac >/dev/null 2>&1 || skip "$1 does not work here"
}

other_net() {
	[ "$(readlink "/proc/$NS/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

inside() { nsenter -t "$NS" -n "$@"; }

# verdict WANT NAME: what the step firewall says of the rules
verdict() {
	local want=$1 code=0
	inside timeout 60 ps-doctor --config ps.yaml --json firewall \
		>out 2>err || code=$?
	printf '# %-44s -> %s\n' "$2" "$(jq -r '.steps[0].what' out)" >&3
	if [ "$(jq -r '.steps[0] | if .result == "passed" and
		(.evidence | length) > 0 then "some" else .result end' out)" \
		!= "$want" ]; then
		cat out err
		return 1
	fi
	[ "$code" -eq "$([ "$want" = failed ] && echo 1 || echo 0)" ]
}

# nft_case WANT NAME: rules on standard input
nft_case() {
	inside nft flush ruleset
	inside nft -f -
	verdict "$1" "$2"
}

@test "nft: what drops the port, whoever asks, and what does not" {
	net_for nft
	nft_case passed "no rules" </dev/null
	nft_case failed "a drop of the port" <<-END
		table inet f { chain in { type filter hook input priority 0;
		tcp dport 9443 drop; }; }
	END
	nft_case failed "a reject of a range" <<-END
		table ip f { chain in { type filter hook input priority 0;
		tcp dport 9000-9500 counter reject; }; }
	END
	nft_case failed "policy drop without an accept" <<-END
		table inet f { chain in { type filter hook input priority 0;
		policy drop; iif lo accept; ct state established,related accept;
		tcp dport { 22, 80 } accept; ip protocol icmp accept; }; }
	END
	nft_case passed "policy drop, the port in a set" <<-END
		table inet f { set ok { type inet_service; flags interval;
		elements = { 22, 9440-9450 }; }
		chain in { type filter hook input priority 0; policy drop;
		iif lo accept; ct state established,related accept;
		tcp dport @ok accept; }; }
	END
	nft_case some "only some may: no failure" <<-END
		table inet f { chain in { type filter hook input priority 0;
		policy drop; ip saddr 192.0.2.0/24 tcp dport 9443 accept; }; }
	END
	nft_case some "only some are dropped" <<-END
		table inet f { chain in { type filter hook input priority 0;
		ip saddr 192.0.2.9 drop; }; }
	END
	nft_case failed "a jump, as firewalld does" <<-END
		table inet fw { chain public { tcp dport 22 accept; }
		chain in { type filter hook input priority 0; policy accept;
		ct state { established, related } accept; iifname lo accept;
		ct state invalid drop; goto zones; }
		chain zones { jump public; reject with icmpx admin-prohibited; }; }
	END
	nft_case passed "the same with the port let in" <<-END
		table inet fw { chain public { tcp dport { 22, 9443 } accept; }
		chain in { type filter hook input priority 0; policy accept;
		ct state invalid drop; jump public; reject; }; }
	END
	nft_case failed "a verdict map" <<-END
		table inet f { chain in { type filter hook input priority 0;
		tcp dport vmap { 22 : accept, 9443 : drop }; }; }
	END
	nft_case passed "a drop of another port, and of udp" <<-END
		table inet f { chain in { type filter hook input priority 0;
		tcp dport 9444 drop; udp dport 9443 drop; tcp dport != 9443 drop; }; }
	END
	nft_case failed "a later chain drops what an earlier accepts" <<-END
		table inet a { chain in { type filter hook input priority 0;
		tcp dport 9443 accept; }; }
		table inet b { chain in { type filter hook input priority 10;
		policy drop; }; }
	END
	nft_case passed "forward and output are not our way" <<-END
		table inet f { chain forwarded { type filter hook forward priority 0;
		policy drop; };
		chain outgoing { type filter hook output priority 0; policy drop; }; }
	END
}

# says TEXT: the next step, and each rule is told once
says() {
	jq -r '.steps[0].next' out | grep -qF -- "$1" || {
		cat out
		return 1
	}
	[ "$(jq -r '.steps[0].evidence[]' out | grep -c 'dropped by')" = 1 ]
}

# A network in which host0 has an address, with firewalld's rules
firewalld_net() {
	net_for nft
	inside ip link add host0 type veth peer name host1 2>/dev/null ||
		skip "no veth here"
	inside ip link set host0 up
	inside ip address add 192.0.2.5/24 dev host0
	rules=$PS_SOURCE/tests/doctor/firewalld.nft
}

@test "firewalld's own rules: the zone of the interface counts" {
	firewalld_net
	nft_case failed "firewalld: host0 in zone drop" <"$rules"
	says "firewall-cmd --permanent --zone=drop --add-port=9443/tcp"
	grep -v 'iifname "host0"' "$rules" >public.nft
	nft_case passed "firewalld: zone public lets the port in" <public.nft
	inside nft add rule inet firewalld filter_IN_public_deny \
		tcp dport 9443 reject
	verdict failed "firewalld: a rich rule rejects it"
	says "--zone=public --remove-rich-rule="
	grep -v 'tcp dport 9443' public.nft >closed.nft
	nft_case failed "firewalld: as it is at first" <closed.nft
	says "--zone=public --add-port=9443/tcp"
	inside nft add rule inet firewalld filter_IN_public_allow \
		ip saddr 198.51.100.0/24 tcp dport 9443 accept
	verdict some "firewalld: a rich rule for some"
	nft_case failed "firewalld: panic" < <(cat public.nft && echo "table inet \
		firewalld_policy_drop { chain raw_prerouting { type filter hook \
		prerouting priority -291; policy drop; }; }")
	says "firewall-cmd --panic-off"
}

@test "rules beside firewalld's have their own next step" {
	firewalld_net
	grep -v 'iifname "host0"' "$rules" >public.nft
	nft_case failed "a table beside" < <(cat public.nft && echo "table inet own {
		chain in { type filter hook input priority 0; tcp dport 9443 drop; }; }")
	says "nft insert rule inet own in tcp dport 9443 accept"
	inside nft flush ruleset
	command -v iptables >/dev/null || skip "iptables is not installed"
	inside iptables -A INPUT -p tcp --dport 9443 -j DROP
	verdict failed "iptables on nftables: told once"
	says "iptables -t filter -I INPUT -p tcp --dport 9443 -j ACCEPT"
}

@test "iptables: what drops the port, whoever asks, and what does not" {
	net_for iptables
	inside iptables -A INPUT -p tcp --dport 9443 -m comment --comment \
		'no "replication" here' -j DROP
	verdict failed "iptables: a drop of the port"
	inside iptables -I INPUT -p tcp -m multiport --dports 22,9443 -j ACCEPT
	verdict passed "iptables: an accept before it"
	inside iptables -F INPUT
	inside iptables -P INPUT DROP
	inside iptables -A INPUT -i lo -j ACCEPT
	inside iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED \
		-j ACCEPT
	verdict failed "iptables: policy drop"
	inside iptables -N sources
	inside iptables -A sources -s 192.0.2.0/24 -j ACCEPT
	inside iptables -A INPUT -p tcp --dport 9443 --syn -j sources
	verdict some "iptables: some may, by a chain"
	inside iptables -A sources -j ACCEPT
	verdict passed "iptables: all may"
}

# nat WANT COUNT NAME: what the step address says, and how many rules it shows
nat() {
	local code=0
	inside timeout 60 ps-doctor --config ps.yaml --json address >out 2>err ||
		code=$?
	printf '# %-44s -> %s\n' "$3" "$(jq -r '.steps[0].what' out)" >&3
	if [ "$(jq -r '.steps[0].result' out) $(jq -r '.steps[0].evidence[]' \
		out | grep -c '^NAT, ')" != "$1 $2" ]; then
		cat out err
		return 1
	fi
}

nft_nat() {
	inside nft flush ruleset
	inside nft -f -
	nat "$@"
}

@test "nft: NAT that touches the port is told, other NAT is not" {
	net_for nft
	inside ip link set lo up
	inside ip address add 192.0.2.5/24 dev lo
	nft_nat passed 0 "no rules" </dev/null
	nft_nat failed 1 "a redirect of the port" <<-END
		table ip n { chain pre { type nat hook prerouting priority -100;
		tcp dport 9443 redirect to :9444; }; }
	END
	nft_nat failed 1 "all ports go to another machine" <<-END
		table ip n { chain pre { type nat hook prerouting priority -100;
		dnat to 192.0.2.77; }; }
	END
	nft_nat warning 1 "for some the port goes elsewhere" <<-END
		table ip n { chain pre { type nat hook prerouting priority -100;
		ip saddr 198.51.100.0/24 tcp dport 9440-9450 dnat to 192.0.2.77; }; }
	END
	nft_nat warning 1 "another port is led to ours, by a chain" <<-END
		table ip n { chain more { tcp dport 443 redirect to :9443; }
		chain pre { type nat hook prerouting priority -100; jump more; }; }
	END
	nft_nat warning 1 "a masquerade of the port" <<-END
		table ip n { chain post { type nat hook postrouting priority 100;
		tcp dport 9443 masquerade; }; }
	END
	nft_nat passed 0 "masquerade of guests, a redirect of another port" <<-END
		table ip n { chain post { type nat hook postrouting priority 100;
		ip saddr 172.17.0.0/16 oifname != "docker0" masquerade; }
		chain pre { type nat hook prerouting priority -100;
		tcp dport 8080 redirect to :80; udp dport 9443 redirect to :53; }; }
	END
}

@test "iptables: NAT that touches the port is told, other NAT is not" {
	net_for iptables
	inside ip link set lo up
	inside ip address add 192.0.2.5/24 dev lo
	inside iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
	nat passed 0 "iptables: masquerade of guests"
	inside iptables -t nat -A PREROUTING -p tcp --dport 443 -j REDIRECT \
		--to-ports 9443
	nat warning 1 "iptables: another port is led to ours"
	inside iptables -t nat -A POSTROUTING -p tcp --dport 9443 -j MASQUERADE
	nat warning 2 "iptables: a masquerade of the port"
	inside iptables -t nat -A PREROUTING -p tcp --dport 9443 -j DNAT \
		--to-destination 192.0.2.77:9444
	nat failed 3 "iptables: the port goes to another machine"
}

@test "a whole run names the firewall" {
	net_for nft
	new_server
	inside ip link set lo up
	# shellcheck disable=SC2317 # in place of the program, for chain.bash
	ps-receive() { exec nsenter -t "$NS" -n "$PS_BUILD/tools/ps-receive" "$@"; }
	receive
	unset -f ps-receive
	pipeline
	ps-doctor() { inside "$PS_BUILD/tools/ps-doctor" "$@"; }
	inside nft -f - <<-END
		table inet f { chain in { type filter hook input priority 0;
		policy drop; iif lo accept; }; }
	END
	timeout() { shift; "$@"; }
	names "a firewall that drops" firewall
}
