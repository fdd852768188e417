#!/usr/bin/env bats
# ps-plan: measures churn, and says what it needs.
load ../lib/common

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
}

# rows MACHINE BYTES_A_MINUTE MINUTES
rows() {
	echo time,machine,disk,size,seconds,write_bytes,writes
	local i
	for ((i = 1; i <= $3; i++)); do
		printf '2026-11-01T%02d:%02d:00Z,%s,sda,107374182400,60,%s,600\n' \
			$((i / 60)) $((i % 60)) "$1" "$2"
	done
}

# Of a column of out.csv.
total() { awk -F, -v f="$1" 'NR > 1 { n += $f } END { print n + 0 }' out.csv; }
written() { [ "$(total 6)" -ge 8388608 ]; }

@test "profile measures what is written to a disk" {
	local dev
	truncate -s 64M disk.img
	dev=$(losetup --direct-io=on -f --show disk.img 2>/dev/null) ||
		dev=$(losetup -f --show disk.img) || skip "no loop devices"
	echo "$dev" >loop
	start ps-plan profile --interval 1 -m web01 -o out.csv "$dev"
	wait_for grep -q web01 out.csv
	dd if=/dev/urandom of="$dev" bs=1M count=8 oflag=direct status=none
	wait_for written
	kill "${STARTED[0]}"
	wait "${STARTED[0]}"
	[ "$(awk -F, 'NR > 1 { n += $6 } END { print n }' out.csv)" -eq 8388608 ]
	grep -q "^20..-..-..T..:..:..Z,web01,${dev#/dev/},67108864,1," out.csv
	# A second run goes on in the file, with one header.
	ps-plan profile --interval 1 --for 1 -m web01 -o out.csv "$dev"
	[ "$(grep -c ^time out.csv)" -eq 1 ]
	ps-plan report out.csv | grep -q '^web01 .* fits'
}
cleanup() { [ ! -s loop ] || losetup -d "$(cat loop)"; }

# An ordinary change of a disk, scanned into the cache.
pass() { # pass BYTES SEED
	random_file new "$1" "$2"
	dd if=new of=disk.img conv=notrunc status=none
	ps-scan --machine web01 --disk root --map m disk.img 2>/dev/null |
		ps-cache put -C cache | ps-scan --commit --map m >/dev/null
}

cached_disk() {
	truncate -s 16M disk.img
	ps-cache init -C cache >/dev/null
	pass 1048576 1
}

@test "profile --changed counts a block once in an interval" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	grep -qw tracefs /proc/filesystems || skip "the kernel has no tracefs"
	local dev i
	truncate -s 64M disk.img
	dev=$(losetup -f --show disk.img) || skip "no loop devices"
	echo "$dev" >loop
	start ps-plan profile --changed --interval 2 -m web01 -o out.csv "$dev"
	wait_for grep -q web01 out.csv
	for i in 1 2 3 4 5 6 7 8; do
		dd if=/dev/urandom of="$dev" bs=1M count=1 oflag=direct status=none
	done
	wait_for written
	kill "${STARTED[0]}"
	wait "${STARTED[0]}"
	# In one interval, or two when it ended in between.
	[ "$(total 8)" -eq 1048576 ] || [ "$(total 8)" -eq 2097152 ]
	grep -q ',1048576,trace$' out.csv
	ps-plan report out.csv | grep -q '^Measured .*: changed blocks, by a trace of writes: 1$'
	[ "$(ps-plan report --json out.csv | jq -r '.machines[0].measured_by')" = trace ]
	# Nothing that cannot be traced is counted in another way.
	fails_with 69 ps-plan profile --changed --for 1 /dev/ram0 ||
		fails_with 66 ps-plan profile --changed --for 1 /dev/ram0
}

@test "what agents send: from a cache, and from the record of ps-health" {
	cached_disk
	# Nothing was noted yet: no line of names that is all there is.
	mkdir state
	fails_with 66 ps-plan history --state state
	[ ! -s out ]
	ps-health sample -C cache --state once --services receive
	fails_with 65 ps-plan history --state once
	grep -q 'no two passes of a disk' err
	[ ! -s out ]
	start ps-plan profile -C cache --interval 1 -o sent.csv
	wait_for test -s sent.csv
	local n=2
	more() { pass 262144 $((n++)) && grep -q '^20.*,web01,root,16777216,[0-9]*,,,[0-9]*,agents$' sent.csv; }
	wait_for more
	kill "${STARTED[0]}"
	wait "${STARTED[0]}"
	# Four blocks of 64 KiB in each pass; passes that fall together add up.
	awk -F, 'NR > 1 && ($8 == 0 || $8 % 262144) { exit 1 }' sent.csv
	ps-plan report --json sent.csv | jq -e '.machines[0].measured_by == "agents"'

	command -v faketime >/dev/null || skip "faketime is not installed"
	local ago
	for ago in 20 15 10 5; do
		pass 524288 $((100 + ago))
		FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f "-${ago}m" \
			ps-health sample -C cache --state health --services receive
	done
	ps-plan history --state health >history.csv
	# Of the first pass the begin is not known.
	[ "$(grep -cE ',web01,root,16777216,(240|300|360),,,524288,agents$' history.csv)" -eq 2 ]
	[ "$(wc -l <history.csv)" -eq 3 ]
	ps-plan report --growth 0 --json history.csv |
		jq -e '.churn.mean_bytes_per_second * .measured_seconds | round == 1048576'
	# Whose size is known has a whole verdict.
	ps-plan report history.csv | grep -q '^Initial replication of 16.0 MiB in 3d 00h: '
	fails_with 66 ps-plan history --state nowhere
	fails_with 64 ps-plan profile -C cache sda
}

