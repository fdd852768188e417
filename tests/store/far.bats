#!/usr/bin/env bats
# Stores at the end of a long line: what overlaps, and what must not.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PS_BUILD/tests/lib:$PATH
	strict
}

# far MS: from now on the service is that far away, each way
far() {
	start proxy --delay "$1" 127.0.0.1 "$STRICT_PORT" >proxy.port 2>proxy.err
	wait_for [ -s proxy.port ]
	AWS_ENDPOINT_URL=http://127.0.0.1:$(cat proxy.port)
	export AWS_ENDPOINT_URL
	export AZURE_STORAGE_BLOB_ENDPOINT=$AWS_ENDPOINT_URL/$AZURE_STORAGE_ACCOUNT
}

near() {
	# shellcheck disable=SC1091
	source strict/env
}

# visible VAULT: sequences of m/d in the order in which they got their names
visible() {
	jq -r --arg at "/$1/m/d/" 'select(.status >= 200 and .status < 300 and
		(.target | contains($at)) and
		(.method == "PUT" or .method == "POST") and
		(.target | test("comp=block(&|$)|partNumber=|uploads=") | not)) |
		.target | capture("/d/0*(?<n>[0-9]+)").n' strict/log | tr '\n' ,
}

# Bodies that would have to wait are sent meanwhile; names come in order.
overlap() { # STORE
	local vault n staged
	vault=$(store_of "$1")/site
	ps-vault init "$vault"
	make-segment -m m -d d -s 3M -n 256K -r 256K -t random -z 0 >s
	n=$(ps-stream list s | wc -l)
	[ "$n" -ge 12 ]
	far 20
	/usr/bin/time -f %M -o kib ps-upload "$vault" s >acks
	[ "$(cut -f 4 acks | tr '\n' ,)" = "$(seq -s , 1 "$n")," ]
	[ "$(visible site)" = "$(seq -s , 1 "$n")," ]
	staged=$(requests '.target | test("comp=block&|comp=block$|partNumber=1")')
	echo "$staged of $n were sent before their turn, $(cat kib) KiB"
	[ "$staged" -ge $((n / 2)) ]
	[ "$(cat kib)" -lt 32768 ]
	near
	ps-vault verify "$vault" --data
}

@test "Azure Blob: segments are sent while others get their names" {
	[ -x /usr/bin/time ] || skip "time is not installed"
	overlap azblob
}

@test "S3: segments are sent while others get their names" {
	[ -x /usr/bin/time ] || skip "time is not installed"
	overlap s3
}

