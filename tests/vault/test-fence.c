/* A vault that others write to, too: at the same time, or long since. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "place.h"
#include "vault/fence.h"

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

	place_fill(p, 3);
	claim_of(p, 3, &claim);
	assert_true(settles(p, &claim));
	assert_true(segs_exists(p->dir, "web01/root/00000000000000000003"));
}

static void a_late_create_stands_when_others_went_on_from_it(void **state)
{
	struct place *p = *state;
	struct fence_claim claim;

	place_fill(p, 5);
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

	place_fill(p, 4);
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
	place_fill(p, 3);
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

#define T(f) cmocka_unit_test_setup_teardown(f, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(of_two_writers_of_one_sequence_one_wins),
	    T(a_late_create_stands_when_nobody_went_on),
	    T(a_late_create_stands_when_others_went_on_from_it),
	    T(a_late_create_goes_when_the_number_was_merged_away),
	    T(an_old_look_is_renewed_before_the_create),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
