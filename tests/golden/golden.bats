# Old data stay readable: files that an early build of format version 1 wrote
# (tests/golden/v1) are read by today's tools. These files are never made
# again; a new format version adds a folder of its own.
load ../lib/common

V1=$PS_SOURCE/tests/golden/v1
SUMS=(
	84a74caa349752158bdf584da43429d432cd935f0426b24917307a7d94bac15b
	2865ef5ba76045d7acdf644806e5535ada057bf983c64904046e80360358d073
	4ee6dc2ba397a6d02cb13a430d3e90cdde393c16dfbb13bc2b8b790e47b5d06d
)

prepare() {
	# git keeps no modes: a key that others can read is refused
	install -m 600 "$V1/vault.key" key
	cp -r "$V1/vault" "$V1/cache" .
	chmod -R u+w vault cache
}

@test "a clear stream of version 1 is sound" {
	ps-stream verify "$V1/clear.seg"
	[ "$(ps-stream list "$V1/clear.seg" | wc -l)" -eq 4 ]
}

@test "a deflated stream of version 1 expands to the clear one" {
	ps-compress -d <"$V1/deflate.seg" | cmp - "$V1/clear.seg"
}

@test "a zstd stream of version 1 expands to the clear one" {
	if ! ps-compress --version | grep -q zstd; then
		skip "this build has no zstd"
	fi
	ps-compress -d <"$V1/zstd.seg" | cmp - "$V1/clear.seg"
}

@test "sealed objects of version 1 open with their key to the clear stream" {
	cat vault/gold/root/* | ps-encrypt -d -k key | ps-compress -d |
		cmp - "$V1/clear.seg"
}

@test "all points of a vault of version 1 restore to what they were" {
	local i
	[ "$(ps-vault list vault -k key --json | jq length)" -eq 3 ]
	for i in 1 2 3; do
		ps-restore vault --machine gold --disk root --point "p$i" \
			-k key -o "disk.$i"
		[ "$(sha256sum <"disk.$i")" = "${SUMS[i - 1]}  -" ]
	done
}

@test "a map of version 1 knows its disk: nothing has to be sent" {
	gzip -dc "$V1/root.map.gz" >root.map
	ps-restore vault --machine gold --disk root -k key -o disk
	ps-scan --machine gold --disk root --map root.map disk >pass
	[ "$(ps-stream list --json pass | jq -c '[.. | .data_bytes? // empty]')" = '[0]' ]
	ps-stream list pass | grep -q '	last	'
}

@test "a cache of version 1 keeps its head and goes on" {
	ps-cache verify -C cache
	ps-cache follow --once -C cache >rest
	[ "$(ps-stream list rest | cut -f3 | xargs)" = "3 4" ]
	ps-vault init v
	ps-stream cat --seq 1-2 "$V1/clear.seg" | ps-upload v
	ps-upload v rest | ps-cache ack -C cache
	[ "$(ps-cache stat -C cache --json | jq '[.. | .segments? | numbers] | max')" -eq 0 ]
}
