# A registry for tests of ps-config. After `load ../lib/common`.
# shellcheck shell=bash

# use DIR: the registry that is meant from now on
use() {
	export PS_CONFIG_DIR=$1
}

# registry: an empty one in SQLite
registry() {
	use "$T/config"
	ps-config init
}

# answer FILTER ARGS...: what ps-config says in JSON
answer() {
	local filter=$1
	shift
	ps-config "$@" --json | jq -rc "$filter"
}

# protected: one machine with all that it needs
protected() {
	ps-config policy add gold --multi-vm yes
	ps-config server add ps1 --address 192.0.2.1
	ps-config server add mt1 --role mt --address mt1.example --port 9444
	ps-config machine add web01 --policy gold --server ps1 --target mt1 \
		--vault s3://bucket/site --recovered-name web01-dr \
		--recovered-size '4 vCPU' --recovered-network 'grün'
	ps-config machine disk web01 root --size 40G
	ps-config machine enable web01
}
