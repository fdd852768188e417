/* Which recovery points there are, and which one is meant. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "segs.h"

struct place {
	struct vault v;
	char dir[64];
	struct points all;
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

	points_free(&p->all);
	segs_vault_end(&p->v, p->dir);
	free(p);
	return 0;
}

static void list(struct place *p, const char *machine)
{
	points_free(&p->all);
	assert_int_equal(points_list(&p->v, machine, NULL, &p->all, NULL), 0);
}

/* "id: m/d=seq m/d=seq complete|incomplete", a line for each point. */
static void points_are(struct place *p, const char *machine, const char *want)
{
	char text[1024] = "";
	size_t i, k, n = 0;

	list(p, machine);
	for (i = 0; i < p->all.n; i++) {
		const struct point *x = &p->all.items[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s:", x->id);
		for (k = 0; k < x->ndisks; k++)
			n += (size_t)snprintf(
			    text + n, sizeof(text) - n, " %s/%s=%llu",
			    x->disks[k].machine, x->disks[k].disk,
			    (unsigned long long)x->disks[k].seq);
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s\n",
				      x->complete ? "complete" : "incomplete");
	}
	assert_string_equal(text, want);
}

/* One disk, whose segments follow each other. */
struct line {
	const char *machine, *disk;
	uint64_t seq;
	uint8_t last[SHA256_LEN];
};

static void next(struct place *p, struct line *l, const char *bookmark,
		 const char *members, int64_t time)
{
	struct spec s = {.machine = l->machine,
			 .disk = l->disk,
			 .seq = ++l->seq,
			 .bookmark = bookmark,
			 .members = members,
			 .time = time};

	memcpy(s.prev, l->last, SHA256_LEN);
	seg_put(&p->v, &s, l->last);
}

/* A part that is not the last of its pass. */
static void part(struct place *p, struct line *l, const char *bookmark)
{
	struct spec s = {.machine = l->machine,
			 .disk = l->disk,
			 .seq = ++l->seq,
			 .bookmark = bookmark,
			 .part = true};

	memcpy(s.prev, l->last, SHA256_LEN);
	seg_put(&p->v, &s, l->last);
}

static void remove_object(struct place *p, const char *name)
{
	assert_int_equal(p->v.store->ops->remove(p->v.store, name, NULL), 0);
}

/* ---- listing ---- */

static void an_empty_vault_has_no_points(void **state)
{
	points_are(*state, NULL, "");
	points_are(*state, "web01", "");
}

static void each_finished_pass_is_a_point(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "root"};

	part(p, &a, "x");
	next(p, &a, "x", NULL, 10);
	next(p, &a, "y", NULL, 20);
	part(p, &a, "z");
	points_are(p, "web01",
		   "x: web01/root=2 complete\n"
		   "y: web01/root=3 complete\n");
}

static void a_point_waits_for_all_its_disks(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "web01", .disk = "b"};

	next(p, &a, "x", "web01/a,web01/b", 10);
	points_are(p, "web01", "x: web01/a=1 web01/b=0 incomplete\n");
	next(p, &b, "x", "web01/a,web01/b", 11);
	points_are(p, "web01", "x: web01/a=1 web01/b=1 complete\n");
}

static void a_point_over_machines_is_one_point(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "db", .disk = "b"};

	next(p, &a, "x", "web01/a,db/b", 10);
	points_are(p, NULL, "x: db/b=0 web01/a=1 incomplete\n");
	next(p, &b, "x", "web01/a,db/b", 11);
	points_are(p, NULL, "x: db/b=1 web01/a=1 complete\n");
	points_are(p, "web01", "x: db/b=1 web01/a=1 complete\n");
	points_are(p, "db", "x: db/b=1 web01/a=1 complete\n");
	points_are(p, "other", "");
}

static void points_of_other_machines_are_not_listed(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "db", .disk = "b"};

	next(p, &a, "x", "web01/a,db/b", 10);
	next(p, &b, "x", "web01/a,db/b", 11);
	next(p, &b, "own", NULL, 12);
	points_are(p, "web01", "x: db/b=1 web01/a=1 complete\n");
}

