#!/usr/bin/env bats
# The option table: command line before environment before ps.yaml.
load ../lib/common

prepare() {
	PATH=$PS_BUILD/tests/base:$PATH
	unset SAMPLE_TEXT SAMPLE_NUMBER SAMPLE_FLAG SAMPLE_COMMANDS
	printf 'sample:\n  text: from-file\n' >ps.yaml
}

# got WORD...: standard output of the last program has these words.
got() {
	local word
	for word; do
		case " $(<out) " in
		*" $word "*) ;;
		*)
			echo "no '$word' in: $(<out)" >&2
			return 1
			;;
		esac
	done
}

@test "without options everything has its default" {
	opt-sample >out
	got flag=0 level=1 text=none mode=fast number=5 size=4096 wait=60 given=0
}

@test "each kind of option is read, short and long" {
	opt-sample -f -9 -LL --text=x --file y -m good -n 7 -s 64K -w 2h -r 8Mbit \
		-l a --list b -qvv >out
	got flag=1 level=9 loud=2 text=x file=y mode=good number=7 \
		size=65536 wait=7200 rate=1000000 item=a item=b quiet=1 verbose=2 given=1
}

@test "options and operands may be mixed; -- ends the options" {
	opt-sample one -f two -- -n --text >out
	got flag=1 operand=one operand=two operand=-n operand=--text number=5
}

@test "the command line wins over the environment, that over ps.yaml" {
	opt-sample --config ps.yaml >out
	got text=from-file given=1
	SAMPLE_TEXT=from-env opt-sample --config ps.yaml >out
	got text=from-env given=1
	SAMPLE_TEXT=from-env opt-sample --config ps.yaml -t from-line >out
	got text=from-line
	PS_CONFIG=ps.yaml opt-sample >out
	got text=from-file
	SAMPLE_TEXT="" opt-sample --config ps.yaml >out
	got text=from-file
}

@test "a list in ps.yaml is a sequence or one value" {
	printf 'sample: {list: [a, b, c]}\n' >ps.yaml
	opt-sample --config ps.yaml >out
	got item=a item=b item=c
	printf 'sample: {list: a}\n' >ps.yaml
	opt-sample --config ps.yaml >out
	got item=a
	opt-sample --config ps.yaml -l z >out
	got item=z
	run ! got item=a
}

@test "a flag in ps.yaml is yes or no" {
	for word in yes true 1; do
		echo "sample: {flag: $word}" >ps.yaml
		opt-sample --config ps.yaml >out
		got flag=1
	done
	for word in no false 0; do
		echo "sample: {flag: $word}" >ps.yaml
		opt-sample --config ps.yaml >out
		got flag=0
	done
	echo "sample: {flag: maybe}" >ps.yaml
	fails_with 78 opt-sample --config ps.yaml
	grep -q 'ps.yaml:1: sample.flag: .maybe. is not a valid yes or no' err
}

@test "misuse is exit 64, one line, and where to find help" {
	fails_with 64 opt-sample --nonsense
	grep -q "Try 'opt-sample --help'" err
	fails_with 64 opt-sample -n
	fails_with 64 opt-sample -n 0
	grep -q "^opt-sample: --number: '0' is not a valid N (1 to 100)\$" err
	fails_with 64 opt-sample -n 101
	fails_with 64 opt-sample -n 5x
	fails_with 64 opt-sample -s 511
	fails_with 64 opt-sample -s 2M
	fails_with 64 opt-sample -w soon
	fails_with 64 opt-sample -m fas
	grep -q "(fast|good|fastest)" err
	fails_with 64 opt-sample -t ''
	SAMPLE_NUMBER=500 fails_with 64 opt-sample
	grep -q '^opt-sample: SAMPLE_NUMBER: ' err
}

@test "a bad ps.yaml is exit 78, a missing one that was asked for 66" {
	echo 'sample: {rate: fast}' >ps.yaml
	fails_with 78 opt-sample --config ps.yaml
	grep -q "ps.yaml:1: sample.rate: 'fast' is not a valid RATE" err
	echo 'sample: {number: 500}' >ps.yaml
	fails_with 78 opt-sample --config ps.yaml
	grep -q 'ps.yaml:1: sample.number' err
	echo 'sample: [' >ps.yaml
	fails_with 78 opt-sample --config ps.yaml
	fails_with 66 opt-sample --config nowhere.yaml
	PS_CONFIG=nowhere.yaml fails_with 66 opt-sample
}

@test "commands are checked" {
	export SAMPLE_COMMANDS=1
	opt-sample -f go x >out
	got flag=1 operand=go operand=x
	fails_with 64 opt-sample -f
	grep -q 'a command is missing' err
	fails_with 64 opt-sample walk
	opt-sample --help >out
	grep -q '^  stop  ' out
}

@test "--help and --version work with anything beside them" {
	opt-sample --help --config nowhere.yaml >out
	grep -q '^usage: opt-sample ' out
	for name in flag fast best loud text file mode number size wait rate list \
		help version quiet verbose config; do
		grep -q -e "--$name\b" out
	done
	opt-sample -V >out
	grep -q '^opt-sample (ps-toolkit) ' out
}

@test "--help to a full device is an error" {
	local rc=0
	opt-sample --help >/dev/full 2>err || rc=$?
	[ "$rc" -eq 74 ]
	grep -q 'No space left' err
}

@test "--dump-options prints the whole table, one line each" {
	opt-sample --dump-options >out
	[ "$(head -n 1 out)" = $'tool\topt-sample\tShows what it was given.\tfile' ]
	grep -qxF $'opt\tm\tmode\tchoice\tMODE\tfast|good|fastest\thow\t\tsample.mode' out
	grep -qxF $'opt\tt\ttext\ttext\tTEXT\t\ta text\tSAMPLE_TEXT\tsample.text' out
	[ "$(grep -c '^opt' out)" -eq 17 ]
}

@test "words from elsewhere do not steer the terminal" {
	fails_with 66 ps-stream list $'a\e[31mb'
	grep -q 'a \[31mb' err
	[ "$(tr -d '\n\t' <err | LC_ALL=C tr -cd '\000-\037' | wc -c)" -eq 0 ]
}

@test "a table with more options than there is room for is not used at all" {
	local words='--config: more than 96 options'
	SAMPLE_MANY=91 opt-sample --o91 --config ps.yaml >out
	got flag=1
	for args in '' --help --dump-options; do
		# shellcheck disable=SC2086
		SAMPLE_MANY=92 fails_with 70 opt-sample $args
		grep -q -e "$words" err
	done
}
