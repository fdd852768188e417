# Unit tests are built by `make check`; scripts/check runs everything.
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
endif
EXTRA_DIST += tests/fuzz/fuzz-reader.c
