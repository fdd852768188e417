#!/usr/bin/env bats
# heavy: builds packages
# Debian packages: built, looked at by lintian, installed in a Debian of their
# own that is booted with systemd, used, upgraded, removed and purged.
# Minutes, and the network: only with PS_LONG=1.
load ../lib/common
load ../lib/style

CACHE=${PS_PACKAGE_CACHE:-/var/tmp/ps-toolkit-debian}

prepare() {
	[ -n "${PS_LONG:-}" ] || skip "takes minutes: PS_LONG=1"
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	need dpkg-buildpackage
	need lintian
	need debootstrap
	need systemd-nspawn
}

# Kept outside of the checkout for the next time.
fresh_debian() {
	[ -e "$CACHE/made" ] || {
		rm -rf "$CACHE"
		debootstrap --variant=minbase \
			--include=systemd,systemd-sysv,dbus,cron,adduser,procps,jq,util-linux \
			bookworm "$CACHE" >debootstrap.log 2>&1
		touch "$CACHE/made"
	}
	cp -a "$CACHE" machine
}

# The same packages with a higher version.
newer() { # DEB
	dpkg-deb -R "$1" unpacked
	sed -i 's/^Version: .*/&+1/; s/\(ps-toolkit-agent (= [^)]*\))/\1+1)/' \
		unpacked/DEBIAN/control
	mkdir -p machine/root/newer
	dpkg-deb -b unpacked machine/root/newer/ >/dev/null
	rm -rf unpacked
}

inside() { chroot machine env DEBIAN_FRONTEND=noninteractive "$@"; }

@test "packages are built, clean, and live through all of their life" {
	"$PS_SOURCE/scripts/package" -o "$T/out" deb tarball
	ls out/*.tar.gz
	lintian --fail-on error out/*.deb >lintian.log || { cat lintian.log; false; }
	fresh_debian
	for deb in out/*.deb; do newer "$deb"; done
	cp out/*.deb machine/root/
	cp /etc/resolv.conf machine/etc/resolv.conf
	inside apt-get -q update >log
	inside sh -c 'apt-get -qy --no-install-recommends install /root/*.deb' >log 2>&1 ||
		{ cat log; false; }
	# Again, and when it was never configured: nothing runs.
	inside sh -c 'dpkg -i /root/*.deb' >log 2>&1
	inside ps-agent --version
	cp "$PS_SOURCE/tests/package/inside" machine/root/inside
	cat >machine/etc/systemd/system/inside.service <<-END
		[Service]
		Type=oneshot
		ExecStart=/root/inside
		StandardOutput=file:/root/log
		StandardError=file:/root/log
		ExecStopPost=/bin/systemctl --no-block poweroff
	END
	ln -s ../inside.service machine/etc/systemd/system/multi-user.target.wants/
	local ours="landlock_create_ruleset landlock_add_rule landlock_restrict_self"
	timeout -k 10 400 systemd-nspawn -q -D machine --register=no --keep-unit \
		--private-network --system-call-filter="$ours" --boot </dev/null >boot.log 2>&1 || true
	grep -qx 'all is well' machine/root/log || { cat machine/root/log; false; }
}
