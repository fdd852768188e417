/*
 * What every store promises, whatever its kind: a folder, or what
 * PS_TEST_STORE names (it must be ours to fill).
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "segs.h"
#include "vault/store.h"

#define BIG (20 * 1024 * 1024u)

/* A store for one test: its names all begin with a folder of that test. */
struct place {
	struct store *s;
	const struct store_ops *ops;
	char dir[64]; /* empty: not a folder of ours */
	char url[256];
	char top[32];
};

static const char *other_store; /* PS_TEST_STORE */
/* PS_TEST_STORE_LAX: an emulator, which does less than it should. */
static bool lax;

static int begin(void **state)
{
	static unsigned number;
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	snprintf(p->top, sizeof(p->top), "t%d-%u", (int)getpid(), number++);
	if (other_store != NULL) {
		snprintf(p->url, sizeof(p->url), "%s", other_store);
	} else {
		snprintf(p->dir, sizeof(p->dir), "/tmp/ps-store.XXXXXX");
		assert_non_null(mkdtemp(p->dir));
		snprintf(p->url, sizeof(p->url), "file://%s/a/b", p->dir);
	}
	assert_int_equal(store_open(&p->s, p->url, 1, NULL), 0);
	p->ops = p->s->ops;
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	store_close(p->s);
	if (p->dir[0] != '\0')
		segs_remove(p->dir);
	free(p);
	return 0;
}

static const char *name(const struct place *p, const char *rest)
{
	static char text[4][256];
	static unsigned i;
	char *out = text[i++ % 4];

	snprintf(out, sizeof(text[0]), "%s%s%s", p->top,
		 *rest != '\0' ? "/" : "", rest);
	return out;
}

static int put(const struct place *p, const char *rest, const char *text)
{
	struct store_put *w;
	int rc = p->ops->put_begin(p->s, name(p, rest), &w, NULL);

	assert_int_equal(rc, 0);
	assert_int_equal(p->ops->put_write(w, text, strlen(text), NULL), 0);
	return p->ops->put_commit(w, NULL);
}

static void holds(const struct place *p, const char *rest, const char *text)
{
	char buf[64];
	uint64_t size;

	assert_int_equal(p->ops->size(p->s, name(p, rest), &size, NULL), 0);
	assert_int_equal(size, strlen(text));
	assert_int_equal(p->ops->read(p->s, name(p, rest), 0, buf, size, NULL),
			 0);
	assert_memory_equal(buf, text, size);
}

static bool is_there(const struct place *p, const char *rest)
{
	uint64_t size;
	int rc = p->ops->size(p->s, name(p, rest), &size, NULL);

	assert_true(rc == 0 || rc == -PS_NOINPUT);
	return rc == 0;
}

/* ---- creating ---- */

static void gives_back_what_was_put(void **state)
{
	assert_int_equal(put(*state, "m/d/1", "hello"), 0);
	holds(*state, "m/d/1", "hello");
}

static void keeps_an_empty_object(void **state)
{
	assert_int_equal(put(*state, "m/d/1", ""), 0);
	holds(*state, "m/d/1", "");
}

static void never_replaces(void **state)
{
	if (lax)
		skip();
	assert_int_equal(put(*state, "m/d/1", "first"), 0);
	assert_int_equal(put(*state, "m/d/1", "second"), -PS_NO);
	holds(*state, "m/d/1", "first");
}

static void shows_nothing_before_the_commit(void **state)
{
	struct place *p = *state;
	struct store_put *w;

	assert_int_equal(p->ops->put_begin(p->s, name(p, "m/d/1"), &w, NULL),
			 0);
	assert_int_equal(p->ops->put_write(w, "half", 4, NULL), 0);
	assert_false(is_there(p, "m/d/1"));
	assert_int_equal(p->ops->put_write(w, "whole", 5, NULL), 0);
	assert_int_equal(p->ops->put_commit(w, NULL), 0);
	holds(p, "m/d/1", "halfwhole");
}

