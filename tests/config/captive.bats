#!/usr/bin/env bats
# The process that has the registry, taken over: what it cannot do.
load ../lib/common
load config
load captive

@test "the desk of SQLite has the folder of the registry, and nothing else" {
	can_capture
	registry
	(umask 077 && ps-config passphrase new >first)
	serve_captive
	echo other >secret
	done_there open "$T/config/registry.db"
	not_done open /etc/passwd
	not_done open "$T/secret"
	not_done open "$T/first"
	not_done open /proc/self/maps
	not_done open "$T/config/../secret"
	not_done make "$T/new"
	not_done wx
	[ ! -e new ]
	dies connect "$(cat port)"
	dies exec /bin/true
	dies fork
	dies ptrace "$SERVER"
	dies kill "$SERVER"
	# And the registry is as it was.
	ps-config policy add gold
}
