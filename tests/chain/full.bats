#!/usr/bin/env bats
# No room: in the cache, in the vault, on standard output. Nothing is half
# written, nothing is acknowledged that is not there, and it goes on by itself.
load ../lib/common
load ../lib/chain

prepare() {
	MOUNTED=()
	new_server
	random_file disk.img 2000000
	truncate -s 8M disk.img
}

cleanup() {
	stop_all
	local dir
	for dir in "${MOUNTED[@]}"; do umount -l "$dir"; done
}

# small DIR SIZE: DIR becomes a file system of this size.
small() {
	[ "$(id -u)" -eq 0 ] || skip "only root can mount"
	mkdir -p "$1"
	mount -t tmpfs -o "size=$2" tmpfs "$1" 2>/dev/null ||
		skip "mounting is not permitted here"
	MOUNTED+=("$1")
}

pass_works() { pass m d disk.img "$@" 2>>source.err; }

@test "a full cache holds the source back until it has drained" {
	rm -rf s1/cache
	small "$T/s1/cache" 6m
	ps-cache init --keep-free 0 --keep-free-initial 0 -C s1/cache
	receive
	pass m d disk.img s1 --bookmark b1
	random_file disk.img 6000000 2 # more than there is room for
	truncate -s 8M disk.img
	! pass m d disk.img s1 --bookmark b2 --segment-size 1M 2>err || false
	ps-cache verify -C s1/cache
	[ -z "$(find s1/cache -name '.tmp*')" ]
	[ ! -e s1/cache/failed ]
	grep -q $'\t507\t' s1/cache/.log/cxps.xfer
	# The chain drains it, and the source gets through.
	pipeline
	wait_for pass_works s1 --bookmark b3 --segment-size 1M
	wait_for point_exists m b3
	[ "$(restored_sum m d b3)" = "$(sha256sum <disk.img | cut -d' ' -f 1)" ]
}

@test "a full vault stops the upload and it goes on when there is room" {
	rm -rf vault
	small "$T/vault" 1m
	ps-vault init vault >/dev/null
	receive
	pipeline
	pass m d disk.img s1 --bookmark b1
	wait_for grep -q 'again in' s1/pipeline.err
	grep -q 'No space left' s1/pipeline.err
	[ "$(vault_seq m d)" = 0 ]
	! grep -q '^stored' s1/acks || false
	mount -o remount,size=64m "$T/vault"
	wait_for point_exists m b1
	[ -z "$(find vault -name '.tmp*')" ] # swept when it began again
	[ "$(restored_sum m d b1)" = "$(sha256sum <disk.img | cut -d' ' -f 1)" ]
}

@test "a full disk under the restore leaves no file that looks complete" {
	ps-scan --machine m --disk d --map d.map disk.img 2>/dev/null |
		ps-upload vault >/dev/null 2>&1
	small "$T/small" 1m
	fails_with 75 ps-restore vault --machine m --disk d -o small/out.img
	grep -q 'not enough room' err
	fails_with 75 ps-restore vault --machine m --disk d -o small/out.img \
		--force
	grep -q 'No space left' err
	[ -z "$(ls -A small)" ]
}

# full_stdout COMMAND...: fails, says so once, and does not crash.
full_stdout() {
	local code=0
	timeout 20 "$@" >/dev/full 2>err || code=$?
	if [ "$code" -eq 0 ] || [ "$code" -gt 78 ] ||
		[ "$(grep -c 'No space left' err)" -ne 1 ]; then
		echo "exit $code: $*" >&2
		cat err >&2
		return 1
	fi
}

@test "/dev/full on standard output is an error of every tool that writes there" {
	ps-scan --machine m --disk d --map d.map disk.img >d.seg 2>/dev/null
	ps-scan --machine m --disk e --map e.map disk.img >e.seg 2>/dev/null
	ps-upload vault <d.seg >d.acks 2>/dev/null
	ps-compress <d.seg >d.comp
	ps-encrypt -k vault.key <d.seg >d.sealed
	ps-cache put -C s1/cache <d.seg >/dev/null

	full_stdout ps-scan --machine m --disk f --map f.map disk.img
	full_stdout ps-scan --digest disk.img
	full_stdout ps-scan --status --map d.map
	full_stdout ps-scan --commit --map d.map <d.acks
	full_stdout ps-compress <d.seg
	full_stdout ps-compress -d <d.comp
	full_stdout ps-encrypt -k vault.key <d.seg
	full_stdout ps-encrypt -k vault.key -d <d.sealed
	full_stdout ps-upload vault <e.seg
	full_stdout ps-stream list d.seg
	full_stdout ps-stream cat d.seg
	full_stdout ps-stream verify d.seg
	full_stdout ps-vault list vault
	full_stdout ps-vault stat vault --json
	full_stdout ps-vault head vault
	full_stdout ps-vault show vault --machine m
	full_stdout ps-vault verify vault
	full_stdout ps-restore vault --machine m --disk d -o -
	full_stdout ps-restore vault --machine m --disk d -o out.img
	full_stdout ps-cache list -C s1/cache
	full_stdout ps-cache stat -C s1/cache
	full_stdout ps-cache follow --once -C s1/cache
	full_stdout ps-cache cat m d 1 -C s1/cache
	full_stdout ps-cache put -C s1/cache <e.seg
	full_stdout ps-cache ack -C s1/cache <d.acks
	full_stdout ps-cache verify -C s1/cache
	full_stdout ps-pipeline --print --config s1/ps.yaml
	full_stdout cxpsclient --derive-key m -P passphrase
	receive
	client m s1 --status --machine m --disk d >/dev/null
	full_stdout cxpsclient -i 127.0.0.1 -l "$(server_port)" -P m.key \
		--status --machine m --disk d
	full_stdout cxpsclient -i 127.0.0.1 -l "$(server_port)" -P m.key \
		--put - <e.seg
	full_stdout ps-receive --config s1/ps.yaml -l 127.0.0.1:0
	for tool in $(make -s --no-print-directory -C "$PS_BUILD" list-programs); do
		full_stdout "$PS_BUILD/$tool" --help
		full_stdout "$PS_BUILD/$tool" --version
		full_stdout "$PS_BUILD/$tool" --dump-options
	done
	# What was not told to the next one is not lost to it.
	[ "$(vault_seq m e)" = 1 ]
	ps-upload vault <e.seg >e.acks
	grep -q '^stored' e.acks
}
