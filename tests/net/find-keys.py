#!/usr/bin/env python3
"""find-keys KEY.pem PASSFILE PID: names the secrets of a server that are in
the memory of a process, one a line. Needs root."""
import base64
import hashlib
import re
import sys


def private_scalar(der):
    # SEC 1 inside PKCS#8: version 1, then the private key's 32 bytes.
    at = der.index(b"\x02\x01\x01\x04\x20") + 5
    return der[at : at + 32]


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(
        f"/proc/{pid}/mem", "rb"
    ) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if not m or "[vvar" in line or "[vsyscall" in line:
                continue
            start, end = (int(x, 16) for x in m.groups())
            mem.seek(start)
            try:
                yield mem.read(end - start)
            except OSError:
                continue


def main():
    key, passfile, pid = sys.argv[1:]
    pem = open(key).read()
    lines = [x for x in pem.splitlines() if x and "-----" not in x]
    der = base64.b64decode("".join(lines))
    scalar = private_scalar(der)
    word = open(passfile).read().strip().encode()
    root = hashlib.scrypt(
        word, salt=b"ps-toolkit login v1", n=1 << 15, r=8, p=1,
        maxmem=1 << 26, dklen=32,
    )
    wanted = {
        "key": [scalar, scalar[::-1], lines[0].encode()],
        "passphrase": [word],
        "root": [root],
    }
    found = set()
    for part in memory(pid):
        for name, patterns in wanted.items():
            if any(p in part for p in patterns):
                found.add(name)
    print("\n".join(sorted(found)), end="\n" if found else "")


main()
