/* Ring, disks, alerts and the book of alerts, with a clock of our own. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "health/events.h"
#include "health/view.h"
#include "segment/format.h"

#define NOW (1800000000LL / 60 * 60)

static char dir[] = "/tmp/health.XXXXXX";
static int dirfd_;
static char aside[80];

static int make_dir(void **state)
{
	(void)state;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (mkdtemp(dir) == NULL)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd_ < 0 ? -1 : 0;
}

static int drop_dir(void **state)
{
	char cmd[100];

	(void)state;
	close(dirfd_);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

static void put(struct ring *r, int64_t time, enum metric m, int64_t value)
{
	struct sample s;

	sample_clear(&s);
	s.time = time;
	s.values[m] = value;
	assert_int_equal(ring_put(r, &s, NULL), 0);
}

static void open_both(struct ring *r, struct disks *d)
{
	struct err e = {0};

	if (ring_open(r, dirfd_, true, aside, sizeof(aside), &e) < 0 ||
	    disks_open(d, dirfd_, true, aside, sizeof(aside), &e) < 0)
		fail_msg("%s", e.msg);
}

static void the_ring_keeps_three_days(void **state)
{
	static struct sample got[RING_MINUTES];
	struct ring r;
	struct disks d;
	int64_t m;

	(void)state;
	open_both(&r, &d);
	for (m = 0; m < RING_MINUTES + 100; m++)
		put(&r, NOW + m * 60, METRIC_CPU, m % 100);
	assert_int_equal(ring_window(&r, NOW / 60 + 100,
				     NOW / 60 + 99 + RING_MINUTES, got, NULL),
			 RING_MINUTES);
	assert_int_equal(got[0].time, NOW + 100 * 60);
	assert_int_equal(got[RING_MINUTES - 1].values[METRIC_CPU],
			 (RING_MINUTES + 99) % 100);
	/* What was overwritten is a gap, not another minute. */
	assert_int_equal(ring_get(&r, NOW / 60 + 50, got, NULL), 0);
	ring_close(&r);
	disks_close(&d);
}

static void a_torn_record_is_a_gap(void **state)
{
	struct sample got;
	struct ring r;
	struct disks d;
	off_t at = 64 + NOW / 60 % RING_MINUTES * (16 + 8 * METRICS) + 20;

	(void)state;
	open_both(&r, &d);
	put(&r, NOW, METRIC_CPU, 5);
	assert_int_equal(ring_get(&r, NOW / 60, &got, NULL), 1);
	assert_int_equal(pwrite(r.fd, "xx", 2, at), 2);
	assert_int_equal(ring_get(&r, NOW / 60, &got, NULL), 0);
	ring_close(&r);
	disks_close(&d);
}

static void damaged_files_are_set_aside(void **state)
{
	struct ring r;
	struct disks d;
	struct book *b;
	int fd;

	(void)state;
	open_both(&r, &d);
	ring_close(&r);
	disks_close(&d);
	fd = openat(dirfd_, "samples", O_WRONLY);
	assert_int_equal(pwrite(fd, "garbage", 7, 3), 7);
	close(fd);
	fd = openat(dirfd_, "disks", O_WRONLY);
	assert_int_equal(ftruncate(fd, 5000), 0);
	close(fd);
	fd = openat(dirfd_, "alerts.json", O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, "{", 1), 1);
	close(fd);
	assert_int_equal(ring_open(&r, dirfd_, false, NULL, 0, NULL), -PS_DATA);
	assert_int_equal(
	    ring_open(&r, dirfd_, true, aside, sizeof(aside), NULL), 0);
	assert_memory_equal(aside, "samples.damaged-", 16);
	ring_close(&r);
	assert_int_equal(
	    disks_open(&d, dirfd_, true, aside, sizeof(aside), NULL), 0);
	assert_memory_equal(aside, "disks.damaged-", 14);
	disks_close(&d);
	assert_int_equal(book_open(&b, dirfd_, aside, sizeof(aside), NULL), 0);
	assert_memory_equal(aside, "alerts.json.damaged-", 20);
	book_close(b);
}

