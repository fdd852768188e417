/* The rule by which a segment gets its name in a vault, branch by branch. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "place.h"

static void add_spec(struct place *p, const struct spec *s)
{
	uint8_t ignored[SHA256_LEN];

	seg_make(&p->b, s, ignored);
}

static void stored(const struct place *p, unsigned i, uint64_t seq)
{
	assert_true(i < p->a.n);
	assert_int_equal(p->a.acks[i].level, ACK_STORED);
	assert_int_equal(p->a.acks[i].seq, seq);
	assert_string_equal(p->a.acks[i].reason, "");
}

static void refused(const struct place *p, unsigned i, uint64_t seq,
		    const char *reason)
{
	assert_true(i < p->a.n);
	assert_int_equal(p->a.acks[i].level, ACK_REFUSED);
	assert_int_equal(p->a.acks[i].seq, seq);
	assert_non_null(strstr(p->a.acks[i].reason, reason));
}

static uint64_t head(struct place *p)
{
	uint8_t digest[SHA256_LEN];
	uint64_t seq;

	assert_int_equal(vault_head(&p->v, "web01", "root", &seq, digest, NULL),
			 0);
	if (seq > 0)
		assert_memory_equal(digest, p->d[seq], SHA256_LEN);
	return seq;
}

/* ---- in order ---- */

static void segments_in_order_are_stored(void **state)
{
	struct place *p = *state;

	place_fill(p, 3);
	stored(p, 0, 1);
	stored(p, 2, 3);
	assert_int_equal(p->a.n, 3);
	assert_memory_equal(p->a.acks[1].digest, p->d[2], SHA256_LEN);
	assert_int_equal(head(p), 3);
	place_add(p, 4);
	assert_int_equal(place_go(p), 0);
	stored(p, 0, 4);
	assert_int_equal(head(p), 4);
}

static void bytes_pass_unchanged(void **state)
{
	struct place *p = *state;
	struct bytes want = {0};
	struct spec s = {.seq = 1};
	uint8_t *got;
	uint64_t size;

	seg_make(&want, &s, p->d[1]);
	assert_int_equal(segs_upload(&p->v, &want, &p->a), 0);
	assert_int_equal(
	    p->v.store->ops->size(p->v.store, "web01/root/00000000000000000001",
				  &size, NULL),
	    0);
	assert_int_equal(size, want.n);
	got = malloc(size);
	assert_non_null(got);
	assert_int_equal(
	    p->v.store->ops->read(p->v.store, "web01/root/00000000000000000001",
				  0, got, size, NULL),
	    0);
	assert_memory_equal(got, want.p, size);
	free(got);
	bytes_free(&want);
}

static void empty_input_is_success(void **state)
{
	struct place *p = *state;

	assert_int_equal(place_go(p), 0);
	assert_int_equal(p->a.n, 0);
}

static void disks_are_independent(void **state)
{
	struct place *p = *state;
	struct spec other = {.machine = "db", .disk = "data", .seq = 1};

	place_add(p, 1);
	add_spec(p, &other);
	place_add(p, 2);
	assert_int_equal(place_go(p), 0);
	stored(p, 0, 1);
	stored(p, 1, 1);
	assert_string_equal(p->a.acks[1].machine, "db");
	stored(p, 2, 2);
}

/* ---- replays ---- */

static void the_same_again_is_stored(void **state)
{
	struct place *p = *state;
	struct bytes all = {0};
	struct spec s = {.seq = 1}, t = {.seq = 2};

	seg_make(&all, &s, p->d[1]);
	memcpy(t.prev, p->d[1], SHA256_LEN);
	seg_make(&all, &t, p->d[2]);
	assert_int_equal(segs_upload(&p->v, &all, &p->a), 0);
	assert_int_equal(segs_upload(&p->v, &all, &p->a), 0);
	stored(p, 0, 1);
	stored(p, 1, 2);
	assert_int_equal(p->a.totals.bytes, 0);
	bytes_free(&all);
}

static void twice_in_one_stream_is_stored_twice(void **state)
{
	struct place *p = *state;
	struct bytes one = {0};
	struct spec s = {.seq = 1};
	size_t n;

	seg_make(&one, &s, p->d[1]);
	n = one.n;
	one.p = realloc(one.p, 2 * n);
	assert_non_null(one.p);
	memcpy(one.p + n, one.p, n);
	one.n = 2 * n;
	assert_int_equal(segs_upload(&p->v, &one, &p->a), 0);
	stored(p, 0, 1);
	stored(p, 1, 1);
	assert_int_equal(p->a.totals.bytes, n);
	bytes_free(&one);
}

