# Tests of the room vault.
UNIT_TESTS += tests/vault/test-points tests/vault/test-store \
	tests/vault/test-upload tests/vault/test-vault tests/vault/test-verify
tests_vault_test_points_SOURCES = tests/vault/test-points.c \
	tests/vault/segs.c tests/vault/segs.h
tests_vault_test_points_LDADD = $(TEST_LDADD)
tests_vault_test_store_SOURCES = tests/vault/test-store.c \
	tests/vault/segs.c tests/vault/segs.h
tests_vault_test_store_LDADD = $(TEST_LDADD)
tests_vault_test_upload_SOURCES = tests/vault/test-upload.c \
	tests/vault/segs.c tests/vault/segs.h
tests_vault_test_upload_LDADD = $(TEST_LDADD)
tests_vault_test_vault_SOURCES = tests/vault/test-vault.c \
	tests/vault/segs.c tests/vault/segs.h
tests_vault_test_vault_LDADD = $(TEST_LDADD)
tests_vault_test_verify_SOURCES = tests/vault/test-verify.c \
	tests/vault/segs.c tests/vault/segs.h
tests_vault_test_verify_LDADD = $(TEST_LDADD)
EXTRA_DIST += \
	tests/vault/restore.bats \
	tests/vault/restore-damage.bats \
	tests/vault/restore-large.bats
UNIT_TESTS += tests/vault/test-plan
tests_vault_test_plan_SOURCES = tests/vault/test-plan.c \
	tests/vault/world.c tests/vault/world.h
tests_vault_test_plan_LDADD = $(TEST_LDADD)
check_PROGRAMS += tests/vault/fix-header
tests_vault_fix_header_SOURCES = tests/vault/fix-header.c
EXTRA_DIST += tests/vault/upload.bats
EXTRA_DIST += tests/vault/vault.bats
