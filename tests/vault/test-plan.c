/* The restore planner and engine, against a model of the disk. */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/io.h"
#include "vault/plan.h"
#include "trial.h"

/* ---- restores ---- */

/* Copies a FIFO into a file, zeros as holes. */
static void *reader(void *arg)
{
	char out_path[80];
	uint8_t *buf = malloc(MIB);
	int in = open(trial_path, O_RDONLY), out;
	uint64_t pos = 0;
	ssize_t n;

	(void)arg;
	snprintf(out_path, sizeof(out_path), "%s.copy", trial_path);
	out = open(out_path, O_RDWR | O_CREAT, 0600);
	while ((n = io_read_full(in, buf, MIB)) > 0) {
		if (!bytes_all_zero(buf, (size_t)n))
			io_pwrite_full(out, buf, (size_t)n, pos);
		pos += (uint64_t)n;
	}
	if (ftruncate(out, (off_t)pos) < 0)
		abort();
	close(in);
	free(buf);
	unlink(out_path);
	return (void *)(intptr_t)out;
}

static void check_stream(uint64_t seq, uint32_t limit)
{
	struct restore_result res;
	struct err e = {0};
	pthread_t thread;
	void *fd;
	int rc;

	assert_int_equal(mkfifo(trial_path, 0600), 0);
	pthread_create(&thread, NULL, reader, NULL);
	rc = trial_run(trial_path, seq, limit, &res, &e);
	pthread_join(thread, &fd);
	unlink(trial_path);
	if (rc != 0)
		fail_msg("%s", e.msg);
	world_compare(&world, seq, (int)(intptr_t)fd);
	close((int)(intptr_t)fd);
}

/* ---- bitmap ---- */

static void test_bitmap(void **state)
{
	enum { N = 1000 };
	uint8_t model[N] = {0};
	struct bitmap b;
	unsigned i, k;

	(void)state;
	assert_int_equal(bitmap_new(&b, N, NULL), 0);
	for (k = 0; k < 300; k++) {
		uint64_t first = trial_number(N),
			 n = trial_number(N - first + 1), fresh_bits;
		uint64_t end = first + n, want = 0, x;

		if (k % 50 == 49) {
			bitmap_clear(&b, end);
			memset(model, 0, end);
		}
		for (i = 0; k % 3 == 0 && i < n % 90; i++) {
			want += !model[first + i];
			model[first + i] = 1;
		}
		fresh_bits = k % 3 == 0 ? bitmap_set(&b, first, n % 90) : 0;
		assert_int_equal(fresh_bits, want);
		for (x = first; x < end && model[x]; x++)
			;
		assert_int_equal(bitmap_next_clear(&b, first, end), x);
		for (x = first; x < end && !model[x]; x++)
			;
		assert_int_equal(bitmap_next_set(&b, first, end), x);
		for (want = 0, i = 0; i < end; i++)
			want += model[i];
		assert_int_equal(bitmap_count(&b, end), want);
	}
	bitmap_free(&b);
}

/* ---- round trips ---- */

static void test_sizes(void **state)
{
	static const uint64_t sizes[] = {0,
					 1,
					 511,
					 512,
					 4095,
					 4096,
					 4097,
					 65535,
					 65536,
					 MIB - 1,
					 MIB,
					 MIB + 1,
					 MIB + 4096 - 1,
					 3 * MIB + 5,
					 5 * MIB + 8192};
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		if (i > 0)
			world_free(&world);
		world_new(&world, 4096, sizes[i]);
		trial_segment(sizes[i], SEG_BASE, 3, 100);
		trial_segment(sizes[i], SEG_DELTA, 2, 20);
		trial_check(2, 0);
		check_stream(2, 0);
		trial_check(1, 0);
	}
	/* world of the last one is freed by the teardown */
}

static void test_random_chains(void **state)
{
	unsigned round, i;

	(void)state;
	for (round = 0; round < 25; round++) {
		if (round > 0)
			world_free(&world);
		world_new(&world, 4096u << trial_number(3), 8 * MIB);
		world.record_blocks =
		    1 + (uint32_t)trial_number(world.record_blocks);
		for (i = 0; i < 8; i++)
			trial_segment(8 * MIB - 777,
				      i == 0 || i == 5 ? SEG_BASE : SEG_DELTA,
				      (unsigned)trial_number(20),
				      1 + trial_number(300));
		/* A base in the middle: what was before counts as zero. */
		for (i = 0; i < world.blocks; i++)
			if (!world.touched[6][i])
				world.states[6][i] = 0;
		trial_check(5, 0);
		check_stream(4, 0);
	}
}

