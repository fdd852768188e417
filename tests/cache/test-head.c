/* The head of a disk as text: exact, or not a head. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/head.h"

static struct mark mark(uint64_t seq, uint8_t fill)
{
	struct mark m = {.seq = seq};

	memset(m.digest, fill, sizeof(m.digest));
	return m;
}

static void largest(struct head *h)
{
	char name[NAME_SIZE];
	unsigned i;

	*h = (struct head){.epoch = UINT64_MAX, .unseated = true};
	h->accepted = mark(UINT64_MAX, 0xff);
	h->stored = mark(UINT64_MAX, 0xff);
	for (i = 0; i < HEAD_FOLLOWERS_MAX; i++) {
		struct mark m = mark(UINT64_MAX, (uint8_t)i);

		snprintf(name, sizeof(name), "f%062u", i);
		assert_int_equal(head_set_position(h, name, &m, NULL), 0);
		assert_int_equal(head_refuse(h, name, UINT64_MAX, "x", NULL),
				 0);
		memset(h->refusals[i].reason, 'r', ACK_REASON_SIZE - 1);
	}
	for (i = 0; i < HEAD_RECENT_MAX; i++) {
		struct mark m = mark(UINT64_MAX, (uint8_t)i);

		head_remember(h, &m);
	}
	memset(h->reason, 'r', sizeof(h->reason) - 1);
	h->held = true;
	h->held_seq = UINT64_MAX;
}

static void comes_back(const struct head *h)
{
	char text[HEAD_TEXT_MAX], again[HEAD_TEXT_MAX];
	size_t n = head_format(h, text);
	struct head got;

	assert_true(n < HEAD_TEXT_MAX - 1);
	assert_int_equal(head_parse(&got, text, n, NULL), 0);
	assert_int_equal(head_format(&got, again), n);
	assert_memory_equal(text, again, n);
	assert_int_equal(got.epoch, h->epoch);
	assert_int_equal(got.unseated, h->unseated);
	assert_int_equal(got.initial, h->initial);
	assert_int_equal(got.held, h->held);
	assert_int_equal(got.held_seq, h->held_seq);
	assert_string_equal(got.reason, h->reason);
	assert_true(mark_equal(&got.accepted, &h->accepted));
	assert_true(mark_equal(&got.stored, &h->stored));
	assert_int_equal(got.nfollowers, h->nfollowers);
	assert_int_equal(got.nrecent, h->nrecent);
	assert_int_equal(got.nrefusals, h->nrefusals);
}

static void what_is_written_can_be_read(void **state)
{
	struct head h = {.accepted = mark(12, 1), .stored = mark(10, 2)};
	struct mark m = mark(10, 2);

	(void)state;
	comes_back(&h);
	h.initial = true;
	head_set_position(&h, "default", &m, NULL);
	head_remember(&h, &m);
	head_refuse(&h, "far", 11, "the vault ends at 3", NULL);
	comes_back(&h);
	head_hold(&h, 11, "the vault has another 11");
	comes_back(&h);
}

static void the_largest_head_fits(void **state)
{
	struct head h;

	(void)state;
	largest(&h);
	comes_back(&h);
}

static void a_changed_byte_is_seen(void **state)
{
	char text[HEAD_TEXT_MAX];
	struct head h, got;
	size_t n, i;

	(void)state;
	largest(&h);
	n = head_format(&h, text);
	for (i = 0; i < n; i++) {
		text[i] ^= 1;
		assert_int_equal(head_parse(&got, text, n, NULL), -PS_DATA);
		text[i] ^= 1;
	}
	for (i = 0; i < n; i++)
		assert_int_equal(head_parse(&got, text, i, NULL), -PS_DATA);
}

/* A text with the right CRC under it. */
static size_t with_crc(char *text)
{
	size_t n = strlen(text);

	return n + (size_t)snprintf(text + n, HEAD_TEXT_MAX - n, "crc %08x\n",
				    crc32c(0, text, n));
}

