#!/bin/sh
# Makes ./configure from configure.ac; needs autoconf and automake.
cd "$(dirname "$0")" && exec autoreconf --install --force
