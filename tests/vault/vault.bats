#!/usr/bin/env bats
# ps-vault: what is in a vault, and whether it is sound.
load ../lib/common

prepare() {
	PATH=$PS_BUILD/tests/segment:$PS_BUILD/tests/vault:$PATH
	ps-vault init v
}

object() { printf '%s/%s/%020d' "${2:-v}" "$1" "$3"; }

# make-segment's options; its stream goes into v.
store() { make-segment "$@" | ps-upload v >/dev/null; }

@test "init makes a vault and does no harm to one" {
	store
	ps-vault init v
	[ "$(ps-vault list v --json | jq length)" -eq 1 ]
	ps-vault init file://"$T/deep/er/vault"
	[ "$(jq -r .format deep/er/vault/vault.json)" = ps-vault ]
	[ "$(jq .single_writer deep/er/vault/vault.json)" = false ]
}

@test "a vault has one key: a second one is told" {
	umask 077
	ps-encrypt --new-key key
	ps-encrypt --new-key other
	id() { sed -n 's/^vault \([0-9a-f]*\) .*/\1/p' "$1"; }
	ps-vault init v -k key
	[ "$(jq -r .key v/key.json)" = "$(id key)" ]
	ps-vault init v -k key
	fails_with 1 ps-vault init v -k other
	grep -q "sealed with another key, that of the host $(hostname -s)" err
	[ "$(jq -r .key v/key.json)" = "$(id key)" ]
	# One that has the vault's and a newer one opens all.
	ps-encrypt --add-key -k key
	ps-vault init v -k key
	store
	ps-vault verify v -v | grep foreign && return 1
	# Without a note a sealed segment tells it.
	ps-vault init w
	make-segment | ps-encrypt -k other | ps-upload w >/dev/null
	fails_with 1 ps-vault init w -k key
	ps-vault init w -k other
	# A note that is none stops nobody from reading.
	echo '{' >v/key.json
	fails_with 65 ps-vault init v -k key
	ps-vault list v
}

@test "what is no vault is configuration, and the hint says how" {
	local command
	mkdir other
	for command in list head stat verify; do
		fails_with 78 ps-vault "$command" other
		grep -q 'hint: .*mounted.*ps-vault init other' err
	done
	fails_with 66 ps-vault list nowhere
	grep -q 'hint: .*mounted' err
}

@test "misuse is told" {
	fails_with 64 ps-vault
	fails_with 64 ps-vault lost v
	fails_with 64 ps-vault list
	fails_with 64 ps-vault list v w
	fails_with 64 ps-vault show v
	fails_with 64 ps-vault map v --machine web01 --disk root
	fails_with 64 ps-vault map v --machine web01 -o x
	fails_with 64 ps-vault show v --machine web01 --at yesterday
	fails_with 64 ps-vault show v --machine web01 --at @5 --point p1
	fails_with 64 ps-vault list v --machine ../etc
	fails_with 64 ps-vault list gopher://x
}

@test "list gives points as JSON of the agreed shape" {
	store -d root,data -s 2M -p 2 -k app
	ps-vault list v --machine web01 --json >json
	[ "$(jq length json)" -eq 2 ]
	[ "$(jq -c '.[1] | {machine, point, time, consistency, bookmark, complete}' \
		json)" = '{"machine":"web01","point":"p2","time":"2026-01-01T02:00:00Z","consistency":"app","bookmark":"p2","complete":true}' ]
	[ "$(jq -c '[.[1].disks[] | {disk, seq, size}]' json)" = \
		'[{"disk":"data","seq":2,"size":2097152},{"disk":"root","seq":2,"size":2097152}]' ]
	[ "$(ps-vault list v --machine other --json)" = "[]" ]
}

@test "list gives people a table" {
	store -d root,data -p 2
	store -m db
	ps-vault list v >out
	[ "$(wc -l <out)" -eq 5 ]
	grep -qE '^TIME +POINT +MACHINE +CONSISTENCY +DISKS +SIZE +AGE +COMPLETE$' out
	grep -qE '^2026-01-01T02:00:00Z +p2 +web01 +crash +data,root +2.00 MiB .* yes$' out
	[ "$(ps-vault list v --disk data | grep -c web01)" -eq 2 ]
	[ "$(ps-vault list v --disk data | grep -c db)" -eq 0 ]
}

@test "a bookmark that machines share appears for each of them" {
	store -d root,data
	ps-vault list v --json >json
	[ "$(jq -r '.[].machine' json)" = web01 ]
	# A point is incomplete while one of its disks is missing.
	rm -r v/web01/data
	[ "$(ps-vault list v --json | jq '.[0].complete')" = false ]
	[ "$(ps-vault list v --json | jq -c '[.[0].disks[].seq]')" = '[0,1]' ]
	ps-vault list v | grep -qE '\[data\],root .* no$'
}

