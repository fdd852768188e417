# Talks to QEMU's monitor (QMP, one JSON object a line) through a socket.
# For the provider qemu.
# shellcheck shell=bash

# Connects to PS_SOURCE. 1: nobody listens there.
qmp_open() {
	local line
	[ -S "$PS_SOURCE" ] || return 1
	coproc QMP { exec socat -t 0.1 - "UNIX-CONNECT:$PS_SOURCE" 2>/dev/null 9>&-; }
	exec 3<&"${QMP[0]}" 4>&"${QMP[1]}"
	trap '' PIPE
	QMP_ERROR_FILE=$RUN/$PS_MACHINE.$PS_DISK.qmp
	# Greeting first: a second client of one monitor gets none.
	if ! IFS= read -r -t "$(left)" line <&3; then
		if kill "${QMP_PID:-}" 2>/dev/null; then
			die 75 "$PS_SOURCE: the monitor is in use or hangs"
		fi
		return 1
	fi
	[[ $line == '{"QMP":'* ]] || die 78 "$PS_SOURCE: no QMP monitor"
	qmp qmp_capabilities >/dev/null || die 76 "$PS_SOURCE: $(qmp_error)"
}

# qmp COMMAND [ARGUMENTS]: prints what it returns; 1: refused, and
# $QMP_ERROR_FILE says why (this may run in a subshell). The arguments are JSON
# on one line. QEMU's answers have one key as long as no request has an id, so
# their beginning tells what they are; all else that comes are events.
qmp() {
	local line
	printf '{"execute": "%s"%s}\n' "$1" "${2:+, \"arguments\": $2}" >&4
	while IFS= read -r -t "$(left)" line <&3; do
		line=${line%$'\r'}
		case $line in
		'{"return":'*'}')
			line=${line#'{"return":'}
			printf '%s\n' "${line%\}}"
			return 0
			;;
		'{"error":'*)
			printf '%s\n' "$line" >"$QMP_ERROR_FILE"
			return 1
			;;
		esac
	done
	die 75 "$PS_SOURCE: no answer to $1"
}

qmp_error() { jq -r .error.desc "$QMP_ERROR_FILE"; }

# qmp_gone QUERY FILTER NAME: waits until the query's answer has no NAME.
qmp_gone() {
	while [ "$(qmp "$1" | jq -r --arg n "$3" "any(.[]; $2 == \$n)")" = true ]; do
		[ "$SECONDS" -lt "$PS_TIMEOUT" ] || return 1
		sleep 0.05
	done
}
