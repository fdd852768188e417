# Tests of the room vault.
UNIT_TESTS += tests/vault/test-plan
tests_vault_test_plan_SOURCES = tests/vault/test-plan.c \
	tests/vault/world.c tests/vault/world.h
tests_vault_test_plan_LDADD = $(TEST_LDADD)
EXTRA_DIST += \
	tests/vault/restore.bats \
	tests/vault/restore-damage.bats \
	tests/vault/restore-large.bats