@test "without the key a sealed vault is listed as unauthenticated" {
	ps-encrypt --new-key key
	ps-encrypt --new-key wrong
	make-segment -p 2 | ps-encrypt -k key | ps-upload v >acks
	ps-vault list v | head -n 1 | grep -q unauthenticated
	[ "$(ps-vault list v --json | jq -c '.[1] | [.sealed, .authenticated]')" = \
		'[true,false]' ]
	ps-vault list v -k key | head -n 1 | grep -qv unauthenticated
	[ "$(ps-vault list v -k key --json | jq '.[1].authenticated')" = true ]
	[ "$(ps-vault list v -k wrong --json | jq '.[1].authenticated')" = false ]
	chmod 644 key
	fails_with 77 ps-vault list v -k key
}

@test "a disk that is not sealed proves nothing beside one that is" {
	ps-encrypt --new-key key
	make-segment -d root,other >both
	ps-stream cat -d root both | ps-encrypt -k key | ps-upload v >acks
	# What anybody could add who may write to the vault.
	ps-stream cat -d other both | ps-upload v >>acks
	[ "$(ps-vault list v -k key --json |
		jq -c '.[0] | [.complete, .authenticated]')" = '[true,false]' ]
	ps-vault list v -k key | head -n 1 | grep -q unauthenticated
}

@test "a changed name of a point is found out with the key" {
	ps-encrypt --new-key key
	make-segment | ps-encrypt -k key | ps-upload v >acks
	# The bookmark p1 becomes p2, with a right CRC over the header.
	cp "$(object web01/root v 1)" o
	printf 2 | dd of=o bs=1 seek=257 conv=notrunc status=none
	fix-header o
	cp o "$(object web01/root v 1)"
	[ "$(ps-vault list v --json | jq -r '.[0].point')" = p2 ]
	[ "$(ps-vault list v -k key --json 2>err | jq length)" -eq 0 ]
	grep -q "cannot be read" err
}

@test "show tells what a point needs" {
	store -s 2M -p 3
	ps-vault show v --machine web01 --json >json
	[ "$(jq -r .point json)" = p3 ]
	[ "$(jq -c '[.disks[0].objects[].seq]' json)" = '[3,2,1]' ]
	[ "$(jq '.disks[0].bytes_to_read' json)" -eq \
		"$(cat v/web01/root/0* | wc -c)" ]
	[ "$(jq -r '.disks[0].objects[0].name' json)" = \
		web01/root/00000000000000000003 ]
	ps-vault show v --machine web01 --at 2026-01-01T02:30:00Z |
		grep -q '^point  *p2'
	ps-vault show v --machine web01 --point p1 | grep -q '^disk digest'
	fails_with 1 ps-vault show v --machine web01 --point p9
	fails_with 1 ps-vault show v --machine other
	fails_with 1 ps-vault show v --machine web01 --point latest-app
}

@test "show gives the disk digest that the source had" {
	make-segment -s 3M -p 2 -o image | ps-upload v >acks
	[ "$(ps-vault show v --machine web01 --point p1 --json |
		jq -r '.disks[0].disk_digest')" = \
		"$(ps-scan --digest image.root.1)" ]
}

@test "head gives acknowledgement lines without a key" {
	ps-encrypt --new-key key
	make-segment -d root,data -p 2 | ps-encrypt -k key | ps-upload v >acks
	ps-vault head v >heads
	[ "$(cut -f 1-5 heads)" = "$(sort -k 3,3 acks | grep -P '\t2\t' | cut -f 1-5)" ]
	[ "$(cut -f 6 heads | sort -u)" = head ]
	[ "$(ps-vault head v --machine web01 --disk data | wc -l)" -eq 1 ]
}

@test "the head of a disk that is not there is sequence 0" {
	ps-vault head v --machine web01 --disk root >out
	[ "$(cut -f 1-4 out)" = "$(printf 'stored\tweb01\troot\t0')" ]
	[ -z "$(ps-vault head v)" ]
}

@test "stat counts objects, bytes and points" {
	store -d root,data -s 2M -p 3
	ps-vault stat v --json >json
	[ "$(jq '.objects' json)" -eq 6 ]
	[ "$(jq '.bytes' json)" -eq "$(cat v/web01/*/0* | wc -c)" ]
	[ "$(jq -c '[.disks[].points]' json)" = '[3,3]' ]
	[ "$(jq -r '.fence' json)" = store ]
	ps-vault stat v | grep -q 'the store refuses a second create'
}

