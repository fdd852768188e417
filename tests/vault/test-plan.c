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
#include "disk/digest.h"
#include "vault/plan.h"
#include "vault/restore.h"
#include "world.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static struct world world;
static char folder[] = "/tmp/test-plan.XXXXXX";
static char path[64];

/* ---- helpers ---- */

static int fresh(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test-plan.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/out", folder);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	world_free(&world);
	unlink(path);
	/* Fails when a restore left anything else behind. */
	return rmdir(folder);
}

static int run(const char *to, uint64_t seq, uint32_t limit,
	       struct restore_result *res, struct err *e)
{
	struct restore r = {
	    .vault = &world.vault,
	    .machine = "web01",
	    .disk = "root",
	    .seq = seq,
	    .threads = 3,
	    .plan_limit = limit,
	};
	int rc = target_open(&r.target, to, false, e);

	if (rc == 0)
		rc = restore_run(&r, res, e);
	target_close(r.target);
	return rc;
}

static void check_file(uint64_t seq, uint32_t limit)
{
	struct restore_result res;
	struct err e = {0};
	int fd;

	if (run(path, seq, limit, &res, &e) != 0)
		fail_msg("%s", e.msg);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	world_compare(&world, seq, fd);
	close(fd);
	unlink(path);
}

/* Copies a FIFO into a file, zeros as holes. */
static void *reader(void *arg)
{
	char out_path[80];
	uint8_t *buf = malloc(MIB);
	int in = open(path, O_RDONLY), out;
	uint64_t pos = 0;
	ssize_t n;

	(void)arg;
	snprintf(out_path, sizeof(out_path), "%s.copy", path);
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

	assert_int_equal(mkfifo(path, 0600), 0);
	pthread_create(&thread, NULL, reader, NULL);
	rc = run(path, seq, limit, &res, &e);
	pthread_join(thread, &fd);
	unlink(path);
	if (rc != 0)
		fail_msg("%s", e.msg);
	world_compare(&world, seq, (int)(intptr_t)fd);
	close((int)(intptr_t)fd);
}

/* What the last restore that failed said. */
static char words[512];

static void must_fail(uint64_t seq, int code)
{
	struct restore_result res;
	struct err e = {0};

	assert_int_equal(run(path, seq, 0, &res, &e), -code);
	assert_int_equal(e.code, code);
	snprintf(words, sizeof(words), "%s", e.msg);
	assert_true(access(path, F_OK) < 0);
}

static uint64_t number(uint64_t n)
{
	return (uint64_t)random() % n;
}

/* One segment with a few random runs of blocks. */
static void random_segment(uint64_t size, enum seg_kind kind, unsigned runs,
			   uint64_t longest)
{
	uint64_t blocks = seg_blocks(size, world.block_size);

	world_begin(&world, size);
	while (blocks > 0 && runs-- > 0) {
		uint64_t first = number(blocks), n = 1 + number(longest);

		if (n > blocks - first)
			n = blocks - first;
		world_write(&world, first, n,
			    number(4) == 0 ? 0 : (uint8_t)(1 + number(255)));
	}
	world_end(&world, kind, true);
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
		uint64_t first = number(N), n = number(N - first + 1),
			 fresh_bits;
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
		random_segment(sizes[i], SEG_BASE, 3, 100);
		random_segment(sizes[i], SEG_DELTA, 2, 20);
		check_file(2, 0);
		check_stream(2, 0);
		check_file(1, 0);
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
		world_new(&world, 4096u << number(3), 8 * MIB);
		world.record_blocks = 1 + (uint32_t)number(world.record_blocks);
		for (i = 0; i < 8; i++)
			random_segment(8 * MIB - 777,
				       i == 0 || i == 5 ? SEG_BASE : SEG_DELTA,
				       (unsigned)number(20), 1 + number(300));
		/* A base in the middle: what was before counts as zero. */
		for (i = 0; i < world.blocks; i++)
			if (!world.touched[6][i])
				world.states[6][i] = 0;
		check_file(5, 0);
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
	check_file(1, 0);
	check_file(2, 0);
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
	assert_int_equal(run(NULL, 3, 0, &res, &e), 0);
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
		random_segment(8 * GIB - 12345, i == 0 ? SEG_BASE : SEG_DELTA,
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
		random_segment(3 * GIB - 4097, i == 0 ? SEG_BASE : SEG_DELTA,
			       12, 20);
	check_file(4, 10);
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
		world_write(&world, number(512), 1, (uint8_t)(i % 250));
		world_end(&world, i == 0 ? SEG_BASE : SEG_DELTA, true);
	}
	check_file(1150, 0);
	check_stream(1150, 0);
}

/* ---- merged objects and retention ---- */

static void make_five(void)
{
	unsigned i;

	world_new(&world, 4096, 4 * MIB);
	for (i = 0; i < 5; i++)
		random_segment(4 * MIB - 3, i == 0 ? SEG_BASE : SEG_DELTA, 12,
			       200);
}

