# Snapshot providers and hooks, run by ps-agent; ps-provider(7).
providersdir = $(pkglibexecdir)/providers
dist_providers_SCRIPTS = providers/none providers/lvm providers/lvm-thin providers/btrfs providers/zfs \
	providers/qemu providers/libvirt providers/fsfreeze
dist_providers_DATA = providers/common.bash providers/libvirt.bash providers/lvm.bash providers/qmp.bash \
	providers/zfs.bash providers/freeze-guard.bash providers/thaw-guard.bash

hooksdir = $(pkglibexecdir)/hooks
dist_hooks_SCRIPTS = hooks/mariadb hooks/postgresql
