# Azurite, Microsoft's emulator of Azure Blob, for tests. After `load common`.
# shellcheck shell=bash

ACCOUNT=devstoreaccount1
KEY=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==

# need_azurite: skips the test where the emulator is not installed.
need_azurite() {
	PEERS=$("$PS_SOURCE/scripts/install-peers" 2>/dev/null) ||
		skip "azurite is not installed (scripts/install-peers)"
}

# azurite [PORT]: starts one with a folder of its own, sets ENDPOINT and its
# own credentials. The port is free and is told by the program; called again
# with it, the same one is back.
azurite() {
	mkdir -p "$T/azurite"
	start node "$PEERS/node_modules/azurite/dist/src/blob/main.js" \
		--blobHost 127.0.0.1 --blobPort "${1:-0}" -l "$T/azurite" \
		--disableTelemetry --skipApiVersionCheck --loose \
		>"$T/azurite.log" 2>&1
	wait_for grep -q 'successfully listen' "$T/azurite.log"
	PORT=$(sed -n 's/.*listens on http:\/\/127.0.0.1:\([0-9]*\).*/\1/p' \
		"$T/azurite.log" | tail -n 1)
	ENDPOINT=http://127.0.0.1:$PORT/$ACCOUNT
	export AZURE_STORAGE_KEY=$KEY AZURE_STORAGE_BLOB_ENDPOINT=$ENDPOINT
}

# sas CONTAINER PERMISSIONS: a token for it ("Create a service SAS").
sas() {
	local until=2099-01-01T00:00:00Z sig
	sig=$(printf '%s\n\n%s\n/blob/%s/%s\n\n\n\n2018-11-09\nc\n\n\n\n\n\n' \
		"$2" "$until" "$ACCOUNT" "$1" |
		openssl dgst -sha256 -mac HMAC -binary -macopt \
			"hexkey:$(printf %s "$KEY" | base64 -d | od -An -v -tx1 | tr -d ' \n')" |
		base64 | sed 's/+/%2B/g; s/=/%3D/g; s,/,%2F,g')
	echo "sv=2018-11-09&sr=c&sp=$2&se=$until&sig=$sig"
}

# read_back CONTAINER DIR: by rclone's own code.
read_back() {
	rclone --config /dev/null --retries 1 --low-level-retries 1 \
		--azureblob-sas-url "$ENDPOINT/$1?$(sas "$1" rl)" \
		copy ":azureblob:$1" "$2"
}
