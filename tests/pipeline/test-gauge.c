/*
 * The gauge looks into pipes of a real chain: what it says, and that nobody
 * notices: a writer still gets EPIPE, a reader the end of the file.
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

#include "base/units.h"
#include "pipeline/gauge.h"

#define DEADLINE (20 * NS_PER_S)

static char dir[] = "/tmp/test-gauge.XXXXXX";

struct world {
	struct plan plan;
	struct chain chain;
	struct gauge gauge;
};

/* A chain of shell commands. */
static void start(struct world *w, const char *a, const char *b, const char *c)
{
	const struct chain_io io = {.in = -1, .out = -1, .err = -1};
	const char *const all[] = {a, b, c};
	struct err e = {0};
	unsigned i;

	memset(w, 0, sizeof(*w));
	for (i = 0; i < 3; i++)
		plan_stage(&w->plan, NULL, "sh", "-c", all[i], NULL);
	gauge_open(&w->gauge, dir, NULL);
	assert_int_equal(chain_start(&w->chain, &w->plan, &io, &e), 0);
}

static void reap(struct world *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		assert_true(chain_reaped(&w->chain, pid, status));
}

/* As often as one can, not some times a second: the worst for the chain. */
static void look(struct world *w)
{
	w->gauge.next = 0;
	(void)gauge_step(&w->gauge, &w->chain, INT64_MAX);
}

static void finish(struct world *w)
{
	chain_signal(&w->chain, SIGKILL);
	while (w->chain.alive > 0)
		reap(w);
}

/* Looks until the share of a stage is that, or it takes too long. */
static double limits_of(struct world *w, unsigned stage)
{
	int64_t until = mono_now_ns() + DEADLINE;
	struct gauge_shares s = {0};
	unsigned i;

	while (mono_now_ns() < until && s.limits < 0.9) {
		look(w);
		gauge_shares(&w->gauge, stage, &s);
	}
	/* What was before it came to that goes out of the window. */
	for (i = 0; i < GAUGE_WINDOW; i++)
		look(w);
	gauge_shares(&w->gauge, stage, &s);
	return s.limits;
}

static void the_slowest_stage_is_found(void **state)
{
	struct world w;
	struct gauge_shares s;

	(void)state;
	/* The second takes nothing: what it reads is full. */
	start(&w, "exec cat /dev/zero", "exec sleep 60", "exec cat >/dev/null");
	assert_true(limits_of(&w, 1) >= 0.9);
	gauge_shares(&w.gauge, 0, &s);
	assert_true(s.blocked > 0.8);
	gauge_shares(&w.gauge, 2, &s);
	assert_true(s.starved > 0.8);
	assert_true(s.limits < 0.1);
	finish(&w);
	/* The first gives nothing. */
	start(&w, "exec sleep 60", "exec cat", "exec cat >/dev/null");
	assert_true(limits_of(&w, 0) >= 0.9);
	finish(&w);
	/* The last takes nothing, all before it is full. */
	start(&w, "exec cat /dev/zero", "exec cat", "exec sleep 60");
	assert_true(limits_of(&w, 2) >= 0.9);
	finish(&w);
}

/* The reader dies while somebody looks all the time: the writer hears of it. */
static void a_writer_still_gets_sigpipe(void **state)
{
	int64_t until = mono_now_ns() + DEADLINE;
	struct world w;
	unsigned i;

	(void)state;
	start(&w, "exec cat /dev/zero", "exec sleep 60", "exec sleep 60");
	for (i = 0; i < 1000; i++)
		look(&w);
	kill(w.chain.stages[1].pid, SIGKILL);
	while (!w.chain.stages[0].ended && mono_now_ns() < until) {
		look(&w);
		reap(&w);
	}
	assert_true(w.chain.stages[0].ended);
	assert_true(WIFSIGNALED(w.chain.stages[0].status));
	assert_int_equal(WTERMSIG(w.chain.stages[0].status), SIGPIPE);
	finish(&w);
}

/* The writer ends: the reader gets all that it wrote, and the end. */
static void a_reader_still_gets_its_end(void **state)
{
	int64_t until = mono_now_ns() + DEADLINE;
	struct world w;

	(void)state;
	start(&w, "exec head -c 50000000 /dev/zero", "exec cat",
	      "test $(wc -c) -eq 50000000");
	while (w.chain.alive > 0 && mono_now_ns() < until) {
		look(&w);
		reap(&w);
	}
	assert_int_equal(w.chain.alive, 0);
	assert_int_equal(w.chain.stages[1].status, 0);
	assert_int_equal(w.chain.stages[2].status, 0);
	finish(&w);
}

static unsigned open_files(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_stays_open(void **state)
{
	unsigned before = open_files(), i;
	struct world w;

	(void)state;
	for (i = 0; i < 3; i++) {
		start(&w, "exit 0", "exec sleep 60", "exec cat");
		look(&w);
		finish(&w);
		look(&w);
		assert_false(w.gauge.running);
	}
	assert_int_equal(open_files(), before);
}

static void the_file_is_named_after_the_follower(void **state)
{
	char name[64];

	(void)state;
	gauge_file("/c", ".stages", NULL, name, sizeof(name));
	assert_string_equal(name, "/c/.stages");
	gauge_file("/c", ".stages", "default", name, sizeof(name));
	assert_string_equal(name, "/c/.stages");
	gauge_file("/c", ".upload", "site2", name, sizeof(name));
	assert_string_equal(name, "/c/.upload.site2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_slowest_stage_is_found),
	    cmocka_unit_test(a_writer_still_gets_sigpipe),
	    cmocka_unit_test(a_reader_still_gets_its_end),
	    cmocka_unit_test(nothing_stays_open),
	    cmocka_unit_test(the_file_is_named_after_the_follower),
	};
	char file[64];
	int rc;

	if (mkdtemp(dir) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(file, sizeof(file), "%s/.stages", dir);
	unlink(file);
	rmdir(dir);
	return rc;
}