static void enter(struct disks *d, const char *machine, const char *disk,
		  uint64_t accepted, int64_t oldest, uint8_t flags, int64_t now)
{
	struct disk_now n = {.machine = machine,
			     .disk = disk,
			     .accepted = accepted,
			     .stored = oldest != 0 ? accepted - 1 : accepted,
			     .pending = oldest != 0 ? 4096 : 0,
			     .oldest = oldest,
			     .flags = flags};

	assert_true(disks_put(d, &n, now));
}

static const struct alert *find(const struct health *h, const char *key)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (strcmp(h->alerts[i].key, key) == 0)
			return &h->alerts[i];
	return NULL;
}

static void disks_are_judged_one_by_one(void **state)
{
	struct rules rules;
	struct health h;
	struct ring r;
	struct disks d;
	int64_t m, t;

	(void)state;
	open_both(&r, &d);
	rules_default(&rules);
	for (m = 40; m >= 0; m--) {
		t = NOW - m * 60;
		put(&r, t, METRIC_CPU, 5);
		enter(&d, "a", "fine", (uint64_t)(1000 - m), 0, 0, t);
		enter(&d, "a", "silent", m > 20 ? 5 : 6, 0, 0, t);
		enter(&d, "b", "stuck", (uint64_t)(1000 - m), NOW - 3600, 0, t);
		enter(&d, "b", "held", (uint64_t)(1000 - m), 0,
		      m < 10 ? DISK_HELD : 0, t);
		enter(&d, "c", "new", 0, 0, DISK_UNSEATED, t);
	}
	assert_int_equal(check_run(&r, &d, &rules, NOW, &h, NULL), 0);
	assert_int_equal(h.level, LEVEL_CRITICAL);
	assert_int_equal(h.n, 4);
	assert_null(find(&h, "78186:a/fine"));
	assert_non_null(find(&h, "78186:a/silent"));
	assert_int_equal(find(&h, "78186:a/silent")->level, LEVEL_WARNING);
	assert_int_equal(find(&h, "78186:a/silent")->since, NOW - 20 * 60);
	assert_int_equal(find(&h, "78028:b/stuck")->level, LEVEL_CRITICAL);
	assert_int_equal(find(&h, "78028:b/stuck")->since, NOW - 3600);
	assert_int_equal(find(&h, "held:b/held")->since, NOW - 9 * 60);
	assert_int_equal(find(&h, "unseated:c/new")->level, LEVEL_WARNING);
	health_free(&h);
	ring_close(&r);
	disks_close(&d);
}

/* As ps.yaml sets the warning of a rule. */
static void limit(struct rules *rules, const char *rule, const char *value)
{
	char path[120], text[120];
	struct err e = {0};
	struct conf *c;
	int fd;

	snprintf(path, sizeof(path), "%s/ps.yaml", dir);
	snprintf(text, sizeof(text), "health: {limits: {%s: {warning: %s}}}\n",
		 rule, value);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	assert_int_equal(conf_read(&c, path, &e), 0);
	assert_int_equal(rules_read(rules, c, &e), 0);
	conf_free(c);
}

#define MIB (1024 * 1024LL)

/* Samples of two hours; a disk changes `mib` in each minute, in passes of
 * `every` minutes, and four times that in the last 15 when it is `hasty`. */
static void changes(struct ring *r, struct disks *d, const char *machine,
		    const char *disk, int64_t mib, int every, int64_t pending,
		    int hasty)
{
	struct disk_now n = {.machine = machine,
			     .disk = disk,
			     .accepted = 1,
			     .stored = 1,
			     .pending = (uint64_t)(pending * MIB),
			     .tallied = true};
	uint64_t sum = 0;
	int m;

	for (m = 120; m >= 0; m--) {
		put(r, NOW - m * 60, METRIC_CPU, 5);
		sum += (uint64_t)(mib * MIB) * (m < 15 && hasty ? 4 : 1);
		if (m % every == 0)
			n.changed = sum;
		n.accepted++;
		assert_true(disks_put(d, &n, NOW - m * 60));
	}
}