static int count(void *ctx, const struct store_entry *en, struct err *e)
{
	(void)en;
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned children(const struct place *p, const char *rest)
{
	unsigned n = 0;

	assert_int_equal(p->ops->list(p->s, name(p, rest), count, &n, NULL), 0);
	return n;
}

static void leaves_nothing_after_an_abort(void **state)
{
	struct place *p = *state;
	struct store_put *w;

	assert_int_equal(p->ops->put_begin(p->s, name(p, "m/d/1"), &w, NULL),
			 0);
	assert_int_equal(p->ops->put_write(w, "half", 4, NULL), 0);
	p->ops->put_abort(w);
	assert_false(is_there(p, "m/d/1"));
	assert_int_equal(children(p, "m/d"), 0);
	if (p->dir[0] != '\0')
		assert_int_equal(segs_leftovers(p->dir), 0);
	assert_int_equal(put(p, "m/d/1", "new"), 0);
	holds(p, "m/d/1", "new");
}

static void keeps_large_objects_whole(void **state)
{
	struct place *p = *state;
	struct store_put *w;
	uint8_t *a = malloc(BIG), *b = malloc(BIG);
	uint64_t size;
	size_t i;

	assert_true(a != NULL && b != NULL);
	for (i = 0; i < BIG; i++)
		a[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(p->ops->put_begin(p->s, name(p, "m/d/1"), &w, NULL),
			 0);
	for (i = 0; i < BIG; i += BIG / 4)
		assert_int_equal(p->ops->put_write(w, a + i, BIG / 4, NULL), 0);
	assert_int_equal(p->ops->put_commit(w, NULL), 0);
	assert_int_equal(p->ops->size(p->s, name(p, "m/d/1"), &size, NULL), 0);
	assert_int_equal(size, BIG);
	assert_int_equal(p->ops->read(p->s, name(p, "m/d/1"), 0, b, BIG, NULL),
			 0);
	assert_memory_equal(a, b, BIG);
	free(a);
	free(b);
}

/* One of many processes that all want one name; says what it got. */
static _Noreturn void create_and_leave(const struct place *p, int go, int i)
{
	struct store *s;
	struct store_put *w;
	char text[32], c;
	int rc;

	snprintf(text, sizeof(text), "writer %d", i);
	if (store_open(&s, p->url, 0, NULL) < 0)
		_exit(9);
	if (s->ops->put_begin(s, name(p, "m/d/1"), &w, NULL) < 0 ||
	    s->ops->put_write(w, text, strlen(text), NULL) < 0)
		_exit(9);
	if (read(go, &c, 1) < 0) /* ends when the parent closes it */
		_exit(9);
	rc = s->ops->put_commit(w, NULL);
	_exit(rc == 0 ? 0 : rc == -PS_NO ? 1 : 9);
}

static void exactly_one_of_many_creators_wins(void **state)
{
	enum { WRITERS = 16 };
	struct place *p = *state;
	pid_t pids[WRITERS];
	int go[2], i, winner = -1;
	char text[32];

	if (lax)
		skip();
	assert_int_equal(pipe(go), 0);
	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			close(go[1]);
			create_and_leave(p, go[0], i);
		}
	}
	close(go[0]);
	close(go[1]);
	for (i = 0; i < WRITERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		if (WEXITSTATUS(status) == 0) {
			assert_int_equal(winner, -1);
			winner = i;
		}
	}
	assert_true(winner >= 0);
	snprintf(text, sizeof(text), "writer %d", winner);
	holds(p, "m/d/1", text);
}

/* ---- reading ---- */

static void reads_any_range(void **state)
{
	struct place *p = *state;
	char buf[8] = {0};

	assert_int_equal(put(p, "m/d/1", "0123456789"), 0);
	assert_int_equal(p->ops->read(p->s, name(p, "m/d/1"), 3, buf, 4, NULL),
			 0);
	assert_string_equal(buf, "3456");
	assert_int_equal(p->ops->read(p->s, name(p, "m/d/1"), 9, buf, 1, NULL),
			 0);
	assert_int_equal(buf[0], '9');
}