@test "every figure of a report equals what was worked out elsewhere" {
	command -v python3 >/dev/null || skip "python3 is not installed"
	local seed oracle=$PS_SOURCE/tests/fleet/plan-oracle
	for seed in 1 2; do
		"$oracle" make "$seed" >churn.csv
		ps-plan report --bandwidth 400Mbit --rpo 10m --outage 3h \
			--retention 36h --initial 48h --json churn.csv >r.json ||
			[ $? -eq 1 ]
		"$oracle" check r.json churn.csv tables=2019 growth=0.3 \
			percentile=95 ratio=1.0 rpo=600 bandwidth=400000000 \
			outage=10800 retention=129600 initial=172800
		ps-plan report --tables 2015 --growth 0 --percentile 90 --ratio 50 \
			--bandwidth 30M --json churn.csv >r.json || [ $? -eq 1 ]
		"$oracle" check r.json churn.csv tables=2015 growth=0.0 \
			percentile=90 ratio=0.5 rpo=900 bandwidth=251658240 \
			outage=14400 retention=86400 initial=259200
	done
}

@test "text, JSON and page say the same" {
	rows web01 62914560 120 >a.csv
	rows db01 125829120 120 >b.csv
	report() { ps-plan report --growth 0 --bandwidth 30Mbit "$@"; }
	report --html page.html a.csv b.csv >text
	report --json <(cat a.csv) b.csv >json
	grep -q '^db01  *1  *100 GiB  *2.00  *2.00 ' text
	jq -e '.churn.bytes_per_second == 3145728' json
	jq -e '.line.achieved_rpo_seconds == 0' json
	grep -q '^RPO with 30.0 Mbit/s: 0' text
	jq -e '.servers | length == 1' json
	# What the other tables say stands beside it, and is what they say.
	report --tables 2015 --json a.csv b.csv >other || [ "$?" -eq 1 ]
	for key in .servers .storage_accounts .retention_disks .tables \
		'[.machines[] | [.machine, .fits, .why]]'; do
		[ "$(jq -c ".beside | $key" json)" = "$(jq -c "$key" other)" ]
		[ "$(jq -c ".beside | $key" other)" = "$(jq -c "$key" json)" ]
	done
	grep -q '^By the tables of 2015: .* (Set up protection' text
	grep -q "^Bandwidth for an RPO of 15m.*: $(jq -r '.line.needed_bits / 1e5 | round / 10' json) Mbit/s" text
	# Each finding and each cell of the text stands on the page.
	sed '1,/^$/d' text | while read -r line; do
		grep -qF "<li>$line</li>" page.html || { echo "$line"; exit 1; }
	done
	sed '/^$/,$d' text | grep -v ^MACHINE | tr -s ' ' '\n' | while read -r cell; do
		grep -qF "$cell" page.html || { echo "$cell"; exit 1; }
	done
	jq -r '.machines[] | .machine' json | while read -r name; do
		grep -q "<figcaption>$name " page.html || exit 1
	done
	# From standard input, too.
	ps-plan report --growth 0 --json <a.csv | jq -e '.machines | length == 1'
	[ "$(ps-plan report --growth 30 --json a.csv | jq '.churn.mean_bytes_per_second | round')" -eq 1363149 ]
}

@test "the page is one file, well formed, light and dark" {
	rows 'web01' 62914560 600 >a.csv
	ps-plan report --bandwidth 5Mbit --html page.html a.csv >/dev/null
	if command -v xmllint >/dev/null; then xmllint --noout page.html; fi
	run ! grep -E 'https?:|src=|href=|url\(|@import|<script' page.html
	[ "$(grep -c '<svg' page.html)" -eq 3 ]
	[ "$(grep -c '<polyline' page.html)" -ge 5 ]
	grep -q 'prefers-color-scheme:dark' page.html
	grep -q '>RPO with 5.0 Mbit/s' page.html
	grep -q '>1.00 MiB/s</text>' page.html
	fails_with 66 ps-plan report --html nowhere/page.html a.csv
	# A pipe is written to, not replaced.
	mkfifo pipe
	cat pipe >piped &
	ps-plan report --html pipe a.csv >/dev/null
	wait "$!"
	[ -p pipe ]
	diff <(grep -v '^<h1>\|^<p class="dim">20' page.html | tail -n 5) <(tail -n 5 piped)
}

