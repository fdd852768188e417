#!/usr/bin/env bats
# Vaults in Azure Blob: against Azurite, against a proxy, and with tokens.
load ../lib/common
load ../lib/style
load azurite

V=azblob://$ACCOUNT/vault

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	unset https_proxy http_proxy all_proxy no_proxy
}

@test "three points go in and come out, and rclone reads the same bytes" {
	need_azurite
	need rclone
	azurite
	ps-vault init "$V"
	ps-vault init "$V"
	ps-vault init local
	# Large enough for blocks, and for one Put Blob.
	random_file disk 9000000 7
	ps-encrypt --new-key key
	for i in 1 2 3; do
		printf 'change %d' $i |
			dd of=disk bs=1 seek=$((i * 70000)) conv=notrunc status=none
		cp disk disk.$i
		ps-scan --machine web01 --disk root --map map disk |
			ps-encrypt -k key >s.$i
		ps-upload "$V" s.$i >acks
		ps-upload local s.$i | cmp - acks
		ps-scan --commit --map map <acks >/dev/null
	done
	[ "$(ps-vault list "$V" -k key --json | jq length)" -eq 3 ]
	ps-vault verify "$V" -k key --data
	for i in 1 2 3; do
		id=$(ps-vault list "$V" -k key --json | jq -r ".[$((i - 1))].point")
		ps-restore "$V" -m web01 -d root -p "$id" -k key -o r.$i
		cmp r.$i disk.$i
	done
	ps-vault map "$V" -m web01 -d root -k key -o map2
	ps-vault stat "$V" | grep -q 'refuses a second create'
	[ "$(ps-vault head "$V")" = "$(ps-vault head local)" ]
	# Another program's reading of what we stored.
	read_back vault copy
	diff -r --exclude vault.json copy local
}

@test "a segment that is there is stored, another one is refused" {
	need_azurite
	azurite
	ps-vault init "$V/a/b"
	make-segment -x 1 >a
	make-segment -x 2 >b
	ps-upload "$V/a/b" a >acks1
	ps-upload "$V/a/b" a >acks2
	cmp acks1 acks2
	fails_with 1 ps-upload "$V/a/b" b
	grep -q 'another segment' out
}

@test "lists of several pages have each name once, in order" {
	need_azurite
	azurite
	ps-vault init "$V"
	make-segment -p 9 >s
	ps-upload "$V" s >/dev/null
	dir=$(ps-vault head "$V" | cut -f 2,3 | tr '\t' /)
	"$PS_BUILD/tests/vault/list-store" "$V" "$dir" 2 >two
	"$PS_BUILD/tests/vault/list-store" "$V" "$dir" 1000 >all
	cmp two all
	[ "$(wc -l <two)" -eq 9 ]
	LC_ALL=C sort -c two
}

@test "a missing container, a wrong key and no credentials are told apart" {
	need_azurite
	azurite
	fails_with 66 ps-vault stat "$V"
	grep -q 'container does not exist' err
	grep -q "ps-vault init $V" err
	AZURE_STORAGE_KEY=$(echo wrong | base64) fails_with 77 ps-vault stat "$V"
	grep -q 'ps-store(7)' err
	(unset AZURE_STORAGE_KEY; fails_with 78 ps-vault stat "$V")
	grep -q 'AZURE_STORAGE_KEY' err
	fails_with 64 ps-vault stat azblob://acct/con?sig=secret
	! grep -q secret err || false
	fails_with 64 ps-vault stat azblob://acct/UPPER
}

@test "connection strings and credential files log in" {
	need_azurite
	azurite
	ps-vault init "$V"
	unset AZURE_STORAGE_KEY AZURE_STORAGE_BLOB_ENDPOINT
	AZURE_STORAGE_CONNECTION_STRING="AccountName=$ACCOUNT;AccountKey=$KEY;BlobEndpoint=$ENDPOINT;" \
		ps-vault stat "$V"
	printf '# ours\nexport AZURE_STORAGE_KEY="%s"\n' "$KEY" >cred
	fails_with 77 ps-vault stat --credentials cred --endpoint "$ENDPOINT" "$V"
	chmod 600 cred
	ps-vault stat --credentials cred --endpoint "$ENDPOINT" "$V"
	cat >ps.yaml <<-END
		vault: $V
		store:
		  endpoint: $ENDPOINT
		  credentials: $T/cred
	END
	ps-vault stat --config ps.yaml
	echo nonsense >>cred
	fails_with 78 ps-vault stat --credentials cred --endpoint "$ENDPOINT" "$V"
	grep -q 'line 3' err
}

@test "a token that cannot delete is enough to upload" {
	need_azurite
	azurite
	ps-vault init "$V"
	unset AZURE_STORAGE_KEY
	AZURE_STORAGE_SAS_TOKEN=$(sas vault rlcw)
	export AZURE_STORAGE_SAS_TOKEN
	random_file disk 5000000 3
	ps-scan --machine web01 --disk root --map map disk >s
	ps-upload "$V" s | grep -q ^stored
	ps-vault verify "$V" --data
	ps-upload --probe "$V" >out
	grep -q '^no  *delete' out
	AZURE_STORAGE_SAS_TOKEN=$(sas vault r) fails_with 77 ps-upload "$V" s
	! grep -qF 'sig=' err || false
	AZURE_STORAGE_SAS_TOKEN=$(sas vault rl) fails_with 77 ps-upload --probe "$V"
	grep -q '^no  *write' out
}

