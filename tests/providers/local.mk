# Tests of the snapshot providers and hooks.
EXTRA_DIST += tests/providers/providers.bash tests/providers/stand-in
EXTRA_DIST += tests/providers/btrfs.bats
EXTRA_DIST += tests/providers/contract.bats
EXTRA_DIST += tests/providers/fsfreeze.bats
EXTRA_DIST += tests/providers/hooks.bats
EXTRA_DIST += tests/providers/libvirt.bats
EXTRA_DIST += tests/providers/qemu.bats
EXTRA_DIST += tests/providers/volumes.bats