static void high_churn_is_told(void **state)
{
	static const struct {
		int64_t mib; /* in a minute, of each of `disks` */
		int disks, every;
		int64_t pending;
		int hasty;
		const char *key; /* or NULL: nothing */
	} rows[] = {
	    /* The published limits: 20 MiB/s of a disk, 54 of a machine. */
	    {20 * 60, 1, 1, 0, 0, NULL},
	    {20 * 60 + 1, 1, 1, 0, 0, "78188:m/d0"},
	    {18 * 60, 3, 1, 0, 0, NULL},
	    {18 * 60 + 1, 3, 1, 0, 0, "78188:m"},
	    /* A pass each hour brings an hour's changes, not a minute's. */
	    {20 * 60, 1, 60, 0, 0, NULL},
	    {20 * 60 + 1, 1, 60, 0, 0, "78188:m/d0"},
	    /* A spike counts only with much of it pending. */
	    {60, 1, 1, 1023, 1, NULL},
	    {60, 1, 1, 1024, 1, "78188:m/d0"},
	    {60, 1, 1, 1024, 0, NULL},
	};
	static const char *const names[] = {"d0", "d1", "d2"};
	struct rules rules;
	struct health h;
	struct ring r;
	struct disks d;
	size_t i;
	int k;

	rules_default(&rules);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_both(&r, &d);
		for (k = 0; k < rows[i].disks; k++)
			changes(&r, &d, "m", names[k], rows[i].mib,
				rows[i].every, rows[i].pending, rows[i].hasty);
		assert_int_equal(check_run(&r, &d, &rules, NOW, &h, NULL), 0);
		if (h.n != (rows[i].key != NULL) ||
		    (rows[i].key != NULL && find(&h, rows[i].key) == NULL))
			fail_msg("row %zu: %zu alerts, %s", i, h.n,
				 h.n > 0 ? h.alerts[0].what : "");
		health_free(&h);
		ring_close(&r);
		disks_close(&d);
		assert_int_equal(drop_dir(state), 0);
		assert_int_equal(make_dir(state), 0);
	}
}

/* A disk with points of this age (0: none); nothing but segments comes, or not
 * even those. */
static void points(struct ring *r, struct disks *d, int64_t crash, int64_t app,
		   bool silent)
{
	struct disk_now n = {.machine = "m",
			     .disk = "d",
			     .tallied = true,
			     .crash_point = crash != 0 ? NOW - crash : 0,
			     .app_point = app != 0 ? NOW - app : 0};
	int m;

	for (m = 40; m >= 0; m--) {
		put(r, NOW - m * 60, METRIC_CPU, 5);
		n.accepted = silent ? 1 : (uint64_t)(50 - m);
		assert_true(disks_put(d, &n, NOW - m * 60));
	}
}

static int take_stored(void *ctx, const struct disk_record *r, struct err *e)
{
	(void)e;
	*(struct disk_record *)ctx = *r;
	return 0;
}

static void what_is_stored_stays_so(void **state)
{
	static const struct {
		uint64_t stored;
		int64_t point, want;
		uint8_t consistency, want_consistency;
	} rows[] = {
	    {5, 0, 0, 0, 0},
	    {6, 100, 100, SEG_CONSISTENCY_NONE, SEG_CONSISTENCY_NONE},
	    {7, 200, 200, SEG_CONSISTENCY_APP, SEG_CONSISTENCY_APP},
	    /* Not remembered, or worth less. */
	    {8, 0, 200, 0, SEG_CONSISTENCY_APP},
	    {9, 300, 200, SEG_CONSISTENCY_NONE, SEG_CONSISTENCY_APP},
	    {10, 400, 400, SEG_CONSISTENCY_CRASH, SEG_CONSISTENCY_CRASH},
	    /* The vault has less than before. */
	    {9, 0, 0, 0, 0},
	};
	struct disk_record got;
	struct ring r;
	struct disks d;
	size_t i;

	(void)state;
	open_both(&r, &d);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct disk_now n = {.machine = "m",
					   .disk = "d",
					   .tallied = true,
					   .accepted = 20,
					   .stored = rows[i].stored,
					   .stored_point = rows[i].point,
					   .stored_consistency =
					       rows[i].consistency};

		assert_true(disks_put(&d, &n, NOW + (int64_t)i));
		assert_int_equal(disks_each(&d, 0, take_stored, &got, NULL), 0);
		assert_int_equal(got.stored_point, rows[i].want);
		assert_int_equal(got.stored_consistency,
				 rows[i].want_consistency);
	}
	ring_close(&r);
	disks_close(&d);
}

#define DAY (24 * 3600)

