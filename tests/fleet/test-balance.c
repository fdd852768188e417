/*
 * Planning: never above a limit, within 5 % of what any plan can reach, as
 * good as trying everything where that can be done, and fast.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "fleet/balance.h"
#include "fleet/sizes.h"

static uint64_t seed;

static uint64_t rnd(uint64_t below) /* splitmix64 */
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) % below;
}

static void make_fleet(struct fleet *f, size_t servers, size_t machines)
{
	f->nservers = servers;
	f->nmachines = machines;
	f->servers = calloc(servers + 1, sizeof(*f->servers));
	f->machines = calloc(machines + 1, sizeof(*f->machines));
	assert_non_null(f->servers);
	assert_non_null(f->machines);
	for (size_t i = 0; i < servers; i++) {
		const struct server_size *s = &sizes_process[rnd(SIZES)];

		snprintf(f->servers[i].name, NAME_SIZE, "ps%zu", i);
		f->servers[i].churn = s->churn;
		f->servers[i].machines = s->machines;
	}
	for (size_t i = 0; i < machines; i++) {
		snprintf(f->machines[i].name, NAME_SIZE, "m%zu", i);
		f->machines[i].server = NO_SERVER;
	}
}

/* Few machines with much churn, many with little; `fill` of all limits. */
static void give_churn(struct fleet *f, double fill)
{
	double all = 0, sum = 0;
	size_t i;

	for (i = 0; i < f->nservers; i++)
		all += (double)f->servers[i].churn;
	for (i = 0; i < f->nmachines; i++) {
		f->machines[i].churn = 1 + rnd(1000) * rnd(1000) * rnd(100);
		sum += (double)f->machines[i].churn;
	}
	for (i = 0; i < f->nmachines; i++)
		f->machines[i].churn =
		    (uint64_t)((double)f->machines[i].churn * fill * all / sum);
}

static const struct balance_opts usual = {0.3, 0.05};

/* No server above a limit, nobody moved who is pinned, closed stays closed. */
static void assert_sound(const struct fleet *f, const struct balance *b)
{
	double *churn = calloc(f->nservers, sizeof(*churn));
	unsigned *n = calloc(f->nservers, sizeof(*n));
	size_t i, moves = 0;

	assert_non_null(churn);
	assert_non_null(n);
	for (i = 0; i < f->nmachines; i++) {
		const struct machine *m = &f->machines[i];
		int s = b->server[i];

		if (s != m->server)
			moves++;
		if (m->pinned || s == NO_SERVER) {
			assert_true(!m->pinned || s == m->server);
			continue;
		}
		assert_true(f->servers[s].state != SERVER_SILENT);
		assert_true(f->servers[s].state != SERVER_CRITICAL ||
			    s == m->server);
		churn[s] += (double)m->churn;
		n[s]++;
	}
	assert_int_equal(moves, b->nmoves);
	for (i = 0; i < f->nservers; i++) {
		assert_true(churn[i] <=
			    (1 - usual.headroom) * (double)f->servers[i].churn);
		assert_true(n[i] <= f->servers[i].machines);
	}
	free(churn);
	free(n);
}

static void test_generated(void **state)
{
	struct balance b;
	struct fleet f;
	double worst = 0;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		size_t servers;

		seed = round * 997;
		servers = 2 + rnd(30);
		make_fleet(&f, servers, servers * (20 + rnd(40)));
		give_churn(&f, 0.2 + (double)rnd(40) / 100);
		for (size_t i = 0; i < f.nmachines; i++)
			f.machines[i].server =
			    rnd(4) == 0 ? NO_SERVER : (int)rnd(servers);
		assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
		assert_sound(&f, &b);
		if (b.load_after / b.bound > worst)
			worst = b.load_after / b.bound;
		balance_free(&b);
		fleet_free(&f);
	}
	print_message("highest load over the bound: %.3f at worst\n", worst);
	assert_true(worst <= 1.05);
}

/* The lowest highest load that there is, by trying everything; 2: no plan. */
static double oracle(const struct fleet *f, size_t at, double *churn,
		     unsigned *n, double best)
{
	double most = 0;

	if (at == f->nmachines) {
		for (size_t s = 0; s < f->nservers; s++) {
			double load = churn[s] / (double)f->servers[s].churn;

			most = load > most ? load : most;
		}
		return most < best ? most : best;
	}
	for (size_t s = 0; s < f->nservers; s++) {
		double c = (double)f->machines[at].churn;

		/* Who is critical keeps what it has, a silent one nothing. */
		if (f->servers[s].state > SERVER_CRITICAL ||
		    (f->servers[s].state == SERVER_CRITICAL &&
		     f->machines[at].server != (int)s) ||
		    (f->machines[at].pinned &&
		     f->machines[at].server != (int)s))
			continue;
		if (churn[s] + c >
			(1 - usual.headroom) * (double)f->servers[s].churn ||
		    n[s] + 1 > f->servers[s].machines)
			continue;
		churn[s] += c;
		n[s]++;
		best = oracle(f, at + 1, churn, n, best);
		churn[s] -= c;
		n[s]--;
	}
	return best;
}