static void a_range_past_the_end_is_an_error(void **state)
{
	struct place *p = *state;
	char buf[8];

	assert_int_equal(put(p, "m/d/1", "0123456789"), 0);
	assert_int_equal(p->ops->read(p->s, name(p, "m/d/1"), 8, buf, 4, NULL),
			 -PS_DATA);
	assert_int_equal(
	    p->ops->read(p->s, name(p, "m/d/1"), 100, buf, 1, NULL), -PS_DATA);
}

static void what_is_not_there_is_not_found(void **state)
{
	struct place *p = *state;
	uint64_t size;
	char c;

	assert_int_equal(p->ops->size(p->s, name(p, "m/d/1"), &size, NULL),
			 -PS_NOINPUT);
	assert_int_equal(p->ops->read(p->s, name(p, "m/d/1"), 0, &c, 1, NULL),
			 -PS_NOINPUT);
	assert_int_equal(p->ops->confirm(p->s, name(p, "m/d/1"), NULL),
			 -PS_NOINPUT);
	assert_int_equal(p->ops->remove(p->s, name(p, "m/d/1"), NULL), 0);
	assert_int_equal(children(p, "m/d"), 0);
}

static void removes(void **state)
{
	struct place *p = *state;

	assert_int_equal(put(p, "m/d/1", "x"), 0);
	assert_int_equal(p->ops->remove(p->s, name(p, "m/d/1"), NULL), 0);
	assert_false(is_there(p, "m/d/1"));
	assert_int_equal(put(p, "m/d/1", "y"), 0);
	holds(p, "m/d/1", "y");
}

static void confirms_what_is_there(void **state)
{
	struct place *p = *state;

	assert_int_equal(put(p, "m/d/1", "x"), 0);
	assert_int_equal(p->ops->confirm(p->s, name(p, "m/d/1"), NULL), 0);
	holds(p, "m/d/1", "x");
}

/* ---- listing ---- */

struct listing {
	char text[512];
};

static int note(void *ctx, const struct store_entry *en, struct err *e)
{
	struct listing *l = ctx;
	size_t n = strlen(l->text);

	(void)e;
	snprintf(l->text + n, sizeof(l->text) - n, "%s%s:%llu ", en->name,
		 en->is_dir ? "/" : "", (unsigned long long)en->size);
	return 0;
}

static void lists_direct_children_in_order(void **state)
{
	struct place *p = *state;
	struct listing l = {""};

	if (lax)
		skip();
	assert_int_equal(put(p, "m/b/1", "x"), 0);
	assert_int_equal(put(p, "m/a", "four"), 0);
	assert_int_equal(put(p, "m/c.1", "12"), 0);
	assert_int_equal(put(p, "m/c", "1"), 0);
	assert_int_equal(put(p, "m/B", ""), 0);
	assert_int_equal(put(p, "m/b-2/x/y", "z"), 0);
	assert_int_equal(p->ops->list(p->s, name(p, "m"), note, &l, NULL), 0);
	assert_string_equal(l.text, "B:0 a:4 b/:0 b-2/:0 c:1 c.1:2 ");
}

static int check_order(void *ctx, const struct store_entry *en, struct err *e)
{
	unsigned *n = ctx;
	char want[16];

	(void)e;
	snprintf(want, sizeof(want), "%05u", (*n)++);
	assert_string_equal(en->name, want);
	assert_int_equal(en->is_dir, 0);
	assert_int_equal(en->size, 1);
	return 0;
}

/* Longer than a page of what the test of a store asks for. */
static void lists_all_pages(void **state)
{
	enum { MANY = 23 };
	struct place *p = *state;
	unsigned i, n = 0;
	char rest[32];

	for (i = MANY; i-- > 0;) {
		snprintf(rest, sizeof(rest), "m/d/%05u", i);
		assert_int_equal(put(p, rest, "x"), 0);
	}
	assert_int_equal(
	    p->ops->list(p->s, name(p, "m/d"), check_order, &n, NULL), 0);
	assert_int_equal(n, MANY);
}

