/* Pages of the kernel's ring buffer: made here, cut and scribbled on. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/page.h"

/* As Linux 6.18 tells them. */
static const char header_page[] =
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
static const char format[] =
    "name: block_bio_queue\nID: 2097\nformat:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
    "\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n"
    "\tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;\n"
    "\tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;\n"
    "\tfield:char rwbs[10];\toffset:28;\tsize:10;\tsigned:0;\n"
    "\tfield:char comm[16];\toffset:38;\tsize:16;\tsigned:0;\n";

static struct page_format pf;
static struct event_format ef;
static uint8_t page[4096];
static size_t used; /* of the data */
static uint64_t sum;
static unsigned seen;

static void on_event(void *ctx, const struct page_event *ev)
{
	(void)ctx;
	seen++;
	sum += ev->sector * 1000 + ev->sectors;
	assert_int_equal(strnlen(ev->comm, TASK_COMM_SIZE), 4);
}

static void ignore(void *ctx, const struct page_event *ev)
{
	(void)ctx;
	sum += ev->sector + ev->sectors + (uint8_t)ev->comm[15];
}

static void put(const void *p, size_t n)
{
	memcpy(page + 16 + used, p, n);
	used += n;
}

static void put_entry(unsigned type_len, unsigned delta)
{
	struct {
		unsigned type_len : 5, time_delta : 27;
	} entry = {type_len, delta};

	put(&entry, 4);
}

/* One event; `longer`: its length stands in a word of its own. */
static void put_event(uint64_t sector, uint32_t n, int longer)
{
	uint8_t data[56] = {0};
	uint16_t id = 2097;
	uint32_t len = sizeof(data) + 4;

	memcpy(data, &id, 2);
	memcpy(data + 16, &sector, 8);
	memcpy(data + 24, &n, 4);
	memcpy(data + 38, "task", 4);
	put_entry(longer ? 0 : sizeof(data) / 4, 3);
	if (longer)
		put(&len, 4);
	put(data, sizeof(data));
}

static void finish(uint32_t flags)
{
	uint64_t commit = used | flags;

	memcpy(page + 8, &commit, 8);
}

static int parse(struct err *e)
{
	seen = 0;
	sum = 0;
	return page_parse(&pf, &ef, page, sizeof(page), on_event, NULL, e);
}

static int setup(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	used = 0;
	assert_int_equal(page_format_parse(&pf, header_page, NULL), 0);
	assert_int_equal(event_format_parse(&ef, format, NULL), 0);
	return 0;
}

static void test_formats(void **state)
{
	char other[sizeof(format)];
	struct err e;

	(void)state;
	assert_int_equal(pf.size, 4096);
	assert_int_equal(ef.id, 2097);
	assert_int_equal(ef.sector_at, 16);
	assert_int_equal(ef.sectors_at, 24);
	assert_int_equal(ef.comm_at, 38);
	assert_int_equal(ef.size, 54);
	memcpy(other, format, sizeof(format));
	memcpy(strstr(other, " sector;"), " secto_;", 8);
	assert_int_equal(event_format_parse(&ef, other, &e), -PS_UNAVAILABLE);
	memcpy(other, format, sizeof(format));
	memcpy(strstr(other, "size:8"), "size:4", 6);
	assert_int_equal(event_format_parse(&ef, other, &e), -PS_UNAVAILABLE);
	assert_int_equal(event_format_parse(&ef, "", &e), -PS_UNAVAILABLE);
	assert_int_equal(page_format_parse(&pf, format, &e), -PS_UNAVAILABLE);
}

static void test_entries(void **state)
{
	uint32_t word = 8;

	(void)state;
	put_event(5, 1, 0);
	put_entry(30, 77); /* a longer time */
	put(&word, 4);
	put_event(6, 2, 1);
	put_entry(31, 77); /* a time stamp */
	put(&word, 4);
	word = 12;
	put_entry(29, 1); /* a discarded event; the length counts itself */
	put(&word, 4);
	put("01234567", 8);
	put_event(7, 3, 0);
	finish(0);
	assert_int_equal(parse(NULL), 0);
	assert_int_equal(seen, 3);
	assert_int_equal(sum, 18006);
	/* Padding up to the end of the page. */
	put_entry(29, 0);
	put_event(8, 3, 0);
	finish(0);
	assert_int_equal(parse(NULL), 0);
	assert_int_equal(seen, 3);
	/* Events were lost before this page. */
	finish(1u << 31 | 1u << 30);
	assert_int_equal(parse(NULL), 1);
	assert_int_equal(seen, 3);
}

static void test_damage(void **state)
{
	struct err e;
	size_t whole, i;

	(void)state;
	put_event(5, 1, 0);
	put_event(6, 2, 1);
	whole = used;
	for (used = 1; used < whole; used++) {
		finish(0);
		assert_int_equal(parse(&e), used == 60 ? 0 : -PS_DATA);
	}
	used = 5000;
	finish(0);
	assert_int_equal(parse(&e), -PS_DATA);
	assert_int_equal(page_parse(&pf, &ef, page, 15, on_event, NULL, &e),
			 -PS_DATA);
	/* An event that is not ours. */
	used = whole;
	finish(0);
	page[16 + 4]++;
	assert_int_equal(parse(&e), -PS_DATA);
	page[16 + 4]--;
	/* Whatever stands there: an answer, nothing read behind the page. */
	for (i = 0; i < 200000; i++) {
		uint8_t *p = malloc(256);

		assert_non_null(p);
		memcpy(p, page, 256);
		p[8 + (i * 7919u) % 248] = (uint8_t)(i >> 3);
		p[8 + (i * 104729u) % 248] ^= (uint8_t)(i >> 5);
		(void)page_parse(&pf, &ef, p, 256, ignore, NULL, NULL);
		free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_formats, setup),
	    cmocka_unit_test_setup(test_entries, setup),
	    cmocka_unit_test_setup(test_damage, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
