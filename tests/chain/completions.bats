#!/usr/bin/env bats
# Completions come from the option tables and work in their shells.
load ../lib/common

prepare() {
	PATH=$PS_BUILD/tests/base:$PATH
}

# What bash offers for a command line; the last word is being typed.
complete_bash() {
	bash -c '
		. "$1"; shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"_${1//-/_}"
		printf "%s\n" "${COMPREPLY[@]}"' _ "$@"
}

@test "the completions of the checkout are what the option tables say" {
	"$PS_SOURCE/scripts/make-completions" -o new
	diff -r new "$PS_SOURCE/completions" ||
		{ echo "run scripts/make-completions" >&2; false; }
}

@test "each completion is a script of its shell" {
	local file
	shopt -s nullglob
	for file in "$PS_SOURCE"/completions/bash/*; do bash -n "$file"; done
	if command -v zsh >/dev/null; then
		for file in "$PS_SOURCE"/completions/zsh/_*; do
			zsh -n "$file"
		done
	fi
	if command -v fish >/dev/null; then
		for file in "$PS_SOURCE"/completions/fish/*; do
			fish -n "$file"
		done
	fi
}

@test "bash completes options, values, commands and files" {
	SAMPLE_COMMANDS=1 "$PS_SOURCE/scripts/make-completions" -o . \
		"$PS_BUILD/tests/base/opt-sample"
	[ "$(complete_bash bash/opt-sample opt-sample --fi)" = --file ]
	[ "$(complete_bash bash/opt-sample opt-sample -m fast |
		paste -sd' ')" = "fast fastest" ]
	[ "$(complete_bash bash/opt-sample opt-sample --mode = go)" = good ]
	[ "$(complete_bash bash/opt-sample opt-sample --mode = |
		paste -sd' ')" = "fast good fastest" ]
	[ "$(complete_bash bash/opt-sample opt-sample -f g)" = go ]
	touch abc.img
	[ "$(complete_bash bash/opt-sample opt-sample --file ab)" = abc.img ]
	[ "$(complete_bash bash/opt-sample opt-sample go ab)" = abc.img ]
	[ -z "$(complete_bash bash/opt-sample opt-sample --text ab)" ]
}

@test "fish completes options, values and commands" {
	command -v fish >/dev/null || skip "fish is not installed"
	export HOME=$T XDG_DATA_HOME=$T XDG_CONFIG_HOME=$T
	SAMPLE_COMMANDS=1 "$PS_SOURCE/scripts/make-completions" -o . \
		"$PS_BUILD/tests/base/opt-sample"
	fish -c 'source fish/opt-sample.fish
		complete -C "opt-sample --fi"' >out
	grep -q -e '^--file' out
	fish -c 'source fish/opt-sample.fish
		complete -C "opt-sample --mode fa"' >out
	[ "$(cut -f 1 out | sort | paste -sd' ')" = "fast fastest" ]
	fish -c 'source fish/opt-sample.fish; complete -C "opt-sample st"' >out
	grep -q '^stop' out
}

@test "zsh completes options and values" {
	command -v zsh >/dev/null || skip "zsh is not installed"
	SAMPLE_COMMANDS=1 "$PS_SOURCE/scripts/make-completions" -o . \
		"$PS_BUILD/tests/base/opt-sample"
	# A terminal of its own, as the completion system wants one.
	cat >try.zsh <<-'END'
		zmodload zsh/zpty
		zpty z zsh -f -i
		zpty -w z "PS1=; fpath=($PWD/zsh \$fpath); autoload -U compinit"
		zpty -w z "compinit -u -D; bindkey '^I' complete-word"
		zpty -w z "zstyle ':completion:*' list-prompt ''; print re''ady"
		zpty -r -t 0 z text '*ready*'
		repeat 100; do zpty -r -m z text '*ready*' && break; sleep 0.1; done
		zpty -w -n z $'opt-sample --fil\t' 
		sleep 1
		zpty -w -n z $'x -m goo\t'
		sleep 1
		while zpty -r -t z text; do print -rn -- "$text"; done
	END
	timeout 30 zsh -f try.zsh >out 2>&1 </dev/null || true
	tr -d '\r' <out | grep -q -e '--file' || { cat -v out; false; }
	grep -q 'good' out || { cat -v out; false; }
}
