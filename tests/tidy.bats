#!/usr/bin/env bats
# idle: minutes of a processor when nothing was checked before
# What a second compiler finds by looking longer; PS_LONG=1: longer still.
load lib/common
load lib/style

@test "clang-tidy finds nothing" {
	need clang-tidy
	local flags
	cd "$PS_BUILD"
	compiler_flags
	# Only what changed since it was last found clean.
	mkdir -p tidy
	sources -name '*.c' -path '*/tests/*' -prune -o -name '*.c' -print |
		xargs -P 2 -I{} "$PS_SOURCE/tests/lib/tidy" {} "${flags[@]}"
}
