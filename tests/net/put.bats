#!/usr/bin/env bats
# Sending segments: what is acknowledged, refused, put off; and what is left
# behind when either end fails in the middle.

load ../lib/common
load common

prepare() { make_server; }

# No segment, no temporary file of web01/root.
nothing_left() {
	[ -z "$(find cache -name '0*' -o -name '.tmp*')" ]
}

@test "every segment is acknowledged as durable and is in the cache" {
	serve
	scan web01 root 4000000
	client --put stream >acks
	[ "$(count_lines acks $'^durable\tweb01\troot')" -eq 4 ]
	ps-cache follow --once -C cache >back
	cmp stream back
	client --status -m web01 -d root >heads
	tail -n 1 acks | cut -f 1-5 >want
	head -n 1 heads | cut -f 1-5 | cmp - want
	grep -q $'^stored\tweb01\troot\t0\t' heads
}

@test "standard input is read with - and without an operand" {
	serve
	scan web01 root 1000
	client --put - <stream >acks
	[ "$(count_lines acks ^durable)" -eq 1 ]
	client --put <stream >acks
	[ "$(count_lines acks ^durable)" -eq 1 ]
}

@test "an empty stream is done at once" {
	serve
	client --put </dev/null >acks
	[ ! -s acks ]
}

@test "the same segments again are success" {
	serve
	scan web01 root 2400000
	client --put stream >acks
	client --put stream >again
	cmp acks again
}

@test "a stored segment is acknowledged as stored" {
	serve
	scan web01 root 1000
	client --put stream | sed s/durable/stored/ | ps-cache ack -C cache >/dev/null
	client --put stream >acks
	grep -q ^stored acks
}

@test "acknowledgements close the loop of the agent" {
	serve
	random_file d.img 4000000
	ps-scan --machine web01 --disk root --map m --segment-size 1M d.img |
		client --put - | ps-scan --commit --map m >acks
	[ "$(count_lines acks ^durable)" -eq 4 ]
	client --status -m web01 -d root |
		ps-scan --commit --settle --map m >/dev/null
}

@test "a segment that does not fit is refused, so are later ones, others not" {
	serve
	scan web01 root 1200000
	client --put stream >/dev/null
	scan web01 data 1000
	mv stream other
	rm -rf web01-root.map*
	scan web01 root 2400000 7 # another disk of that name
	cat other >>stream
	fails_with 1 client --put stream
	[ "$(count_lines out $'^refused\tweb01\troot')" -eq 3 ]
	[ "$(count_lines out $'^durable\tweb01\tdata')" -eq 1 ]
	grep -q refused cache/.log/cxps.err
}

@test "an unseated disk is put off with 75 and shown as unseated" {
	serve
	scan web01 root 2400000
	ps-stream cat -s 2-3 stream >rest
	fails_with 75 client --put rest
	grep -q 'unseated' err
	grep -q 'try again in' err
	[ ! -s out ]
	client --status -m web01 -d root >heads
	printf 'refused\tweb01\troot\t0\t%064d\tunseated\n' 0 | cmp - heads
}

@test "a disk on hold is put off with its reason, other disks go on" {
	serve
	scan web01 root 1000
	client --put stream >/dev/null
	ps-cache hold web01 root 'look at it' -C cache
	scan web01 data 1200000 2
	mv stream other
	scan web01 new 1000 3
	cat other >>stream # follows the one on hold
	ps-scan --machine web01 --disk root --map n.map root.img >held
	cat held other >stream
	fails_with 75 client --put stream
	grep -q 'held: look at it' err
	[ "$(count_lines out $'^durable\tweb01\tdata')" -eq 2 ]
	[ "$(count_lines out root)" -eq 0 ]
	client --status -m web01 -d root >heads
	grep -q $'^refused.*held: look at it' heads
	client --list --json | jq -e '.[1].held == "held: look at it"'
	ps-cache stat -C cache >table || true
	grep -q 'look at it' table
}

@test "a stream of nothing but a disk that has to wait ends early" {
	serve
	scan web01 root 20000000
	ps-stream cat -s 2- stream >rest
	mkfifo pipe
	client --put pipe >out 2>err 3>&- &
	local got=0
	exec 7>pipe
	cat rest >&7 2>/dev/null || true # it stops reading
	wait "$!" || got=$? # and does not wait for the end
	exec 7>&-
	[ "$got" -eq 75 ]
	[ "$(count_lines cache/.log/cxps.xfer PUT)" -lt 5 ]
}

