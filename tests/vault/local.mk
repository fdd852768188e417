# Tests of the room vault.
UNIT_TESTS += tests/vault/test-chain tests/vault/test-fence \
	tests/vault/test-plan tests/vault/test-points \
	tests/vault/test-restore-damage tests/vault/test-store \
	tests/vault/test-upload tests/vault/test-vault tests/vault/test-verify
vault_segs = tests/vault/segs.c tests/vault/segs.h
vault_place = $(vault_segs) tests/vault/place.c tests/vault/place.h
vault_trial = tests/vault/trial.c tests/vault/trial.h \
	tests/vault/world.c tests/vault/world.h
tests_vault_test_chain_SOURCES = tests/vault/test-chain.c $(vault_place)
tests_vault_test_chain_LDADD = $(TEST_LDADD)
tests_vault_test_fence_SOURCES = tests/vault/test-fence.c $(vault_place)
tests_vault_test_fence_LDADD = $(TEST_LDADD)
tests_vault_test_plan_SOURCES = tests/vault/test-plan.c $(vault_trial)
tests_vault_test_plan_LDADD = $(TEST_LDADD)
tests_vault_test_points_SOURCES = tests/vault/test-points.c $(vault_segs)
tests_vault_test_points_LDADD = $(TEST_LDADD)
tests_vault_test_restore_damage_SOURCES = \
	tests/vault/test-restore-damage.c $(vault_trial)
tests_vault_test_restore_damage_LDADD = $(TEST_LDADD)
tests_vault_test_store_SOURCES = tests/vault/test-store.c $(vault_segs)
tests_vault_test_store_LDADD = $(TEST_LDADD)
tests_vault_test_upload_SOURCES = tests/vault/test-upload.c $(vault_place)
tests_vault_test_upload_LDADD = $(TEST_LDADD)
tests_vault_test_vault_SOURCES = tests/vault/test-vault.c $(vault_place)
tests_vault_test_vault_LDADD = $(TEST_LDADD)
tests_vault_test_verify_SOURCES = tests/vault/test-verify.c $(vault_segs)
tests_vault_test_verify_LDADD = $(TEST_LDADD)
EXTRA_DIST += \
	tests/vault/restore.bats \
	tests/vault/restore-damage.bats \
	tests/vault/restore-large.bats
check_PROGRAMS += tests/vault/fix-header
tests_vault_fix_header_SOURCES = tests/vault/fix-header.c
EXTRA_DIST += tests/vault/upload.bats
EXTRA_DIST += tests/vault/copy.bats
EXTRA_DIST += tests/vault/vault.bats
UNIT_TESTS += tests/vault/test-s3-sign
tests_vault_test_s3_sign_SOURCES = tests/vault/test-s3-sign.c
tests_vault_test_s3_sign_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/vault/test-azblob
tests_vault_test_azblob_SOURCES = tests/vault/test-azblob.c
tests_vault_test_azblob_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/vault/azblob.bats tests/vault/azurite.bash \
	tests/vault/entra.py \
	tests/peers/package.json tests/peers/package-lock.json
check_PROGRAMS += tests/vault/list-store
tests_vault_list_store_SOURCES = tests/vault/list-store.c
EXTRA_DIST += tests/vault/rate.bats
UNIT_TESTS += tests/vault/test-parts tests/vault/test-queue
tests_vault_test_parts_SOURCES = tests/vault/test-parts.c
tests_vault_test_parts_LDADD = $(TEST_LDADD)
tests_vault_test_queue_SOURCES = tests/vault/test-queue.c $(vault_place)
tests_vault_test_queue_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/vault/kit.bats
