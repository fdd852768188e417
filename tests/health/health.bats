#!/usr/bin/env bats
# ps-health: samples of a real server, judged and told in four ways.
load ../lib/common
load ../lib/chain

prepare() {
	export PS_HEALTH_DIR=$T/health
	new_server
	random_file disk.img 2000000
	truncate -s 8M disk.img
}

sample() {
	ps-health sample --config s1/ps.yaml --listen \
		"127.0.0.1:$(server_port s1)" "$@"
}

# The ring wants a sample a minute: the clock is moved, not waited for.
minutes() { # minutes N: samples of the last N minutes
	local i
	for ((i = $1; i >= 0; i--)); do
		faketime -f "-${i}m" ps-health sample --config s1/ps.yaml \
			--listen "127.0.0.1:$(server_port s1)"
	done
}

# Without a recovery kit nothing is well.
kit() {
	mkdir -p health
	ps-vault kit vault -k vault.key -o kit.txt
}

json() { ps-health check --json "$@"; }
figure() { json | jq ".figures.$1"; }

@test "a sample tells of cache, disks, services and certificate" {
	receive
	pass m d disk.img s1 --bookmark b1
	sample
	json >json || true
	[ "$(jq .figures.disks json)" -eq 1 ]
	[ "$(jq .figures.pending_segments json)" -eq 1 ]
	[ "$(jq '.figures.pending_bytes > 1000' json)" = true ]
	[ "$(jq .figures.services_down json)" -eq 1 ]
	[ "$(jq '.figures.certificate_days > 300' json)" = true ]
	[ "$(jq '.figures.cache_free_percent > 0' json)" = true ]
	[ "$(jq -c '.disks[0] | [.machine, .disk, .accepted, .stored]' json)" = \
		'["m","d",1,0]' ]
	pipeline
	wait_for drained
	sample
	[ "$(figure pending_segments)" -eq 0 ]
	[ "$(figure services_down)" -eq 0 ]
	# What waits cannot be recovered yet; what is stored can.
	[ "$(json | jq '.disks[0].stored')" -eq 1 ]
	[ "$(jq -c '.disks[0] | [.crash_point == null, .stored_point]' json)" = '[false,null]' ]
	json | jq -e '.disks[0] | .stored_point == .crash_point and
		.stored_consistency == "crash"'
}

@test "a pipeline that follows for a vault with a name runs, too" {
	receive
	start ps-cache follow -C s1/cache --for two >/dev/null
	followed() { sample && [ "$(figure services_down)" -eq 0 ]; }
	wait_for followed
}

@test "rates are made of what the cache has counted" {
	receive
	faketime -f -60s ps-health sample --config s1/ps.yaml
	pass m d disk.img s1 --bookmark b1
	pipeline
	wait_for drained
	sample
	[ "$(figure ingest_bytes_per_second)" -gt 10000 ]
	[ "$(figure store_bytes_per_second)" -gt 10000 ]
}

@test "a healthy server is OK in every view" {
	kit
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	# The clock of a test machine may be anybody's.
	printf 'health: {limits: {clock: {warning: off}, cpu: {notice: off, warning: off, critical: off}, cache-free: {warning: off, critical: off}, memory: {notice: off, warning: off, critical: off}}}\n' >h.yaml
	minutes 12
	ps-health check --config h.yaml >out
	grep -q '^OK' out
	ps-health check --config h.yaml -f nagios >out
	grep -Eq '^OK: process server is healthy \|.* pending_bytes=0B' out
	[ "$(ps-health check --config h.yaml --json | jq -r .status)" = OK ]
	ps-health check --config h.yaml -f prometheus -o ps.prom
	grep -q '^ps_health [01]$' ps.prom
	grep -q '^ps_disk_stored_sequence{machine="m",disk="d"} 1$' ps.prom
	[ -z "$(tail -c 1 ps.prom)" ]
}

@test "a monitoring system understands each answer" {
	perl -MMonitoring::Plugin::Performance -e 1 ||
		skip "no libmonitoring-plugin-perl"
	understood() { # understood CODE [OPTION...]
		local want=$1 code=0
		shift
		ps-health check -f nagios "$@" >out || code=$?
		[ "$code" -eq "$want" ]
		perl "$PS_SOURCE/tests/lib/parse-nagios.pl" "$code" <out >read
	}
	understood 3
	[ ! -s read ]
	kit
	receive
	minutes 12
	local all='clock cpu memory cache-free services disk-lag to-drain' rule
	{
		echo 'health: {limits: {'
		for rule in $all; do
			echo "$rule: {notice: off, warning: off, critical: off},"
		done
		echo '}}'
	} >ok.yaml
	understood 0 --config ok.yaml
	grep -q '^cpu_percent [0-9]* % OK$' read
	grep -q '^pending_bytes 0 B OK$' read
	sed 's/memory: {.*/memory: {warning: 0, critical: off},/' ok.yaml >w.yaml
	understood 1 --config w.yaml
	grep -q '^memory_percent [0-9]* % WARNING$' read
	sed 's/cache-free: {.*/cache-free: {critical: 101},/' ok.yaml >c.yaml
	understood 2 --config c.yaml
	grep -q '^cache_free_percent [0-9]* % CRITICAL$' read
}

