# Unit tests are built by `make check`; scripts/check runs everything.
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
endif

build-tests: $(check_PROGRAMS)
list-unit-tests:
	@echo $(check_PROGRAMS)
.PHONY: build-tests list-unit-tests

check-local: all
	PS_BUILD=$(abs_top_builddir) $(SHELL) $(srcdir)/scripts/run-tests

# Static checks and what all tests share.
EXTRA_DIST += tests/style.bats tests/lib/common.bash tests/lib/style.bash \
	tests/lib/tidy

EXTRA_DIST += scripts/check scripts/install-packages scripts/run-test \
	scripts/run-tests

EXTRA_DIST += tests/fuzz/fuzz-reader.c
