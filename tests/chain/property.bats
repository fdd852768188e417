#!/usr/bin/env bats
# Random writes, random faults, many passes through the real vault. At the end
# every point that the vault lists is restored and has to be what the source
# was in that pass. PS_SEED repeats a run (but for the moments of a kill).

load ../lib/common
PATH=$PS_BUILD/tests/disk:$PATH

DISK=(--machine w --disk r)
declare -gA model # of each bookmark: digest of the source
passes=50

prepare() {
	ps-vault init v
	ps-encrypt --new-key key
	sealed=no keys=() done_passes=0
	: >pending
}

# stage NAME COMMAND...: killed after a moment when its turn has come.
stage() {
	local name=$1
	shift
	if [ "$fault" = "kill-$name" ]; then
		exec timeout --foreground -s KILL "$moment" "$@"
	fi
	exec "$@"
}

compress() { if [ "$sealed" = yes ]; then stage compress ps-compress; else cat; fi; }
encrypt() { if [ "$sealed" = yes ]; then stage encrypt ps-encrypt -k key; else cat; fi; }
break_off() { if [ "$fault" = cut ]; then head -c "$bytes"; else cat; fi; }
lose() { if [ "$fault" = acks ]; then head -n "$lines"; else cat; fi; }
# As from a server with a cache: the journal keeps what is not yet stored.
level() { sed -u "s/^stored/$level/"; }

chain() { # SCAN-OPTION...
	local rc moment bytes lines level=durable
	# Subshells draw numbers of their own, which a seed does not repeat.
	moment=0.0$((RANDOM % 3))$((RANDOM % 9 + 1))
	bytes=$((RANDOM * 30)) lines=$((RANDOM % 3))
	if [ $((RANDOM % 3)) = 0 ]; then level=stored; fi
	stage scan ps-scan "${DISK[@]}" --map map --segment-size 1M "$@" src |
		compress | encrypt | break_off | stage upload ps-upload -q v |
		lose | level | stage commit ps-scan --commit --map map >/dev/null
	rc="${PIPESTATUS[*]}"
	[ "$rc" = "0 0 0 0 0 0 0 0" ]
}

# The map goes to where the vault is, whatever has happened to either.
settle() {
	local got=0
	[ -e map ] || return 0
	ps-vault head v "${DISK[@]}" | ps-scan --commit --map map >/dev/null 2>err ||
		got=$?
	[ "$got" = 0 ] && return
	if [ "$got" != 65 ]; then
		echo "settling: $got" >&2
		cat err >&2
		return 1
	fi
	# The vault is older than what the journal remembers.
	if [ $((RANDOM % 2)) = 0 ] && [ "$(newest)" != 0 ]; then
		ps-vault map v "${DISK[@]}" "${keys[@]}" -o map
		ps-vault head v "${DISK[@]}" |
			ps-scan --commit --map map >/dev/null
	else
		ps-vault head v "${DISK[@]}" |
			ps-scan --commit --restart --map map >/dev/null
	fi
}

newest() { ps-vault head v "${DISK[@]}" | cut -f 4; }

# The vault loses its newest N objects: restored from a backup.
roll_back() {
	find v/w/r -type f -name '0*' | sort | tail -n "$1" | xargs rm -f
}

# Ranges that no scan is known to have taken, as one list.
add_pending() {
	sort -n pending "$1" | awk '$1 <= end { if ($1 + $2 > end) end = $1 + $2; next }
		end > 0 { print start, end - start, "dirty" }
		{ start = $1; end = $1 + $2 }
		END { if (end > 0) print start, end - start, "dirty" }' >pending.new
	mv pending.new pending
}

dirty_list() { stat -c %i:%z map.journal/dirty 2>/dev/null || true; }

one_pass() { # NUMBER
	local i=$1 opts=(--bookmark "p$1") was ok=no
	scribble src $((seed * 1000 + i)) $((RANDOM % 40)) >list
	add_pending list
	if [ $((RANDOM % 6)) = 0 ]; then
		truncate -s "+$((RANDOM % 100000))" src
	fi
	case $fault in
	rollback) [ -d v/w ] && roll_back $((RANDOM % 3 + 1)) ;;
	nomap) [ -e map ] && [ "$(newest)" != 0 ] &&
		ps-vault map v "${DISK[@]}" "${keys[@]}" -o map ;;
	esac
	settle
	if [ ! -e map ]; then
		opts+=(--block-size 4K)
	elif [ $((RANDOM % 3)) -gt 0 ] && [ -s pending ]; then
		opts+=(--changed pending)
	elif [ $((RANDOM % 10)) = 0 ]; then
		opts+=(--full)
	fi
	model[p$i]=$(sha256sum <src)
	was=$(dirty_list)
	if chain "${opts[@]}" 2>chain.err; then ok=yes; fi
	# A list that a scan has taken is never given again.
	if [ "$(dirty_list)" != "$was" ]; then : >pending; fi
	case $fault in
	none | rollback | nomap)
		if [ "$ok" = no ]; then
			cat chain.err >&2
			return 1
		fi
		;;
	esac
	if [ "$ok" = yes ]; then done_passes=$((done_passes + 1)); fi
}

restore_all() {
	local id got n=0
	ps-vault list v --machine w "${keys[@]}" --json >points
	[ "$(jq '[.[] | select(.complete | not)] | length' points)" = 0 ]
	while read -r id; do
		if [ $((n % 2)) = 0 ]; then
			ps-restore v "${DISK[@]}" "${keys[@]}" --point "$id" \
				-o out >/dev/null
			got=$(sha256sum <out)
			rm out
		else
			got=$(ps-restore v "${DISK[@]}" "${keys[@]}" \
				--point "$id" -o - 2>/dev/null | sha256sum)
		fi
		if [ "$got" != "${model[$id]}" ]; then
			echo "point $id is not what the source was" >&2
			return 1
		fi
		n=$((n + 1))
	done < <(jq -r '.[].point' points)
	echo "# $n points, $done_passes whole passes" >&3
	[ "$n" -gt $((passes / 5)) ]
}

run_passes() {
	local i
	local faults=(none none none none cut acks kill-scan kill-compress
		kill-encrypt kill-upload kill-commit rollback rollback nomap)
	seed=${PS_SEED:-$RANDOM}
	echo "# seed $seed" >&3
	RANDOM=$seed
	random_file src 3000001 "$seed"
	for ((i = 1; i <= passes; i++)); do
		fault=${faults[RANDOM % ${#faults[@]}]}
		one_pass "$i"
	done
	fault=none
	one_pass "$i"
	restore_all
	ps-restore v "${DISK[@]}" "${keys[@]}" -o last >/dev/null
	cmp last src
	ps-vault verify v "${keys[@]}" >/dev/null
	[ "$done_passes" -gt $((passes / 5)) ]
}

@test "50 passes with interruptions: every point is what the source was" {
	run_passes
}

@test "the same compressed and sealed" {
	sealed=yes keys=(-k key)
	run_passes
}
