/* A damaged vault: a restore refuses it, or is right all the same. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trial.h"

/* Any flipped bit: refused, or (in what is not read) still right. */
static void test_flipped_bits(void **state)
{
	uint64_t seq, i;

	(void)state;
	world_new(&world, 4096, 48 * KIB);
	trial_segment(48 * KIB - 9, SEG_BASE, 3, 4);
	trial_segment(48 * KIB - 9, SEG_DELTA, 2, 3);
	for (seq = 1; seq <= 2; seq++) {
		struct world_object *o = world_object(&world, seq, seq);

		for (i = 0; i < o->n; i += 1 + i / 600) {
			struct restore_result res;
			struct err e = {0};
			int rc, fd;

			o->p[i] ^= (uint8_t)(1u << i % 8);
			rc = trial_run(trial_path, 2, 0, &res, &e);
			if (rc == 0) {
				fd = open(trial_path, O_RDONLY);
				world_compare(&world, 2, fd);
				close(fd);
				unlink(trial_path);
			} else {
				assert_true(rc == -PS_DATA ||
					    rc == -PS_PROTOCOL);
				assert_true(access(trial_path, F_OK) < 0);
			}
			o->p[i] ^= (uint8_t)(1u << i % 8);
		}
	}
	trial_check(2, 0);
}

static void test_cut_objects(void **state)
{
	struct world_object *o;
	size_t whole;

	(void)state;
	trial_five();
	o = world_object(&world, 3, 3);
	whole = o->n;
	for (o->n = 0; o->n < whole; o->n += 1 + whole / 50)
		trial_must_fail(5, PS_DATA);
	o->n = whole;
	trial_check(5, 0);
}

/* A whole and valid segment in the place of another. */
static void test_swapped_objects(void **state)
{
	struct world_object *a, *b, was;

	(void)state;
	trial_five();
	a = world_object(&world, 2, 2);
	b = world_object(&world, 3, 3);
	was = *a;
	a->p = b->p;
	a->n = b->n;
	trial_must_fail(5, PS_DATA);
	*a = was;
	trial_check(5, 0);
}

static void test_wrong_link(void **state)
{
	(void)state;
	trial_five();
	/* The same sequence, made from another history. */
	world_remove(&world, 3, 3);
	world.seq = 2;
	free(world.states[3]);
	free(world.touched[3]);
	trial_segment(4 * MIB - 3, SEG_DELTA, 12, 200);
	trial_must_fail(5, PS_DATA);
	assert_non_null(strstr(trial_words, "successor"));
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
	trial_must_fail(1, PS_DATA);
}

/* Every segment is whole, but they do not lead to the source's disk. */
static void test_other_disk_digest(void **state)
{
	(void)state;
	world_new(&world, 4096, 48 * KIB);
	trial_segment(48 * KIB, SEG_BASE, 3, 4);
	world.lie = 1;
	trial_segment(48 * KIB, SEG_DELTA, 3, 4);
	trial_check(1, 0);
	trial_must_fail(2, PS_DATA);
}

static void test_missing_object(void **state)
{
	(void)state;
	trial_five();
	world_remove(&world, 2, 2);
	trial_must_fail(5, PS_NO);
	trial_must_fail(6, PS_NO);
	trial_check(1, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, trial_begin, trial_end)
	const struct CMUnitTest tests[] = {
	    T(test_flipped_bits),      T(test_cut_objects),
	    T(test_swapped_objects),   T(test_wrong_link),
	    T(test_missing_object),    T(test_forged_record),
	    T(test_other_disk_digest),
	};

	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