@test "verify says that a sound vault is sound" {
	store -d root,data -s 2M -p 2
	ps-vault verify v | grep -q '^4 objects, .*: sound'
	ps-vault verify v --data | grep -q 'every block checked'
	ps-vault verify v --machine web01 --disk data | grep -q '^2 objects'
	fails_with 1 ps-vault verify v --machine other
}

@test "verify names the damaged object and the points that it costs" {
	store -s 2M -p 3 -z 0 -c 50
	flip_bit "$(object web01/root v 2)" 3000
	fails_with 65 ps-vault verify v
	grep -q '^damaged: web01/root/00000000000000000002: ' out
	[ "$(grep -c ^damaged out)" -eq 1 ]
	[ "$(grep ^lost out | grep -o 'p[0-9]' | tr '\n' ' ')" = "p2 p3 " ]
	fails_with 65 ps-vault verify v --json
	[ "$(jq -c '[.affected[].point]' out)" = '["p2","p3"]' ]
	[ "$(jq -r '.damaged[0].object' out)" = web01/root/00000000000000000002 ]
}

@test "verify tells foreign files under -v" {
	store
	touch v/web01/root/notes.txt
	ps-vault verify v | grep -q foreign && return 1
	ps-vault verify v -v | grep -q '^foreign: web01/root/notes.txt'
}

@test "verify without the key checks CRCs and says so" {
	ps-encrypt --new-key key
	make-segment -s 2M | ps-encrypt -k key | ps-upload v >acks
	ps-vault verify v | grep -q unauthenticated
	ps-vault verify v -k key --data | grep -qv unauthenticated
	flip_bit "$(object web01/root v 1)" 3000
	fails_with 65 ps-vault verify v
	fails_with 65 ps-vault verify v -k key
}

@test "a map from the vault is the map of the source" {
	local pass
	make-segment -s 3M -p 3 -o image | ps-compress | ps-upload v >acks
	for pass in 1 2 3; do
		ps-vault map v --machine web01 --disk root --point "p$pass" -o map
		# A scan by this map finds nothing to send.
		ps-scan --machine web01 --disk root --map map \
			"image.root.$pass" >delta.psg
		[ "$(stat -c %s delta.psg)" -lt 2000 ]
		ps-vault map v --machine web01 --disk root --at "$pass" -o map2
		ps-scan --status --map map2 --json >status
		[ "$(jq .seq status)" -eq "$pass" ]
		rm -rf map* delta.psg
	done
	ps-vault map v --machine web01 --disk root -o map
	[ "$(ps-scan --status --map map --json | jq .seq)" -eq 3 ]
	fails_with 1 ps-vault map v --machine web01 --disk root --at 9 -o no
	fails_with 1 ps-vault map v --machine web01 --disk none -o no
	[ ! -e no ]
}

@test "a map of a sealed disk needs the key" {
	ps-encrypt --new-key key
	make-segment -o image | ps-encrypt -k key | ps-upload v >acks
	fails_with 77 ps-vault map v --machine web01 --disk root -o map
	[ ! -e map ]
	ps-vault map v --machine web01 --disk root -o map -k key
	ps-scan --machine web01 --disk root --map map image.root.1 >delta.psg
	[ "$(stat -c %s delta.psg)" -lt 2000 ]
}

@test "a full standard output is an error" {
	local command code
	store
	for command in list stat verify "show --machine web01"; do
		for json in "" --json; do
			code=0
			# shellcheck disable=SC2086
			ps-vault $command v $json >/dev/full 2>err || code=$?
			[ "$code" -eq 74 ]
			[ "$(grep -c "^ps-vault: .*No space left" err)" -eq 1 ]
		done
	done
	code=0
	ps-vault head v >/dev/full 2>err || code=$?
	[ "$code" -eq 74 ]
	[ "$(wc -l <err)" -eq 1 ]
}

@test "a damaged object does not end the list" {
	store -d root,data -p 2
	truncate -s 700 "$(object web01/root v 2)"
	ps-vault list v --json >json 2>err
	grep -q 'cannot be read' err
	[ "$(jq -c '[.[] | .complete]' json)" = '[true,false]' ]
}

@test "a bad sector ends neither list nor verify" {
	local n
	store -p 3
	ps-vault list v >sound
	for n in 1 2 3 4; do
		code=0
		FAIL_CALL=openat FAIL_AT=$n \
			LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so \
			ps-vault verify v >out 2>err || code=$?
		[ "$code" -eq 65 ]
		grep -q '^damaged: web01/root/.*could not be read at first' out
		grep -q '^lost' out
		FAIL_CALL=openat FAIL_AT=$n \
			LD_PRELOAD=$PS_BUILD/tests/lib/fail-call.so \
			ps-vault list v >out 2>err
		grep -q 'cannot be read' err
	done
}
