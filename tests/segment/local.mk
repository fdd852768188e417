# Tests of the room segment.
UNIT_TESTS += tests/segment/test-reader
tests_segment_test_reader_SOURCES = tests/segment/test-reader.c \
	tests/segment/sample.c tests/segment/sample.h
tests_segment_test_reader_LDADD = $(TEST_LDADD)

# Streams of segments for tests of every room: see the head of the file.
check_PROGRAMS += tests/segment/make-segment
tests_segment_make_segment_SOURCES = tests/segment/make-segment.c

UNIT_TESTS += tests/segment/test-object
tests_segment_test_object_SOURCES = tests/segment/test-object.c \
	tests/segment/sample.c tests/segment/sample.h
tests_segment_test_object_LDADD = $(TEST_LDADD)

UNIT_TESTS += tests/segment/test-codec tests/segment/test-seal \
	tests/segment/test-keyring tests/segment/test-damage \
	tests/segment/test-lies
tests_segment_test_codec_SOURCES = tests/segment/test-codec.c
tests_segment_test_codec_LDADD = $(TEST_LDADD)
tests_segment_test_seal_SOURCES = tests/segment/test-seal.c
tests_segment_test_seal_LDADD = $(TEST_LDADD)
tests_segment_test_keyring_SOURCES = tests/segment/test-keyring.c
tests_segment_test_keyring_LDADD = $(TEST_LDADD)
tests_segment_test_damage_SOURCES = tests/segment/test-damage.c \
	tests/segment/run.c tests/segment/run.h \
	tests/segment/sample.c tests/segment/sample.h
tests_segment_test_damage_LDADD = $(TEST_LDADD)
tests_segment_test_lies_SOURCES = tests/segment/test-lies.c \
	tests/segment/run.c tests/segment/run.h \
	tests/segment/sample.c tests/segment/sample.h
tests_segment_test_lies_LDADD = $(TEST_LDADD)
EXTRA_DIST += tests/segment/common.bash tests/segment/compress.bats \
	tests/segment/encrypt.bats tests/segment/stream.bats
UNIT_TESTS += tests/segment/test-words
tests_segment_test_words_SOURCES = tests/segment/test-words.c
tests_segment_test_words_LDADD = $(TEST_LDADD)