@test "a segment that need not wait is one request" {
	local vault
	for vault in "$(store_of azblob)/one" "$(store_of s3)/one"; do
		ps-vault init "$vault"
		make-segment -m m -d d -s 512K -t random -z 0 |
			ps-upload "$vault" >acks
		[ "$(visible one)" = 1, ]
		[ "$(requests '(.target | test("/one/m/d/")) and
			(.method == "PUT" or .method == "POST")')" -eq 1 ]
		: >strict/log
	done
}

# How many requests a command has under way at a time, by the service's count.
at_a_time() { # LEAST COMMAND...
	local least=$1 most
	shift
	settings '{"slow": 0.05}'
	control GET most >/dev/null
	"$@"
	most=$(control GET most)
	settings '{"slow": 0}'
	[ "$most" -ge "$least" ] || {
		echo "$most at a time: $*"
		return 1
	}
}

@test "lists, restores and uploads of several disks ask side by side" {
	local kind vault
	for kind in azblob s3; do
		vault=$(store_of "$kind")/many
		ps-vault init "$vault"
		make-segment -m m -d d -s 2M -p 20 -c 20 -t random -o want >s
		ps-upload "$vault" s >acks
		at_a_time 16 ps-vault list "$vault" >list
		grep -q p20 list
		at_a_time 8 ps-restore "$vault" --machine m --disk d -o got
		cmp got want.d.20
		rm got
		make-segment -m n -d a,b,c,d -s 64K -p 4 >s
		at_a_time 4 ps-upload "$vault" s >acks
		[ "$(grep -c ^stored acks)" -eq 16 ]
	done
}

# small COMMAND...: in less memory than its data would need
small() {
	/usr/bin/time -f %M -o kib "$@"
	[ "$(cat kib)" -lt 57344 ] || {
		echo "$(cat kib) KiB: $*"
		return 1
	}
}

@test "verify and copy read ahead, also past an object's end, in bounded memory" {
	local vault
	[ -x /usr/bin/time ] || skip "time is not installed"
	ps-vault init "$(store_of s3)/long"
	ps-vault init copy
	make-segment -m m -d d -s 64M -n 96M -t random -z 0 -o want |
		ps-upload "$(store_of s3)/long" >acks
	at_a_time 12 small ps-vault verify "$(store_of s3)/long" --data
	at_a_time 12 small ps-vault copy "$(store_of s3)/long" copy
	ps-restore copy --machine m --disk d -q -o got
	cmp got want.d.1
	# Small ones are many at a time, with their key and without.
	vault=$(store_of azblob)/many
	ps-vault init "$vault"
	ps-encrypt --new-key key
	make-segment -m m -d d -s 256K -p 30 -c 20 -t random |
		ps-encrypt -k key | ps-upload "$vault" >acks
	at_a_time 12 ps-vault verify "$vault" -k key --data
	at_a_time 12 ps-vault verify "$vault"
	ps-vault init "$vault.2"
	at_a_time 12 ps-vault copy "$vault" "$vault.2"
	ps-vault verify "$vault.2" -k key
	[ "$(visible many.2)" = "$(seq -s , 1 30)," ]
}

# looks: how many requests have read objects of disks
looks() { requests '.method == "GET" and (.target | test("/m/d/0000"))'; }

lists() { # STORE
	local vault before
	vault=$(store_of "$1")/site
	ps-vault init "$vault"
	ps-encrypt --new-key key
	make-segment -m m -d d -s 256K -p 8 | ps-encrypt -k key >s
	ps-upload "$vault" s >acks
	ps-vault list "$vault" -k key >first
	[ "$(wc -l <first)" -ge 8 ]
	before=$(looks)
	[ "$before" -ge 8 ]
	ps-vault list "$vault" -k key | cmp - first
	[ "$(looks)" -eq "$before" ]
	# Without the key, and in verify, nothing is taken for granted.
	ps-vault list "$vault" >without
	! cmp -s without first
	[ "$(looks)" -eq "$before" ]
	ps-vault verify "$vault" -k key
	[ "$(looks)" -gt "$before" ]
}

@test "S3: a second list reads nothing again" { lists s3; }

@test "Azure Blob: a second list reads nothing again, and a spoilt cache is none" {
	local vault file n
	lists azblob
	vault=$(store_of azblob)/site
	file=$(echo "$PS_LIST_CACHE"/*)
	cp "$file" good
	# What is behind the damage is read anew, whatever it is.
	for n in 5 30 60 700 2000 "$(($(stat -c %s good) - 2))"; do
		cp good "$file"
		printf '\377' | dd of="$file" bs=1 seek="$n" conv=notrunc \
			status=none
		ps-vault list "$vault" -k key | cmp - first
	done
	head -c 1000 good >"$file"
	ps-vault list "$vault" -k key | cmp - first
	cmp "$file" good
	rm -r "$PS_LIST_CACHE"
	ps-vault list "$vault" -k key | cmp - first
	# Others may write here: it is not used.
	chmod 777 "$PS_LIST_CACHE"
	n=$(looks)
	ps-vault list "$vault" -k key | cmp - first
	[ "$(looks)" -gt "$n" ]
	PS_LIST_CACHE=/proc/none ps-vault list "$vault" -k key | cmp - first
}

@test "another object of the same name and size is read" {
	local vault name
	vault=$(store_of azblob)/site
	ps-vault init "$vault"
	make-segment -m m -d d -s 64K -t random -z 0 -B one >a
	make-segment -m m -d d -s 64K -t random -z 0 -B two -x 9 >b
	[ "$(stat -c %s a)" -eq "$(stat -c %s b)" ]
	ps-upload "$vault" a >acks
	ps-vault list "$vault" | grep -q one1
	name=container/site/m/d/00000000000000000001
	control PUT forget "\"$name\""
	ps-upload "$vault" b >acks
	ps-vault list "$vault" >list
	grep -q two1 list
	! grep -q one1 list || false
}
