/* Ranges, the dirty list and its generations, journal entries and locks. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/dirty.h"
#include "disk/journal.h"
#include "disk/ranges.h"
#include "segment/writer.h"

static char folder[] = "/tmp/test-dirty.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/map", folder);
	return 0;
}

static int drop_folder(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command);
}

/* ---- ranges ---- */

static void ranges_are_sorted_and_merged(void **state)
{
	struct ranges r = {0};

	(void)state;
	ranges_add(&r, 100, 200, NULL);
	ranges_add(&r, 10, 20, NULL);
	ranges_add(&r, 150, 300, NULL);
	ranges_add(&r, 20, 30, NULL);
	ranges_add(&r, 50, 50, NULL);
	ranges_tidy(&r);
	assert_int_equal(r.n, 2);
	assert_int_equal(r.items[0].start, 10);
	assert_int_equal(r.items[0].end, 30);
	assert_int_equal(r.items[1].start, 100);
	assert_int_equal(r.items[1].end, 300);
	assert_int_equal(ranges_bytes(&r), 220);
	ranges_free(&r);
}

static bool covered(const struct ranges *r, uint64_t at)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (at >= r->items[i].start && at < r->items[i].end)
			return true;
	return false;
}

static void too_many_ranges_become_coarser_and_cover_the_same(void **state)
{
	struct ranges r = {0};
	uint64_t i, n = 5 * RANGES_MAX;

	(void)state;
	for (i = 0; i < n; i++)
		assert_int_equal(ranges_add(&r, i * 300000 % (n * 300000),
					    i * 300000 + 1000, NULL),
				 0);
	ranges_tidy(&r);
	assert_true(r.n <= RANGES_MAX);
	assert_true(r.cap <= 2 * RANGES_MAX);
	for (i = 0; i < n; i += 997)
		assert_true(covered(&r, i * 300000 + 999));
	ranges_free(&r);
}

/* ---- the dirty list ---- */

static const uint8_t id_a[MAP_ID_LEN] = {1}, id_b[MAP_ID_LEN] = {2};

static void a_finished_pass_clears_its_generation_and_nothing_later(void **s)
{
	struct journal j;
	struct dirty d;
	uint64_t generation;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	assert_int_equal(dirty_load(&d, &j, id_a, NULL), 0);
	ranges_add(&d.open, 0, 10, NULL);
	assert_int_equal(dirty_freeze(&d, &generation, NULL), 0);
	ranges_add(&d.open, 100, 110, NULL);
	assert_int_equal(dirty_save(&d, &j, NULL), 0);
	dirty_free(&d);
	assert_int_equal(dirty_load(&d, &j, id_a, NULL), 1);
	assert_int_equal(ranges_bytes(&d.frozen), 10);
	dirty_forget(&d, generation);
	assert_int_equal(ranges_bytes(&d.frozen), 0);
	assert_int_equal(ranges_bytes(&d.open), 10);
	dirty_free(&d);
	journal_close(&j);
}

static void an_older_pass_does_not_clear_what_a_newer_one_froze(void **s)
{
	struct journal j;
	struct dirty d;
	uint64_t first, second;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	dirty_load(&d, &j, id_a, NULL);
	ranges_add(&d.open, 0, 10, NULL);
	dirty_freeze(&d, &first, NULL);
	ranges_add(&d.open, 100, 110, NULL);
	dirty_freeze(&d, &second, NULL);
	assert_int_equal(ranges_bytes(&d.frozen), 20);
	dirty_forget(&d, first);
	assert_int_equal(ranges_bytes(&d.frozen), 20);
	dirty_forget(&d, second + 5); /* a number of some other list */
	assert_int_equal(ranges_bytes(&d.frozen), 20);
	dirty_forget(&d, second);
	assert_int_equal(ranges_bytes(&d.frozen), 0);
	dirty_free(&d);
	journal_close(&j);
}

static void a_list_that_does_not_fit_is_none(void **s)
{
	struct journal j;
	struct dirty d;
	int fd;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	dirty_load(&d, &j, id_a, NULL);
	ranges_add(&d.open, 0, 10, NULL);
	assert_int_equal(dirty_save(&d, &j, NULL), 0);
	dirty_free(&d);
	assert_int_equal(dirty_load(&d, &j, id_b, NULL), 0);
	dirty_free(&d);
	assert_int_equal(dirty_load(&d, &j, id_a, NULL), 1);
	dirty_free(&d);
	fd = openat(j.dirfd, "dirty", O_WRONLY);
	assert_int_equal(pwrite(fd, "x", 1, 50), 1);
	close(fd);
	assert_int_equal(dirty_load(&d, &j, id_a, NULL), 0);
	dirty_free(&d);
	journal_close(&j);
}

/* ---- journal ---- */

static int swallow(void *ctx, const void *buf, size_t n, struct err *e)
{
	(void)ctx, (void)buf, (void)n, (void)e;
	return 0;
}