/* All that a checked name may have, and the longest. */
static void keeps_every_name(void **state)
{
	static const char chars[] = "m/ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.0123456789";
	struct place *p = *state;
	struct listing l = {""};
	char rest[80] = "m/";

	memset(rest + 2, 'x', 63);
	assert_int_equal(put(p, chars, "1"), 0);
	assert_int_equal(put(p, rest, "2"), 0);
	holds(p, chars, "1");
	holds(p, rest, "2");
	assert_int_equal(p->ops->list(p->s, name(p, "m"), note, &l, NULL), 0);
	assert_non_null(strstr(l.text, chars + 2));
	assert_non_null(strstr(l.text, rest + 2));
}

static void never_lists_unfinished_uploads(void **state)
{
	struct place *p = *state;
	struct store_put *w;

	assert_int_equal(put(p, "m/d/1", "x"), 0);
	assert_int_equal(p->ops->put_begin(p->s, name(p, "m/d/2"), &w, NULL),
			 0);
	assert_int_equal(p->ops->put_write(w, "half", 4, NULL), 0);
	assert_int_equal(children(p, "m/d"), 1);
	p->ops->put_abort(w);
}

static int stop_at_two(void *ctx, const struct store_entry *en, struct err *e)
{
	(void)en;
	return ++*(unsigned *)ctx == 2 ? err_set(e, PS_NO, "enough") : 0;
}

static void a_listing_ends_when_its_callback_says_so(void **state)
{
	struct place *p = *state;
	unsigned n = 0;

	assert_int_equal(put(p, "m/1", "x"), 0);
	assert_int_equal(put(p, "m/2", "x"), 0);
	assert_int_equal(put(p, "m/3", "x"), 0);
	assert_int_equal(
	    p->ops->list(p->s, name(p, "m"), stop_at_two, &n, NULL), -PS_NO);
	assert_int_equal(n, 2);
}

static void opening_what_is_not_there_fails(void **state)
{
	struct place *p = *state;
	char url[512];
	struct store *s;

	/* Below a container of Azure any prefix is one that can be opened. */
	if (getenv("PS_TEST_STORE_NONE") != NULL)
		snprintf(url, sizeof(url), "%s", getenv("PS_TEST_STORE_NONE"));
	else
		snprintf(url, sizeof(url), "%s/none-%s", p->url, p->top);
	assert_int_equal(store_open(&s, url, 0, NULL), -PS_NOINPUT);
}

/* ---- the folder alone ---- */

static void an_unknown_scheme_is_misuse(void **state)
{
	struct store *s;

	(void)state;
	assert_int_equal(store_open(&s, "gopher://x", 0, NULL), -PS_USAGE);
	assert_int_equal(store_open(&s, "file://host/x", 0, NULL), -PS_USAGE);
	assert_int_equal(store_open(&s, "", 0, NULL), -PS_USAGE);
}

static void foreign_files_are_not_listed(void **state)
{
	struct place *p = *state;
	char path[512];

	assert_int_equal(put(p, "m/1", "x"), 0);
	snprintf(path, sizeof(path), "%s/a/b/%s/m/lost+found", p->dir, p->top);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a/b/%s/m/fifo", p->dir, p->top);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/a/b/%s/m/gone", p->dir, p->top);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(children(p, "m"), 1);
}