static void disks_that_do_not_name_each_other_have_points_of_their_own(
    void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "web01", .disk = "b"};

	next(p, &a, "nightly", NULL, 10);
	next(p, &b, "nightly", NULL, 11);
	points_are(p, "web01",
		   "nightly: web01/a=1 complete\n"
		   "nightly: web01/b=1 complete\n");
}

static void a_disk_may_be_named_by_one_side_only(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "web01", .disk = "b"};

	next(p, &a, "x", NULL, 10);
	next(p, &b, "x", "web01/a,web01/b", 11);
	points_are(p, "web01", "x: web01/a=1 web01/b=1 complete\n");
}

static void a_bookmark_used_again_makes_another_point(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};
	struct line b = {.machine = "web01", .disk = "b"};

	next(p, &a, "n", "web01/a,web01/b", 10);
	next(p, &b, "n", "web01/a,web01/b", 11);
	next(p, &a, "n", "web01/a,web01/b", 20);
	points_are(p, "web01",
		   "n: web01/a=1 web01/b=1 complete\n"
		   "n: web01/a=2 web01/b=0 incomplete\n");
	next(p, &b, "n", "web01/a,web01/b", 21);
	points_are(p, "web01",
		   "n: web01/a=1 web01/b=1 complete\n"
		   "n: web01/a=2 web01/b=2 complete\n");
}

static void a_broken_chain_makes_its_points_incomplete(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "root"};

	next(p, &a, "x", NULL, 10);
	next(p, &a, "y", NULL, 20);
	next(p, &a, "z", NULL, 30);
	remove_object(p, "web01/root/00000000000000000002");
	points_are(p, "web01",
		   "x: web01/root=1 complete\n"
		   "z: web01/root=3 incomplete\n");
	assert_false(p->all.items[1].disks[0].covered);
}

static void a_merged_object_is_the_point_of_its_end(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 4, d);
	seg_merged(&p->v, 1, 3, d);
	points_are(p, "web01",
		   "p1: web01/root=1 complete\n"
		   "p2: web01/root=2 complete\n"
		   "p3: web01/root=3 complete\n"
		   "p4: web01/root=4 complete\n");
	remove_object(p, "web01/root/00000000000000000003");
	remove_object(p, "web01/root/00000000000000000002");
	remove_object(p, "web01/root/00000000000000000001");
	points_are(p, "web01",
		   "p3: web01/root=3 complete\n"
		   "p4: web01/root=4 complete\n");
}

static void the_weakest_disk_decides_the_consistency(void **state)
{
	struct place *p = *state;
	struct spec a = {.disk = "a",
			 .seq = 1,
			 .bookmark = "x",
			 .members = "web01/a,web01/b",
			 .consistency = SEG_CONSISTENCY_APP};
	struct spec b = a;
	uint8_t ignored[SHA256_LEN];

	b.disk = "b";
	b.consistency = SEG_CONSISTENCY_CRASH;
	seg_put(&p->v, &a, ignored);
	list(p, "web01");
	assert_int_equal(p->all.items[0].consistency, SEG_CONSISTENCY_APP);
	seg_put(&p->v, &b, ignored);
	list(p, "web01");
	assert_int_equal(p->all.n, 1);
	assert_int_equal(p->all.items[0].consistency, SEG_CONSISTENCY_CRASH);
}

static void a_damaged_object_is_told_and_does_not_end_the_list(void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "root"};
	struct store_put *w;

	next(p, &a, "x", NULL, 10);
	assert_int_equal(
	    p->v.store->ops->put_begin(
		p->v.store, "web01/root/00000000000000000002", &w, NULL),
	    0);
	assert_int_equal(p->v.store->ops->put_write(w, "rubbish", 7, NULL), 0);
	assert_int_equal(p->v.store->ops->put_commit(w, NULL), 0);
	points_are(p, "web01", "x: web01/root=1 complete\n");
	assert_int_equal(p->all.damaged, 1);
	assert_non_null(
	    strstr(p->all.damage, "web01/root/00000000000000000002"));
}

/* ---- choosing ---- */

static const struct point *choose(struct place *p, const char *disk,
				  const char *what, int64_t at)
{
	const struct point *ret;
	struct err e = {0};
	int rc = points_choose(&p->all, "web01", disk, what, at, &ret, &e);

	if (rc == 0)
		return ret;
	assert_int_equal(rc, -PS_NO);
	assert_true(e.msg[0] != '\0');
	return NULL;
}

