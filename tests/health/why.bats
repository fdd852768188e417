#!/usr/bin/env bats
# ps-health why: faults made for real, and the stage that is named.
load ../lib/common
load ../lib/chain
load ../store/store

prepare() {
	export PS_HEALTH_DIR=$T/health
	new_server
	random_file disk.img 6000000
}

# fill [DISK]: more than the pipes hold into the cache, past all networks
fill() {
	ps-scan --machine m --disk "${1:-d}" --map "${1:-d}.map" \
		--segment-size 1M disk.img | ps-cache put -C s1/cache |
		ps-scan --commit --map "${1:-d}.map" >/dev/null
}

# Settings for this server, one after another.
settings_for() {
	cat s1/ps.yaml - >"$T/now.yaml"
}

# why WANTED: asks until that is the cause, then enters it into the table
why() {
	local want=$1
	shift
	is_named() {
		ps-health why --config now.yaml --json "$@" >why.json 2>why.err ||
			true
		[ "$(jq -r '"\(.cause) \(.behind)"' why.json)" = "$want true" ]
	}
	wait_for is_named "$@" || {
		cat why.json why.err pipeline.err s1/cache/.stages s1/cache/.upload
		return 1
	}
	fails_with 1 ps-health why --config now.yaml "$@"
	printf '%-24s %s\n' "$BATS_TEST_NUMBER $want" \
		"$(jq -r '.what' why.json)" >&3
}

run_pipeline() {
	start ps-pipeline --config "$T/now.yaml" --stop-timeout 0 "$@" >>acks 2>>pipeline.err
}

@test "a pipeline that does not run" {
	fill
	settings_for </dev/null
	why pipeline-down
	jq -e '.eta_seconds == null and .lag_seconds >= 0' why.json
	run_pipeline
	wait_for drained
	ps-health why --config now.yaml >out
	grep -q '^not behind: nothing' out
	stop_all
	# What has stopped with nothing to do is no reason to be behind.
	ps-health why --config now.yaml
}

@test "a store that answers 503, and one that is away" {
	strict
	ps-vault init s3://bucket/v
	plan '{"every": 1, "kind": "503"}'
	fill
	sed -i '/^vault:/d' s1/ps.yaml
	settings_for <<<'vault: s3://bucket/v'
	run_pipeline
	why store-errors
	jq -e '.evidence | contains("503")' why.json
	stop_all
	run_pipeline
	why store-unreachable
}

@test "a store at the end of a narrow line" {
	strict
	ps-vault init s3://bucket/v
	# Buffers take some of it at once: it is behind when much more waits.
	random_file disk.img 40000000
	fill d
	fill e
	start "$PS_BUILD/tests/lib/proxy" --rate 600k 127.0.0.1 "$STRICT_PORT" \
		>port 2>/dev/null
	wait_for [ -s port ]
	sed -i '/^vault:/d' s1/ps.yaml
	settings_for <<<'vault: s3://bucket/v'
	export AWS_ENDPOINT_URL
	AWS_ENDPOINT_URL=http://127.0.0.1:$(cat port)
	run_pipeline
	why store-latency
	jq -e '.followers[0].upload == "sending"' why.json
}

@test "a stage that does not work" {
	settings_for </dev/null
	run_pipeline
	wait_for pgrep -P "${STARTED[0]}" ps-encrypt
	local pid
	pid=$(pgrep -P "${STARTED[0]}" ps-encrypt)
	kill -STOP "$pid"
	fill
	faketime -f -2m ps-health sample --config now.yaml --services pipeline
	why encrypt
	# The sample sees the same: full before it, nothing behind.
	ps-health sample --config now.yaml
	ps-health check --json >check.json || true
	jq -e '.figures | .queue_encrypt_percent >= 75 and
		.queue_upload_percent <= 25' check.json
	jq -e '.share > 0.3 and .backlog_bytes > 0' why.json
	jq -e '.eta == "never at this rate"' why.json
	kill -CONT "$pid"
}

@test "a job that is silent for too long is an alert" {
	fails_with 64 ps-health stamp
	fails_with 64 ps-health stamp laundry
	faketime -f -3d ps-health stamp prune
	ps-health stamp verify
	ps-health sample --config s1/ps.yaml
	ps-health check --json >json || true
	[ "$(jq -c '[.alerts[].code | select(startswith("job-"))]' json)" = \
		'["job-prune"]' ]
	jq -e '.figures.job_drill_age_seconds == null' json
	ps-health stamp prune
	ps-health sample --config s1/ps.yaml
	ps-health check --json >json || true
	jq -e 'all(.alerts[]; .code != "job-prune")' json
}