@test "a cache without room for it puts a disk off, the cause is named" {
	ps-cache init -C cache --keep-free 99 --keep-free-initial 100
	serve
	scan web01 root 1000
	fails_with 75 client --put stream
	grep -q 'cache-throttle' err
	nothing_left
}

# A cache on a disk of 2.5 MB.
small_cache() {
	[ "$(id -u)" -eq 0 ] || skip "mounting needs root"
	mkdir small
	mount -t tmpfs -o size=2500k tmpfs small || skip "no tmpfs"
	rm -rf cache
	ln -s small cache
	ps-cache init -C cache --keep-free 0 --keep-free-initial 0
}

cleanup() {
	stop_all
	if mountpoint -q "$T/small" 2>/dev/null; then umount "$T/small"; fi
}

@test "two in flight on a full disk: put off, not refused, nothing half there" {
	small_cache
	serve --log-dir log
	scan web01 root 5000000
	fails_with 75 client --put stream
	grep -q 507 err
	grep -q 'cache-full' err
	[ "$(count_lines out ^refused)" -eq 0 ]
	[ "$(count_lines out ^durable)" -eq 2 ]
	[ -z "$(find small/web01 -name '.tmp*')" ]
	ps-cache verify -C cache
	cut -f 6 log/cxps.xfer | grep -q 507
}

@test "a segment larger than the cache will never fit: that is said, not full" {
	small_cache
	serve --log-dir log
	scan web01 root 5000000 1 8M
	fails_with 75 client --put stream --report report
	local words='too-large: .*larger than all .*enlarge the cache'
	grep -q "507 $words" err
	[ "$(jq -r .cause report)" = too-large ]
	wait_for grep -q 'larger than all that this cache can take' log/cxps.err
	[ -z "$(find small/web01 -name '.tmp*')" ]
	# Others find the room that it has left.
	scan web02 root 900000
	client -m web02 --put stream
	# Half of it is another's: that one may go, and this one has to wait.
	scan web01 data 2000000 2 8M
	fails_with 75 client --put stream
	grep -q '507 cache-full' err
}

@test "a damaged stream ends with 65, what was whole before it is durable" {
	serve
	scan web01 root 2400000
	flip_bit stream 1600000
	fails_with 65 client --put stream
	[ "$(count_lines out ^durable)" -eq 1 ]
	ps-cache verify -C cache
	[ ! -e "$(segment_file 2)" ]
}

@test "a stream that ends inside a segment ends with 65" {
	serve
	scan web01 root 2400000
	head -c 1500000 stream >part
	fails_with 65 client --put part
	[ "$(count_lines out ^durable)" -eq 1 ]
	[ ! -e "$(segment_file 2)" ]
}

@test "a segment damaged on its way is refused with 400 and leaves nothing" {
	serve
	scan web01 root 1000
	flip_bit stream 900
	{
		put_head /v1/machines/web01/disks/root/segments/1 \
			"Content-Length: $(stat -c %s stream)"
		cat stream
	} | raw web01 >answer
	grep -q 'HTTP/1.1 400' answer
	nothing_left
}

@test "a segment that is not what the path says is refused with 400" {
	serve
	scan web01 root 1000
	local path
	for path in web01/disks/root/segments/2 web01/disks/data/segments/1 \
		web01/disks/root/segments/x web01/disks/root/segments/0; do
		{
			put_head "/v1/machines/$path" \
				"Content-Length: $(stat -c %s stream)"
			cat stream
		} | raw web01 >answer
		grep -q 'HTTP/1.1 400' answer
		nothing_left
	done
}

@test "bytes behind a segment are refused with 400" {
	serve
	scan web01 root 1000
	echo more >>stream
	{
		put_head /v1/machines/web01/disks/root/segments/1 \
			"Content-Length: $(stat -c %s stream)"
		cat stream
	} | raw web01 >answer
	grep -q 'HTTP/1.1 400' answer
}

@test "a request without a length is answered 411" {
	serve
	put_head /v1/machines/web01/disks/root/segments/1 |
		raw web01 >answer
	grep -q 'HTTP/1.1 411' answer
}

@test "pipelined requests are answered in order" {
	serve
	scan web01 root 1200000
	ps-stream cat -s 1 stream >one
	ps-stream cat -s 2 stream >two
	{
		put_head /v1/machines/web01/disks/root/segments/1 \
			"Content-Length: $(stat -c %s one)"
		cat one
		get_head /v1/time
		put_head /v1/machines/web01/disks/root/segments/2 \
			"Content-Length: $(stat -c %s two)" 'Connection: close'
		cat two
	} | raw web01 >answer
	grep -aoE $'^(durable\tweb01\troot\t[0-9]|time)' answer >order
	printf 'durable\tweb01\troot\t1\ntime\ndurable\tweb01\troot\t2\n' |
		cmp - order
}

