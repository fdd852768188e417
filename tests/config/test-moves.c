/*
 * Moves of machines, killed before each statement that any of their steps
 * asks of the registry: whoever goes on then ends them, once.
 */
#include "config.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "config/jobs.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/orders.h"
#include "config/servers.h"
#include "database.h"

#define STATEMENTS_MAX 200

static struct place place;

static unsigned kill_at; /* of the statements to come; 0: never */

/* Instead of the library's, which it calls. */
int sqlite3_step(sqlite3_stmt *st)
{
	int (*theirs)(sqlite3_stmt *);

	*(void **)&theirs = dlsym(RTLD_NEXT, "sqlite3_step");
	if (kill_at > 0 && --kill_at == 0)
		raise(SIGKILL);
	return theirs(st);
}

/* ---- a process that is killed ---- */

typedef void work_fn(struct reg *r);

static void go(struct reg *r)
{
	bool more;

	assert_int_equal(moves_drive(r, &more, NULL), 0);
}

static void cancel_all(struct reg *r)
{
	char words[1024];
	int64_t job = 0;

	assert_int_equal(job_open(r, JOB_MOVE, "web01", &job, NULL), 0);
	if (job != 0)
		(void)move_cancel(r, job, NULL, words, NULL);
}

static struct reg_move wanted;

static void begin(struct reg *r)
{
	struct reg_move m = wanted;

	assert_int_equal(moves_begin(r, &m, 1, NULL), 0);
}

/* True: it was killed before its end. */
static bool killed(work_fn *fn, unsigned n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct reg *r = place_open(&place);

		kill_at = n;
		fn(r);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return true;
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* ---- the servers ---- */

static void add_server(struct reg *r, const char *name)
{
	struct reg_server s = {.role = SERVER_PS, .port = 9443};

	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.address, sizeof(s.address), "%s.example", name);
	assert_int_equal(server_register(r, &s, NULL), 0);
}

struct report {
	int64_t id;
	char server[NAME_SIZE];
	bool ends;
};

static int oldest(void *ctx, const struct order *o, struct err *e)
{
	struct report *r = ctx;

	(void)e;
	if (r->id != 0)
		return 0;
	r->id = o->id;
	snprintf(r->server, sizeof(r->server), "%s", o->server);
	return 0;
}

static struct report report;

static void hear(struct reg *r)
{
	assert_int_equal(order_report(r, report.id, report.server,
				      report.ends ? ORDER_DONE : ORDER_RUNNING,
				      "well", NULL),
			 0);
	assert_int_equal(move_heard(r, report.id, NULL), 0);
}

/* Servers do what they are ordered to, until there is nothing left. */
static bool servers_do(struct reg *r, unsigned n)
{
	static const char *const names[] = {"ps1", "ps2"};
	bool any = false, more = true;
	unsigned i, k;

	for (k = 0; more; k++) {
		assert_true(k < 50);
		more = false;
		for (i = 0; i < 2; i++) {
			report = (struct report){.ends = k % 2 == 1};
			assert_int_equal(
			    order_each(r, names[i], oldest, &report, NULL), 0);
			if (report.id == 0)
				continue;
			more = true;
			if (killed(hear, n)) {
				any = true;
				hear(r); /* its heartbeat comes again */
			}
		}
		any = killed(go, n) || any;
		go(r);
	}
	return any;
}

/* ---- what came of it ---- */

static void check_orders(struct reg *r, int64_t job, const char *what,
			 int64_t want)
{
	int64_t n = -1;

	assert_int_equal(
	    sql_number(r->db,
		       "SELECT COUNT(*) FROM orders WHERE job = ? AND what = ?",
		       SQL_ARGS(sql_int(job), sql_text(what)), 0, &n, NULL),
	    0);
	if (n != want)
		fail_msg("%lld times %s", (long long)n, what);
}

static int64_t last_job(struct reg *r)
{
	int64_t job = 0;

	assert_int_equal(sql_number(r->db, "SELECT MAX(id) FROM jobs",
				    SQL_NO_ARGS, 0, &job, NULL),
			 0);
	return job;
}

static void is_at(struct reg *r, const char *name)
{
	struct reg_machine m;

	assert_int_equal(machine_get(r, "web01", &m, NULL), 0);
	assert_string_equal(m.server, name);
}

static void protect(struct reg *r)
{
	struct reg_machine m = {.name = "web01",
				.server = "ps1",
				.state = MACHINE_ENABLED,
				.vault = "/vault"};

	add_server(r, "ps1");
	add_server(r, "ps2");
	assert_int_equal(machine_add(r, &m, NULL), 0);
	assert_int_equal(sql_run(r->db, "UPDATE machines SET state = ?",
				 SQL_ARGS(sql_text(MACHINE_ENABLED)), NULL),
			 1);
}

static void want(const char *from, const char *to)
{
	wanted = (struct reg_move){.machine = "web01"};
	snprintf(wanted.from, sizeof(wanted.from), "%s", from);
	snprintf(wanted.to, sizeof(wanted.to), "%s", to);
}

/* ---- the tests ---- */

/* Every statement, or (quickly) each third of them. */
static unsigned stride(void)
{
	return getenv("PS_LONG") != NULL ? 1 : 3;
}

static void killed_anywhere(void **state)
{
	const char *from = "ps1", *to = "ps2", *other;
	struct move_at at;
	unsigned n;
	int64_t job, before = 0;
	bool any = true;

	(void)state;
	protect(place.reg);
	for (n = 1; any; n += stride()) {
		struct reg *r = place.reg;

		assert_true(n < STATEMENTS_MAX);
		want(from, to);
		any = killed(begin, n);
		begin(r); /* again, or as it is */
		any = killed(go, n) || any;
		go(r);
		any = servers_do(r, n) || any;
		job = last_job(r);
		assert_int_equal(job, before + 1);
		before = job;
		assert_int_equal(move_look(r, job, &at, NULL), 0);
		assert_true(at.ended && at.done);
		is_at(r, to);
		check_orders(r, job, ORDER_MOVE_IN, 1);
		check_orders(r, job, ORDER_MOVE_OUT, 1);
		check_orders(r, job, ORDER_ARRIVED, 1);
		other = from;
		from = to;
		to = other;
	}
	assert_true(n > 10);
}

static void cancelled_anywhere(void **state)
{
	struct move_at at;
	unsigned n;
	bool any = true;

	(void)state;
	protect(place.reg);
	for (n = 1; any; n += stride()) {
		struct reg *r = place.reg;

		assert_true(n < STATEMENTS_MAX);
		want("ps1", "ps2");
		begin(r);
		go(r);
		report = (struct report){.ends = true};
		assert_int_equal(order_each(r, "ps2", oldest, &report, NULL),
				 0);
		hear(r);
		any = killed(cancel_all, n);
		cancel_all(r);
		any = killed(go, n) || any;
		go(r);
		any = servers_do(r, n) || any;
		assert_int_equal(move_look(r, last_job(r), &at, NULL), 0);
		assert_true(at.ended && !at.done);
		assert_string_equal(at.note, "web01 stays at ps1");
		is_at(r, "ps1");
		check_orders(r, last_job(r), ORDER_STAY, 1);
		check_orders(r, last_job(r), ORDER_ARRIVED, 0);
	}
	assert_true(n > 10);
}

static int setup(void **state)
{
	(void)state;
	place_make(&place, false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(&place);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(killed_anywhere, setup, teardown),
	    cmocka_unit_test_setup_teardown(cancelled_anywhere, setup,
					    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