static void test_merged(void **state)
{
	(void)state;
	make_five();
	world_merge(&world, 2, 4, SEG_DELTA);
	check_file(5, 0);
	world_remove(&world, 4, 4);
	world_remove(&world, 3, 3);
	world_remove(&world, 2, 2);
	check_file(5, 0);
	check_file(4, 0);
	check_file(1, 0);
	must_fail(3, PS_NO);
	world_merge(&world, 1, 4, SEG_BASE);
	check_file(5, 0);
	check_stream(4, 0);
}

/* The widest cover leads nowhere: a narrower one is taken. */
static void test_dead_end(void **state)
{
	(void)state;
	make_five();
	world_merge(&world, 3, 4, SEG_DELTA);
	world_merge(&world, 1, 3, SEG_BASE);
	world_remove(&world, 2, 2);
	world_remove(&world, 1, 1);
	check_file(5, 0);
	world_remove(&world, 1, 3);
	must_fail(5, PS_NO);
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
			random_segment(24 * MIB - 3, SEG_DELTA, 12, 8);
		world.trip_at = n;
		world.trip = retention;
		if (n % 2)
			check_file(5, 0);
		else
			check_stream(5, 0);
		if (world.reads < n)
			break;
	}
	assert_true(n > 60);
}

/* ---- damage ---- */

/* Any flipped bit: refused, or (in what is not read) still right. */
static void test_flipped_bits(void **state)
{
	uint64_t seq, i;

	(void)state;
	world_new(&world, 4096, 48 * KIB);
	random_segment(48 * KIB - 9, SEG_BASE, 3, 4);
	random_segment(48 * KIB - 9, SEG_DELTA, 2, 3);
	for (seq = 1; seq <= 2; seq++) {
		struct world_object *o = world_object(&world, seq, seq);

		for (i = 0; i < o->n; i += 1 + i / 600) {
			struct restore_result res;
			struct err e = {0};
			int rc, fd;

			o->p[i] ^= (uint8_t)(1u << i % 8);
			rc = run(path, 2, 0, &res, &e);
			if (rc == 0) {
				fd = open(path, O_RDONLY);
				world_compare(&world, 2, fd);
				close(fd);
				unlink(path);
			} else {
				assert_true(rc == -PS_DATA ||
					    rc == -PS_PROTOCOL);
				assert_true(access(path, F_OK) < 0);
			}
			o->p[i] ^= (uint8_t)(1u << i % 8);
		}
	}
	check_file(2, 0);
}

static void test_cut_objects(void **state)
{
	struct world_object *o;
	size_t whole;

	(void)state;
	make_five();
	o = world_object(&world, 3, 3);
	whole = o->n;
	for (o->n = 0; o->n < whole; o->n += 1 + whole / 50)
		must_fail(5, PS_DATA);
	o->n = whole;
	check_file(5, 0);
}

/* A whole and valid segment in the place of another. */
static void test_swapped_objects(void **state)
{
	struct world_object *a, *b, was;

	(void)state;
	make_five();
	a = world_object(&world, 2, 2);
	b = world_object(&world, 3, 3);
	was = *a;
	a->p = b->p;
	a->n = b->n;
	must_fail(5, PS_DATA);
	*a = was;
	check_file(5, 0);
}

static void test_wrong_link(void **state)
{
	(void)state;
	make_five();
	/* The same sequence, made from another history. */
	world_remove(&world, 3, 3);
	world.seq = 2;
	free(world.states[3]);
	free(world.touched[3]);
	random_segment(4 * MIB - 3, SEG_DELTA, 12, 200);
	must_fail(5, PS_DATA);
	assert_non_null(strstr(words, "successor"));
	world.seq = 5;
}

/* Every CRC is right, but a block is not what the index says. */
static void test_forged_record(void **state)
{
	uint8_t *raw;
	struct seg_record rec;

	(void)state;
	world_new(&world, 4096, 48 * KIB);
	world_begin(&world, 48 * KIB);
	world_write(&world, 0, 12, 5);
	world_end(&world, SEG_BASE, true);
	raw = world_object(&world, 1, 1)->p + SEG_HEADER_LEN;
	assert_int_equal(seg_record_unpack(&rec, raw, NULL), 0);
	raw[SEG_RECORD_LEN + 5000] ^= 1;
	rec.payload_crc = crc32c(0, raw + SEG_RECORD_LEN, rec.stored_len);
	seg_record_pack(&rec, raw);
	must_fail(1, PS_DATA);
}

/* Every segment is whole, but they do not lead to the source's disk. */
static void test_other_disk_digest(void **state)
{
	(void)state;
	world_new(&world, 4096, 48 * KIB);
	random_segment(48 * KIB, SEG_BASE, 3, 4);
	world.lie = 1;
	random_segment(48 * KIB, SEG_DELTA, 3, 4);
	check_file(1, 0);
	must_fail(2, PS_DATA);
}

static void test_missing_object(void **state)
{
	(void)state;
	make_five();
	world_remove(&world, 2, 2);
	must_fail(5, PS_NO);
	must_fail(6, PS_NO);
	check_file(1, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
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
	    T(test_flipped_bits),
	    T(test_cut_objects),
	    T(test_swapped_objects),
	    T(test_wrong_link),
	    T(test_missing_object),
	    T(test_forged_record),
	    T(test_other_disk_digest),
	};

	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