static void choose_from(struct place *p)
{
	struct line a = {.machine = "web01", .disk = "a"};
	struct spec app = {.disk = "a",
			   .seq = 2,
			   .bookmark = "app",
			   .time = 20,
			   .consistency = SEG_CONSISTENCY_APP};

	next(p, &a, "old", NULL, 10);
	memcpy(app.prev, a.last, SHA256_LEN);
	seg_put(&p->v, &app, a.last);
	a.seq = 2;
	next(p, &a, "new", NULL, 30);
	next(p, &a, "half", "web01/a,web01/b", 40);
	list(p, "web01");
}

static void latest_is_the_latest_complete_one(void **state)
{
	struct place *p = *state;

	choose_from(p);
	assert_string_equal(choose(p, "a", "latest", 0)->id, "new");
	assert_string_equal(choose(p, NULL, "latest", 0)->id, "new");
	assert_string_equal(choose(p, "a", NULL, 0)->id, "new");
	assert_string_equal(choose(p, "a", "latest-app", 0)->id, "app");
	assert_null(choose(p, "b", "latest", 0));
	assert_null(choose(p, "none", "latest", 0));
}

static void a_time_chooses_the_newest_complete_one_before(void **state)
{
	struct place *p = *state;

	choose_from(p);
	assert_string_equal(choose(p, "a", NULL, 100)->id, "new");
	assert_string_equal(choose(p, "a", NULL, 30)->id, "new");
	assert_string_equal(choose(p, "a", NULL, 29)->id, "app");
	assert_string_equal(choose(p, "a", NULL, 10)->id, "old");
	assert_null(choose(p, "a", NULL, 9));
}

static void a_clock_that_was_ahead_does_not_make_an_old_point_the_latest(
    void **state)
{
	struct place *p = *state;
	struct line a = {.machine = "web01", .disk = "a"};

	next(p, &a, "ahead", NULL, 1000);
	next(p, &a, "nightly", NULL, 20);
	next(p, &a, "nightly", NULL, 15);
	list(p, "web01");
	assert_int_equal(choose(p, "a", "latest", 0)->disks[0].seq, 3);
	assert_int_equal(choose(p, NULL, "latest", 0)->disks[0].seq, 3);
	assert_int_equal(choose(p, "a", "nightly", 0)->disks[0].seq, 3);
	assert_int_equal(choose(p, "a", "ahead", 0)->disks[0].seq, 1);
	/* Who asks for a time gets what the clock said. */
	assert_int_equal(choose(p, "a", NULL, 30)->disks[0].seq, 2);
	assert_int_equal(choose(p, "a", NULL, 16)->disks[0].seq, 3);
	assert_null(choose(p, "a", NULL, 14));
}

static void one_disk_of_an_incomplete_point_can_be_had_by_its_id(void **state)
{
	struct place *p = *state;

	choose_from(p);
	assert_string_equal(choose(p, "a", "half", 0)->id, "half");
	assert_null(choose(p, "b", "half", 0));
	assert_null(choose(p, "a", "nonesuch", 0));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(an_empty_vault_has_no_points),
	    T(each_finished_pass_is_a_point),
	    T(a_point_waits_for_all_its_disks),
	    T(a_point_over_machines_is_one_point),
	    T(points_of_other_machines_are_not_listed),
	    T(disks_that_do_not_name_each_other_have_points_of_their_own),
	    T(a_disk_may_be_named_by_one_side_only),
	    T(a_bookmark_used_again_makes_another_point),
	    T(a_broken_chain_makes_its_points_incomplete),
	    T(a_merged_object_is_the_point_of_its_end),
	    T(the_weakest_disk_decides_the_consistency),
	    T(a_damaged_object_is_told_and_does_not_end_the_list),
	    T(latest_is_the_latest_complete_one),
	    T(a_time_chooses_the_newest_complete_one_before),
	    T(a_clock_that_was_ahead_does_not_make_an_old_point_the_latest),
	    T(one_disk_of_an_incomplete_point_can_be_had_by_its_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