@test "the probe tells each step, and nothing of it stays" {
	need_azurite
	azurite
	ps-vault init "$V"
	ps-upload --probe "$V" >out
	cat out
	[ "$(awk '{ print $1, $2 }' out | tr '\n' ,)" = \
		"ok reach,ok credentials,ok clock,ok write,ok read,ok fence,ok delete," ]
	grep -q 'a second create is refused' out
	"$PS_BUILD/tests/vault/list-store" "$V" "" 10 >names
	[ "$(cat names)" = vault.json ]
}

@test "a process that is killed leaves blocks that the next one uses" {
	need_azurite
	azurite
	ps-vault init "$V"
	random_file disk 40000000 3
	ps-scan --machine web01 --disk root --map map disk >s
	# The rate holds it long enough to be killed half way.
	start ps-upload --limit-rate 4M "$V" s
	sent() { [ "$(grep -c 'comp=block&\|comp=block ' "$T/azurite.log")" -ge 4 ]; }
	wait_for sent
	kill -KILL "${STARTED[-1]}"
	wait "${STARTED[-1]}" || true
	"$PS_BUILD/tests/vault/list-store" "$V" "" 10 >names
	[ "$(cat names)" = vault.json ]
	before=$(grep -c 'PUT.*comp=block ' "$T/azurite.log" || true)
	ps-upload "$V" s
	ps-vault verify "$V" --data
	after=$(grep -c 'PUT.*comp=block ' "$T/azurite.log" || true)
	blocks=$((($(stat -c %s s) + 2097151) / 2097152))
	echo "before $before, after $after, blocks $blocks"
	[ $((after - before)) -lt "$blocks" ]
}

@test "a proxy that wants a password is told as what it is" {
	need_azurite
	need tinyproxy
	azurite
	cat >proxy.conf <<-END
		Port $((20000 + RANDOM % 20000))
		Listen 127.0.0.1
		Timeout 20
		MaxClients 20
		BasicAuth joe secret-word
		Allow 127.0.0.1
	END
	start tinyproxy -d -c proxy.conf >proxy.log 2>&1
	port=$(awk '/^Port/ { print $2 }' proxy.conf)
	wait_for bash -c "exec 9<>/dev/tcp/127.0.0.1/$port"
	fails_with 77 ps-vault init --proxy "http://127.0.0.1:$port" "$V"
	grep -q 407 err
	grep -q proxy-auth err
	echo joe:secret-word >auth
	chmod 600 auth
	ps-vault init --proxy "http://127.0.0.1:$port" --proxy-auth auth "$V"
	# That of the environment, and the list of those who need none.
	http_proxy=http://127.0.0.1:$port fails_with 77 ps-vault stat "$V"
	http_proxy=http://joe:secret-word@127.0.0.1:$port ps-vault stat "$V"
	http_proxy=http://joe:wrong-word@127.0.0.1:$port fails_with 77 ps-vault stat "$V"
	! grep -q 'word' err || false
	http_proxy=http://127.0.0.1:$port no_proxy=127.0.0.1 ps-vault stat "$V"
}

@test "a server that is not there is told soon, with its name" {
	export AZURE_STORAGE_KEY=$KEY
	begun=$SECONDS
	fails_with 69 ps-vault stat --retry-for 3s \
		--endpoint http://127.0.0.1:1/x "azblob://acct/con"
	grep -q '127.0.0.1:1' err
	[ $((SECONDS - begun)) -lt 10 ]
	fails_with 78 ps-vault stat --endpoint ftp://x azblob://acct/con
}

@test "tokens of Entra ID are asked for, renewed, and kept from the wire" {
	start python3 "$PS_SOURCE/tests/vault/entra.py" port log
	wait_for [ -s port ]
	url=http://127.0.0.1:$(cat port)
	export AZURE_TENANT_ID=ten AZURE_CLIENT_ID=app AZURE_AUTHORITY_HOST=$url/
	# There is no vault, but we are let in.
	AZURE_CLIENT_SECRET='s3cret&x' fails_with 78 \
		ps-vault stat --endpoint "$url" azblob://acct/con
	grep -q 'not a vault' err
	[ "$(grep -c '^POST /ten/oauth2/v2.0/token' log)" -eq 1 ]
	AZURE_CLIENT_SECRET=wrong-one fails_with 77 \
		ps-vault stat --endpoint "$url" azblob://acct/con
	grep -q 'AADSTS7000215: Invalid client secret' err
	! grep -q wrong-one err || false
	AZURE_CLIENT_SECRET='s3cret&x' fails_with 78 \
		ps-vault stat --endpoint http://192.0.2.1 azblob://acct/con
	grep -q 'without TLS' err
	# The machine's own identity: 503 first, then a token that ends soon.
	AZURE_STORAGE_AUTH_TYPE=msi AZURE_POD_IDENTITY_AUTHORITY_HOST=$url \
		fails_with 78 ps-vault stat --endpoint "$url" azblob://acct/con
	grep -q 'not a vault' err
	[ "$(grep -c '^GET /metadata/identity' log)" -ge 3 ]
}

@test "credentials are in no environment, argument or message" {
	need_azurite
	azurite
	ps-vault init "$V"
	mkfifo pipe
	start ps-upload -v "$V" pipe
	pid=${STARTED[-1]}
	exec 8>pipe
	gone() { ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qF "$KEY"; }
	wait_for gone
	! tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$KEY" || false
	grep -q '^Max core file size *0 *0' "/proc/$pid/limits"
	exec 8>&-
	wait "$pid" || true
}
