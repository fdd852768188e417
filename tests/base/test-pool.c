/* Results come back in order, and no more is under way than was asked for. */
#include "config.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"

struct slot {
	unsigned in, out;
};

static atomic_uint running, most;

static void square(void *p, void *ctx)
{
	struct slot *s = p;
	unsigned now = atomic_fetch_add(&running, 1) + 1;
	unsigned seen = atomic_load(&most);

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	/* The first ones take longest, so that later ones overtake them. */
	usleep(s->in % 7 == 0 ? 2000 : 10);
	s->out = s->in * s->in + *(unsigned *)ctx;
	atomic_fetch_sub(&running, 1);
}

static void run(unsigned threads, unsigned depth, unsigned n)
{
	struct pool *p;
	struct slot *s;
	struct err e = {0};
	unsigned in = 0, out = 0, extra = 3;

	atomic_store(&most, 0);
	assert_int_equal(pool_new(&p, threads, depth, sizeof(struct slot),
				  square, &extra, &e),
			 0);
	while (out < n) {
		while (in < n && (s = pool_slot(p)) != NULL) {
			s->in = in++;
			pool_submit(p);
		}
		assert_true(in - out <= pool_depth(p));
		s = pool_take(p);
		assert_non_null(s);
		assert_int_equal(s->in, out);
		assert_int_equal(s->out, out * out + 3);
		pool_release(p);
		out++;
	}
	assert_null(pool_take(p));
	assert_null(pool_peek(p));
	assert_true(atomic_load(&most) <= (threads ? threads : pool_cpus()));
	pool_free(p);
}

static void results_come_in_the_order_of_submission(void **state)
{
	(void)state;
	run(4, 8, 300);
	run(1, 1, 50);
	run(8, 2, 200);
	run(0, 0, 100);
}

static void a_full_pool_gives_no_slot(void **state)
{
	struct err e = {0};
	unsigned extra = 0;
	struct pool *p;

	(void)state;
	assert_int_equal(
	    pool_new(&p, 2, 2, sizeof(struct slot), square, &extra, &e), 0);
	assert_non_null(pool_slot(p));
	pool_submit(p);
	assert_non_null(pool_slot(p));
	pool_submit(p);
	assert_null(pool_slot(p));
	assert_non_null(pool_take(p));
	assert_null(pool_slot(p)); /* taken is not yet released */
	pool_release(p);
	assert_non_null(pool_slot(p));
	pool_free(p); /* with work under way */
}

static void peek_never_waits(void **state)
{
	struct err e = {0};
	unsigned extra = 0, spins = 0;
	struct pool *p;
	struct slot *s;

	(void)state;
	assert_int_equal(
	    pool_new(&p, 1, 4, sizeof(struct slot), square, &extra, &e), 0);
	s = pool_slot(p);
	s->in = 0; /* 2 ms */
	pool_submit(p);
	while ((s = pool_peek(p)) == NULL) {
		spins++;
		sched_yield();
	}
	assert_true(spins > 0);
	assert_int_equal(s->in, 0);
	pool_release(p);
	pool_free(p);
}

static void slots_can_own_things(void **state)
{
	struct err e = {0};
	unsigned extra = 0, i;
	struct pool *p;

	(void)state;
	assert_int_equal(
	    pool_new(&p, 1, 3, sizeof(struct slot), square, &extra, &e), 0);
	assert_int_equal(pool_depth(p), 3);
	for (i = 0; i < 3; i++) {
		struct slot *s = pool_at(p, i);

		assert_int_equal(s->in, 0); /* zeroed */
		s->in = i + 1;
	}
	assert_int_equal(((struct slot *)pool_at(p, 2))->in, 3);
	pool_free(p);
	pool_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(results_come_in_the_order_of_submission),
	    cmocka_unit_test(a_full_pool_gives_no_slot),
	    cmocka_unit_test(peek_never_waits),
	    cmocka_unit_test(slots_can_own_things),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
