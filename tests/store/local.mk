# Tests of stores outside of this machine, and the server that they use.
EXTRA_DIST += tests/store/store.bash tests/store/strict-server \
	tests/store/strict_azure.py tests/store/strict_faults.py \
	tests/store/strict_http.py tests/store/strict_s3.py
EXTRA_DIST += tests/store/compliance.bats tests/store/s3.bats
EXTRA_DIST += tests/store/quickstart.bats tests/store/secrets.bats
EXTRA_DIST += tests/store/faults.bats tests/store/kill.bats
EXTRA_DIST += tests/store/access.bats tests/store/far.bats
EXTRA_DIST += tests/store/several.bats tests/store/retry.bats