@test "a successor of a segment that had to wait is not refused for the gap" {
	serve
	scan web01 root 2400000
	local n
	for n in 2 3; do
		ps-stream cat -s $n stream >"part$n"
		put_head "/v1/machines/web01/disks/root/segments/$n" \
			"Content-Length: $(stat -c %s "part$n")" >"head$n"
	done
	cat head2 part2 head3 part3 >request
	start raw web01 request >answer
	wait_for grep -q 'PS-Cause: behind' answer
	grep -q 'PS-Cause: unseated' answer
	run ! grep -q 'HTTP/1.1 409' answer
}

@test "a peer that stalls inside a segment is cut and leaves nothing" {
	serve --idle-timeout 1s
	scan web01 root 1200000
	{
		put_head /v1/machines/web01/disks/root/segments/1 \
			'Content-Length: 1000000'
		head -c 400000 stream
	} >request
	start raw web01 request >answer
	wait_for grep -q 'timed out' cache/.log/cxps.err
	wait_for nothing_left
}

@test "a scan that finds nothing for long keeps its connection" {
	serve --idle-timeout 2s
	scan web01 root 7000000 1 4M
	{
		head -c 2500000 stream
		sleep 3
		tail -c +2500001 stream | head -c 4000000 # into the second one
		sleep 3
		tail -c +6500001 stream
		sleep 3
	} | client -y 1 --put - >acks
	[ "$(count_lines acks ^durable)" -eq 2 ]
	ps-cache follow --once -C cache | cmp - stream
}

@test "a client that is killed inside a segment leaves nothing" {
	serve
	scan web01 root 7000000 1 4M
	mkfifo pipe
	start client --put pipe >acks
	exec 7>pipe
	head -c 2500000 stream >&7
	wait_for half_there
	pkill -9 -P "${STARTED[-1]}" cxpsclient
	wait_for grep -q 'cut' cache/.log/cxps.err
	exec 7>&-
	wait_for nothing_left
	client --put stream >acks
	[ "$(count_lines acks ^durable)" -eq 2 ]
}

@test "a second connection takes a disk over from one that hangs" {
	serve
	scan web01 root 7000000 1 4M
	mkfifo pipe
	cxpsclient -i 127.0.0.1 -l "$PORT" -P pass --put pipe >acks \
		2>first.err 7>&- 3>&- &
	local first=$! got=0
	exec 7>pipe
	head -c 6000000 stream >&7 # one whole, and a part
	wait_for grep -q durable acks
	wait_for half_there
	client --put stream >again
	[ "$(count_lines again ^durable)" -eq 2 ]
	exec 7>&-
	wait "$first" || got=$?
	[ "$got" -eq 69 ]
	ps-cache verify -C cache
}

@test "a stream of several machines is sent with a login for each" {
	serve
	scan web01 root 1200000
	mv stream all
	scan web02 root 1000 2
	cat stream >>all
	scan web01 data 1000 3
	cat stream >>all
	client -P pass --put all >acks
	[ "$(count_lines acks ^durable)" -eq 4 ]
	awk -F'\t' '$4 == "PUT" {print $3, substr($5, 14, 5)}' \
		cache/.log/cxps.xfer | sort -u >pairs
	printf 'web01 web01\nweb02 web02\n' | cmp - pairs
}

@test "acknowledgements that cannot be written end with 75" {
	serve
	scan web01 root 1000
	local got=0
	client --put stream >/dev/full 2>err || got=$?
	[ "$got" -eq 75 ] # as a full disk
}

# slow_answers N: PORT becomes a line that brings a byte a second after N.
slow_answers() {
	rm -f line
	start "$PS_BUILD/tests/lib/proxy" --fault "down:slow:$1" 127.0.0.1 \
		"$PORT" >line 2>struck
	PORT=$(port_of line)
}

@test "answers that come byte by byte are waited for no longer than -y" {
	local real
	serve
	real=$PORT
	scan web01 root 3000000
	SECONDS=0
	slow_answers 1100 # in the login
	fails_with 69 client -y 2 --list
	PORT=$real
	slow_answers 1550 # behind it
	fails_with 69 client -y 2 --put stream
	grep -q slow struck
	[ "$SECONDS" -lt 15 ]
}

@test "acknowledgements come before the input ends" {
	serve
	scan web01 root 1200000
	mkfifo pipe
	start client --put pipe >acks
	exec 7>pipe
	cat stream >&7
	wait_for grep -q $'^durable\tweb01\troot\t2' acks
	exec 7>&-
}