@test "a disk that changes too much is told, initial replication is not" {
	receive
	pass m d disk.img s1 --bookmark b1
	minutes 12
	printf 'health: {limits: {churn: {warning: 1K}, churn-machine: {warning: 1K}}}\n' >low.yaml
	churn() {
		json --config "${1:-low.yaml}" >json || true
		jq -c '[.alerts[] | select(.code == "78188") | .key] | sort' json
	}
	[ "$(churn)" = '[]' ]
	[ "$(jq '.disks[0].changed_bytes' json)" -eq 0 ]
	random_file more 2000000
	dd if=more of=disk.img bs=64k seek=40 conv=notrunc status=none
	pass m d disk.img s1 --bookmark b2
	sample
	[ "$(churn)" = '["78188:m","78188:m/d"]' ]
	[ "$(jq '.disks[0].changed_bytes > 2000000' json)" = true ]
	[ "$(jq '.disks[0].churn_bytes_per_day > 2000000' json)" = true ]
	jq -e '.alerts[] | select(.key == "78188:m/d") | .evidence |
		test("in 15 min, limit 1.0+ KiB/s")' json
	echo 'health: {limits: {churn: {warning: 1M}}}' >high.yaml
	[ "$(churn high.yaml)" = '[]' ]
}

@test "points are known by what they are, and missed when they stay away" {
	receive
	pass m d disk.img s1 --bookmark b1
	sample
	in_a_day() { # the disk's alerts about points, 25 hours from now
		faketime -f +25h ps-health sample --config s1/ps.yaml
		faketime -f +25h ps-health check --json "$@" >json || true
		jq -c '[.alerts[] | select(.what | test("point for 25h")) | .key] |
			sort' json
	}
	printf 'health: {limits: {app-point: {warning: 12h}}}\n' >a.yaml
	printf 'health: {limits: {crash-point: {warning: 26h}}}\n' >c.yaml
	pass m d disk.img s1 --bookmark b2 --consistency none
	[ "$(in_a_day)" = '["crash-point:m/d"]' ]
	[ "$(in_a_day --config c.yaml)" = '[]' ]
	[ "$(jq -r '.disks[0].app_point' json)" = null ]
	[ "$(in_a_day --config a.yaml)" = '["78144:m/d","crash-point:m/d"]' ]
	pass m d disk.img s1 --bookmark b3 --consistency app
	[ "$(in_a_day --config c.yaml)" = '["78144:m/d"]' ]
	[ "$(jq -r '.disks[0] | .app_point != null and .app_point == .crash_point' \
		json)" = true ]
}

@test "services that stopped and a disk that lags are told, with what to do" {
	receive
	pass m d disk.img s1 --bookmark b1
	stop_all
	minutes 14
	fails_with 2 ps-health check --json
	[ "$(jq -r '[.alerts[] | .code] | index("services") != null' out)" = true ]
	[ "$(jq -r '[.alerts[] | .code] | index("rpo") != null' out)" = true ]
	[ "$(jq -r 'all(.alerts[]; .next != "" and .evidence != "")' out)" = true ]
	fails_with 2 ps-health check -f nagios
	grep -q '^CRITICAL: ' out
	[ "$(grep -c '|' out)" -eq 1 ]
	fails_with 2 ps-health check
	grep -q 'next: ' out
}

@test "a held disk is critical at once, and named" {
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	ps-cache hold -C s1/cache m d "somebody said so"
	sample
	fails_with 2 ps-health check --json
	[ "$(jq -r '.alerts[0] | .key' out)" = held:m/d ]
}

@test "an alert is told once: by --on-change and by the command" {
	kit
	receive
	sample
	cat >tell <<-'END'
		#!/bin/sh
		echo "$PS_EVENT $PS_LEVEL $PS_ALERT $PS_WHAT" >>told
	END
	chmod +x tell
	fails_with 3 ps-health check --on-change --notify ./tell
	grep -q no-samples out
	fails_with 3 ps-health check --on-change --notify ./tell
	[ ! -s out ]
	[ "$(wc -l <told)" -eq 1 ]
	grep -q '^raised warning no-samples ' told
	ps-health ack no-samples --for 1h --notify ./tell
	grep -q '^acknowledged ' told
	fails_with 1 ps-health ack nothing
	minutes 14
	fails_with 1 ps-health check --on-change --notify ./tell || true
	grep -q '^cleared warning no-samples ' told
	ps-health events >events
	grep -q 'raised .*no-samples' events
	ps-health events --json | jq -e 'length >= 3' >/dev/null
}

