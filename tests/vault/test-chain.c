/* The chains in a vault, and the tails they are made from. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "place.h"
#include "vault/tails.h"

/* Turns a bit in the trailer of an object over. */
static void damage_object(struct place *p, uint64_t first, uint64_t seq)
{
	struct vault_cover c = {.first = first, .seq = seq};
	char name[VAULT_NAME_SIZE], path[512];
	uint8_t byte;
	int fd;

	vault_name("web01", "root", &c, name);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, -80, SEEK_END) > 0, 1);
	assert_int_equal(read(fd, &byte, 1), 1);
	byte ^= 4;
	assert_int_equal(lseek(fd, -80, SEEK_END) > 0, 1);
	assert_int_equal(write(fd, &byte, 1), 1);
	close(fd);
}

/* The chain to `seq` as text: "3 2 1", "3.1", or "" when there is none. */
static void chain_is(struct place *p, uint64_t seq, const char *want)
{
	char text[256] = "";
	struct tails t;
	size_t i, n = 0;

	assert_int_equal(tails_load(&p->v, "web01", "root", NULL, &t, NULL), 0);
	for (i = tails_find(&t, seq); i != TAIL_NONE; i = t.items[i].older) {
		const struct vault_cover *c = &t.items[i].cover;

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%llu",
				      n > 0 ? " " : "",
				      (unsigned long long)c->seq);
		if (c->first != c->seq)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      ".%llu",
					      (unsigned long long)c->first);
	}
	tails_free(&t);
	assert_string_equal(text, want);
}

static void a_chain_leads_back_to_the_base(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 3, d);
	chain_is(p, 3, "3 2 1");
	chain_is(p, 1, "1");
	chain_is(p, 4, "");
}

static void a_chain_ends_at_the_newest_base(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];
	struct spec s = {.seq = 4, .base = true};

	seg_chain(&p->v, 3, d);
	memcpy(s.prev, d[3], SHA256_LEN);
	seg_put(&p->v, &s, d[4]);
	chain_is(p, 4, "4");
}

static void a_missing_object_breaks_the_chain(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 4, d);
	place_remove(p, 2, 2);
	chain_is(p, 1, "1");
	chain_is(p, 3, "");
	chain_is(p, 4, "");
}

static void the_widest_cover_is_taken(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 5, d);
	seg_merged(&p->v, 2, 4, d);
	chain_is(p, 5, "5 4.2 1");
	seg_merged(&p->v, 1, 4, d);
	chain_is(p, 5, "5 4.1");
	chain_is(p, 4, "4.1");
	chain_is(p, 3, "3 2 1");
}

static void a_cover_that_leads_nowhere_is_not_taken(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 5, d);
	seg_merged(&p->v, 2, 4, d);
	seg_merged(&p->v, 1, 3, d);
	place_remove(p, 1, 1);
	chain_is(p, 5, "5 4 3.1");
}

static void a_damaged_cover_ends_the_way(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 3, d);
	seg_merged(&p->v, 1, 3, d);
	damage_object(p, 1, 3);
	chain_is(p, 3, "");
	chain_is(p, 2, "2 1");
}

static void a_segment_that_follows_another_one_breaks_the_chain(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN], other[SHA256_LEN];
	struct spec s = {.seq = 3};

	seg_chain(&p->v, 2, d);
	memset(s.prev, 7, SHA256_LEN);
	seg_put(&p->v, &s, other);
	chain_is(p, 3, "");
	chain_is(p, 2, "2 1");
}

/* Enough objects that they are read in parallel. */
static void many_objects_are_read(void **state)
{
	struct place *p = *state;
	uint8_t d[101][SHA256_LEN];
	struct tails t;

	seg_chain(&p->v, 100, d);
	damage_object(p, 50, 50);
	assert_int_equal(tails_load(&p->v, "web01", "root", NULL, &t, NULL), 0);
	assert_int_equal(t.n, 100);
	assert_int_equal(t.damaged, 1);
	assert_true(t.items[48].covered);
	assert_false(t.items[49].covered);
	assert_false(t.items[99].covered);
	assert_memory_equal(t.items[99].digest, d[100], SHA256_LEN);
	assert_string_equal(t.items[99].bookmark, "p100");
	assert_non_null(strstr(t.damage, "00000000000000000050"));
	tails_free(&t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_chain_leads_back_to_the_base),
	    T(a_chain_ends_at_the_newest_base),
	    T(a_missing_object_breaks_the_chain),
	    T(the_widest_cover_is_taken),
	    T(a_cover_that_leads_nowhere_is_not_taken),
	    T(a_damaged_cover_ends_the_way),
	    T(a_segment_that_follows_another_one_breaks_the_chain),
	    T(many_objects_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
