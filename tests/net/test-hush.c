/* What a peer may write into the log, and that nothing is hidden by it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "net/hush.h"

#define LINES_MAX 4096

struct heard {
	struct hush *h;
	int64_t now;
	unsigned lines; /* counts, too */
	int64_t at[LINES_MAX];
	uint64_t counted;
	char last[512]; /* of the counts */
	char who[HUSH_NAME];
};

static void on_count(void *ctx, const char *who, const char *words)
{
	struct heard *x = ctx;

	x->counted += strtoull(words, NULL, 10);
	assert_true(x->lines < LINES_MAX);
	x->at[x->lines++] = x->now;
	snprintf(x->last, sizeof(x->last), "%s", words);
	snprintf(x->who, sizeof(x->who), "%s", who);
}

static void begin(struct heard *x)
{
	*x = (struct heard){.now = NS_PER_S};
	assert_int_equal(hush_open(&x->h, on_count, x, NULL), 0);
}

static bool say(struct heard *x, const char *who, bool stranger,
		enum netlog_kind kind, const char *words)
{
	bool may = hush_may(x->h, who, stranger, kind, words, x->now);

	assert_true(x->lines < LINES_MAX);
	if (may)
		x->at[x->lines++] = x->now;
	return may;
}

/* Ten refusals a second for ten minutes, and never the same words. */
static void one_line_a_minute(const char *who, bool stranger)
{
	struct heard x;
	unsigned i, said = 0;
	char words[32];

	begin(&x);
	for (i = 0; i < 6000; i++) {
		x.now += NS_PER_S / 10;
		snprintf(words, sizeof(words), "number %u", i);
		said +=
		    say(&x, who, stranger,
			NETLOG_LINE + i % (NETLOG_KINDS - NETLOG_LINE), words);
	}
	assert_int_equal(said, 1);
	assert_in_range(x.lines, 9, 11);
	for (i = 1; i < x.lines; i++)
		assert_true(x.at[i] - x.at[i - 1] >= HUSH_NS);
	hush_close(x.h);
	assert_int_equal(said + x.counted, 6000);
	assert_string_equal(x.who, who);
	assert_non_null(strstr(x.last, "; the last: number 5999"));
}

static void test_one_line(void **state)
{
	(void)state;
	one_line_a_minute("machine web01", false);
	one_line_a_minute("192.0.2.1", true);
}

static void test_words(void **state)
{
	struct heard x;
	unsigned i;

	(void)state;
	begin(&x);
	assert_true(say(&x, "machine a", false, NETLOG_LINE, "cut"));
	for (i = 0; i < 3; i++)
		assert_false(say(&x, "machine a", false, NETLOG_SEGMENT, "s"));
	assert_false(say(&x, "machine a", false, NETLOG_PLACE, "not yours"));
	assert_true(say(&x, "machine b", false, NETLOG_PLACE, "not yours"));
	x.now += HUSH_NS;
	hush_tick(x.h, x.now);
	assert_string_equal(x.last,
			    "4 more within a minute: 1 places refused, 3 "
			    "segments refused; the last: not yours");
	assert_string_equal(x.who, "machine a");
	/* That was its line of this minute, and b had none. */
	assert_false(say(&x, "machine a", false, NETLOG_LINE, "cut"));
	assert_true(say(&x, "machine b", false, NETLOG_LINE, "cut"));
	/* A quiet minute: what comes then is said in its words. */
	x.now += HUSH_NS;
	hush_tick(x.h, x.now);
	x.now += HUSH_NS;
	hush_tick(x.h, x.now);
	assert_true(say(&x, "machine a", false, NETLOG_LINE, "cut"));
	hush_close(x.h);
	assert_int_equal(x.counted, 5);
}

static void test_own_errors(void **state)
{
	struct heard x;
	char words[32];
	unsigned i, said = 0;

	(void)state;
	begin(&x);
	/* No refusal takes the place of an error of ours. */
	for (i = 0; i < 5; i++)
		say(&x, "machine a", false, NETLOG_SEGMENT, "refused");
	assert_true(say(&x, "machine a", false, NETLOG_OWN, "disk full"));
	assert_false(say(&x, "machine a", false, NETLOG_OWN, "disk full"));
	assert_true(say(&x, "machine a", false, NETLOG_OWN, "cache failed"));
	for (i = 0; i < 100; i++) {
		snprintf(words, sizeof(words), "%u", i);
		said += say(&x, "machine a", false, NETLOG_OWN, words);
	}
	assert_int_equal(said, HUSH_OWN - 2);
	/* The next minute says them again. */
	x.now += HUSH_NS;
	assert_true(say(&x, "machine a", false, NETLOG_OWN, "disk full"));
	hush_close(x.h);
	assert_int_equal(x.counted, 4 + 1 + 100 - said);
}

/* Addresses cost nothing: neither the log nor the machines suffer. */
static void test_crowd(void **state)
{
	struct heard x;
	char who[HUSH_NAME];
	unsigned i, said = 0;

	(void)state;
	begin(&x);
	for (i = 0; i < 100000; i++) {
		x.now += 3 * NS_PER_S / 1000; /* five minutes */
		snprintf(who, sizeof(who), "10.0.%u.%u", i / 200 % 256,
			 i % 200);
		said += say(&x, who, true, NETLOG_LOGIN, "no");
	}
	assert_in_range(x.lines, 5, 6 * (HUSH_STRANGERS + 1));
	assert_true(say(&x, "machine a", false, NETLOG_SEGMENT, "refused"));
	assert_true(say(&x, "machine a", false, NETLOG_OWN, "disk full"));
	hush_close(x.h);
	assert_int_equal(said + x.counted, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_line),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_own_errors),
	    cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
