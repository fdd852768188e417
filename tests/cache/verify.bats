#!/usr/bin/env bats
# ps-cache verify: finds what is damaged, without a key.
load ../lib/common
load cache

@test "a flipped bit in any region of a segment file is found" {
	local size at file
	make_stream s -s 8K -b 4K -z 0
	put s
	file=C/web01/root/$(printf %020d 1)
	size=$(stat -c %s "$file")
	for ((at = 0; at < size; at += 41)); do
		flip_bit "$file" "$at" $((at % 8))
		fails_with 65 ps-cache verify -C C || {
			echo "byte $at of $size" >&2
			return 1
		}
		flip_bit "$file" "$at" $((at % 8))
	done
	ps-cache verify -C C
}

@test "a file that is cut, longer, empty or of another name is found" {
	local file
	make_stream s -p 2
	put s
	file=C/web01/root/$(printf %020d 2)
	cp "$file" saved
	truncate -s -1 "$file"
	fails_with 65 ps-cache verify -C C
	cp saved "$file"
	echo >>"$file"
	fails_with 65 ps-cache verify -C C
	: >"$file"
	fails_with 65 ps-cache verify -C C
	cp "C/web01/root/$(printf %020d 1)" "$file"
	fails_with 65 ps-cache verify -C C
	grep -q 'file holds segment 1 of web01/root' out
	cp saved "$file"
	ps-cache verify -C C
}

@test "a missing segment is found, in the middle, at the end, at the beginning" {
	make_stream s -p 4
	put s
	stored acks.s | head -n 1 | ps-cache ack -C C >/dev/null
	cp -r C saved
	rm "C/web01/root/$(printf %020d 3)"
	fails_with 65 ps-cache verify -C C
	grep -q 'segment 4: segment 3, which comes before it, is missing' out
	rm -rf C
	cp -r saved C
	rm "C/web01/root/$(printf %020d 2)"
	fails_with 65 ps-cache verify -C C
	rm -rf C
	cp -r saved C
	rm C/web01/root/0*
	fails_with 65 ps-cache verify -C C
	grep -q "behind 1, which 'default' has to get, are missing" out
}

@test "a segment of another chain is found" {
	make_stream a -p 3
	make_stream b -p 3
	put a
	ps-cache init -C R --keep-free 0 --keep-free-initial 0
	ps-cache put -C R <b >/dev/null
	cp "R/web01/root/$(printf %020d 2)" C/web01/root/
	fails_with 65 ps-cache verify -C C
	grep -q 'segment 2: does not continue the one before it' out
}

@test "as JSON: totals, and one entry for each fault" {
	make_stream s -d root,data -p 2
	put s
	flip_bit "C/web01/root/$(printf %020d 2)" 700
	fails_with 65 ps-cache verify --json -C C
	python3 - <<-'END'
		import json
		r = json.load(open("out"))
		assert r["segments"] == 4, r
		assert r["sealed"] == 0, r
		(f,) = r["damaged"]
		assert (f["machine"], f["disk"], f["seq"]) == ("web01", "root", 2)
		assert f["what"], f
	END
}

@test "one machine alone can be verified" {
	make_stream a -m web01
	make_stream b -m web02
	put a b
	flip_bit "C/web02/root/$(printf %020d 1)" 700
	ps-cache verify web01 -C C
	fails_with 65 ps-cache verify web02 -C C
}

@test "cat of a damaged or missing segment writes nothing" {
	make_stream s
	put s
	fails_with 66 ps-cache cat web01 root 2 -C C
	fails_with 66 ps-cache cat web01 data 1 -C C
	fails_with 64 ps-cache cat web01 root x -C C
	flip_bit "C/web01/root/$(printf %020d 1)" 5000
	fails_with 65 ps-cache cat web01 root 1 -C C
	[ ! -s out ]
}

@test "list shows what is in a damaged cache, too" {
	make_stream s -p 2
	put s
	flip_bit "C/web01/root/$(printf %020d 1)" 20
	ps-cache list -C C >out
	grep -q 'root  *1 damaged\|root  *1 segment 1' out
	ps-cache list --json web01 root -C C >out
	grep -q '"error"' out
}
