/* What becomes of a segment, by its header and the head of its disk; which
 * points are remembered. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "cache/put.h"
#include "cache/tally.h"

#define A 0xaa
#define B 0xbb

struct line {
	const char *what;
	bool known, seated, held;
	uint64_t last;
	uint8_t last_fill;
	uint64_t first, seq;
	uint8_t prev_fill, kind;
	enum put_case want;
};

static const struct line table[] = {
    {"a first base on a new disk", 0, 1, 0, 0, 0, 1, 1, 0, SEG_BASE, PUT_TAKE},
    {"a merged first base", 0, 1, 0, 0, 0, 1, 9, 0, SEG_BASE, PUT_TAKE},
    {"a delta on a new disk", 0, 1, 0, 0, 0, 5, 5, A, SEG_DELTA, PUT_UNSEATED},
    {"a later base on a new disk", 0, 1, 0, 0, 0, 5, 5, A, SEG_BASE,
     PUT_UNSEATED},
    {"a first base while a seating is not done", 1, 0, 0, 0, 0, 1, 1, 0,
     SEG_BASE, PUT_UNSEATED},
    {"the next delta", 1, 1, 0, 4, A, 5, 5, A, SEG_DELTA, PUT_TAKE},
    {"the next is a new base", 1, 1, 0, 4, A, 5, 5, A, SEG_BASE, PUT_TAKE},
    {"a merged one that continues", 1, 1, 0, 4, A, 5, 8, A, SEG_DELTA,
     PUT_TAKE},
    {"a merged one that overlaps", 1, 1, 0, 4, A, 4, 8, A, SEG_DELTA,
     PUT_REFUSED},
    {"the next of another chain", 1, 1, 0, 4, A, 5, 5, B, SEG_DELTA,
     PUT_REFUSED},
    {"a gap", 1, 1, 0, 4, A, 6, 6, A, SEG_DELTA, PUT_REFUSED},
    {"the head again", 1, 1, 0, 4, A, 4, 4, B, SEG_DELTA, PUT_SEEN},
    {"an old one", 1, 1, 0, 4, A, 2, 2, B, SEG_DELTA, PUT_SEEN},
    {"the first base again", 1, 1, 0, 4, A, 1, 1, 0, SEG_BASE, PUT_SEEN},
    {"the first base on a disk seated at nothing", 1, 1, 0, 0, 0, 1, 1, 0,
     SEG_BASE, PUT_TAKE},
    {"the second on a disk seated at nothing", 1, 1, 0, 0, 0, 2, 2, A,
     SEG_DELTA, PUT_REFUSED},
    {"the next on a disk on hold", 1, 1, 1, 4, A, 5, 5, A, SEG_DELTA, PUT_HELD},
    {"the head again on a disk on hold", 1, 1, 1, 4, A, 4, 4, A, SEG_DELTA,
     PUT_HELD},
    {"anything under a damaged head", 1, 0, 1, 0, 0, 5, 5, A, SEG_DELTA,
     PUT_HELD},
    {"the last sequence there can be", 1, 1, 0, UINT64_MAX, A, 1, 1, 0,
     SEG_BASE, PUT_SEEN},
};

static void each_case_of_the_table(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		const struct line *t = &table[i];
		struct head head = {.held = t->held};
		struct put_disk d = {.known = t->known,
				     .seated = t->seated,
				     .head = &head,
				     .last = {.seq = t->last}};
		struct seg_header h = {
		    .first_seq = t->first, .seq = t->seq, .kind = t->kind};
		char reason[ACK_REASON_SIZE] = "";
		enum put_case got;

		memcpy(head.reason, "on hold", sizeof("on hold"));
		memset(d.last.digest, t->last_fill, SHA256_LEN);
		memset(h.prev, t->prev_fill, SHA256_LEN);
		got = put_judge(&d, &h, reason);
		if (got != t->want)
			fail_msg("%s: %d, not %d", t->what, got, t->want);
		if ((got == PUT_TAKE || got == PUT_SEEN) == (*reason != '\0'))
			fail_msg("%s: reason '%s'", t->what, reason);
	}
}

/* ---- points ---- */

static void add(int dirfd, uint64_t seq, uint8_t consistency)
{
	const struct seg_header h = {.first_seq = seq,
				     .seq = seq,
				     .consistency = consistency,
				     .bookmark_time =
					 (1000000 + (int64_t)seq) * NS_PER_S};
	const struct seg_trailer t = {.last_part = true};

	tally_add(dirfd, &h, &t);
}

/* The segment of the newest point up to `seq`; 0: none is known. */
static uint64_t at(int dirfd, uint64_t seq)
{
	struct tally_point p = {.seq = 0};
	struct tally t;

	assert_true(tally_read(dirfd, &t));
	if (!tally_point_at(&t, seq, &p))
		return 0;
	assert_int_equal(p.time, 1000000 + p.seq);
	return p.seq;
}

static void points_are_found_by_what_is_stored(void **state)
{
	char dir[] = "/tmp/tally.XXXXXX";
	int fd, file;
	uint64_t i, got;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	for (i = 2; i <= 1000; i++)
		add(fd, i, SEG_CONSISTENCY_CRASH);
	assert_int_equal(at(fd, 1), 0);
	for (i = 2; i <= 1000; i++) { /* of those before it is not known */
		got = at(fd, i);
		assert_int_equal(got, i > 1000 - TALLY_POINTS ? i : 0);
	}
	/* One that is crash-consistent is worth more than a newer one. */
	add(fd, 1001, SEG_CONSISTENCY_NONE);
	assert_int_equal(at(fd, UINT64_MAX), 1000);
	add(fd, 1002, SEG_CONSISTENCY_APP);
	assert_int_equal(at(fd, UINT64_MAX), 1002);
	/* Dropped by a new seat, and numbers that come again. */
	tally_forget(fd, 1000, UINT64_MAX);
	assert_int_equal(at(fd, UINT64_MAX), 999);
	add(fd, 990, SEG_CONSISTENCY_CRASH);
	assert_int_equal(at(fd, UINT64_MAX), 990);
	add(fd, 1, SEG_CONSISTENCY_NONE);
	assert_int_equal(at(fd, UINT64_MAX), 1);
	/* A file of before, and a damaged one, know none. */
	file = openat(fd, ".tally", O_WRONLY);
	assert_int_equal(pwrite(file, "x", 1, 60), 1);
	assert_int_equal(at(fd, UINT64_MAX), 0);
	assert_int_equal(ftruncate(file, 56), 0);
	assert_int_equal(at(fd, UINT64_MAX), 0);
	close(file);
	unlinkat(fd, ".tally", 0);
	close(fd);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_case_of_the_table),
	    cmocka_unit_test(points_are_found_by_what_is_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
