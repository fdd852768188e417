/* Which commits of an upload overlap, and in which order it is told. */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "place.h"

#define PUTS 32
#define DEADLINE 20 /* seconds */

/* The commits of a test: who is inside, and who has to wait for whom. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct {
		struct store_put *put;
		char disk[32];
	} puts[PUTS];
	unsigned n, inside, most;
	unsigned wanted; /* that many have to be inside at once */
	char first[32];	 /* this disk's commit waits for one of another */
	char fails[32];	 /* this disk's commits fail */
	unsigned done;
	bool same; /* two of a disk were inside */
	char busy[32];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER,
	  .changed = PTHREAD_COND_INITIALIZER};

static int note_begin(struct store *s, const char *name, struct store_put **ret,
		      struct err *e)
{
	int rc = store_file.put_begin(s, name, ret, e);

	pthread_mutex_lock(&seen.lock);
	assert_true(seen.n < PUTS);
	seen.puts[seen.n].put = *ret;
	snprintf(seen.puts[seen.n].disk, sizeof(seen.puts[0].disk), "%.*s",
		 (int)strcspn(strchr(name, '/') + 1, "/"),
		 strchr(name, '/') + 1);
	seen.n++;
	pthread_mutex_unlock(&seen.lock);
	return rc;
}

static const char *disk_of(const struct store_put *p)
{
	unsigned i = seen.n;

	while (i-- > 0)
		if (seen.puts[i].put == p)
			return seen.puts[i].disk;
	return "";
}

static bool may_go(const char *disk)
{
	if (seen.most < seen.wanted)
		return false;
	return strcmp(disk, seen.first) != 0 || seen.done > 0;
}

static int note_commit(struct store_put *p, struct err *e)
{
	struct timespec until;
	char disk[32];
	int rc, waited = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE;
	pthread_mutex_lock(&seen.lock);
	snprintf(disk, sizeof(disk), "%s", disk_of(p));
	seen.same = seen.same || strcmp(seen.busy, disk) == 0;
	snprintf(seen.busy, sizeof(seen.busy), "%s", disk);
	if (++seen.inside > seen.most)
		seen.most = seen.inside;
	pthread_cond_broadcast(&seen.changed);
	while (!may_go(disk) && waited == 0)
		waited =
		    pthread_cond_timedwait(&seen.changed, &seen.lock, &until);
	pthread_mutex_unlock(&seen.lock);
	if (strcmp(disk, seen.fails) == 0) {
		store_file.put_abort(p);
		rc = err_set(e, PS_UNAVAILABLE, "as planned");
	} else {
		rc = store_file.put_commit(p, e);
	}
	pthread_mutex_lock(&seen.lock);
	seen.inside--;
	seen.done++;
	seen.busy[0] = '\0';
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
	return rc;
}

static int begin(void **state)
{
	static struct store_ops ops;
	struct place *p;

	place_begin(state);
	p = *state;
	ops = store_file;
	ops.put_begin = note_begin;
	ops.put_commit = note_commit;
	p->v.store->ops = &ops;
	seen.n = seen.inside = seen.most = seen.wanted = seen.done = 0;
	seen.first[0] = seen.fails[0] = seen.busy[0] = '\0';
	seen.same = false;
	return 0;
}

static void add(struct place *p, const char *disk)
{
	struct spec s = {.disk = disk, .seq = 1};
	uint8_t ignored[SHA256_LEN];

	seg_make(&p->b, &s, ignored);
}

static void commits_of_several_disks_overlap(void **state)
{
	struct place *p = *state;

	add(p, "a");
	add(p, "b");
	add(p, "c");
	seen.wanted = 3;
	assert_int_equal(place_go(p), 0);
	assert_int_equal(seen.most, 3);
	assert_int_equal(p->a.totals.stored, 3);
}

static void those_of_one_disk_never_do(void **state)
{
	struct place *p = *state;

	place_fill(p, 12);
	assert_int_equal(seen.n, 12);
	assert_int_equal(seen.most, 1);
	assert_false(seen.same);
}

static void acknowledgements_keep_the_order_of_the_stream(void **state)
{
	struct place *p = *state;

	add(p, "a");
	add(p, "b");
	snprintf(seen.first, sizeof(seen.first), "a");
	assert_int_equal(place_go(p), 0);
	assert_int_equal(p->a.n, 2);
	assert_string_equal(p->a.acks[0].disk, "a");
	assert_string_equal(p->a.acks[1].disk, "b");
}

/* The failure of one: what others have in the vault is told all the same. */
static void what_was_stored_beside_a_failure_is_told(void **state)
{
	struct place *p = *state;

	add(p, "a");
	add(p, "b");
	add(p, "c");
	seen.wanted = 3;
	snprintf(seen.fails, sizeof(seen.fails), "b");
	assert_int_equal(place_go(p), -PS_UNAVAILABLE);
	assert_int_equal(p->a.n, 2);
	assert_string_equal(p->a.acks[0].disk, "a");
	assert_string_equal(p->a.acks[1].disk, "c");
	assert_int_equal(p->a.totals.stored, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(commits_of_several_disks_overlap,
					    begin, place_end),
	    cmocka_unit_test_setup_teardown(those_of_one_disk_never_do, begin,
					    place_end),
	    cmocka_unit_test_setup_teardown(
		acknowledgements_keep_the_order_of_the_stream, begin,
		place_end),
	    cmocka_unit_test_setup_teardown(
		what_was_stored_beside_a_failure_is_told, begin, place_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
