#!/usr/bin/env bats
# ps-doctor --bundle: what a helper needs is in it, no secret is.
load ../lib/common
load ../lib/chain
load doctor

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	new_server
	random_file disk.img 400000
	truncate -s 8M disk.img
}

# b64 BYTES SEED, word SEED: secrets that are made up
b64() {
	random_file r "$1" "$2"
	base64 -w 0 r
}
word() { printf 'geheim%sWort' "$(b64 9 "$1" | tr -dc 'A-Za-z0-9')"; }

# One secret of each kind: in files, the environment, configuration and logs.
plant() {
	local key
	ACCOUNT_KEY=$(b64 64 11)
	OTHER_KEY=$(b64 64 12)
	AWS_SECRET=$(b64 30 13)
	SIG=$(b64 32 14 | sed 's,+,%2B,g; s,/,%2F,g; s,=,%3D,g')
	cat >cred <<-END
		AZURE_STORAGE_ACCOUNT=acctname
		AZURE_STORAGE_KEY=$ACCOUNT_KEY
		export AWS_SECRET_ACCESS_KEY='$AWS_SECRET'
	END
	printf 'proxyuser:%s\n' "$(word 1)" >proxy.auth
	sed -i "/^vault:/a proxy: http://puser:$(word 2)@proxy.example:3128" \
		s1/ps.yaml
	cat >>s1/ps.yaml <<-END
		proxy-auth: $T/proxy.auth
		store: {credentials: $T/cred}
		someday: {password: $(word 3)}
		doctor: {logs: [$T/pipeline.log]}
	END
	key=$(openssl genpkey -algorithm ed25519 2>/dev/null)
	PEM=$(sed -n 2p <<<"$key")
	cat >pipeline.log <<-END
		ps-upload: web01/root 17: failed with key $ACCOUNT_KEY
		GET https://a.blob.core.windows.net/c/b?sv=2021&sp=rw&sig=$SIG&se=2030
		Authorization: SharedKey acctname:$(b64 32 15)
		> proxy-authorization: Basic $(printf 'u:%s' "$(word 4)" | base64)
		"headers": {"Authorization": "Bearer $(word 5).more"}
		DefaultEndpointsProtocol=https;AccountName=n;AccountKey=$OTHER_KEY;EndpointSuffix=x
		connecting through http://me:$(word 6)@proxy.example:3128/ now
		passphrase = "$(word 7)" and secret: $(word 8)
		X-Amz-Security-Token: $(word 9)
		X-Amz-Signature=$(word 10)&X-Amz-Date=20260101
		$key
		passphrase $(cat passphrase)
		machine key $(cut -d: -f 2 m.key | tail -c 50)
		AWS: $AWS_SECRET
		env $(word 16)
		jwt eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4eHh4eHh4eHh4eHh4In0.$(word 17)
		the last line of the log
	END
}

none_in() { # FOLDER: no secret is in its files
	local s found=0
	for s in "$ACCOUNT_KEY" "$OTHER_KEY" "$AWS_SECRET" "$SIG" "$PEM" \
		"$(b64 32 15)" "$(cat passphrase)" "$(printf 'u:%s' "$(word 4)" |
			base64)" "$(cut -f 2 vault.key | tail -n 1)"; do
		[ "${#s}" -ge 20 ]
		! grep -rlF -e "$s" "$1" || { echo "found: $s"; found=1; }
	done
	! grep -rn -e 'geheim' "$1" || found=1
	[ "$found" -eq 0 ]
}

@test "a bundle has what helps and no secret" {
	serve
	pass m d disk.img s1 --bookmark b1
	wait_for drained
	ps-health sample --config s1/ps.yaml --state health
	plant
	export AZURE_STORAGE_KEY=$ACCOUNT_KEY
	PS_SECRET_TOKEN=$(word 16)
	export PS_SECRET_TOKEN
	umask 022
	doctor --bundle out.tar.gz --retry-for 1 >words 2>err || true
	cat words err
	mkdir said
	mv words err said/
	none_in said
	[ "$(stat -c %a out.tar.gz)" = 600 ]
	[ -z "$(find . -maxdepth 1 -name '.tmp*')" ]
	mkdir b
	tar -xzf out.tar.gz -C b --strip-components 1
	find b -type f
	none_in b
	# The test would see them.
	run ! none_in .
	jq -e '.steps | length > 10' b/doctor.json
	jq -e . b/cache/stat.json >/dev/null
	grep -q 'removed' b/logs/0-pipeline.log
	grep -q '^the last line of the log$' b/logs/0-pipeline.log
	grep -q 'ps-upload: web01/root 17: failed' b/logs/0-pipeline.log
	grep -q "^key: $T/vault.key" b/config/ps.yaml
	grep -q 'proxy: http://.removed.@proxy.example:3128' b/config/ps.yaml
	grep -q '/segments/' b/logs/cxps.xfer
	grep -q '^ps-toolkit ' b/versions.txt
	[ -s b/health/samples ]
	grep -q 'config/ps.yaml' b/README.txt
}

@test "a bundle of a source, a bound for logs, a place that is not there" {
	load ../agent/agent
	receive
	new_agent root </dev/null
	agent once
	head -c 3M /dev/zero | tr '\0' x | fold -w 70 >big.log
	printf '\nthe end\n' >>big.log
	ps-doctor --role source -c agent.yaml --bundle out.tgz --bundle-logs 1M \
		--log big.log >words 2>&1 || [ $? -eq 1 ]
	mkdir b
	tar -xzf out.tgz -C b --strip-components 1
	[ "$(stat -c %s b/logs/0-big.log)" -le 1048576 ]
	grep -q '^the end$' b/logs/0-big.log
	jq -e '.machine == "m"' b/agent/status.json
	run ! grep -rqF "$(tail -c 40 m.key)" b
	fails_with 66 ps-doctor --role source -c agent.yaml \
		--bundle nowhere/out.tgz
	# A full disk leaves the old one.
	cp out.tgz was
	(ulimit -f 1; trap '' XFSZ; ps-doctor --role source -c agent.yaml \
		--bundle out.tgz -q >/dev/null 2>err) || true
	cmp was out.tgz
}