static void what_we_would_not_write_is_refused(void **state)
{
	static const char zeros[] = "000000000000000000000000000000000000000000"
				    "0000000000000000000000";
	static const char *const bodies[] = {
	    "ps-cache-head 2\nepoch 0\naccepted 1 %s point\nstored 0 %s\n",
	    "ps-cache-head 1\nepoch 00\naccepted 1 %s point\nstored 0 %s\n",
	    "ps-cache-head 1\nepoch -1\naccepted 1 %s point\nstored 0 %s\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s else\nstored 0 %s\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s x\n",
	    "ps-cache-head 1\nepoch 0\nstored 0 %s\naccepted 1 %s point\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\nnew\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n"
	    "follower ../x 0 00\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n"
	    "hold 1\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n"
	    "hold-for far 1\n",
	    "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n"
	    "hold-for far x y\n",
	};
	char text[HEAD_TEXT_MAX];
	struct head got;
	size_t i;

	(void)state;
	/* The pattern that the others spoil. */
	snprintf(text, sizeof(text) - 16,
		 "ps-cache-head 1\nepoch 0\naccepted 1 %s point\nstored 0 %s\n",
		 zeros, zeros);
	assert_int_equal(head_parse(&got, text, with_crc(text), NULL), 0);
	for (i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text) - 16, bodies[i], zeros, zeros);
#pragma GCC diagnostic pop
		assert_int_equal(head_parse(&got, text, with_crc(text), NULL),
				 -PS_DATA);
	}
}

static void the_first_reason_of_a_hold_stays(void **state)
{
	struct head h = {0};

	(void)state;
	head_hold(&h, 3, "first\nline\tone");
	head_hold(&h, 4, "second");
	assert_string_equal(h.reason, "first line one");
	assert_int_equal(h.held_seq, 3);
}

static void a_hold_of_one_follower_is_its_own(void **state)
{
	struct mark m = mark(4, 4);
	struct head h = {0};

	(void)state;
	assert_null(head_left_out(&h, "far"));
	assert_int_equal(head_refuse(&h, "far", 5, "first\n", NULL), 0);
	assert_int_equal(head_refuse(&h, "far", 6, "second", NULL), 0);
	assert_string_equal(head_left_out(&h, "far"), "first ");
	assert_int_equal(head_refusal(&h, "far")->seq, 5);
	assert_null(head_left_out(&h, "near"));
	head_set_position(&h, "far", &m, NULL);
	head_lift(&h, "far");
	assert_null(head_left_out(&h, "far"));
	assert_int_equal(head_position(&h, "far")->seq, 4);
	head_refuse(&h, "far", 5, "again", NULL);
	head_drop_follower(&h, "far");
	assert_int_equal(h.nrefusals + h.nfollowers, 0);
	head_hold(&h, 1, "all");
	assert_string_equal(head_left_out(&h, "near"), "all");
}

static void only_so_many_are_remembered_and_the_newest_stay(void **state)
{
	struct head h = {0};
	uint64_t i;

	(void)state;
	for (i = 1; i <= HEAD_RECENT_MAX + 3; i++) {
		struct mark m = mark(i, (uint8_t)i);

		head_remember(&h, &m);
	}
	assert_int_equal(h.nrecent, HEAD_RECENT_MAX);
	assert_int_equal(h.recent[0].seq, HEAD_RECENT_MAX + 3);
	assert_int_equal(h.recent[HEAD_RECENT_MAX - 1].seq, 4);
}

static void followers_are_bounded_and_can_be_dropped(void **state)
{
	struct mark m = mark(7, 7);
	struct head h;

	(void)state;
	largest(&h);
	assert_int_equal(head_set_position(&h, "one-more", &m, NULL),
			 -PS_CONFIG);
	assert_null(head_position(&h, "one-more"));
	head_drop_follower(&h, h.followers[3].name);
	assert_int_equal(head_set_position(&h, "one-more", &m, NULL), 0);
	assert_int_equal(head_position(&h, "one-more")->seq, 7);
	assert_int_equal(h.nfollowers, HEAD_FOLLOWERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_written_can_be_read),
	    cmocka_unit_test(the_largest_head_fits),
	    cmocka_unit_test(a_changed_byte_is_seen),
	    cmocka_unit_test(what_we_would_not_write_is_refused),
	    cmocka_unit_test(the_first_reason_of_a_hold_stays),
	    cmocka_unit_test(a_hold_of_one_follower_is_its_own),
	    cmocka_unit_test(only_so_many_are_remembered_and_the_newest_stay),
	    cmocka_unit_test(followers_are_bounded_and_can_be_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
