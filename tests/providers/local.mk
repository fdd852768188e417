# Tests of the snapshot providers and hooks.
EXTRA_DIST += tests/providers/providers.bash tests/providers/stand-in
EXTRA_DIST += tests/providers/btrfs.bats
EXTRA_DIST += tests/providers/contract.bats
EXTRA_DIST += tests/providers/fsfreeze.bats
EXTRA_DIST += tests/providers/hooks.bats
EXTRA_DIST += tests/providers/libvirt.bats
EXTRA_DIST += tests/providers/qemu.bats
EXTRA_DIST += tests/providers/volumes.bats
EXTRA_DIST += tests/providers/zfs-2.1.11/dump.2 tests/providers/zfs-2.1.11/differ.2
EXTRA_DIST += tests/providers/zfs-2.1.11/dump.3 tests/providers/zfs-2.1.11/differ.3
EXTRA_DIST += tests/providers/zfs-2.1.11/dump.4 tests/providers/zfs-2.1.11/differ.4
