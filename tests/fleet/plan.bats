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

@test "profile measures what is written to a disk" {
	local dev
	truncate -s 64M disk.img
	dev=$(losetup --direct-io=on -f --show disk.img 2>/dev/null) ||
		dev=$(losetup -f --show disk.img) || skip "no loop devices"
	echo "$dev" >loop
	start ps-plan profile --interval 1 -m web01 -o out.csv "$dev"
	wait_for grep -q web01 out.csv
	dd if=/dev/urandom of="$dev" bs=1M count=8 oflag=direct status=none
	written() { [ "$(awk -F, 'NR > 1 { n += $6 } END { print n }' out.csv)" -ge 8388608 ]; }
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

@test "report: text and JSON say the same" {
	rows web01 62914560 120 >a.csv
	rows db01 125829120 120 >b.csv
	ps-plan report --growth 0 --bandwidth 30Mbit a.csv b.csv >text
	ps-plan report --growth 0 --bandwidth 30Mbit --json <(cat a.csv) b.csv >json
	grep -q '^db01  *1  *100 GiB  *2.00  *2.00 ' text
	jq -e '.churn.bytes_per_second == 3145728' json
	jq -e '.line.achieved_rpo_seconds == 0' json
	grep -q '^RPO with 30.0 Mbit/s: 0' text
	jq -e '.servers | length == 1' json
	# From standard input, too.
	ps-plan report --growth 0 --json <a.csv | jq -e '.machines | length == 1'
	[ "$(ps-plan report --growth 30 --json a.csv | jq '.churn.mean_bytes_per_second | round')" -eq 1363149 ]
}

@test "a machine above a limit: exit 1, and which limit" {
	rows fast 3145728000 60 >a.csv # 50 MiB/s on one disk
	fails_with 1 ps-plan report a.csv
	grep -q '^fast .* no: disk sda: .* MiB/s, 20 at most' out
}

@test "wrong tables are refused with their line" {
	local line bad
	while IFS='|' read -r line bad; do
		printf '%b' "$bad" >bad.csv
		fails_with 65 ps-plan report bad.csv
		grep -q "bad.csv:$line: " err || { cat err; false; }
	done <<'END'
1|time,machine,disk\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d\n
2|time,machine,disk,write_bytes\nyesterday,m,d,1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,../m,d,1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,-1\n
2|time,machine,disk,write_bytes\n2026-11-01T00:00:00Z,m,d,\n
2|time,machine,disk,write_bytes,seconds\n2026-11-01T00:00:00Z,m,d,1,0\n
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