static void test_grown_disk(void **state)
{
	(void)state;
	world_new(&world, 4096, 64 * KIB);
	world_begin(&world, 10 * KIB + 100); /* its tail block is short */
	world_write(&world, 0, 3, 7);
	world_end(&world, SEG_BASE, true);
	/* It is not sent again: behind its old end it is zero. */
	world.tail_block = 2;
	world.tail_len = 2 * KIB + 100;
	world_begin(&world, 30 * KIB);
	world_write(&world, 5, 2, 9);
	world_end(&world, SEG_DELTA, true);
	trial_check(1, 0);
	trial_check(2, 0);
	check_stream(2, 0);
}

/* ---- the plan ---- */

static void plan_of(struct plan *p, struct chain *c, uint64_t seq)
{
	assert_int_equal(
	    chain_survey(c, &world.vault, "web01", "root", seq, NULL, NULL), 0);
	plan_init(p, 0);
	assert_int_equal(plan_window(p, c, 0, NULL), 0);
}

static void test_newest_wins(void **state)
{
	struct chain c;
	struct plan p;

	(void)state;
	world_new(&world, 4096, 40 * 4096);
	world_begin(&world, 40 * 4096);
	world_write(&world, 0, 10, 1);	/* wholly superseded below */
	world_write(&world, 20, 10, 2); /* cut into two runs */
	world_end(&world, SEG_BASE, true);
	world_begin(&world, 40 * 4096);
	world_write(&world, 0, 10, 3);
	world_write(&world, 24, 2, 4);
	world_write(&world, 26, 1, 0);
	world_end(&world, SEG_DELTA, true);
	plan_of(&p, &c, 2);
	assert_int_equal(p.nitems, 4);
	assert_int_equal(p.items[0].object, 0);
	assert_int_equal(p.items[0].count, 10);
	assert_int_equal(p.items[1].count, 2);
	assert_int_equal(p.items[2].object, 1);
	assert_int_equal(p.items[2].first, 0);
	assert_int_equal(p.items[2].count, 4);
	assert_int_equal(p.items[3].first, 7);
	assert_int_equal(p.items[3].count, 3);
	assert_int_equal(p.data_bytes, 19 * 4096);
	plan_free(&p);
	chain_free(&c);
}

static void test_reads_only_what_it_needs(void **state)
{
	struct restore_result res;
	struct err e = {0};

	(void)state;
	world_new(&world, 4096, 8 * MIB);
	world_begin(&world, 8 * MIB);
	world_write(&world, 0, 2048, 1);
	world_end(&world, SEG_BASE, true);
	world_begin(&world, 8 * MIB);
	world_write(&world, 0, 1792, 2); /* seven records of eight */
	world_end(&world, SEG_DELTA, true);
	world_begin(&world, 8 * MIB);
	world_write(&world, 1024, 1024, 0);
	world_end(&world, SEG_DELTA, true);
	assert_int_equal(trial_run(NULL, 3, 0, &res, &e), 0);
	/* Four records of the second segment; none of the first. */
	assert_int_equal(res.fetched_bytes, 4 * (MIB + SEG_RECORD_LEN));
	assert_int_equal(res.data_bytes, 4 * MIB);
}

/* ---- windows ---- */

/* Every group digest and every item, whatever the limit. */
static void test_windows_agree(void **state)
{
	static const uint32_t limits[] = {8, 50, 1000};
	uint8_t whole[8 * SHA256_LEN], parts[8 * SHA256_LEN];
	struct chain c;
	struct plan p;
	unsigned i;

	(void)state;
	world_new(&world, 65536, 8 * GIB);
	for (i = 0; i < 4; i++)
		trial_segment(8 * GIB - 12345, i == 0 ? SEG_BASE : SEG_DELTA,
			      40, 60);
	/* Records that cross the border of a group. */
	world_begin(&world, 8 * GIB - 12345);
	world_write(&world, GIB / 65536 - 5, 10, 77);
	world_write(&world, 4 * GIB / 65536 - 1, 2, 78);
	world_end(&world, SEG_DELTA, true);
	plan_of(&p, &c, 5);
	assert_int_equal(p.end, 8 * GIB - 12345);
	assert_int_equal(plan_group_digests(&p, whole, NULL), 0);
	plan_free(&p);
	for (i = 0; i < 3; i++) {
		uint64_t at = 0, windows = 0;

		plan_init(&p, limits[i]);
		memset(parts, 0, sizeof(parts));
		for (; at < c.disk_size; at = p.end, windows++) {
			assert_int_equal(plan_window(&p, &c, at, NULL), 0);
			assert_true(p.start == at && p.end > at);
			assert_true(p.nitems <= limits[i] || p.end - at <= GIB);
			assert_int_equal(plan_group_digests(&p, parts, NULL),
					 0);
		}
		assert_true(limits[i] > 500 ? windows == 1 : windows > 1);
		assert_memory_equal(whole, parts, sizeof(whole));
		plan_free(&p);
	}
	chain_free(&c);
}