# Nothing from elsewhere: neither loaded nor linked to.
@test "the page is whole and well-formed, whatever the words are" {
	command -v xmllint >/dev/null || skip "no xmllint"
	fill
	settings_for </dev/null
	ps-cache hold -C s1/cache m d 'a <script> & "quotes"'
	local i
	for i in 300 120 60 59 58 3 2 1 0; do
		faketime -f "-${i}m" ps-health sample --config now.yaml
	done
	fails_with 64 ps-health report --config now.yaml
	ps-health report --config now.yaml --html page.html
	xmllint --noout page.html
	run ! grep -E 'https?:|src=|href=|url\(|@import|<script' page.html
	[ "$(grep -c '<svg' page.html)" -eq 6 ]
	[ "$(grep -c '<polyline' page.html)" -gt 6 ]
	grep -q 'a &lt;script&gt; &amp;' page.html
	grep -q 'prefers-color-scheme:dark' page.html
}

# shot NAME WIDTH,HEIGHT [OPTION...]: the page as a reader sees it, as bare pixels
shot() {
	timeout 60 chromium --headless --no-sandbox --disable-gpu \
		--hide-scrollbars --user-data-dir="$T/profile" \
		--screenshot="$T/$1.png" --window-size="$2" "${@:3}" \
		"file://$T/page.html" >chromium.log 2>&1 &&
		python3 - "$1.png" <<-'END'
			# The colour of the corner, and the column of the last pixel
			# that has another one (PNG, ISO 15948: 8 bit, no interlace).
			import struct, sys, zlib
			b = open(sys.argv[1], "rb").read()
			w, h, depth, kind = struct.unpack(">IIBB", b[16:26])
			at, data = 8, b""
			while at < len(b):
			    n, name = struct.unpack(">I4s", b[at:at + 8])
			    data += b[at + 8:at + 8 + n] if name == b"IDAT" else b""
			    at += 12 + n
			c = {2: 3, 6: 4}[kind]
			data, n = zlib.decompress(data), w * c
			before, last = bytearray(n), 0
			for y in range(h):
			    how, row = data[y * (n + 1)], bytearray(
			        data[y * (n + 1) + 1:(y + 1) * (n + 1)])
			    for i in range(n if how else 0):
			        l = row[i - c] if i >= c else 0
			        u, x = before[i], before[i - c] if i >= c else 0
			        p = l + u - x
			        a = min((abs(p - l), 0, l), (abs(p - u), 1, u),
			                (abs(p - x), 2, x))[2]
			        row[i] = row[i] + (0, l, u, (l + u) // 2, a)[how] & 255
			    if y == 0:
			        corner = bytes(row[:3])
			    for k in range(w - 1, last, -1):
			        if bytes(row[k * c:k * c + 3]) != corner:
			            last = k
			            break
			    before = row
			print("".join("%02x" % v for v in corner), last)
		END
}

@test "the page in a browser: light, dark, and no wider than a telephone" {
	command -v chromium >/dev/null || skip "chromium is not installed"
	fill
	settings_for </dev/null
	ps-cache hold -C s1/cache m d 'a long reason: no place to put it in'
	local i
	for i in 300 60 3 2 1 0; do
		faketime -f "-${i}m" ps-health sample --config now.yaml
	done
	ps-health report --config now.yaml --html page.html
	local bg last
	read -r bg last < <(shot light 400,150 \
		--blink-settings=preferredColorScheme=1) || true
	[ "$bg" = ffffff ] || { cat chromium.log; false; }
	[ "$last" -gt 100 ]
	read -r bg last < <(shot dark 400,150 \
		--blink-settings=preferredColorScheme=0) || true
	[ "$bg" = 14181d ]
	[ "$last" -gt 100 ]
	# What is wider than the window would be cut at its edge.
	read -r bg last < <(shot phone 390,800) || true
	[ "$last" -gt 300 ]
	[ "$last" -lt 386 ]
}

@test "watch: lines when nobody looks, a screen that is given back" {
	fill
	settings_for </dev/null
	start ps-health watch --config now.yaml --interval 1 >lines
	wait_for grep -q ' pipeline-down backlog 5' lines
	kill "${STARTED[0]}"
	wait "${STARTED[0]}"
	run ! grep -q $'\033' lines
	command -v script >/dev/null || skip "no script(1)"
	# A key ends it, and the terminal is as it was before.
	{
		wait_for grep -q pipeline-down typed
		printf q
	} | TERM=xterm timeout 20 script -qefc \
		"stty -a >before; ps-health watch --config now.yaml; stty -a >after" \
		typed >/dev/null
	cmp before after
	grep -q $'\033\\[?1049h' typed
	grep -q $'\033\\[?1049l' typed
}

@test "misuse" {
	fails_with 64 ps-health why
	fails_with 64 ps-health why -C s1/cache a b c
	fails_with 64 ps-health why -C s1/cache 'a/b'
	fails_with 66 ps-health why -C nowhere
	ps-health why -C s1/cache
}
