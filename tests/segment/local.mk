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