static void old_points_are_told(void **state)
{
	static const struct {
		int64_t crash, app;
		bool silent;
		const char *limits; /* of ps.yaml */
		const char *key;    /* or NULL: nothing */
		int64_t since;
	} rows[] = {
	    {3600, DAY, false, "", NULL, 0},
	    {3601, DAY, false, "", "crash-point:m/d", 3601},
	    {60, DAY + 1, false, "", "78144:m/d", DAY + 1},
	    {60, 0, false, "", NULL, 0},
	    {0, 0, false, "", NULL, 0},
	    /* Wanted, and never had: since the disk was first seen. */
	    {60, 0, false, "30m", "78144:m/d", 40 * 60},
	    {60, 0, false, "40m", NULL, 0},
	    {3601, 0, true, "", "78186:m/d", 40 * 60},
	};
	struct rules rules;
	struct health h;
	struct ring r;
	struct disks d;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rules_default(&rules);
		if (rows[i].limits[0] != '\0')
			limit(&rules, "app-point", rows[i].limits);
		open_both(&r, &d);
		points(&r, &d, rows[i].crash, rows[i].app, rows[i].silent);
		assert_int_equal(check_run(&r, &d, &rules, NOW, &h, NULL), 0);
		if (h.n != (rows[i].key != NULL) ||
		    (rows[i].key != NULL &&
		     (find(&h, rows[i].key) == NULL ||
		      h.alerts[0].since != NOW - rows[i].since)))
			fail_msg("row %zu: %zu alerts, %s", i, h.n,
				 h.n > 0 ? h.alerts[0].key : "");
		health_free(&h);
		ring_close(&r);
		disks_close(&d);
		assert_int_equal(drop_dir(state), 0);
		assert_int_equal(make_dir(state), 0);
	}
}

/* It began 30 minutes ago; what came in a pause of the samples is not told
 * of one minute. */
static void churn_has_a_beginning(void **state)
{
	struct disk_now n = {.machine = "m", .disk = "d", .tallied = true};
	struct rules rules;
	struct health h;
	struct ring r;
	struct disks d;
	int m;

	(void)state;
	rules_default(&rules);
	open_both(&r, &d);
	for (m = 100; m >= 0; m--) {
		put(&r, NOW - m * 60, METRIC_CPU, 5);
		n.changed += (uint64_t)(m <= 30 ? 41 * 60 : 1) * MIB;
		n.accepted++;
		assert_true(disks_put(&d, &n, NOW - m * 60));
	}
	assert_int_equal(check_run(&r, &d, &rules, NOW, &h, NULL), 0);
	assert_non_null(find(&h, "78188:m/d"));
	/* Eight of 15 minutes at twice the limit are over it. */
	assert_int_equal(find(&h, "78188:m/d")->since, NOW - 23 * 60);
	health_free(&h);
	n.changed += (uint64_t)1000000 * MIB;
	for (m = 11; m < 60; m++) {
		put(&r, NOW + m * 60, METRIC_CPU, 5);
		n.accepted++;
		assert_true(disks_put(&d, &n, NOW + m * 60));
	}
	assert_int_equal(check_run(&r, &d, &rules, NOW + 59 * 60, &h, NULL), 0);
	assert_int_equal(h.n, 0);
	health_free(&h);
	ring_close(&r);
	disks_close(&d);
}

static void a_disk_that_went_away_is_forgotten(void **state)
{
	struct disk_now n = {.machine = "m", .accepted = 1, .stored = 1};
	struct ring r;
	struct disks d;
	char name[32];
	int i;

	(void)state;
	open_both(&r, &d);
	for (i = 0; i < DISKS_MAX; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		n.disk = name;
		assert_true(disks_put(&d, &n, NOW));
	}
	n.disk = "one-more";
	assert_false(disks_put(&d, &n, NOW));
	assert_true(disks_put(&d, &n, NOW + 25 * 3600));
	ring_close(&r);
	disks_close(&d);
}

static void gaps_are_unknown_not_ok(void **state)
{
	struct rules rules;
	struct health h;

	(void)state;
	rules_default(&rules);
	assert_int_equal(check_run(NULL, NULL, &rules, NOW, &h, NULL), 0);
	assert_false(h.known);
	assert_int_equal(view_exit(&h), 3);
	assert_non_null(find(&h, "no-samples"));
	health_free(&h);
}

static void add(struct health *h, const char *code, enum level level)
{
	struct alert *a = health_add(h, code, level, h->now);

	assert_non_null(a);
	snprintf(a->what, sizeof(a->what), "something");
}

