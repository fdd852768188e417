# Tests of the room disk.
check_PROGRAMS += tests/disk/apply-stream
tests_disk_apply_stream_SOURCES = tests/disk/apply-stream.c
