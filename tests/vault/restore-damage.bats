#!/usr/bin/env bats
# ps-restore never exits 0 on damage and leaves no file that looks complete.

load ../lib/common

R() { ps-restore v --machine web01 --disk root "$@"; }
make_segment() { "$PS_BUILD/tests/segment/make-segment" "$@"; }
object() { printf 'v/web01/root/%020d' "$1"; }

vault() {
	ps-vault init v >&2
	ps-upload v >acks
}

prepare() {
	ps-encrypt --new-key key
	make_segment -s 300000 -b 4K -r 16K -n 200K -p 2 -o ref >clear
}

# Flips one bit at every STEP-th byte of object 2; whatever is restored must
# be right, and nearly all must be refused.
flip_all() { # STEP OPTION...
	local step=$1 size i got wrong=0 refused=0
	shift
	size=$(stat -c %s "$(object 2)")
	cp "$(object 2)" whole
	for ((i = 0; i < size; i += step)); do
		flip_bit "$(object 2)" "$i" $((i % 8))
		got=0
		R "$@" --point p2 -o img >/dev/null 2>err || got=$?
		case $got in
		0)
			cmp img ref.root.2 || wrong=$((wrong + 1))
			rm img
			;;
		65 | 76 | 77 | 1) refused=$((refused + 1)) ;;
		*)
			echo "exit $got at byte $i: $(cat err)" >&2
			wrong=$((wrong + 1))
			;;
		esac
		[ ! -e img ]
		cp whole "$(object 2)"
	done
	[ "$(find . -name '.tmp*' | wc -l)" = 0 ]
	[ "$wrong" = 0 ]
	[ "$refused" -gt 5 ]
	R "$@" -o img >/dev/null
	cmp img ref.root.2
}

@test "a flipped bit anywhere: refused, or the disk is right all the same" {
	vault <clear
	flip_all 499
}

@test "the same when sealed and compressed" {
	ps-compress <clear | ps-encrypt -k key | vault
	flip_all 61 -k key
}

@test "latest does not fall back silently on an older point" {
	vault <clear
	last=$(tail -n 1 acks | cut -f 4)
	flip_bit "$(object "$last")" 100
	fails_with 65 R -o img
	grep -q -- '--point p1' err
	[ ! -e img ]
	R --point p1 -o img
	cmp img ref.root.1
}

@test "a segment copied over another one: exit 65" {
	ps-encrypt -k key <clear | vault
	cp "$(object 3)" "$(object 2)"
	fails_with 65 R -k key --point p2 -o img
	fails_with 65 R -k key -o img
	[ ! -e img ]
}

@test "a segment of another history in its place: exit 65" {
	vault <clear
	mv v one
	make_segment -s 300000 -b 4K -r 16K -n 200K -p 2 -x 7 | vault
	cp v/web01/root/00000000000000000002 one/web01/root/
	rm -r v
	mv one v
	fails_with 65 R --point p2 -o img
	[ ! -e img ]
}

@test "cut objects: exit 65" {
	vault <clear
	cp "$(object 1)" whole
	for size in 0 1 511 512 513 5000 20000 "$(($(stat -c %s whole) - 1))"; do
		cp whole "$(object 1)"
		truncate -s "$size" "$(object 1)"
		fails_with 65 R --point p2 -o img
	done
	[ ! -e img ]
}

@test "a missing object: exit 1, the point is no longer kept" {
	vault <clear
	rm "$(object 2)"
	fails_with 1 R --point p2 -o img
	grep -q 'no longer kept' err
	fails_with 1 R -o img
	[ ! -e img ]
}

@test "damage found on the way: standard output has only verified bytes" {
	make_segment -s 20M -z 0 -o big | vault
	flip_bit "$(object 1)" 18000000
	fails_with 65 R -o -
	grep -q 'standard output is incomplete' err
	size=$(stat -c %s out)
	[ "$size" -gt 0 ]
	[ "$size" -lt 18000000 ]
	cmp -n "$size" out big.root.1
}

@test "damage in an index is found before the first byte is written" {
	vault <clear
	size=$(stat -c %s "$(object 1)")
	flip_bit "$(object 1)" $((size - 3000))
	fails_with 65 R --point p2 -o -
	[ ! -s out ]
}
