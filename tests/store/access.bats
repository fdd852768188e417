#!/usr/bin/env bats
# Who is let in, by which way, to do what: TLS, proxies, permissions, probes.
load ../lib/common
load store

prepare() {
	PATH=$PS_BUILD/tests/segment:$PATH
	unset https_proxy http_proxy all_proxy no_proxy HTTPS_PROXY NO_PROXY
}

said() { grep -q -e "$1" err || { cat err; return 1; }; }
probed() { grep -q -e "$1" out || { cat out err; return 1; }; }

# authority NAME: a CA, NAME.pem
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$1.key" -out "$1.pem" -days 2 -subj "/CN=$1" 2>/dev/null
}

# certificate CA SAN: srv.pem, signed by the CA
certificate() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout srv.key -out srv.csr -subj /CN=store 2>/dev/null
	openssl x509 -req -in srv.csr -CA "$1.pem" -CAkey "$1.key" -days 2 \
		-CAcreateserial -out srv.crt 2>/dev/null \
		-extfile <(echo "subjectAltName=$2")
	cat srv.crt srv.key >srv.pem
}

@test "TLS: our own authority is trusted when it is named, another is not" {
	local kind vault
	authority ours
	authority theirs
	certificate ours IP:127.0.0.1
	strict --tls srv.pem
	for kind in azblob s3; do
		vault=$(store_of "$kind")/tls
		ps-vault init --ca-file ours.pem "$vault"
		make-segment | ps-upload --ca-file ours.pem "$vault" >acks
		grep -q ^stored acks
		fails_with 78 ps-vault stat "$vault"
		said 'certificate.*unable to get local issuer\|self.signed'
		said -- '--ca-file'
		fails_with 78 ps-vault stat --ca-file theirs.pem "$vault"
		said certificate
		fails_with 78 ps-upload --probe --ca-file theirs.pem "$vault"
		probed '^no  *reach .*certificate'
		fails_with 78 ps-vault stat --ca-file nothing.pem "$vault"
		said nothing.pem
		cat >ps.yaml <<-END
			vault: $vault
			store:
			  ca-file: $T/ours.pem
		END
		ps-vault stat --config ps.yaml
	done
}

@test "TLS: a certificate of another name is not taken" {
	local kind
	authority ours
	certificate ours DNS:elsewhere.example
	strict --tls srv.pem
	for kind in azblob s3; do
		fails_with 78 ps-vault init --ca-file ours.pem \
			"$(store_of "$kind")/tls"
		said "certificate.*127.0.0.1"
	done
	[ ! -s strict/log ]
}

# proxy_peer: tinyproxy that wants joe:secret-word, at $proxy
proxy_peer() {
	command -v tinyproxy >/dev/null || skip "tinyproxy is not installed"
	local port tries=5
	while [ $((tries--)) -gt 0 ]; do
		port=$((20000 + RANDOM % 20000))
		printf '%s\n' "Port $port" 'Listen 127.0.0.1' 'Timeout 20' \
			'MaxClients 20' 'BasicAuth joe secret-word' \
			'Allow 127.0.0.1' >proxy.conf
		start tinyproxy -d -c proxy.conf >proxy.log 2>&1
		proxy=127.0.0.1:$port
		wait_for bash -c "exec 9<>/dev/tcp/127.0.0.1/$port" && return
	done
	return 1
}

# by_proxy ENVIRONMENT-VARIABLE VAULT OPTION...: all ways to and past a proxy
by_proxy() {
	local name=$1 vault=$2
	shift 2
	fails_with 77 ps-vault init "$@" --proxy "http://$proxy" "$vault"
	said 407
	said proxy-auth
	ps-vault init "$@" --proxy "http://$proxy" --proxy-auth auth "$vault"
	fails_with 77 env "$name=http://$proxy" ps-upload --probe "$@" "$vault"
	probed '^no .*407'
	env "$name=http://joe:secret-word@$proxy" ps-vault stat "$@" "$vault"
	fails_with 77 env "$name=http://joe:wrong-word@$proxy" \
		ps-vault stat "$@" "$vault"
	! grep -q word err || false
	env "$name=http://$proxy" no_proxy=127.0.0.1 \
		ps-vault stat "$@" "$vault"
	env "$name=http://$proxy" no_proxy='*' ps-vault stat "$@" "$vault"
	fails_with 77 env "$name=http://$proxy" no_proxy=example.org \
		ps-vault stat "$@" "$vault"
	printf 'vault: %s\nproxy: http://%s\nproxy-auth: %s\n' "$vault" \
		"$proxy" "$T/auth" >ps.yaml
	ps-vault stat "$@" --config ps.yaml
	fails_with 69 ps-vault stat "$@" --proxy http://127.0.0.1:1 \
		--retry-for 1 "$vault"
	said '127.0.0.1 port 1[: ]'
}

@test "a proxy that wants a password is told as what it is, with TLS and without" {
	proxy_peer
	(umask 077 && echo joe:secret-word >auth)
	strict
	by_proxy http_proxy "$(store_of s3)/one"
	by_proxy http_proxy "$(store_of azblob)/one"
	grep -q "$STRICT_PORT" proxy.log
	authority ours
	certificate ours IP:127.0.0.1
	rm -r strict
	strict --tls srv.pem
	by_proxy https_proxy "$(store_of s3)/one" --ca-file ours.pem
	by_proxy https_proxy "$(store_of azblob)/one" --ca-file ours.pem
	grep -q "CONNECT 127.0.0.1:$STRICT_PORT" proxy.log
}

# two_passes VAULT: an upload of a small and of a long segment
two_passes() {
	random_file disk.img $((7 << 20)) 5
	ps-scan --machine m --disk d --map map disk.img >s 2>/dev/null
	make-segment >>s
	ps-upload "$1" s >acks
	[ "$(grep -c ^stored acks)" -eq 2 ]
}

