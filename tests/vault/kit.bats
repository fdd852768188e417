#!/usr/bin/env bats
# The recovery kit: from the page alone everything comes back.
load ../lib/common

prepare() {
	command -v jq >/dev/null || skip "jq is not installed"
	random_file web.img 3000000 1
	random_file db.img 2000000 2
	ps-vault init vault >/dev/null
	ps-encrypt --new-key vault.key
	store web01 root web.img
	ps-encrypt --add-key -k vault.key
	store db01 data db.img
	export PS_HEALTH_DIR=$T/health
}

store() { # store MACHINE DISK IMAGE
	ps-scan --machine "$1" --disk "$2" --map "$1.map" "$3" |
		ps-encrypt -k vault.key | ps-upload vault >/dev/null
}

# words_of KEY: what a person would type from the page
words_of() {
	awk -v want="$1" '/^-----BEGIN/ { on = $4 == want; next }
		/^-----END/ { on = 0 }
		on && !/^#/' kit.txt | tr -d '0-9' | xargs -n 7
}

# everything_back: in a fresh folder, with a key file made from the kit
everything_back() { # everything_back KEYFILE
	mkdir fresh
	(
		cd fresh || exit
		umask 077
		# The commands stand on the page.
		sed -n 's/^     \(ps-vault list .*\)/\1/p' ../kit.txt >list
		sed -n '/^     ps-restore/,/-o /p' ../kit.txt >restore
		cp "../$1" vault.key
		bash -e ./list | grep -q 'web01'
		bash -e ./restore
		cmp data.img ../db.img
		sed 's/db01/web01/; s/data/root/g' restore | bash -e
		cmp root.img ../web.img
	)
}

same_keys() { # same_keys KEYFILE
	diff <(ps-encrypt --list-keys -k "$1" | cut -f 1,3,4) \
		<(ps-encrypt --list-keys -k vault.key | cut -f 1,3,4)
}

@test "everything comes back from the words, typed in" {
	ps-vault kit vault -k vault.key -o kit.txt
	[ "$(stat -c %a kit.txt)" = 600 ]
	umask 077
	{
		words_of 1 | tr '[:lower:]' '[:upper:]'
		echo "# the other"
		words_of 2 | sed 's/ /, /g; s/^/1. /'
	} >typed
	ps-encrypt --from-kit typed -o back.key >ids
	[ "$(stat -c %a back.key)" = 600 ]
	same_keys back.key
	grep -q "$(head -1 ids | cut -f 1)" kit.txt
	everything_back back.key
	# The page itself will do, too; a key file is never overwritten.
	ps-encrypt --from-kit kit.txt -o page.key >ids
	same_keys page.key
	fails_with 73 ps-encrypt --from-kit kit.txt -o page.key
}

@test "everything comes back from the QR codes of the page" {
	command -v zbarimg >/dev/null || skip "zbar-tools is not installed"
	command -v chromium >/dev/null || skip "chromium is not installed"
	local size
	ps-vault kit vault -k vault.key -o kit.html
	ps-vault kit vault -k vault.key -o kit.txt
	[ "$(stat -c %a kit.html)" = 600 ]
	if command -v xmllint >/dev/null; then xmllint --noout kit.html; fi
	run ! grep -E 'https?:|src=|href=|url\(|@import|<script' kit.html
	grep -q "@page" kit.html
	# Of the width of A4 and Letter without their margins, and of a phone.
	for size in 680,1500 702,1500 390,2400; do
		timeout 60 chromium --headless --no-sandbox --disable-gpu \
			--hide-scrollbars --user-data-dir="$T/c" \
			--window-size="$size" --screenshot="$T/page.png" \
			"file://$T/kit.html" >chromium.log 2>&1 ||
			{ cat chromium.log; false; }
		zbarimg -q --raw page.png 2>/dev/null >codes
		rm -f qr.key
		ps-encrypt --from-kit - -o qr.key <codes >/dev/null
		cmp qr.key vault.key
	done
	everything_back qr.key
}

# The key of tests/segment/test-words.c: bytes 0 to 31.
phrase="abandon amount liar amount expire adjust cage candy arch gather
drum bullet absurd math era live bid rhythm alien crouch
range attend journey truth camp patient pass impose"

@test "a wrong word is named, and what it should be" {
	umask 077
	echo "$phrase" >good
	ps-encrypt --from-kit good -o good.key >/dev/null
	grep -q ' 000102030405060708.*1d1e1f ' good.key
	said() { # said HOW WORDS: after a sed of the typed words
		sed "$1" good >bad
		fails_with 65 ps-encrypt --from-kit bad -o bad.key
		grep -qF "$2" err || { cat err; false; }
		[ ! -e bad.key ]
	}
	said 's/cage/cagex/' "bad:1: word 7 of the key, 'cagex', is wrong: by the checksum it is 'cage'"
	said 's/cage/cake/' "word 7 of the key, 'cake', is wrong: by the checksum it is 'cage'"
	said 's/bullet absurd/absurd bullet/' "bad:2: words 12 and 13 of the key, 'absurd' and 'bullet', have changed places"
	said 's/cage //' "word 7 of the key is missing: by the checksum it is 'cage'"
	said 's/cage/cage zoo/' "word 8 of the key, 'zoo', is one too many"
	said 's/cage candy/cgae qwerty/' "line 1: 'cgae' is not in the list of words (cage?); line 1: 'qwerty'"
	said 's/cage candy arch//' "25 words end in line 3: a key has 28"
	said 's/cage candy/cake cannon/' "lines 1 to 3: more than one of these words"
	# Four letters of each are enough; nobody else may read the file.
	tr ' ' '\n' <good | cut -c 1-4 >short
	ps-encrypt --from-kit short -o short.key >/dev/null
	cmp short.key good.key
	chmod 644 short
	fails_with 77 ps-encrypt --from-kit short -o s2.key
	fails_with 64 ps-encrypt --from-kit good
	fails_with 66 ps-encrypt --from-kit nowhere -o s2.key
}

@test "a kit that does not open everything says so" {
	ps-encrypt --new-key other.key
	fails_with 1 ps-vault kit vault -k other.key -o kit.txt
	grep -q "web01/root: not opened by the keys of this kit" err
	grep -q "db01/data *NOT WITH THE KEYS" kit.txt
	[ ! -e health/job.key-kit ]
	ps-encrypt --derive web01 -k vault.key -o web01.key
	fails_with 77 ps-vault kit vault -k web01.key -o machine.txt
	fails_with 73 ps-vault kit vault -k vault.key -o kit.txt
	fails_with 64 ps-vault kit vault -k vault.key -o vault.key
	fails_with 64 ps-vault kit vault -o new.txt
	fails_with 66 ps-vault kit nowhere -k vault.key -o new.txt
	[ ! -e new.txt ]
	ps-vault kit vault -k vault.key -o - | grep -q BEGIN
	fails_with 75 bash -c 'ps-vault kit vault -k vault.key -o - >/dev/full'
}

@test "ps-health alarms while the newest key has no kit" {
	no_kit() {
		ps-health sample --state health --services receive -k vault.key
		ps-health check --state health -f json |
			jq -e '.alerts[] | select(.code == "no-kit")'
	}
	ps-health stamp --state health drill # makes the folder
	no_kit
	ps-vault kit vault -k vault.key -o kit.txt
	run ! no_kit
	ps-encrypt --add-key -k vault.key
	no_kit
	ps-vault kit vault -k vault.key -o new.html
	run ! no_kit
}
