#!/usr/bin/env bats
# heavy: builds packages
# Machines of our own that are booted with systemd: see tests/package/real.
# Minutes, and the network: only with PS_LONG=1.
load ../lib/common
load ../lib/style

CACHE=${PS_PACKAGE_CACHE:-/var/tmp/ps-toolkit-debian}-real

prepare() {
	[ -n "${PS_LONG:-}" ] || skip "takes minutes: PS_LONG=1"
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	need dpkg-buildpackage
	need debootstrap
	need systemd-nspawn
	need gcc
	need faketime
	need openssl
}

# Kept outside of the checkout for the next time; our packages need some of it.
debian() {
	[ -e "$CACHE/made" ] || {
		rm -rf "$CACHE"
		debootstrap --variant=minbase \
			--include=systemd,systemd-sysv,dbus,cron,adduser,procps,jq,util-linux,firewalld,nftables,iptables,python3-nftables,mariadb-server,iproute2,logrotate,btrfs-progs,openssl \
			bookworm "$CACHE" >debootstrap.log 2>&1
		touch "$CACHE/made"
	}
	cp -a "$CACHE" base
	cp debs/*.deb base/root/
	cp /etc/resolv.conf base/etc/resolv.conf
	chroot base apt-get -q update >log
	# What they depend on, without them: machines install them by themselves.
	chroot base sh -ec 'DEBIAN_FRONTEND=noninteractive
		export DEBIAN_FRONTEND
		apt-get -qy --no-install-recommends install /root/*.deb
		dpkg -P ps-toolkit ps-toolkit-agent' >log 2>&1 || {
		cat log
		false
	}
	rm base/root/*.deb
	chroot base systemctl -q enable systemd-networkd
	chroot base systemctl -q disable mariadb firewalld nftables
	chroot base systemctl -q mask systemd-networkd-wait-online
}

@test "what administrators meet on real machines is found, and what is said helps" {
	if [ -n "${PS_PACKAGES:-}" ]; then
		cp -r "$PS_PACKAGES" debs
	else
		"$PS_SOURCE/scripts/package" -o "$T/debs" deb tarball >log
	fi
	debian
	gcc -static -O2 -o listener "$PS_SOURCE/tests/package/listener.c"
	faketime '400 days ago' openssl req -x509 -newkey ec -pkeyopt \
		ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=ps \
		-keyout expired.key -out expired.pem 2>/dev/null
	cp -r "$PS_SOURCE/tests/store" store
	truncate -s 300M disk
	local code=0
	timeout -k 30 900 unshare -n "$PS_SOURCE/tests/package/real" >table 2>&1 ||
		code=$?
	sed 's/^/# /' table >&3
	[ "$code" -eq 0 ]
	grep -qx 'all is well' table
}
