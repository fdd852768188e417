# Unit tests are built by `make check`; scripts/check runs everything.
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
endif

# After all, not beside it: both would write the library.
build-tests: all
	@$(MAKE) $(AM_MAKEFLAGS) $(check_PROGRAMS)
list-unit-tests:
	@echo $(UNIT_TESTS)
list-programs:
	@echo $(bin_PROGRAMS)
.PHONY: build-tests list-unit-tests list-programs

check-local: all
	PS_BUILD=$(abs_top_builddir) $(SHELL) $(srcdir)/scripts/run-tests

# Static checks and what all tests share.
EXTRA_DIST += tests/style.bats tests/tidy.bats tests/lib/common.bash tests/lib/chain.bash tests/lib/style.bash tests/lib/parse-nagios.pl \
	tests/lib/guest tests/lib/tidy

EXTRA_DIST += scripts/check scripts/install-packages scripts/install-peers \
	scripts/make-completions scripts/package scripts/quickstart scripts/run-test \
	scripts/run-tests

EXTRA_DIST += bench/compare bench/line
EXTRA_DIST += bench/agents bench/heartbeats bench/compare bench/rpo bench/stores bench/sink.c \
	bench/peers/package.json bench/peers/package-lock.json

EXTRA_DIST += tests/fuzz/fuzz-reader.c tests/fuzz/fuzz-config-api.c

# What clang-tidy found clean is remembered there.
clean-local:
	-rm -rf tidy
