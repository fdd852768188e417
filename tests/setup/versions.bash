# Other versions of the toolkit, for tests. After `load ../lib/common`.
# shellcheck shell=bash

# other_version FOLDER VERSION [PROGRAM...]: a copy of the programs (and those
# more) that says so of itself.
# The version is one text of a few bytes in each program (PACKAGE_VERSION); a
# copy with another text of the same length is that version, in all it says and
# asks.
other_version() {
	local ours tool
	ours=$(unifiedsetup --version | sed -n '1s/.* //p')
	[ ${#ours} -eq ${#2} ]
	mkdir "$1"
	for tool in "${@:3}" unifiedsetup ps-config ps-service ps-receive ps-pipeline \
		ps-cache ps-compress ps-encrypt ps-upload ps-vault ps-health \
		cxpsclient; do
		LC_ALL=C sed "s/${ours//./\\.}/$2/g" "$(type -P "$tool")" \
			>"$1/$tool"
		chmod +x "$1/$tool"
		"$1/$tool" --version | grep -qF " $2"
	done
}