static void test_restore_in_windows(void **state)
{
	unsigned i;

	(void)state;
	world_new(&world, 65536, 3 * GIB);
	for (i = 0; i < 4; i++)
		trial_segment(3 * GIB - 4097, i == 0 ? SEG_BASE : SEG_DELTA, 12,
			      20);
	trial_check(4, 10);
	check_stream(4, 10);
}

/* More objects than may be open at a time, each needed in every window. */
static void test_long_chain(void **state)
{
	unsigned i;

	(void)state;
	world_new(&world, 4096, 2 * MIB);
	for (i = 0; i < 1150; i++) {
		world_begin(&world, 2 * MIB);
		world_write(&world, i % 512, 1, (uint8_t)(1 + i % 250));
		world_write(&world, trial_number(512), 1, (uint8_t)(i % 250));
		world_end(&world, i == 0 ? SEG_BASE : SEG_DELTA, true);
	}
	trial_check(1150, 0);
	check_stream(1150, 0);
}

/* ---- merged objects and retention ---- */

static void test_merged(void **state)
{
	(void)state;
	trial_five();
	world_merge(&world, 2, 4, SEG_DELTA);
	trial_check(5, 0);
	world_remove(&world, 4, 4);
	world_remove(&world, 3, 3);
	world_remove(&world, 2, 2);
	trial_check(5, 0);
	trial_check(4, 0);
	trial_check(1, 0);
	trial_must_fail(3, PS_NO);
	world_merge(&world, 1, 4, SEG_BASE);
	trial_check(5, 0);
	check_stream(4, 0);
}

/* The widest cover leads nowhere: a narrower one is taken. */
static void test_dead_end(void **state)
{
	(void)state;
	trial_five();
	world_merge(&world, 3, 4, SEG_DELTA);
	world_merge(&world, 1, 3, SEG_BASE);
	world_remove(&world, 2, 2);
	world_remove(&world, 1, 1);
	trial_check(5, 0);
	world_remove(&world, 1, 3);
	trial_must_fail(5, PS_NO);
}

static void retention(struct world *w)
{
	world_merge(w, 1, 4, SEG_BASE);
	world_remove(w, 4, 4);
	world_remove(w, 3, 3);
	world_remove(w, 2, 2);
	world_remove(w, 1, 1);
}

/* Whenever retention strikes, the restore goes on with what is there. */
static void test_retention_strikes(void **state)
{
	unsigned long n;

	(void)state;
	for (n = 1;; n += 1 + n / 20) {
		unsigned i;

		if (n > 1)
			world_free(&world);
		srandom(5);
		/* Several jobs: a stream is struck in its middle, too. */
		world_new(&world, 65536, 24 * MIB);
		world.record_blocks = 4;
		world_begin(&world, 24 * MIB - 3);
		world_write(&world, 0, world.blocks, 9);
		world_end(&world, SEG_BASE, true);
		for (i = 0; i < 4; i++)
			trial_segment(24 * MIB - 3, SEG_DELTA, 12, 8);
		world.trip_at = n;
		world.trip = retention;
		if (n % 2)
			trial_check(5, 0);
		else
			check_stream(5, 0);
		if (world.reads < n)
			break;
	}
	assert_true(n > 60);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, trial_begin, trial_end)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bitmap),
	    T(test_sizes),
	    T(test_random_chains),
	    T(test_grown_disk),
	    T(test_newest_wins),
	    T(test_reads_only_what_it_needs),
	    T(test_windows_agree),
	    T(test_restore_in_windows),
	    T(test_long_chain),
	    T(test_merged),
	    T(test_dead_end),
	    T(test_retention_strikes),
	};

	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
