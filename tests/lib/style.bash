# What the static checks of tests/style.bats share.
# shellcheck shell=bash

sources() { # all C files of ours
	find "$PS_SOURCE/libcommon" "$PS_SOURCE/tools" "$PS_SOURCE/tests" \
		-name '*.[ch]' "$@" | LC_ALL=C sort
}

# Scripts by their first line, and bash files that are sourced.
scripts() {
	# What autogen.sh, configure and distcheck made is not ours.
	find "$PS_SOURCE" -mindepth 1 -name '.?*' ! -name .ci -prune -o \
		-path "$PS_SOURCE/build*" -prune -o \
		-path "$PS_SOURCE/_*" -prune -o -name config.status -prune -o \
		-name 'configure*' ! -name configure.ac -prune -o \
		-type f -print |
		while read -r f; do
			case $f in
			*.bats | *.bash) echo "$f" ;;
			*) if head -c 64 "$f" | head -n 1 | tr -d '\0' |
				grep -qE '^#!.*(/| )(ba|da)?sh( |$)'; then
				echo "$f"
			fi ;;
			esac
		done
}

# make_var NAME...: what the build's makefile has in these variables.
make_var() {
	local text="show-vars: ; @: \$(info"
	for name; do text+=" \$($name)"; done
	# When the makefile is made anew first, that prints lines too.
	make -s --no-print-directory -C "$PS_BUILD" --eval "$text)" show-vars |
		tail -n 1
}

# Sets the array `flags` to what the makefile gives to the compiler; to be
# called in $PS_BUILD. The makefile's quotes are a shell's, hence eval.
compiler_flags() {
	local text
	text=$(make_var DEFS DEFAULT_INCLUDES AM_CPPFLAGS CPPFLAGS AM_CFLAGS)
	eval "flags=($text)"
}

programs() { # names of the installed tools
	make_var bin_PROGRAMS | tr " " "\n" | sed -n "s,^tools/,,p"
}

manual_of() {
	ls "$PS_SOURCE/man/$1."[18] 2>/dev/null
}

# As one reads it, with lines so long that nothing is folded.
manual_text() {
	mandoc -T utf8 -O width=900 "$1" | col -b
}

# Prints what is bad and fails when something was printed.
none() {
	local text
	text=$(cat)
	if [ -n "$text" ]; then
		echo "$*:" >&2
		echo "$text" >&2
		return 1
	fi
}

need() {
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# own_etc ROOT: where this build looks for configuration below a root is /etc,
# as of one that is packaged.
own_etc() {
	local etc
	etc=$(make_var sysconfdir)
	[ "$etc" != /etc ] || return 0
	mkdir -p "$1${etc%/*}" "$1/etc"
	ln -sfnT "$1/etc" "$1$etc"
}
