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

# A program in Python over the bytes `d` of a file; crc(d) is CRC-32C.
change() {
	python3 - "$@" <<'PY'
import struct, sys

def crc(data):
    c = 0xffffffff
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff

def fix_record(d, p):
    n = struct.unpack_from('<I', d, p + 24)[0]
    struct.pack_into('<I', d, p + 28, crc(d[p + 36:p + 36 + n]))
    struct.pack_into('<I', d, p + 32, crc(d[p:p + 32]))

def records(d):
    p = 512
    while d[p:p + 4] in (b'DATA', b'ZERO'):
        yield p
        p += 36 + struct.unpack_from('<I', d, p + 24)[0]

what, name = sys.argv[1:3]
d = bytearray(open(name, 'rb').read())
if what == 'version':
    struct.pack_into('<H', d, 8, 2)
    struct.pack_into('<I', d, 508, crc(d[:508]))
elif what == 'record':
    p = list(records(d))[int(sys.argv[3])]
    d[p + 36] ^= 1
    fix_record(d, p)
elif what == 'swap':
    a, b = list(records(d))[2:4]
    n = struct.unpack_from('<I', d, a + 24)[0]
    d[a + 36:a + 36 + n], d[b + 36:b + 36 + n] = \
        d[b + 36:b + 36 + n], d[a + 36:a + 36 + n]
    fix_record(d, a)
    fix_record(d, b)
open(name, 'wb').write(d)
PY
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