@test "100 MB go through in reasonable time" {
	serve
	random_file root.img 100000000
	ps-scan --machine web01 --disk root --map m root.img >stream
	SECONDS=0
	client --put stream >acks
	[ "$SECONDS" -lt 20 ]
	[ "$(count_lines acks ^durable)" -eq 2 ]
}

# grades FREE INITIAL [OPTION...]: the room that a cache keeps from now on
grades() {
	local free=$1 initial=$2
	shift 2
	ps-cache init -C cache --keep-free "$free" --keep-free-initial \
		"$initial" "$@"
}

# a_delta DISK: a base of the disk is taken; its next pass is in $T/delta
a_delta() {
	scan web01 "$1" 300000
	client --put stream | ps-scan --commit --map "web01-$1.map" >/dev/null
	random_file "$1.img" 300000 7
	ps-scan --machine web01 --disk "$1" --map "web01-$1.map" "$1.img" >delta
}

@test "under 25 % initial replication waits, other disks of the stream go on" {
	serve
	a_delta data
	grades 0 100
	scan web01 root 2400000
	cat stream delta >both
	fails_with 75 client --put both --report report.json
	grep -q 'cache-throttle.*initial replication waits for 100 %' err
	[ "$(count_lines out $'^durable\tweb01\tdata')" -eq 1 ]
	[ "$(count_lines out root)" -eq 0 ]
	jq -e '.state == "waiting" and .cause == "cache-throttle" and
		.retry_after >= 2 and .retry_after <= 60' report.json
	grades 0 0
	client --put both >acks
	[ "$(count_lines acks $'^durable\tweb01\troot')" -eq 3 ]
}

@test "under 20 % everything waits" {
	serve
	a_delta data
	grades 100 100
	fails_with 75 client --put delta --report report.json
	grep -q 'everything waits for 100 %' err
	jq -e '.cause == "cache-throttle"' report.json
}

@test "a disk at its limit waits, others go on" {
	serve
	a_delta data
	grades 0 0 --disk-limit 100K
	scan web01 root 1000
	cat delta stream >both
	fails_with 75 client --put both --report report.json
	[ "$(count_lines out $'^durable\tweb01\troot')" -eq 1 ]
	jq -e '.cause == "disk-limit" and .retry_after >= 2' report.json
}

@test "who waits for room waits as long as the cache needs for it" {
	serve
	scan web01 root 3000000
	client --put stream | sed 's/^durable/stored/' >stored
	a_delta data
	grades 0 0 --disk-limit 100K
	# retry_after of one more try.
	wait_s() {
		fails_with 75 client --put delta --report report.json
		jq .retry_after report.json
	}
	# Nothing goes, but not for long yet.
	[ "$(wait_s)" -ge 10 ]
	sleep 1.1 # less than a second of looking tells nothing
	# 3 MB go at once; the limit is 200 KB away.
	ps-cache ack -C cache <stored >/dev/null
	local s
	s=$(wait_s)
	echo "# $s s while it drains" >&3
	[ "$s" -ge 2 ]
	[ "$s" -lt 10 ]
}

@test "who has to wait is told at once, and sends no more of the segment" {
	serve
	random_file root.img 60000000
	ps-scan --machine web01 --disk root --map m root.img >stream
	client --status -m web01 -d root >/dev/null
	ps-cache hold web01 root why -C cache
	mv stream both
	scan web01 data 1000
	cat stream >>both
	fails_with 75 client --put both --report report.json
	# The other disk went over the same connection.
	[ "$(count_lines out $'^durable\tweb01\tdata')" -eq 1 ]
	[ "$(awk -F'\t' '$4 == "PUT" {print $2}' cache/.log/cxps.xfer |
		sort -u | wc -l)" -eq 1 ]
	echo "# $(jq .bytes report.json) of 60 MB were sent" >&3
	jq -e '.bytes < 30000000' report.json
}

@test "the last answer arrives though the peer is still sending" {
	serve
	start "$PS_BUILD/tests/lib/proxy" --delay 50 --rate 100M 127.0.0.1 \
		"$PORT" >pport
	PORT=$(port_of pport)
	random_file root.img 8000000
	ps-scan --machine web01 --disk root --map m root.img >stream
	{ # the segment is not what the path says: 400, and the end
		put_head /v1/machines/web01/disks/root/segments/2 \
			"Content-Length: $(stat -c %s stream)"
		cat stream
	} >request
	raw web01 request >answer || true
	grep -q 'HTTP/1.1 400' answer
	grep -q 'not what the path says' answer
}