static void another_content_under_the_same_name_is_refused(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 2, .fill = 99};

	place_fill(p, 3);
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 2, "another segment");
	assert_int_equal(p->a.totals.refused, 1);
	assert_int_equal(head(p), 3);
}

static void what_was_merged_is_still_stored(void **state)
{
	struct place *p = *state;
	struct bytes second = {0};
	struct spec s = {.seq = 1}, t = {.seq = 2};

	seg_make(&p->b, &s, p->d[1]);
	memcpy(t.prev, p->d[1], SHA256_LEN);
	seg_make(&second, &t, p->d[2]);
	assert_int_equal(place_go(p), 0);
	assert_int_equal(segs_upload(&p->v, &second, &p->a), 0);
	place_add(p, 3);
	assert_int_equal(place_go(p), 0);
	seg_merged(&p->v, 1, 3, p->d);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000003",
				NULL);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000002",
				NULL);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000001",
				NULL);
	assert_int_equal(segs_upload(&p->v, &second, &p->a), 0);
	stored(p, 0, 2);
	/* Another one of that number is still found out. */
	t.fill = 99;
	add_spec(p, &t);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 2, "another segment");
	/* And the chain goes on behind the merged one. */
	place_add(p, 4);
	assert_int_equal(place_go(p), 0);
	stored(p, 0, 4);
	bytes_free(&second);
}

static void what_retention_dropped_is_refused(void **state)
{
	struct place *p = *state;
	struct spec base = {.seq = 3, .base = true}, late = {.seq = 1};

	place_fill(p, 2);
	memcpy(base.prev, p->d[2], SHA256_LEN);
	seg_make(&p->b, &base, p->d[3]);
	assert_int_equal(place_go(p), 0);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000002",
				NULL);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000001",
				NULL);
	add_spec(p, &late);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 1, "no longer keeps");
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000001"));
}

/* ---- what does not continue ---- */

static void a_gap_is_refused(void **state)
{
	struct place *p = *state;

	place_fill(p, 1);
	memset(p->d[2], 2, SHA256_LEN);
	place_add(p, 3);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 3, "gap");
	assert_int_equal(head(p), 1);
}

static void a_fork_is_refused(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 2};

	place_fill(p, 1);
	memset(s.prev, 2, SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 2, "fork");
	assert_int_equal(head(p), 1);
}

static void a_disk_begins_with_its_first_segment(void **state)
{
	struct place *p = *state;

	memset(p->d[1], 1, SHA256_LEN);
	place_add(p, 2);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 2, "gap");
	assert_int_equal(head(p), 0);
}

static void a_new_base_must_follow_the_head(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 2, .base = true};

	place_fill(p, 1);
	memset(s.prev, 9, SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 2, "fork");
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(place_go(p), 0);
	stored(p, 0, 2);
}

static void a_merged_segment_is_no_upload(void **state)
{
	struct place *p = *state;
	struct seg_replaced replaced[2] = {{.seq = 2}, {.seq = 3}};
	struct spec s = {
	    .first = 2, .seq = 3, .replaced = replaced, .nreplaced = 2};

	place_fill(p, 1);
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 3, "merged");
	assert_int_equal(head(p), 1);
}

static void a_refusal_holds_its_disk_and_no_other(void **state)
{
	struct place *p = *state;
	struct spec fork = {.seq = 2, .fill = 50};
	struct spec other = {.disk = "data", .seq = 1};

	place_fill(p, 1);
	memset(fork.prev, 2, SHA256_LEN);
	add_spec(p, &fork);
	place_add(p, 2); /* right, but behind a refusal */
	add_spec(p, &other);
	place_add(p, 3);
	assert_int_equal(place_go(p), 0);
	assert_int_equal(p->a.n, 4);
	refused(p, 0, 2, "fork");
	refused(p, 1, 2, "held since segment 2: fork");
	stored(p, 2, 1);
	assert_string_equal(p->a.acks[2].disk, "data");
	refused(p, 3, 3, "held since segment 2: fork");
	assert_int_equal(p->a.totals.refused, 3);
	assert_int_equal(head(p), 1);
}

