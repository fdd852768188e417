#!/usr/bin/env bats
# idle: a minute of a processor
# Order in the house, checked by programs.
load lib/common
load lib/style

@test "C sources have the project's format" {
	need clang-format
	cd "$PS_SOURCE"
	sources | xargs clang-format --dry-run -Werror
}

@test "shell scripts pass shellcheck" {
	need shellcheck
	cd "$PS_SOURCE"
	scripts | xargs shellcheck -x
}

@test "manuals pass mandoc's lint" {
	need mandoc
	find "$PS_SOURCE/man" -name '*.[1-8]' -print0 |
		xargs -0 -r mandoc -T lint -W warning
}

@test "a manual refers only to manuals that exist" {
	local page section
	cd "$PS_SOURCE/man"
	grep -h -o -E '^\.Xr (ps-[a-z]+|ps\.yaml|cxpsclient) [1-8]' ./*.[1-8] |
		sort -u | while read -r _ page section; do
		[ -e "$page.$section" ] || echo "$page($section)"
	done | none "no such manual"
}

@test "each header compiles alone" {
	local flags
	cd "$PS_BUILD"
	compiler_flags
	sources -name '*.h' | xargs -P 2 -I{} gcc "${flags[@]}" -Wno-unused \
		-Wno-error=pragmas -fsyntax-only -x c {}
}

@test "every tool has a manual, completions and a test" {
	local tool shell
	for tool in $(programs); do
		[ -n "$(manual_of "$tool")" ] || echo "no manual: $tool"
		grep -qwr --include='*.bats' -e "$tool" "$PS_SOURCE/tests" ||
			echo "no test: $tool"
		for shell in bash zsh fish; do
			ls "$PS_SOURCE/completions/$shell"/*"$tool"* \
				>/dev/null 2>&1 || echo "no $shell completion: $tool"
		done
	done | none "missing"
}

@test "every manual names all options of its tool" {
	need mandoc
	local tool kind name page
	for tool in $(programs); do
		page=$(manual_of "$tool")
		[ -n "$page" ] || continue
		manual_text "$page" >page.txt
		"$tool" --dump-options >options.txt
		# The empty fields stand, so the separator is no white space.
		tr '\t' '\037' <options.txt |
			while IFS=$'\037' read -r kind _ name _; do
				[ "$kind" = opt ] || continue
				grep -qE -e "(^|[^-[:alnum:]])--$name([^-[:alnum:]]|\$)" \
					page.txt || echo "$tool: --$name"
			done
	done | none "not in the manual"
}

@test "every manual names all commands of its tool" {
	need mandoc
	local tool kind name page
	for tool in $(programs); do
		page=$(manual_of "$tool")
		[ -n "$page" ] || continue
		manual_text "$page" >page.txt
		"$tool" --dump-options | while read -r kind name _; do
			[ "$kind" = cmd ] || continue
			grep -qw -e "$name" page.txt || echo "$tool $name"
		done
	done | none "not in the manual"
}

@test "ps.yaml(5) has every key of every tool, and no other" {
	need mandoc
	local tool
	for tool in $(programs); do
		"$tool" --dump-options | awk -F'\t' '$1 == "opt" && $9 != "" {
			print $9 }'
	done | sort -u >used
	sed -n 's/^\.It Ic //p' "$PS_SOURCE/man/ps.yaml.5" | tr -d ' ' |
		tr ',' '\n' | sort >told
	diff used told
}

# Of what is installed; a test may call system(3) on its own words.
@test "calls that have a safe successor are not used" {
	cd "$PS_SOURCE"
	find libcommon tools -name '*.[ch]' -print0 | xargs -0 grep -nE \
		'\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|system|popen|mktemp|tmpnam|tempnam|alloca|setjmp|rand|srand|usleep|ctime|asctime|gmtime|localtime)[[:space:]]*\(' |
		grep -vE '^[^:]*:[0-9]*:[[:space:]]*(/?\*|//)' |
		none "banned"
}

@test "arrows between layers point down only" {
	cd "$PS_SOURCE"
	find libcommon -name '*.[ch]' | LC_ALL=C sort | while read -r file; do
		sed -n 's/^#include "\([a-z]*\)\/.*/\1/p' "$file" |
			sort -u | sed "s|^|$file |"
	done | awk '
		BEGIN {
			n = split("base 0 fleet 1 web 1 segment 1 disk 2 trace 3 " \
				"cache 3 vault 3 net 4 pipeline 4 health 4 agent 5 " \
				"config 5 service 5 push 5 doctor 6 setup 7", f)
			for (i = 1; i < n; i += 2)
				rank[f[i]] = f[i + 1]
		}
		{
			split($1, path, "/"); from = path[2]
			if (!(from in rank) || !($2 in rank))
				print $1 ": no rank for " $2 " or " from
			else if (from != $2 && rank[from] <= rank[$2])
				print $1 " includes " $2
		}' | none "arrow that does not point down"
}

@test "no file has more than 600 lines, tests 700" {
	cd "$PS_SOURCE"
	{
		sources
		scripts
	} | xargs wc -l |
		awk '{ max = $2 ~ /\/tests\// ? 700 : 600 }
			$2 != "total" && $1 > max' | none "too long"
}

@test "no function has more than 90 lines" {
	sources | xargs awk '
		FNR == 1 { begun = 0 }
		/^{/ { begun = FNR }
		/^}/ && begun {
			if (FNR - begun - 1 > 90)
				print FILENAME ":" begun ": " FNR - begun - 1
			begun = 0
		}' | none "too long"
}

@test "what is in git is in the tarball" {
	need git
	git -C "$PS_SOURCE" rev-parse --git-dir >/dev/null 2>&1 ||
		skip "not a git checkout"
	make -s -C "$PS_BUILD" distdir distdir="$T/dist" >log 2>&1 ||
		{ cat log; false; }
	git -C "$PS_SOURCE" ls-files | sort >in-git
	(cd dist && find . -type f | sed 's,^\./,,' | sort) >in-dist
	comm -23 in-git in-dist | grep -vE '^(\.gitignore|\.ci/.*)$' |
		none "in git but not in EXTRA_DIST"
}

@test "each test file is run: bats files by name, unit tests by the makefile" {
	local file
	cd "$PS_SOURCE"
	make_var UNIT_TESTS | tr ' ' '\n' >"$T/units"
	find tests -name 'test-*.c' | while read -r file; do
		grep -qxF "${file%.c}" "$T/units" || echo "$file"
	done | none "not in UNIT_TESTS"
}