/* Some servers are not well, and machines have a server already. */
static void give_states(struct fleet *f)
{
	for (size_t i = 0; i < f->nservers; i++)
		f->servers[i].state = rnd(5) == 0   ? SERVER_SILENT
				      : rnd(4) == 0 ? SERVER_CRITICAL
						    : SERVER_HEALTHY;
	for (size_t i = 0; i < f->nmachines; i++) {
		struct machine *m = &f->machines[i];

		m->server = (int)rnd(f->nservers + 1) - 1;
		m->pinned = m->server != NO_SERVER && rnd(6) == 0 &&
			    f->servers[m->server].state != SERVER_SILENT;
	}
}

static void test_oracle(void **state)
{
	struct balance b;
	struct fleet f;
	unsigned feasible = 0, not_feasible = 0;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		double churn[4] = {0}, best;
		unsigned n[4] = {0};
		int rc;

		seed = round * 31;
		make_fleet(&f, 2 + rnd(3), 3 + rnd(6));
		for (size_t i = 0; i < f.nservers; i++)
			f.servers[i].machines = 1 + (unsigned)rnd(4);
		if (round % 2 == 1)
			give_states(&f);
		give_churn(&f, 0.2 + (double)rnd(50) / 100);
		best = oracle(&f, 0, churn, n, 2);
		rc = balance_plan(&b, &f, &usual, NULL);
		assert_int_equal(rc, best > 1 ? PS_NO : 0);
		if (rc == 0) {
			feasible++;
			assert_sound(&f, &b);
			assert_true(b.bound <= best * 1.0000001);
			assert_true(b.load_after <= best * 1.05 ||
				    b.load_after <= b.bound * 1.05);
		} else {
			not_feasible++;
			assert_true(b.left > 0 || b.pinned);
		}
		balance_free(&b);
		fleet_free(&f);
	}
	print_message("%u feasible, %u not\n", feasible, not_feasible);
	assert_true(feasible > 50 && not_feasible > 50);
}

/* What is even already is left alone, and one overload costs one move. */
static void test_few_moves(void **state)
{
	struct balance b;
	struct fleet f;

	(void)state;
	seed = 3;
	make_fleet(&f, 4, 80);
	for (size_t i = 0; i < f.nservers; i++) {
		f.servers[i].churn = 1000 * GIB;
		f.servers[i].machines = 150;
	}
	for (size_t i = 0; i < f.nmachines; i++) {
		f.machines[i].churn = 20 * GIB;
		f.machines[i].server = (int)(i % 4);
	}
	assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
	assert_int_equal(b.nmoves, 0);
	balance_free(&b);
	f.machines[1].churn = 60 * GIB; /* 440 of 1000 on ps1; 410 is even */
	assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
	assert_int_equal(b.nmoves, 1);
	assert_int_equal(b.moves[0].from, 1);
	assert_int_equal(b.moves[0].reason, MOVE_EVEN);
	balance_free(&b);
	fleet_free(&f);
}

static void test_states(void **state)
{
	struct balance b;
	struct fleet f;

	(void)state;
	seed = 5;
	make_fleet(&f, 4, 40);
	for (size_t i = 0; i < f.nservers; i++) {
		f.servers[i].churn = 1000 * GIB;
		f.servers[i].machines = 150;
	}
	for (size_t i = 0; i < f.nmachines; i++) {
		f.machines[i].churn = 10 * GIB;
		f.machines[i].server = (int)(i % 4);
	}
	f.servers[0].state = SERVER_SILENT;
	f.servers[1].state = SERVER_CRITICAL;
	f.machines[0].pinned = true;
	assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
	assert_sound(&f, &b);
	assert_int_equal(b.nmoves, 9); /* of the silent one, but the pinned */
	for (size_t i = 0; i < b.nmoves; i++) {
		assert_int_equal(b.moves[i].reason, MOVE_SILENT);
		assert_true(b.moves[i].to >= 2);
	}
	balance_free(&b);
	/* What is pinned to one server is more than it should carry. */
	for (size_t i = 2; i < 40; i += 4) {
		f.machines[i].pinned = true;
		f.machines[i].churn = 90 * GIB;
	}
	assert_int_equal(balance_plan(&b, &f, &usual, NULL), PS_NO);
	assert_true(b.pinned);
	balance_free(&b);
	fleet_free(&f);
}

