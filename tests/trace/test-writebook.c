/* The bitmaps between cuts, beside a model; lists that become coarser. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/writebook.h"

#define CHUNK WRITEBOOK_CHUNK_MIN

static uint64_t at[2];

/* Cuts and gives the number of ranges, or -1: not known. */
static int cut(struct writebook *l, const char *to, const char *base)
{
	struct ranges r = {0};
	struct err e;
	int rc = writebook_cut(l, to, base, &r, &e), n = (int)r.n;

	assert_true(rc >= 0);
	at[0] = n > 0 ? r.items[0].start : 0;
	at[1] = n > 0 ? r.items[n - 1].end : 0;
	ranges_free(&r);
	return rc == 1 ? -1 : n;
}

static void test_bases(void **state)
{
	struct writebook l;

	(void)state;
	assert_int_equal(writebook_open(&l, 100 * CHUNK + 5, NULL), 0);
	writebook_mark(&l, 0, 1);
	assert_int_equal(cut(&l, "a", ""), -1);
	assert_int_equal(cut(&l, "b", "a"), 0);
	writebook_mark(&l, CHUNK - 1, CHUNK + 1);
	assert_int_equal(cut(&l, "c", "b"), 1);
	assert_int_equal(at[0], 0);
	assert_int_equal(at[1], 2 * CHUNK);
	/* The pass after c failed: b is still the base. */
	writebook_mark(&l, 100 * CHUNK + 4, UINT64_MAX);
	assert_int_equal(cut(&l, "d", "b"), 2);
	assert_int_equal(at[1], 100 * CHUNK + 5);
	/* ... and c is none any more. */
	writebook_mark(&l, 5 * CHUNK, 5 * CHUNK + 1);
	assert_int_equal(cut(&l, "e", "c"), -1);
	assert_int_equal(cut(&l, "f", "d"), -1);
	writebook_mark(&l, 7 * CHUNK, 9 * CHUNK);
	assert_int_equal(cut(&l, "g", "f"), 1);
	assert_int_equal(at[0], 7 * CHUNK);
	assert_int_equal(at[1], 9 * CHUNK);
	/* Behind the end, or nothing at all. */
	writebook_mark(&l, 101 * CHUNK, 102 * CHUNK);
	writebook_mark(&l, 3, 3);
	assert_int_equal(writebook_fresh(&l), 0);
	writebook_mark(&l, 3, 4);
	writebook_forget(&l);
	assert_int_equal(cut(&l, "h", "g"), -1);
	assert_int_equal(cut(&l, "i", "h"), 0);
	assert_int_equal(writebook_cut(&l, "i", "i", NULL, NULL), -PS_USAGE);
	assert_int_equal(writebook_cut(&l, "", "i", NULL, NULL), -PS_USAGE);
	writebook_close(&l);
}

/* Random marks, cuts that are confirmed or not, against a byte for a chunk. */
static void test_model(void **state)
{
	enum { N = 777 };
	uint8_t fresh[N] = {0}, older[N] = {0};
	char base[WRITEBOOK_ID] = "", last[WRITEBOOK_ID], id[WRITEBOOK_ID];
	struct writebook l;
	unsigned round, i, seed = 7;

	(void)state;
	assert_int_equal(writebook_open(&l, N * CHUNK, NULL), 0);
	assert_int_equal(cut(&l, "first", ""), -1);
	snprintf(last, sizeof(last), "first");
	for (round = 0; round < 300; round++) {
		struct ranges r = {0};
		uint8_t told[N] = {0};
		struct err e;
		size_t k;

		for (i = 0; i < round % 17; i++) {
			unsigned from, n;

			seed = seed * 1103515245u + 12345u;
			from = seed / 65536 % N;
			n = seed / 7 % 70;
			writebook_mark(&l, (uint64_t)from * CHUNK + 9,
				       (uint64_t)(from + n) * CHUNK);
			for (k = from; k < from + n && k < N; k++)
				fresh[k] = 1;
		}
		/* Two of three passes come to their end. */
		if (round % 3 != 0 || base[0] == '\0') {
			memcpy(base, last, sizeof(base));
			memset(older, 0, sizeof(older));
		}
		snprintf(id, sizeof(id), "r%u", round);
		assert_int_equal(writebook_cut(&l, id, base, &r, &e), 0);
		for (k = 0; k < r.n; k++)
			for (i = (unsigned)(r.items[k].start / CHUNK);
			     i < r.items[k].end / CHUNK; i++)
				told[i] = 1;
		for (i = 0; i < N; i++)
			older[i] |= fresh[i];
		assert_memory_equal(told, older, N);
		memset(fresh, 0, sizeof(fresh));
		memcpy(last, id, sizeof(last));
		ranges_free(&r);
	}
	writebook_close(&l);
}

/* 64 TiB: larger chunks, bounded memory, a list of bounded length. */
static void test_large(void **state)
{
	struct ranges r = {0};
	struct writebook l;
	struct err e;
	uint64_t i, size = 64ull << 40;
	size_t k = 0;

	(void)state;
	assert_int_equal(writebook_open(&l, size, NULL), 0);
	assert_true(size / l.chunk <= WRITEBOOK_CHUNKS_MAX);
	assert_int_equal(cut(&l, "a", ""), -1);
	for (i = 0; i < size / l.chunk; i += 50)
		writebook_mark(&l, i * l.chunk, i * l.chunk + 1);
	assert_int_equal(writebook_cut(&l, "b", "a", &r, &e), 0);
	assert_true(r.n <= RANGES_MAX);
	for (i = 0; i < size / l.chunk; i += 50) {
		while (k < r.n && r.items[k].end <= i * l.chunk)
			k++;
		assert_true(k < r.n && r.items[k].start <= i * l.chunk);
	}
	ranges_free(&r);
	writebook_close(&l);
	assert_int_equal(writebook_open(&l, 0, &e), -PS_DATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bases),
	    cmocka_unit_test(test_model),
	    cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