@test "a command that hangs or fails does not stop the check" {
	receive
	sample
	fails_with 3 ps-health check --notify 'exit 7'
	grep -q 'the command failed (7)' err
}

# The lines are those of the manual; only the address is another one.
@test "the manual's examples tell a webhook, a mailbox and syslog" {
	command -v python3 >/dev/null || skip "python3 is not installed"
	cat >hook.py <<-'END'
		import http.server
		class Hook(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        n = int(self.headers["content-length"])
		        open("posted", "ab").write(self.rfile.read(n) + b"\n")
		        self.send_response(204)
		        self.end_headers()
		s = http.server.HTTPServer(("127.0.0.1", 0), Hook)
		print(s.server_port, flush=True)
		s.serve_forever()
	END
	start python3 hook.py >hook.port 2>/dev/null
	wait_for test -s hook.port
	mkdir bin
	# shellcheck disable=SC2016 # for those who are called
	printf '#!/bin/sh\n{ echo "${0##*/} $*"; cat; } >>"%s"\n' "$T/posted" |
		tee bin/mail >bin/logger
	chmod +x bin/*
	sed -n '/^A webhook, a mail/,/^\.Ed/p' "$PS_SOURCE/man/ps-health.1" |
		sed '1d; /^\./d; s/\\e$/\\/' |
		sed "s|https://hooks.example/|http://127.0.0.1:$(cat hook.port)/|" |
		sed "s|^ps-health|export PS_HEALTH_DIR=\$(mktemp -d -p .); \
			ps-health sample -C s1/cache; ps-health|" >lines
	[ "$(grep -c 'ps-health check' lines)" -eq 3 ]
	PATH=$T/bin:$PATH bash lines </dev/null 2>err || [ $? -eq 3 ]
	cat err posted
	[ ! -s err ]
	[ "$(sed -n 1p posted)" = "raised too few samples to judge by" ]
	grep -qx 'mail -s no-samples ops' posted
	grep -qx 'too few samples to judge by' posted
	grep -qx 'logger -t ps-health warning no-samples' posted
}

# The bound of the manual is 5 ms of processor time, beside that of any program.
@test "a sample costs a few milliseconds" {
	[ -z "${PS_SANITIZE:-}" ] || skip "not with sanitizers"
	cost() { # cost COMMAND...: milliseconds, of 20 times
		local i TIMEFORMAT='%U %S'
		{ time for ((i = 0; i < 20; i++)); do
			"$@" >/dev/null
		done; } 2>&1 | awk '{ print int(($1 + $2) * 1000) }'
	}
	ps-health sample -C s1/cache
	local own all
	own=$(cost ps-health --version)
	all=$(cost ps-health sample -C s1/cache)
	echo "# 20 samples: $all ms of processor, of which to start: $own" >&3
	[ $((all - own)) -lt 100 ]
}

@test "misuse and missing things" {
	fails_with 64 ps-health
	fails_with 64 ps-health look
	fails_with 64 ps-health sample x
	fails_with 66 ps-health sample --state "$T/no/where"
	grep -q 'hint: .*--state DIR' err
	fails_with 64 ps-health ack
	fails_with 3 ps-health check
	grep -q 'ps-health sample makes it' err
	fails_with 3 ps-health check -f nagios
	grep -q '^UNKNOWN: ' out
	fails_with 64 ps-health sample -C s1/cache --services web
	fails_with 66 ps-health sample -C nowhere --services pipeline
	printf 'health: {limits: {cpu: {warn: 5}}}\n' >bad.yaml
	fails_with 3 ps-health check --config bad.yaml
	grep -q "line 1: no threshold 'health.limits.cpu.warn'" err
}

@test "the text file is what the node exporter serves" {
	command -v prometheus-node-exporter >/dev/null ||
		skip "no prometheus-node-exporter"
	receive
	sample
	mkdir text
	ps-health check -f prometheus -o text/ps.prom || true
	start prometheus-node-exporter --collector.disable-defaults \
		--collector.textfile --collector.textfile.directory=text \
		--web.listen-address=127.0.0.1:0 2>exporter.err
	wait_for grep -q 'address=127.0.0.1:' exporter.err
	local port
	port=$(sed -n 's/.*address=127.0.0.1:\([0-9]*\).*/\1/p' exporter.err |
		head -n 1)
	wait_for curl -fs -o metrics "http://127.0.0.1:$port/metrics"
	grep -q '^ps_sample_timestamp_seconds ' metrics
	grep -q '^node_textfile_scrape_error 0' metrics
}