static pid_t killed_writer(const struct place *p, int *ret_hold)
{
	int ready[2], hold[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s;
		struct store_put *w;

		close(hold[1]);
		if (store_open(&s, p->url, 0, NULL) < 0 ||
		    s->ops->put_begin(s, name(p, "m/d/7"), &w, NULL) < 0 ||
		    s->ops->put_write(w, "half", 4, NULL) < 0 ||
		    write(ready[1], "x", 1) != 1 || read(hold[0], &c, 1) < 0)
			_exit(9);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	close(hold[0]);
	*ret_hold = hold[1];
	return pid;
}

static void leftovers_of_dead_writers_go_those_of_living_stay(void **state)
{
	struct place *p = *state;
	struct store *s;
	struct store_put *w;
	int hold;
	pid_t pid = killed_writer(p, &hold);

	/* A new process, so to say: a store that has not been here yet. */
	assert_int_equal(put(p, "m/d/1", "x"), 0);
	assert_int_equal(segs_leftovers(p->dir), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(hold);
	assert_int_equal(segs_leftovers(p->dir), 1);
	assert_int_equal(store_open(&s, p->url, 0, NULL), 0);
	assert_int_equal(s->ops->put_begin(s, name(p, "m/d/2"), &w, NULL), 0);
	s->ops->put_abort(w);
	assert_int_equal(segs_leftovers(p->dir), 0);
	store_close(s);
}

/* Opens the store again and again, as new writers of this folder do. */
static _Noreturn void come_and_go(const struct place *p)
{
	for (;;) {
		struct store *s;
		struct store_put *w;

		if (store_open(&s, p->url, 0, NULL) < 0 ||
		    s->ops->put_begin(s, name(p, "m/d/x"), &w, NULL) < 0)
			_exit(9);
		s->ops->put_abort(w);
		store_close(s);
	}
}

static void writers_that_come_disturb_none_that_are_there(void **state)
{
	struct place *p = *state;
	pid_t pid = fork();
	int i, failed = 0;
	char rest[16];

	assert_true(pid >= 0);
	if (pid == 0)
		come_and_go(p);
	for (i = 0; i < 400; i++) {
		snprintf(rest, sizeof(rest), "m/d/%d", i);
		failed += put(p, rest, "x") != 0;
	}
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(failed, 0);
}

static void a_stolen_temporary_file_is_worth_a_retry(void **state)
{
	struct place *p = *state;
	struct store_put *w;

	assert_int_equal(p->ops->put_begin(p->s, name(p, "m/d/1"), &w, NULL),
			 0);
	segs_drop_leftovers(p->dir);
	assert_int_equal(p->ops->put_commit(w, NULL), -PS_TEMPFAIL);
	assert_false(is_there(p, "m/d/1"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

#define EVERY_STORE                                                            \
	T(gives_back_what_was_put), T(keeps_an_empty_object),                  \
	    T(never_replaces), T(shows_nothing_before_the_commit),             \
	    T(leaves_nothing_after_an_abort), T(keeps_large_objects_whole),    \
	    T(exactly_one_of_many_creators_wins), T(reads_any_range),          \
	    T(a_range_past_the_end_is_an_error),                               \
	    T(what_is_not_there_is_not_found), T(removes),                     \
	    T(confirms_what_is_there), T(lists_direct_children_in_order),      \
	    T(lists_all_pages), T(keeps_every_name),                           \
	    T(never_lists_unfinished_uploads),                                 \
	    T(a_listing_ends_when_its_callback_says_so),                       \
	    T(opening_what_is_not_there_fails),

int main(void)
{
	const struct CMUnitTest every_store[] = {EVERY_STORE};
	const struct CMUnitTest folder[] = {
	    EVERY_STORE T(an_unknown_scheme_is_misuse),
	    T(foreign_files_are_not_listed),
	    T(leftovers_of_dead_writers_go_those_of_living_stay),
	    T(writers_that_come_disturb_none_that_are_there),
	    T(a_stolen_temporary_file_is_worth_a_retry),
	};

	other_store = getenv("PS_TEST_STORE");
	lax = getenv("PS_TEST_STORE_LAX") != NULL;
	if (other_store != NULL)
		return cmocka_run_group_tests(every_store, NULL, NULL);
	return cmocka_run_group_tests(folder, NULL, NULL);
}