/* Journals a segment: DATA at 0, ZERO at 1 MiB. */
static void put_entry(struct journal *j, uint64_t seq)
{
	static uint8_t data[65536] = "some data";
	struct seg_header h = {.kind = SEG_BASE,
			       .part = 1,
			       .block_size = 65536,
			       .disk_size = 10 << 20,
			       .first_seq = seq,
			       .seq = seq,
			       .machine = "m",
			       .disk = "d",
			       .bookmark = "b"};
	struct seg_member self = {"m", "d"};
	struct seg_trailer t = {
	    .last_part = true, .members = &self, .nmembers = 1};
	uint8_t digest[BLOCK_DIGEST_LEN], disk[SHA256_LEN] = {9};
	struct seg_writer *w;
	const uint8_t *tail;
	struct io_out out;
	size_t len;

	block_digest(data, sizeof(data), sizeof(data), digest);
	assert_int_equal(io_out_open(&out, swallow, NULL, "nowhere", NULL), 0);
	assert_int_equal(seg_writer_new(&w, &out, NULL), 0);
	assert_int_equal(seg_writer_begin(w, &h, NULL), 0);
	assert_int_equal(seg_writer_data(w, 0, sizeof(data), SEG_STORE, data,
					 sizeof(data), digest, NULL),
			 0);
	assert_int_equal(seg_writer_zero(w, 1 << 20, 1 << 20, NULL), 0);
	assert_int_equal(seg_writer_tail(w, &t, disk, &tail, &len, NULL), 0);
	assert_int_equal(journal_put(j, 77, false, &h, tail, len, NULL), 0);
	seg_writer_free(w);
	io_out_close(&out);
}

static int count_record(void *ctx, const struct seg_entry *rec,
			const uint8_t *digests, struct err *e)
{
	unsigned *n = ctx;

	(void)e;
	assert_int_equal(rec->zero, *n == 1);
	assert_int_equal(digests == NULL, *n == 1);
	assert_int_equal(rec->offset, *n == 1 ? 1 << 20 : 0);
	++*n;
	return 0;
}

static void an_entry_comes_back_as_it_was_put(void **s)
{
	struct journal_entry en;
	struct journal j;
	unsigned n = 0;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	assert_int_equal(journal_get(&j, 1, &en, NULL), -PS_NOINPUT);
	put_entry(&j, 1);
	assert_int_equal(journal_get(&j, 1, &en, NULL), 0);
	assert_int_equal(en.generation, 77);
	assert_int_equal(en.header.seq, 1);
	assert_true(en.trailer.last_part);
	assert_int_equal(journal_entry_walk(&en, count_record, &n, NULL), 0);
	assert_int_equal(n, 2);
	journal_entry_free(&en);
	journal_close(&j);
}

static void a_damaged_entry_is_seen(void **s)
{
	struct journal_entry en;
	struct journal j;
	off_t at, len;
	int fd;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	put_entry(&j, 1);
	fd = openat(j.dirfd, "00000000000000000001", O_RDWR);
	len = lseek(fd, 0, SEEK_END);
	for (at = 0; at < len; at += 3) {
		uint8_t c;

		assert_int_equal(pread(fd, &c, 1, at), 1);
		c ^= 16;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
		assert_int_equal(journal_get(&j, 1, &en, NULL), -PS_DATA);
		c ^= 16;
		assert_int_equal(pwrite(fd, &c, 1, at), 1);
	}
	for (at = len - 1; at >= 0; at -= 7) {
		assert_int_equal(ftruncate(fd, at), 0);
		assert_int_equal(journal_get(&j, 1, &en, NULL), -PS_DATA);
	}
	close(fd);
	journal_close(&j);
}

static void the_list_is_in_order_and_drops_entries(void **s)
{
	struct journal j;

	(void)s;
	assert_int_equal(journal_open(&j, path, NULL), 0);
	put_entry(&j, 1);
	assert_int_equal(journal_list(&j, NULL), 0);
	assert_int_equal(j.n, 1);
	assert_int_equal(j.seqs[0], 1);
	assert_int_equal(journal_drop(&j, 1, NULL), 0);
	assert_int_equal(journal_drop(&j, 1, NULL), 0);
	assert_int_equal(journal_list(&j, NULL), 0);
	assert_int_equal(j.n, 0);
	journal_close(&j);
}

static void locks_exclude_and_do_not_mix(void **s)
{
	struct journal a, b;

	(void)s;
	assert_int_equal(journal_open(&a, path, NULL), 0);
	assert_int_equal(journal_open(&b, path, NULL), 0);
	assert_int_equal(journal_lock(&a, LOCK_SCAN, NULL), 0);
	assert_int_equal(journal_lock(&b, LOCK_SCAN, NULL), -PS_TEMPFAIL);
	assert_int_equal(journal_lock(&b, LOCK_COMMIT, NULL), 0);
	assert_true(journal_locked(&b, LOCK_SCAN));
	assert_false(journal_locked(&b, LOCK_STATE));
	journal_unlock(&a, LOCK_SCAN);
	assert_int_equal(journal_lock(&b, LOCK_SCAN, NULL), 0);
	journal_close(&b); /* as when its process dies */
	assert_int_equal(journal_lock(&a, LOCK_SCAN, NULL), 0);
	assert_int_equal(journal_lock(&a, LOCK_COMMIT, NULL), 0);
	journal_close(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ranges_are_sorted_and_merged),
	    cmocka_unit_test(too_many_ranges_become_coarser_and_cover_the_same),
	    TEST(a_finished_pass_clears_its_generation_and_nothing_later),
	    TEST(an_older_pass_does_not_clear_what_a_newer_one_froze),
	    TEST(a_list_that_does_not_fit_is_none),
	    TEST(an_entry_comes_back_as_it_was_put),
	    TEST(a_damaged_entry_is_seen),
	    TEST(the_list_is_in_order_and_drops_entries),
	    TEST(locks_exclude_and_do_not_mix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