static void a_damaged_head_refuses_its_disk_and_no_other(void **state)
{
	struct place *p = *state;
	struct spec other = {.disk = "data", .seq = 1};
	char path[256];

	place_fill(p, 2);
	snprintf(path, sizeof(path), "%s/web01/root/00000000000000000002",
		 p->dir);
	assert_int_equal(truncate(path, 1000), 0);
	place_add(p, 3);
	add_spec(p, &other);
	assert_int_equal(place_go(p), 0);
	refused(p, 0, 3, "cannot be read");
	stored(p, 1, 1);
}

/* Another writer stores 2 when 1 is acknowledged; then 3 comes to us. */
struct relay {
	struct place *p;
	int to;
	unsigned stored;
};

static int go_on_elsewhere(void *ctx, const struct ack *a, struct err *e)
{
	struct relay *r = ctx;
	struct place *p = r->p;
	struct spec s = {.seq = 2};

	(void)e;
	r->stored += a->level == ACK_STORED;
	if (a->seq != 1)
		return 0;
	memcpy(s.prev, p->d[1], SHA256_LEN);
	seg_put(&p->v, &s, p->d[2]);
	bytes_free(&p->b);
	place_add(p, 3);
	assert_int_equal(io_write_full(r->to, p->b.p, p->b.n), 0);
	return close(r->to);
}

static void a_writer_that_is_behind_looks_again(void **state)
{
	struct place *p = *state;
	struct relay r = {.p = p};
	struct upload u = {.ack = go_on_elsewhere, .ctx = &r};
	struct upload_totals totals;
	int fds[2];

	place_add(p, 1);
	assert_int_equal(pipe(fds), 0);
	r.to = fds[1];
	assert_int_equal(io_write_full(r.to, p->b.p, p->b.n), 0);
	alarm(20);
	assert_int_equal(upload_run(&p->v, fds[0], "pipe", &u, &totals, NULL),
			 0);
	alarm(0);
	close(fds[0]);
	assert_int_equal(r.stored, 2);
	assert_int_equal(head(p), 3);
}

/* ---- bad input ---- */

static void a_cut_segment_leaves_nothing(void **state)
{
	struct place *p = *state;
	size_t whole;

	place_add(p, 1);
	whole = p->b.n;
	place_add(p, 2);
	p->b.n = whole + (p->b.n - whole) / 2;
	assert_int_equal(place_go(p), -PS_DATA);
	assert_int_equal(p->a.n, 1);
	stored(p, 0, 1);
	assert_int_equal(head(p), 1);
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000002"));
}

static void a_damaged_segment_leaves_nothing(void **state)
{
	struct place *p = *state;

	place_add(p, 1);
	p->b.p[SEG_HEADER_LEN + 100] ^= 1;
	assert_int_equal(place_go(p), -PS_DATA);
	assert_int_equal(p->a.n, 0);
	assert_int_equal(head(p), 0);
}

static int fails(void *ctx, const struct ack *a, struct err *e)
{
	(void)ctx;
	(void)a;
	return err_set(e, PS_TEMPFAIL, "nobody listens");
}

/* The reader sleeps in a pipe that nobody writes to any more. */
static void a_failure_behind_ends_the_wait_for_input(void **state)
{
	struct place *p = *state;
	struct upload u = {.ack = fails};
	struct upload_totals totals;
	struct err e = {0};
	int to[2];

	place_add(p, 1);
	assert_int_equal(pipe(to), 0);
	assert_int_equal(io_write_full(to[1], p->b.p, p->b.n), 0);
	alarm(20);
	assert_int_equal(upload_run(&p->v, to[0], "pipe", &u, &totals, &e),
			 -PS_TEMPFAIL);
	alarm(0);
	assert_string_equal(e.msg, "nobody listens");
	close(to[0]);
	close(to[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(segments_in_order_are_stored),
	    T(bytes_pass_unchanged),
	    T(empty_input_is_success),
	    T(disks_are_independent),
	    T(the_same_again_is_stored),
	    T(twice_in_one_stream_is_stored_twice),
	    T(another_content_under_the_same_name_is_refused),
	    T(what_was_merged_is_still_stored),
	    T(what_retention_dropped_is_refused),
	    T(a_gap_is_refused),
	    T(a_fork_is_refused),
	    T(a_disk_begins_with_its_first_segment),
	    T(a_new_base_must_follow_the_head),
	    T(a_merged_segment_is_no_upload),
	    T(a_refusal_holds_its_disk_and_no_other),
	    T(a_damaged_head_refuses_its_disk_and_no_other),
	    T(a_writer_that_is_behind_looks_again),
	    T(a_cut_segment_leaves_nothing),
	    T(a_damaged_segment_leaves_nothing),
	    T(a_failure_behind_ends_the_wait_for_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