@test "without sizes of disks nothing is said of what depends on them" {
	rows web01 62914560 120 | cut -d, -f 1-3,5- >a.csv
	ps-plan report a.csv >text
	grep -q '^Initial replication: unknown, the samples have no sizes' text
	grep -q '^Vault with .*, and 1 disk whose size is not known$' text
	ps-plan report --json a.csv | jq -e '.disks_without_size == 1 and .line.initial_bits == null'
	# Of one of two: what the sums leave out is said.
	rows db01 62914560 120 >b.csv
	ps-plan report a.csv b.csv >text
	grep -q '^Initial replication of 100 GiB in .*, and 1 disk whose size is not known$' text
	grep -q '^Vault with .*, and 1 disk whose size is not known$' text
}

@test "megabytes are not megabits" {
	rows web01 62914560 120 >a.csv
	bits() { ps-plan report --json --bandwidth "$1" a.csv | jq .line.bits; }
	[ "$(bits 100Mbit)" -eq 100000000 ]
	[ "$(bits 12M)" -eq 100663296 ]
	[ "$(bits 12MiB)" -eq 100663296 ]
	# 1 MiB/s for a day is 84.4 GiB; 8.39 Mbit/s is what carries it.
	ps-plan report --growth 0 a.csv >text
	grep -q '^web01 .* 1.00  *1.00  *84.4 GiB' text
	grep -q '^Churn: 84.4 GiB a day, mean 1.00 MiB/s, P95 1.00 MiB/s, peak 1.00 MiB/s$' text
	# Two hours at r MB/s, of which 15 minutes may be pending: 7200 / 8100.
	grep -q '^Bandwidth for an RPO of 15m[^:]*: 7.5 Mbit/s' text
}

@test "a machine above a limit: exit 1, and which limit" {
	rows fast 3145728000 60 >a.csv # 50 MiB/s on one disk
	fails_with 1 ps-plan report a.csv
	grep -q '^fast .* no: disk sda: .* MiB/s, 20 at most' out
}

@test "tables as spreadsheets write them; what stands there twice is said" {
	rows web01 62914560 120 >a.csv
	ps-plan report --json a.csv >json
	{
		printf '\357\273\277'
		sed 's/[^,]*/"&"/g; s/$/\r/' a.csv
	} >sheet.csv
	ps-plan report --json sheet.csv | diff - json
	{ head -n 1 a.csv && tail -n +2 a.csv | tac; } >backwards.csv
	ps-plan report --json backwards.csv | diff - json
	jq -e '.disks_overlapping == 0' json
	ps-plan report a.csv a.csv | grep -q '^Rows of 1 disk overlap: '
	# Columns of another kind of file, and half a row at the end.
	sed '1s/writes/write/' a.csv >other.csv
	fails_with 65 ps-plan profile -o other.csv --for 1
	grep -q 'other.csv: does not begin as' err
	ps-plan profile -C nowhere -o new.csv || [ ! -s new.csv ]
	ps-cache init -C cache >/dev/null
	ps-plan profile -C cache --interval 1 --for 1 -o new.csv
	printf '2026-11-01T00:00' >>new.csv
	ps-plan profile -C cache --interval 1 --for 1 -o new.csv 2>err
	grep -q 'new.csv: the last row is not whole' err
	[ "$(cat new.csv)" = time,machine,disk,size,seconds,write_bytes,writes,changed_bytes,by ]
}

@test "wrong tables are refused with their line" {
	local line bad
	while IFS='|' read -r line bad; do
		printf '%b' "$bad" >bad.csv
		fails_with 65 ps-plan report bad.csv
		grep -q "bad.csv:$line: " err || { cat err; false; }
	done <<'END'
1|time,machine,disk\n
2|time,machine,disk,changed_bytes\n2026-11-01T00:00:00Z,m,d,x\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d\n
2|time,machine,disk,write_bytes\nyesterday,m,d,1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,../m,d,1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,-1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,\n
2|time,machine,disk,write_bytes,seconds\n2026-11-01T00:00:00Z,m,d,1,0\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,1,5\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,1.5\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,"d,1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,"d"d,1\n
1|time,machine,disk,write_bytes,time\n
1|time;machine;disk;write_bytes\n
3|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,1\n2024-11-01T00:00:00Z,m,d,1\n
END
	: >bad.csv
	fails_with 65 ps-plan report bad.csv
	echo time,machine,disk,write_bytes >bad.csv
	fails_with 65 ps-plan report bad.csv
	fails_with 66 ps-plan report nowhere.csv
	fails_with 66 ps-plan profile no-such-disk
	fails_with 64 ps-plan report --bandwidth fast bad.csv
	fails_with 64 ps-plan
}

@test "a hundred machines of three disks for a day stay below 64 MiB" {
	awk 'BEGIN {
		print "time,machine,disk,write_bytes,writes"
		for (m = 0; m < 100; m++) for (d = 0; d < 3; d++)
			for (i = 0; i < 1440; i += 4)
				printf "2026-11-01T%02d:%02d:00Z,m%d,d%d,%d,%d\n", i / 60, i % 60, m, d, 1e6 * (i % 7 + m), 10
	}' >day.csv
	/usr/bin/time -f %M -o rss ps-plan report day.csv >out
	[ "$(wc -l <out)" -gt 100 ]
	[ "$(cat rss)" -lt 65536 ]
}
