# Helpers of this room's bats files; loaded behind ../lib/common.
# shellcheck shell=bash

# Streams made up by the test program; see the head of make-segment.c.
make_segment() {
	"$PS_BUILD/tests/segment/make-segment" "$@"
}

# Sanitizers use memory of their own.
need_plain_build() {
	if ps-stream --version | grep -q sanitizers; then
		skip "built with sanitizers"
	fi
	command -v /usr/bin/time >/dev/null || skip "no GNU time"
}

# rss_under MIB COMMAND...: its peak memory.
rss_under() {
	local limit=$1
	shift
	/usr/bin/time -o rss -f %M "$@" >/dev/null
	if [ "$(cat rss)" -ge $((limit * 1024)) ]; then
		echo "$(cat rss) KiB: $*" >&2
		return 1
	fi
}

# change WHAT FILE [N]: forges a part of a segment file, its CRCs made right.
change() {
	perl -e '
		use strict; use warnings;
		my ($what, $name, $n) = @ARGV;
		local $/;
		open(my $f, "+<:raw", $name) or die $!;
		my $d = <$f>;

		sub crc { # CRC-32C
			my $c = 0xffffffff;
			for my $b (unpack("C*", $_[0])) {
				$c ^= $b;
				$c = $c >> 1 ^ ($c & 1 ? 0x82f63b78 : 0) for 1 .. 8;
			}
			return pack("V", $c ^ 0xffffffff);
		}
		sub stored { return unpack("V", substr($d, $_[0] + 24, 4)); }
		sub fix_record {
			my $p = $_[0];
			substr($d, $p + 28, 4) = crc(substr($d, $p + 36, stored($p)));
			substr($d, $p + 32, 4) = crc(substr($d, $p, 32));
		}
		my @records;
		for (my $p = 512; substr($d, $p, 4) =~ /^(DATA|ZERO)$/;
			$p += 36 + stored($p)) {
			push @records, $p;
		}
		if ($what eq "version") {
			substr($d, 8, 2) = pack("v", 2);
			substr($d, 508, 4) = crc(substr($d, 0, 508));
		} elsif ($what eq "record") {
			my $p = $records[$n];
			substr($d, $p + 36, 1) ^= "\1";
			fix_record($p);
		} else {
			my ($x, $y) = @records[2, 3];
			my $was = substr($d, $x + 36, stored($x));
			substr($d, $x + 36, stored($x)) =
				substr($d, $y + 36, stored($y));
			substr($d, $y + 36, stored($y)) = $was;
			fix_record($x);
			fix_record($y);
		}
		seek($f, 0, 0);
		print $f $d;
		close($f) or die $!;
	' "$@"
}

# A header of version 2 with a right CRC.
future_version() {
	change version "$1"
}

# forge_record FILE N: other data in record N, with right CRCs.
forge_record() {
	change record "$1" "$2"
}

# The payloads of the third and fourth record change places, CRCs are right.
swap_records() {
	change swap "$1"
}
