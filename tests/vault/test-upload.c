/* The rule by which a segment gets its name in a vault, branch by branch. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "segs.h"
#include "vault/fence.h"

struct place {
	struct vault v;
	char dir[64];
	struct bytes b;
	struct answers a;
	uint8_t d[16][SHA256_LEN]; /* digests of web01/root, by sequence */
};

static int begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	segs_vault(&p->v, p->dir);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	segs_vault_end(&p->v, p->dir);
	bytes_free(&p->b);
	free(p);
	return 0;
}

/* Appends segment `seq` of web01/root, the successor of the one before. */
static void add(struct place *p, uint64_t seq)
{
	struct spec s = {.seq = seq, .fill = (unsigned)seq};

	memcpy(s.prev, p->d[seq - 1], SHA256_LEN);
	seg_make(&p->b, &s, p->d[seq]);
}

static void add_spec(struct place *p, const struct spec *s)
{
	uint8_t ignored[SHA256_LEN];

	seg_make(&p->b, s, ignored);
}

/* Uploads what was added; gives the code. */
static int go(struct place *p)
{
	int rc = segs_upload(&p->v, &p->b, &p->a);

	bytes_free(&p->b);
	assert_int_equal(segs_leftovers(p->dir), 0);
	return rc;
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

/* The vault of a test with 1..n in it. */
static void fill(struct place *p, uint64_t n)
{
	uint64_t i;

	for (i = 1; i <= n; i++)
		add(p, i);
	assert_int_equal(go(p), 0);
	assert_int_equal(p->a.totals.stored, n);
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

	fill(p, 3);
	stored(p, 0, 1);
	stored(p, 2, 3);
	assert_int_equal(p->a.n, 3);
	assert_memory_equal(p->a.acks[1].digest, p->d[2], SHA256_LEN);
	assert_int_equal(head(p), 3);
	add(p, 4);
	assert_int_equal(go(p), 0);
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

	assert_int_equal(go(p), 0);
	assert_int_equal(p->a.n, 0);
}

static void disks_are_independent(void **state)
{
	struct place *p = *state;
	struct spec other = {.machine = "db", .disk = "data", .seq = 1};

	add(p, 1);
	add_spec(p, &other);
	add(p, 2);
	assert_int_equal(go(p), 0);
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

	fill(p, 3);
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(go(p), 0);
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
	assert_int_equal(go(p), 0);
	assert_int_equal(segs_upload(&p->v, &second, &p->a), 0);
	add(p, 3);
	assert_int_equal(go(p), 0);
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
	assert_int_equal(go(p), 0);
	refused(p, 0, 2, "another segment");
	/* And the chain goes on behind the merged one. */
	add(p, 4);
	assert_int_equal(go(p), 0);
	stored(p, 0, 4);
	bytes_free(&second);
}

static void what_retention_dropped_is_refused(void **state)
{
	struct place *p = *state;
	struct spec base = {.seq = 3, .base = true}, late = {.seq = 1};

	fill(p, 2);
	memcpy(base.prev, p->d[2], SHA256_LEN);
	seg_make(&p->b, &base, p->d[3]);
	assert_int_equal(go(p), 0);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000002",
				NULL);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000001",
				NULL);
	add_spec(p, &late);
	assert_int_equal(go(p), 0);
	refused(p, 0, 1, "no longer keeps");
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000001"));
}

/* ---- what does not continue ---- */

static void a_gap_is_refused(void **state)
{
	struct place *p = *state;

	fill(p, 1);
	memset(p->d[2], 2, SHA256_LEN);
	add(p, 3);
	assert_int_equal(go(p), 0);
	refused(p, 0, 3, "gap");
	assert_int_equal(head(p), 1);
}

static void a_fork_is_refused(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 2};

	fill(p, 1);
	memset(s.prev, 2, SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(go(p), 0);
	refused(p, 0, 2, "fork");
	assert_int_equal(head(p), 1);
}

static void a_disk_begins_with_its_first_segment(void **state)
{
	struct place *p = *state;

	memset(p->d[1], 1, SHA256_LEN);
	add(p, 2);
	assert_int_equal(go(p), 0);
	refused(p, 0, 2, "gap");
	assert_int_equal(head(p), 0);
}

