#!/usr/bin/env bats
# A head that a machine asks for is final, and what cxpsclient tells of itself.

load ../lib/common
load common

prepare() { make_server; }

# cause_is WORD, state_is WORD: what the report says now
cause_is() { [ "$(jq -r .cause report.json)" = "$1" ]; }
state_is() { [ "$(jq -r .state report.json)" = "$1" ]; }

# hang: a client that is in the middle of the second segment of web01/root
hang() {
	scan web01 root 7000000 1 4M
	mkfifo pipe
	cxpsclient -i 127.0.0.1 -l "$PORT" -P pass --put pipe >acks \
		2>first.err 7>&- 3>&- &
	STARTED+=("$!")
	exec 7>pipe
	head -c 6000000 stream >&7
	wait_for grep -q durable acks
	wait_for half_there
}

@test "the question for a head ends who is still sending the disk" {
	serve
	hang
	client --status -m web01 -d root >heads
	head -n 1 heads | cut -f 1-4 >got
	printf 'durable\tweb01\troot\t1\n' | cmp - got
	[ -z "$(find cache/web01/root -name '.tmp*')" ]
	tail -c +6000001 stream >&7 || true # too late
	exec 7>&-
	local code=0
	wait "${STARTED[-1]}" || code=$?
	[ "$code" -eq 69 ]
	wait_for grep -q "was ended from outside" server.err
	client --status -m web01 -d root | cmp - heads
}

@test "the seating of a new disk does not cut the connection of its first base" {
	serve
	scan web01 root 7000000 1 4M
	mkfifo pipe
	cxpsclient -i 127.0.0.1 -l "$PORT" -P pass --put pipe >acks \
		7>&- 3>&- &
	STARTED+=("$!")
	exec 7>pipe
	head -c 2000000 stream >&7
	wait_for half_there
	printf 'stored\tweb01\troot\t0\t%064d\n' 0 | ps-cache seat -C cache
	tail -c +2000001 stream >&7
	exec 7>&-
	wait "${STARTED[-1]}"
	[ "$(count_lines acks ^durable)" -eq 2 ]
	! grep -q "from outside" server.err || false
}

@test "the operator's question disturbs nobody" {
	serve
	hang
	client --status >/dev/null
	client --list >heads
	grep -q $'^durable\tweb01\troot\t1' heads
	tail -c +6000001 stream >&7
	exec 7>&-
	wait "${STARTED[-1]}"
	[ "$(count_lines acks ^durable)" -eq 2 ]
}

@test "an older connection that held nothing cannot put after the question" {
	serve
	scan web01 root 1000
	local size
	size=$(stat -c %s stream)
	mkfifo in
	start raw web01 in >answer
	exec 7>in
	get_head /v1/time >&7
	wait_for grep -q ^time answer # logged in, before the question
	client --status -m web01 -d root >heads
	{
		put_head /v1/machines/web01/disks/root/segments/1 \
			"Content-Length: $size"
		cat stream
	} >&7
	wait_for grep -q 'PS-Cause: busy' answer
	grep -q 'a newer connection' answer
	exec 7>&-
	client --status -m web01 -d root | cmp - heads
	client --put stream | grep -q ^durable
}

@test "a stamp of another run of the kernel keeps nobody out" {
	serve
	scan web01 root 1200000
	ps-stream cat -s 1 stream | client --put - >/dev/null
	printf '%s %020d\n' 00000000-0000-0000-0000-000000000000 \
		$((2 ** 62)) >cache/web01/root/.lease
	client --put stream >acks
	[ "$(count_lines acks ^durable)" -eq 2 ]
	# One of this run, of somebody younger, does.
	printf '%s %020d\n' "$(cat /proc/sys/kernel/random/boot_id)" \
		$((2 ** 62)) >cache/web01/root/.lease
	fails_with 75 client --put stream
}

@test "the report says what was done" {
	serve
	scan web01 root 2400000
	client --put stream --report report.json >/dev/null
	jq -e '.state == "done" and .cause == "" and .machine == "web01" and
		.disk == "root" and .seq == 3 and .acked_seq == 3 and
		.segments == 3 and .bytes > 2400000 and .error == "" and
		(.updated | fromdate) > 1700000000 and .pid > 0' report.json
	[ ! -e report.json.tmp ]
}

@test "the report follows a client that waits for its input" {
	serve
	scan web01 root 7000000 1 4M
	mkfifo pipe
	start client --put pipe --report report.json >acks
	exec 7>pipe
	wait_for state_is connecting
	head -c 6000000 stream >&7
	wait_for state_is sending
	wait_for jq -e '.acked_seq == 1' report.json
	tail -c +6000001 stream >&7
	exec 7>&-
	wait_for state_is 'done'
}

@test "the report names the cause, and how long to wait" {
	serve
	scan web01 root 2400000
	ps-stream cat -s 2-3 stream >rest
	fails_with 75 client --put rest --report report.json
	jq -e '.state == "waiting" and .cause == "unseated" and
		.retry_after == 30' report.json
	client --put stream >/dev/null
	ps-cache hold web01 root why -C cache
	ps-scan --machine web01 --disk root --map n.map root.img >again
	fails_with 75 client --put again --report report.json
	cause_is held
}

@test "the report of a failure tells where: unreachable, login, tls" {
	serve
	scan web01 root 1000
	fails_with 69 cxpsclient -i 127.0.0.1 -l 1 -P pass --put stream \
		--report report.json
	cause_is unreachable
	state_is failed
	ps-receive --new-passphrase -P other
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P other --put stream \
		--report report.json
	cause_is login
	fails_with 77 cxpsclient -i 127.0.0.1 -l "$PORT" -P other --status \
		-m web01 -d root --report report.json
	cause_is login
	openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 \
		-keyout o.key -out o.pem 2>/dev/null
	fails_with 77 client --put stream --ca o.pem --report report.json
	cause_is tls
	jq -e '.error != ""' report.json
}

@test "a report that cannot be written stops nothing" {
	serve
	scan web01 root 1000
	client --put stream --report /nowhere/at/all >acks 2>err
	grep -q 'cannot be written' err
	[ "$(count_lines acks ^durable)" -eq 1 ]
}