@test "S3: who replicates needs to list, read and put, and nothing else" {
	local vault denied
	strict
	vault=$(store_of s3)/site
	ps-vault init "$vault"
	settings '{"deny": ["s3:DeleteObject", "s3:CreateBucket",
		"s3:AbortMultipartUpload", "s3:ListBucketMultipartUploads"]}'
	two_passes "$vault"
	ps-vault init copy
	make-segment -m web02 | ps-upload copy >acks
	ps-vault copy copy "$vault"
	fails_with 0 ps-upload --probe "$vault"
	probed '^no  *delete .*s3:DeleteObject'
	for denied in ListBucket GetObject PutObject; do
		settings "{\"deny\": [\"s3:$denied\"]}"
		make-segment -m "m-$denied" >s
		fails_with 77 ps-upload "$vault" s
		# An answer without a body (to HEAD) names no action.
		said "s3:$denied\|answers 403"
		said 'ps-store(7)'
	done
	settings '{"deny": ["s3:PutObject", "s3:DeleteObject"]}'
	ps-vault verify "$vault" --data
	ps-restore "$vault" --machine m --disk d -o restored
	cmp disk.img restored
}

@test "Azure Blob: a token for list, read, create and write is enough" {
	local vault
	strict
	vault=$(store_of azblob)/site
	ps-vault init "$vault"
	unset AZURE_STORAGE_KEY
	token() {
		AZURE_STORAGE_SAS_TOKEN=$(curl -sS --fail \
			"http://127.0.0.1:$STRICT_PORT/-/sas?sp=$1&sr=c&name=container&se=600&spr=https,http")
		export AZURE_STORAGE_SAS_TOKEN
	}
	token rlcw
	two_passes "$vault"
	fails_with 0 ps-upload --probe "$vault"
	probed '^no  *delete .*AuthorizationPermissionMismatch'
	make-segment -m other >s
	for rights in lcw rcw rl; do
		token "$rights"
		fails_with 77 ps-upload "$vault" s
		said AuthorizationPermissionMismatch
		! grep -q 'sig=' err || false
	done
	token rl
	ps-vault verify "$vault" --data
	ps-restore "$vault" --machine m --disk d -o restored
	cmp disk.img restored
}

@test "Azure Blob: policies and leases keep what is there, and are named" {
	local vault
	strict
	vault=$(store_of azblob)/site
	settings '{"lock": true}'
	fails_with 77 ps-vault init "$vault"
	said BlobImmutableDueToPolicy
	settings '{"lock": false}'
	ps-vault init "$vault"
	settings '{"lock": true}'
	two_passes "$vault"
	# The same again is there already, another one is refused.
	ps-upload "$vault" s >again
	cmp acks again
	make-segment -x 2 >other
	fails_with 1 ps-upload "$vault" other
	ps-vault verify "$vault" --data
	fails_with 0 ps-upload --probe "$vault"
	probed '^no  *delete .*BlobImmutableDueToPolicy'
	settings '{"lock": false, "lease": true}'
	ps-upload "$vault" s | cmp - acks
	make-segment -m leased | ps-upload "$vault" >more
	grep -q ^stored more
	fails_with 0 ps-upload --probe "$vault"
	probed '^no  *delete .*LeaseIdMissing'
}

@test "Azure Blob: a name that is taken, told as 409 or as 412, is no success" {
	local vault
	strict
	vault=$(store_of azblob)/site
	ps-vault init "$vault"
	make-segment >s
	# The answer to our own create is lost: it is ours all the same.
	plan '{"at": [1], "match": "PUT .*/site/.*/0000", "kind": "lost"}'
	ps-upload "$vault" s >acks
	grep -q ^stored acks
	[ "$(requests '.status == 409 and (.target | test("/site/web01"))')" -eq 1 ]
	make-segment -x 3 >other
	fails_with 1 ps-upload "$vault" other
	grep -q '^refused.*another segment is stored' out
}

probe_says() { # CODE WORDS OPTION...
	local code=$1 words=$2
	shift 2
	fails_with "$code" ps-upload --probe --retry-for 1 "$@"
	probed "$words"
}

@test "a probe names each fault: clock, key, delete, write, read, server" {
	local kind vault
	strict
	for kind in azblob s3; do
		vault=$(store_of "$kind")/site
		settings '{"clock": 0}'
		ps-vault init "$vault"
		probe_says 0 '^ok  *clock' "$vault"
		settings '{"clock": 1200}'
		probe_says 77 '^no  *credentials .*clock is .* behind' "$vault"
		fails_with 77 ps-vault stat "$vault"
		said 'clock is .* behind'
		settings '{"clock": -1200}'
		probe_says 77 '^no  *credentials .*clock is .* ahead' "$vault"
		settings '{"clock": 600}'
		probe_says 0 '^ok  *clock .*+\(600\|599\|601\) s' "$vault"
		settings '{"clock": 0}'
		AWS_SECRET_ACCESS_KEY=wrong AZURE_STORAGE_KEY=d3Jvbmc= \
			probe_says 77 '^no  *credentials' "$vault"
		settings '{"lock": true}'
		probe_says 0 '^no  *delete' "$vault"
		settings '{"lock": false}'
		plan '{"every": 1, "match": "PUT", "kind": "503"}'
		probe_says 75 '^no  *write .*503\|^no  *write .*Busy\|^no  *write .*SlowDown' "$vault"
		plan '{"every": 1, "match": "GET .*probe", "kind": "flip"}'
		probe_says 65 '^no  *read .*other bytes' "$vault"
		plan '{}'
		probe_says 69 '^no  *reach' --endpoint http://127.0.0.1:1 "$vault"
	done
}