static void test_wanted(void **state)
{
	struct fleet f;
	unsigned n;
	int size;

	(void)state;
	make_fleet(&f, 0, 220); /* the worked example of the documentation */
	for (size_t i = 0; i < f.nmachines; i++)
		f.machines[i].churn = 4 * GIB;
	assert_int_equal(balance_wanted(&f, &usual, &size, &n, NULL), 0);
	assert_int_equal(size, 2);
	assert_int_equal(n, 1);
	f.nmachines = 85;
	for (size_t i = 0; i < f.nmachines; i++)
		f.machines[i].churn = 2 * GIB;
	assert_int_equal(balance_wanted(&f, &usual, &size, &n, NULL), 0);
	assert_int_equal(size, 0);
	f.machines[0].churn = 1500 * GIB; /* above 70 % of 2 TB */
	assert_int_equal(balance_wanted(&f, &usual, &size, &n, NULL), 0);
	assert_int_equal(n, 0);
	fleet_free(&f);
}

/*
 * Near the bound also where servers are not well, all machines are alike, or
 * places are few.
 */
static void test_shapes(void **state)
{
	static const struct {
		size_t servers, machines;
		double fill;
		bool states, alike;
		unsigned places;
	} t[] = {{100, 10000, 0.3, true, false, 0},
		 {100, 10000, 0.6, false, true, 0},
		 {20, 450, 0.55, false, false, 30},
		 {5, 300, 0.2, true, false, 0}};

	(void)state;
	for (size_t k = 0; k < sizeof(t) / sizeof(t[0]); k++) {
		struct balance b;
		struct fleet f;

		seed = 40 + k;
		make_fleet(&f, t[k].servers, t[k].machines);
		give_churn(&f, t[k].fill);
		for (size_t i = 0; t[k].alike && i < f.nmachines; i++)
			f.machines[i].churn = 5 * GIB;
		for (size_t i = 0; t[k].places > 0 && i < f.nservers; i++)
			f.servers[i].machines = t[k].places;
		if (t[k].states)
			give_states(&f);
		for (size_t i = 0; i < f.nmachines; i++)
			f.machines[i].pinned = false;
		assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
		assert_sound(&f, &b);
		if (b.load_after > 1.05 * b.bound)
			fail_msg("row %zu: %.3f of the bound", k,
				 b.load_after / b.bound);
		balance_free(&b);
		fleet_free(&f);
	}
}

static void test_large(void **state)
{
	struct balance b;
	struct fleet f;
	int64_t from;

	(void)state;
	seed = 11;
	make_fleet(&f, 100, 10000);
	give_churn(&f, 0.5);
	for (size_t i = 0; i < f.nmachines; i++)
		f.machines[i].server = (int)rnd(100);
	from = mono_now_ns();
	assert_int_equal(balance_plan(&b, &f, &usual, NULL), 0);
	print_message("10,000 machines on 100 servers: %lld ms, %zu moves, "
		      "%.3f of the bound\n",
		      (long long)((mono_now_ns() - from) / 1000000), b.nmoves,
		      b.load_after / b.bound);
	assert_sound(&f, &b);
	assert_true(b.load_after <= 1.05 * b.bound);
	balance_free(&b);
	fleet_free(&f);
}

static void test_sizes(void **state)
{
	uint64_t churn;
	unsigned n;

	(void)state;
	assert_int_equal(
	    sizes_fit(sizes_process, 12, 24 * GIB, 1024 * GIB, &churn, &n), 2);
	assert_int_equal(n, 225);
	assert_int_equal(sizes_fit(sizes_process, 64, 11 * GIB + GIB / 2,
				   700 * GIB, &churn, &n),
			 1);
	assert_int_equal(
	    sizes_fit(sizes_process, 2, 8 * GIB, 300 * GIB, &churn, &n), -1);
	assert_int_equal(n, 42);
	assert_int_equal(churn, 125 * GIB);
	assert_int_equal(
	    sizes_fit(sizes_config, 16, 32 * GIB, 2048 * GIB, &churn, &n), 2);
	assert_int_equal(n, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_generated), cmocka_unit_test(test_oracle),
	    cmocka_unit_test(test_few_moves), cmocka_unit_test(test_states),
	    cmocka_unit_test(test_wanted),    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_shapes),    cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests_name("balance", tests, NULL, NULL);
}