static void check_event(const struct book *b, size_t i, enum event_kind kind,
			const char *key)
{
	assert_int_equal(book_event(b, i)->kind, kind);
	assert_string_equal(book_event(b, i)->key, key);
}

static void alerts_come_change_and_go(void **state)
{
	struct health h = {.now = NOW, .known = true};
	struct book *b;

	(void)state;
	assert_int_equal(book_open(&b, dirfd_, aside, sizeof(aside), NULL), 0);
	add(&h, "cpu", LEVEL_WARNING);
	assert_int_equal(book_update(b, &h), 1);
	check_event(b, 0, EVENT_RAISED, "cpu");
	assert_int_equal(book_update(b, &h), 0);
	/* Acknowledged, it does not count; but worse it does again. */
	assert_int_equal(book_ack(b, "memory", NOW, NOW + 100), 0);
	assert_int_equal(book_ack(b, "cpu", NOW, NOW + 100), 1);
	assert_int_equal(book_update(b, &h), 0);
	assert_int_equal(h.level, LEVEL_OK);
	h.now += 101;
	assert_int_equal(book_update(b, &h), 0);
	assert_int_equal(h.level, LEVEL_WARNING);
	h.now -= 101;
	h.alerts[0].level = LEVEL_CRITICAL;
	assert_int_equal(book_update(b, &h), 1);
	check_event(b, 2, EVENT_CHANGED, "cpu");
	assert_int_equal(h.level, LEVEL_CRITICAL);
	assert_int_equal(book_write(b, dirfd_, NULL), 0);
	book_close(b);
	/* It survives the process. */
	assert_int_equal(book_open(&b, dirfd_, aside, sizeof(aside), NULL), 0);
	assert_string_equal(aside, "");
	assert_int_equal(book_events(b), 3);
	assert_int_equal(book_update(b, &h), 0);
	health_free(&h);
	assert_int_equal(book_update(b, &h), 1);
	check_event(b, 3, EVENT_CLEARED, "cpu");
	/* After three days nobody remembers. */
	h.now += EVENTS_KEEP_S + 1;
	assert_int_equal(book_update(b, &h), 0);
	assert_int_equal(book_events(b), 0);
	book_close(b);
}

/* The bound of the manual: 20 ms of processor time. */
static void seven_hundred_disks_are_judged_at_once(void **state)
{
	struct rules rules;
	struct health h;
	struct ring r;
	struct disks d;
	struct timespec a, z;
	char name[32];
	int64_t m;
	int i;

	(void)state;
	open_both(&r, &d);
	rules_default(&rules);
	for (m = RING_MINUTES - 1; m >= 0; m--)
		put(&r, NOW - m * 60, METRIC_CPU, 99);
	for (i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "m%d", i / 3);
		for (m = 20; m >= 0; m--)
			enter(&d, name,
			      i % 3 == 0   ? "a"
			      : i % 3 == 1 ? "b"
					   : "c",
			      7, NOW - 3600, 0, NOW - m * 60);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	assert_int_equal(check_run(&r, &d, &rules, NOW, &h, NULL), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &z);
	assert_int_equal(h.n, 701);
	print_message("check of 700 disks: %.1f ms\n",
		      (double)(z.tv_sec - a.tv_sec) * 1e3 +
			  (double)(z.tv_nsec - a.tv_nsec) / 1e6);
#if !defined(__SANITIZE_ADDRESS__)
	assert_true((z.tv_sec - a.tv_sec) * NS_PER_S + z.tv_nsec - a.tv_nsec <
		    20 * 1000 * 1000);
#endif
	health_free(&h);
	ring_close(&r);
	disks_close(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_ring_keeps_three_days),
	    TEST(a_torn_record_is_a_gap),
	    TEST(damaged_files_are_set_aside),
	    TEST(disks_are_judged_one_by_one),
	    TEST(high_churn_is_told),
	    TEST(churn_has_a_beginning),
	    TEST(old_points_are_told),
	    TEST(what_is_stored_stays_so),
	    TEST(a_disk_that_went_away_is_forgotten),
	    TEST(gaps_are_unknown_not_ok),
	    TEST(alerts_come_change_and_go),
	    TEST(seven_hundred_disks_are_judged_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