static void a_new_base_must_follow_the_head(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 2, .base = true};

	fill(p, 1);
	memset(s.prev, 9, SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(go(p), 0);
	refused(p, 0, 2, "fork");
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(go(p), 0);
	stored(p, 0, 2);
}

static void a_merged_segment_is_no_upload(void **state)
{
	struct place *p = *state;
	struct seg_replaced replaced[2] = {{.seq = 2}, {.seq = 3}};
	struct spec s = {
	    .first = 2, .seq = 3, .replaced = replaced, .nreplaced = 2};

	fill(p, 1);
	memcpy(s.prev, p->d[1], SHA256_LEN);
	add_spec(p, &s);
	assert_int_equal(go(p), 0);
	refused(p, 0, 3, "merged");
	assert_int_equal(head(p), 1);
}

static void a_refusal_holds_its_disk_and_no_other(void **state)
{
	struct place *p = *state;
	struct spec fork = {.seq = 2, .fill = 50};
	struct spec other = {.disk = "data", .seq = 1};

	fill(p, 1);
	memset(fork.prev, 2, SHA256_LEN);
	add_spec(p, &fork);
	add(p, 2); /* right, but behind a refusal */
	add_spec(p, &other);
	add(p, 3);
	assert_int_equal(go(p), 0);
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

	fill(p, 2);
	snprintf(path, sizeof(path), "%s/web01/root/00000000000000000002",
		 p->dir);
	assert_int_equal(truncate(path, 1000), 0);
	add(p, 3);
	add_spec(p, &other);
	assert_int_equal(go(p), 0);
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
	add(p, 3);
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

	add(p, 1);
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

/* ---- two writers ---- */

static _Noreturn void upload_and_leave(const struct place *p,
				       const struct bytes *b, int start)
{
	struct vault v;
	struct answers a;
	char c;
	unsigned i;

	if (vault_open(&v, p->dir, NULL) < 0 || read(start, &c, 1) != 0 ||
	    segs_upload(&v, b, &a) < 0)
		_exit(99);
	for (i = 0; i < a.n; i++)
		if (a.acks[i].level == ACK_REFUSED)
			break;
	_exit((int)i); /* how many were stored */
}

static void of_two_writers_of_one_sequence_one_wins(void **state)
{
	enum { ROUNDS = 20, EACH = 3 };
	struct place *p = *state;
	unsigned round;

	for (round = 0; round < ROUNDS; round++) {
		uint8_t prev[SHA256_LEN] = {0};
		unsigned sum = 0, k, i;
		char disk[16];
		pid_t pids[2];
		int start[2];

		snprintf(disk, sizeof(disk), "d%u", round);
		assert_int_equal(pipe(start), 0);
		for (k = 0; k < 2; k++) {
			struct bytes b = {0};

			for (i = 1; i <= EACH; i++) {
				struct spec s = {
				    .disk = disk, .seq = i, .fill = 10 * k + i};

				if (i > 1)
					memcpy(s.prev, prev, SHA256_LEN);
				seg_make(&b, &s, prev);
			}
			pids[k] = fork();
			assert_true(pids[k] >= 0);
			if (pids[k] == 0) {
				close(start[1]);
				upload_and_leave(p, &b, start[0]);
			}
			bytes_free(&b);
		}
		close(start[0]);
		close(start[1]);
		for (k = 0; k < 2; k++) {
			int status;

			assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
			assert_true(WIFEXITED(status));
			assert_true(WEXITSTATUS(status) == 0 ||
				    WEXITSTATUS(status) == EACH);
			sum += (unsigned)WEXITSTATUS(status);
		}
		assert_int_equal(sum, EACH);
	}
}

/* ---- after a long time away ---- */

static void claim_of(const struct place *p, uint64_t seq,
		     struct fence_claim *ret)
{
	ret->seq = seq;
	memcpy(ret->prev, p->d[seq - 1], SHA256_LEN);
	memcpy(ret->digest, p->d[seq], SHA256_LEN);
}

static struct fence fence_of(struct place *p)
{
	return (struct fence){
	    .vault = &p->v, .machine = "web01", .disk = "root"};
}

static bool settles(struct place *p, const struct fence_claim *claim)
{
	struct fence f = fence_of(p);
	bool ours;

	assert_int_equal(fence_settle(&f, claim, &ours, NULL), 0);
	return ours;
}

static void a_late_create_stands_when_nobody_went_on(void **state)
{
	struct place *p = *state;
	struct fence_claim claim;

	fill(p, 3);
	claim_of(p, 3, &claim);
	assert_true(settles(p, &claim));
	assert_true(segs_exists(p->dir, "web01/root/00000000000000000003"));
}

static void a_late_create_stands_when_others_went_on_from_it(void **state)
{
	struct place *p = *state;
	struct fence_claim claim;

	fill(p, 5);
	claim_of(p, 3, &claim);
	assert_true(settles(p, &claim));
	seg_merged(&p->v, 1, 4, p->d);
	assert_true(settles(p, &claim));
	assert_true(segs_exists(p->dir, "web01/root/00000000000000000003"));
}

static void a_late_create_goes_when_the_number_was_merged_away(void **state)
{
	struct place *p = *state;
	struct fence_claim claim;
	struct spec zombie = {.seq = 2, .fill = 66};

	fill(p, 4);
	seg_merged(&p->v, 1, 4, p->d);
	p->v.store->ops->remove(p->v.store, "web01/root/00000000000000000002",
				NULL);
	memcpy(zombie.prev, p->d[1], SHA256_LEN);
	seg_put(&p->v, &zombie, p->d[2]);
	claim_of(p, 2, &claim);
	assert_false(settles(p, &claim));
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000002"));
}

static void an_old_look_is_renewed_before_the_create(void **state)
{
	struct place *p = *state;
	const struct store_ops *ops = p->v.store->ops;
	struct fence f = fence_of(p);
	struct fence_claim claim = {.seq = 2};
	struct store_put *put;
	struct ack a = {0};

	/* Looked at the vault long ago, when it had only segment 1. */
	fill(p, 3);
	f.seq = 1;
	memcpy(f.digest, p->d[1], SHA256_LEN);
	memcpy(claim.prev, p->d[1], SHA256_LEN);
	ops->remove(p->v.store, "web01/root/00000000000000000002", NULL);
	seg_merged(&p->v, 1, 3, p->d);
	assert_int_equal(ops->put_begin(p->v.store,
					"web01/root/00000000000000000002", &put,
					NULL),
			 0);
	assert_int_equal(fence_commit(&f, &claim, put, &a, NULL), 0);
	assert_int_equal(a.level, ACK_REFUSED);
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000002"));
}

/* ---- bad input ---- */

static void a_cut_segment_leaves_nothing(void **state)
{
	struct place *p = *state;
	size_t whole;

	add(p, 1);
	whole = p->b.n;
	add(p, 2);
	p->b.n = whole + (p->b.n - whole) / 2;
	assert_int_equal(go(p), -PS_DATA);
	assert_int_equal(p->a.n, 1);
	stored(p, 0, 1);
	assert_int_equal(head(p), 1);
	assert_false(segs_exists(p->dir, "web01/root/00000000000000000002"));
}

static void a_damaged_segment_leaves_nothing(void **state)
{
	struct place *p = *state;

	add(p, 1);
	p->b.p[SEG_HEADER_LEN + 100] ^= 1;
	assert_int_equal(go(p), -PS_DATA);
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

	add(p, 1);
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

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

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
	    T(of_two_writers_of_one_sequence_one_wins),
	    T(a_late_create_stands_when_nobody_went_on),
	    T(a_late_create_stands_when_others_went_on_from_it),
	    T(a_late_create_goes_when_the_number_was_merged_away),
	    T(an_old_look_is_renewed_before_the_create),
	    T(a_cut_segment_leaves_nothing),
	    T(a_damaged_segment_leaves_nothing),
	    T(a_failure_behind_ends_the_wait_for_input),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
