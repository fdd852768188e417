# Tests of the room pipeline.
UNIT_TESTS += tests/pipeline/test-verdict
tests_pipeline_test_verdict_SOURCES = tests/pipeline/test-verdict.c
tests_pipeline_test_verdict_LDADD = $(TEST_LDADD)
UNIT_TESTS += tests/pipeline/test-gauge
tests_pipeline_test_gauge_SOURCES = tests/pipeline/test-gauge.c
tests_pipeline_test_gauge_LDADD = $(TEST_LDADD)

EXTRA_DIST += tests/pipeline/pipeline.bats tests/pipeline/several.bats
UNIT_TESTS += tests/pipeline/test-vaults
tests_pipeline_test_vaults_SOURCES = tests/pipeline/test-vaults.c
tests_pipeline_test_vaults_LDADD = $(TEST_LDADD)
