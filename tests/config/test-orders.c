/*
 * Orders of process servers: the same tests on SQLite and on a real MariaDB
 * server.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/jobs.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/orders.h"
#include "config/policies.h"
#include "config/schema.h"
#include "config/servers.h"
#include "database.h"

static struct place place;
static struct reg *reg;

static int setup(void **state)
{
	place_make(&place, *(const bool *)*state);
	reg = place.reg;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(&place);
	return 0;
}

static int64_t add_job(const char *machine)
{
	static const char *const steps[] = {"drain", NULL};
	int64_t id = 0;

	assert_int_equal(job_add(reg, "move", machine, steps, &id, NULL), 0);
	return id;
}

static int64_t add(const char *whose, const char *what, const char *machine,
		   int64_t job)
{
	int64_t id = 0;
	struct err e = {0};

	if (order_add(reg, whose, what, machine, "ps2", job, &id, &e) < 0)
		fail_msg("%s", e.msg);
	return id;
}

static int gather(void *ctx, const struct order *o, struct err *e)
{
	char *text = ctx;

	(void)e;
	snprintf(text + strlen(text), 200 - strlen(text), "%s %s %s %s;",
		 o->what, o->machine, o->to, o->state);
	return 0;
}

static const char *open_orders(const char *whose)
{
	static char text[200];

	text[0] = '\0';
	assert_int_equal(order_each(reg, whose, gather, text, NULL), 0);
	return text;
}

/* Given until it has ended, to whom it is meant for. */
static void given_until_done(void **state)
{
	int64_t job = add_job("web01"), in, out;
	struct order o;
	struct err e = {0};

	(void)state;
	in = add("ps2", ORDER_MOVE_IN, "web01", job);
	out = add("ps1", ORDER_MOVE_OUT, "web01", job);
	assert_int_not_equal(in, out);
	assert_string_equal(open_orders("ps1"), "move-out web01 ps2 open;");
	assert_int_equal(
	    order_report(reg, out, "ps1", ORDER_RUNNING, "2 segments", &e), 0);
	assert_string_equal(open_orders("ps1"), "move-out web01 ps2 running;");
	assert_int_equal(order_report(reg, out, "ps1", ORDER_DONE, "gone", &e),
			 0);
	assert_string_equal(open_orders("ps1"), "");
	assert_string_equal(open_orders("ps2"), "move-in web01 ps2 open;");
	assert_int_equal(order_get(reg, out, &o, &e), 0);
	assert_string_equal(o.note, "gone");
	assert_string_equal(o.state, ORDER_DONE);
	assert_int_equal(o.job, job);
	assert_true(o.changed >= o.made);
}

/* A job that begins anew after a crash gives no order twice. */
static void given_once(void **state)
{
	int64_t job = add_job("web01"), other = add_job("web02"), id;

	(void)state;
	id = add("ps1", ORDER_MOVE_OUT, "web01", job);
	assert_int_equal(add("ps1", ORDER_MOVE_OUT, "web01", job), id);
	assert_int_not_equal(add("ps1", ORDER_MOVE_OUT, "web01", other), id);
	assert_int_not_equal(add("ps1", ORDER_LEFT, "web01", job), id);
	/* Without a job each is one of its own. */
	id = add("ps1", ORDER_LEFT, "web01", 0);
	assert_int_not_equal(add("ps1", ORDER_LEFT, "web01", 0), id);
}

static void reports(void **state)
{
	int64_t id = add("ps1", ORDER_MOVE_OUT, "web01", 0);
	char much[ORDER_NOTE_SIZE + 1];
	struct order o;
	struct err e = {0};

	(void)state;
	memset(much, 'x', ORDER_NOTE_SIZE);
	much[ORDER_NOTE_SIZE] = '\0';
	assert_int_equal(order_report(reg, id + 9, "ps1", ORDER_DONE, "", &e),
			 -PS_NO);
	assert_int_equal(order_report(reg, id, "ps2", ORDER_DONE, "", &e),
			 -PS_NO);
	assert_non_null(strstr(e.msg, "none of server 'ps2'"));
	assert_int_equal(order_report(reg, id, "ps1", "open", "", &e),
			 -PS_USAGE);
	assert_int_equal(order_report(reg, id, "ps1", ORDER_DONE, much, &e),
			 -PS_USAGE);
	assert_int_equal(order_report(reg, id, "ps1", ORDER_DONE, "a\nb", &e),
			 -PS_USAGE);
	assert_int_equal(order_report(reg, id, "ps1", ORDER_FAILED, "why", &e),
			 0);
	/* Once more is success, anything else is too late. */
	assert_int_equal(
	    order_report(reg, id, "ps1", ORDER_FAILED, "other", &e), 0);
	assert_int_equal(order_report(reg, id, "ps1", ORDER_RUNNING, NULL, &e),
			 -PS_NO);
	assert_non_null(strstr(e.msg, "failed already"));
	assert_int_equal(order_get(reg, id, &o, &e), 0);
	assert_string_equal(o.note, "why");
	assert_int_equal(order_get(reg, id + 9, &o, &e), -PS_NO);
}

static void words(void **state)
{
	int64_t id;
	struct err e = {0};

	(void)state;
	assert_int_equal(order_add(reg, "-", ORDER_LEFT, "a", "", 0, &id, &e),
			 -PS_USAGE);
	assert_int_equal(order_add(reg, "ps1", "", "a", "", 0, &id, &e),
			 -PS_USAGE);
	assert_int_equal(
	    order_add(reg, "ps1", ORDER_LEFT, "../a", "", 0, &id, &e),
	    -PS_USAGE);
	assert_int_equal(
	    order_add(reg, "ps1", ORDER_LEFT, "a", "b/", 0, &id, &e),
	    -PS_USAGE);
	assert_int_equal(order_add(reg, "ps1", ORDER_LEFT, "a", "", 0, &id, &e),
			 0);
	assert_string_equal(open_orders("ps1"), "left a  open;");
}

/* A registry of the version before gets the tables. */
static void migrates(void **state)
{
	unsigned version = 0;
	struct err e = {0};

	(void)state;
	assert_int_equal(sql_make(reg->db,
				  "DROP TABLE orders; DROP TABLE moves; "
				  "DROP TABLE contacts",
				  &e),
			 0);
	assert_int_equal(sql_run(reg->db, "UPDATE schema_at SET version = 1",
				 SQL_NO_ARGS, &e),
			 1);
	reg_close(reg);
	place.reg = NULL;
	assert_int_equal(reg_open(&reg, &place.where, "test", &e), -PS_CONFIG);
	assert_int_equal(reg_init(&reg, &place.where, "test", &e), 0);
	place.reg = reg;
	assert_int_equal(schema_version(reg->db, &version, &e), 0);
	assert_int_equal(version, schema_newest);
	add("ps1", ORDER_MOVE_OUT, "web01", 0);
}

/* ---- moves ---- */

static void add_server(const char *name)
{
	struct reg_server s = {.role = SERVER_PS, .port = 9443};

	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.address, sizeof(s.address), "%s.example", name);
	assert_int_equal(server_register(reg, &s, NULL), 0);
}

/* web01 is protected at ps1; ps2 and ps3 are there. */
static void add_fleet(void)
{
	struct reg_machine m = {.name = "web01",
				.policy = "gold",
				.server = "ps1",
				.vault = "/vault"};
	struct reg_policy p = {.name = "gold",
			       .rpo_s = POLICY_RPO_S,
			       .retention_s = POLICY_RETENTION_S,
			       .app_s = POLICY_APP_S};
	struct reg_disk d = {.name = "root"};

	add_server("ps1");
	add_server("ps2");
	add_server("ps3");
	assert_int_equal(policy_add(reg, &p, NULL), 0);
	assert_int_equal(machine_add(reg, &m, NULL), 0);
	assert_int_equal(machine_disk_put(reg, "web01", &d, NULL), 0);
	assert_int_equal(machine_enable(reg, "web01", NULL), 0);
}

static int64_t begin(const char *from, const char *to, bool dead, int want)
{
	struct reg_move m = {.machine = "web01", .dead = dead};
	struct err e = {0};
	int rc;

	snprintf(m.from, sizeof(m.from), "%s", from);
	snprintf(m.to, sizeof(m.to), "%s", to);
	rc = moves_begin(reg, &m, 1, &e);
	if (rc != want)
		fail_msg("%d: %s", rc, e.msg);
	return m.job;
}

static struct move_at look(int64_t job)
{
	struct move_at at;
	struct err e = {0};

	if (move_look(reg, job, &at, &e) < 0)
		fail_msg("%s", e.msg);
	return at;
}

static struct move_at step(int64_t job)
{
	struct err e = {0};

	if (move_step(reg, job, &e) < 0)
		fail_msg("%s", e.msg);
	return look(job);
}

static int first_id(void *ctx, const struct order *o, struct err *e)
{
	(void)e;
	if (*(int64_t *)ctx == 0)
		*(int64_t *)ctx = o->id;
	return 0;
}

/* A server does its oldest order. */
static void does(const char *whose, const char *state, const char *note)
{
	int64_t id = 0;

	assert_int_equal(order_each(reg, whose, first_id, &id, NULL), 0);
	assert_int_not_equal(id, 0);
	assert_int_equal(order_report(reg, id, whose, state, note, NULL), 0);
}

static const char *server_of_web01(void)
{
	static struct reg_machine m;

	assert_int_equal(machine_get(reg, "web01", &m, NULL), 0);
	return m.server;
}

static void planned(void **state)
{
	struct move_at at;
	int64_t job;

	(void)state;
	add_fleet();
	begin("ps2", "ps3", false, -PS_NO);
	begin("ps1", "ps1", false, -PS_USAGE);
	begin("ps1", "ps9", false, -PS_NO);
	job = begin("ps1", "ps2", false, 0);
	assert_false(look(job).begun);
	assert_int_equal(begin("ps1", "ps2", false, 0), job);
	begin("ps1", "ps3", false, -PS_NO); /* it is under way elsewhere */
	/* Nothing is asked of the old one before the new one is ready. */
	step(job);
	at = step(job);
	assert_int_equal(at.step, 1);
	assert_string_equal(open_orders("ps2"), "move-in web01 ps2 open;");
	assert_string_equal(open_orders("ps1"), "");
	does("ps2", ORDER_DONE, "ready");
	at = step(job);
	assert_int_equal(at.step, 2);
	does("ps1", ORDER_RUNNING, "3 segments");
	at = step(job);
	assert_string_equal(at.note, "3 segments");
	assert_string_equal(server_of_web01(), "ps1");
	does("ps1", ORDER_DONE, "all of it is stored");
	at = step(job);
	assert_int_equal(at.step, 4);
	assert_string_equal(server_of_web01(), "ps2");
	does("ps2", ORDER_DONE, "root has segment 7");
	at = step(job);
	assert_true(at.ended && at.done);
	at = step(job); /* as it was */
	assert_true(at.ended && at.done);
	assert_string_equal(at.note, "root has segment 7");
	assert_int_equal(begin("ps1", "ps2", false, 0), 0);
}

/* What fails before the registry names another server changes nothing. */
static void taken_back(void **state)
{
	struct move_at at;
	int64_t job;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_FAILED, "the cache is full");
	at = step(job);
	assert_true(at.ended && !at.done);
	assert_string_equal(at.note, "ps2: the cache is full");
	assert_string_equal(open_orders("ps1"), "");
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	step(job);
	does("ps1", ORDER_FAILED, "root: on hold");
	at = step(job);
	assert_false(at.ended);
	assert_string_equal(open_orders("ps1"), "stay web01 ps2 open;");
	does("ps1", ORDER_DONE, "it stays");
	at = step(job);
	assert_true(at.ended && !at.done);
	assert_string_equal(at.note, "ps1: root: on hold");
	assert_string_equal(server_of_web01(), "ps1");
}

/* The old server dies in the middle: it is given up, and told when it is back.
 */
static void given_up(void **state)
{
	int64_t job, other;
	struct move_at at;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	step(job);
	assert_string_equal(open_orders("ps1"), "move-out web01 ps2 open;");
	other = begin("ps1", "ps2", true, 0);
	assert_int_not_equal(other, job);
	at = step(job);
	assert_true(at.ended && !at.done);
	step(other);
	does("ps2", ORDER_DONE, "");
	at = step(other);
	assert_int_equal(at.step, 4);
	assert_string_equal(server_of_web01(), "ps2");
	/* Not the order of the move that was given up. */
	assert_string_equal(open_orders("ps1"), "left web01 ps2 open;");
	does("ps2", ORDER_DONE, "root has segment 3");
	at = step(other);
	assert_true(at.ended && at.done);
	assert_string_equal(open_orders("ps1"), "left web01 ps2 open;");
	/* Back to where it was only when that one has looked at its leavings.
	 */
	job = begin("ps2", "ps1", false, 0);
	at = step(job);
	assert_int_equal(at.step, 1);
	assert_string_equal(open_orders("ps1"), "left web01 ps2 open;");
	does("ps1", ORDER_DONE, "nothing");
	step(job);
	assert_string_equal(open_orders("ps1"), "move-in web01 ps1 open;");
}

/* A machine that is given to another server by hand meanwhile. */
static void by_hand(void **state)
{
	struct reg_machine m;
	struct move_at at;
	int64_t job;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	step(job);
	assert_int_equal(machine_get(reg, "web01", &m, NULL), 0);
	snprintf(m.server, sizeof(m.server), "ps3");
	assert_int_equal(machine_change(reg, &m, NULL), 0);
	does("ps1", ORDER_DONE, "");
	at = step(job);
	assert_true(at.ended && !at.done);
	assert_non_null(strstr(at.note, "was given to ps3 meanwhile"));
	assert_string_equal(server_of_web01(), "ps3");
}

/* Without a server, and without protection, there is nobody to wait for. */
static void unprotected(void **state)
{
	struct reg_machine m = {.name = "web01"};
	struct move_at at;
	int64_t job;

	(void)state;
	add_server("ps2");
	assert_int_equal(machine_add(reg, &m, NULL), 0);
	job = begin("", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	at = step(job);
	assert_true(at.ended && at.done);
	assert_string_equal(server_of_web01(), "ps2");
}

/* Before the old server was asked nothing has to be undone. */
static void cancelled_early(void **state)
{
	char words[1024];
	struct err e = {0};
	int64_t job;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	assert_int_equal(move_cancel(reg, job, "not now", words, &e), 0);
	assert_non_null(strstr(words, "web01 stays at ps1"));
	assert_non_null(strstr(look(job).note, "had changed; not now"));
	assert_true(look(job).ended && !look(job).done);
	assert_string_equal(open_orders("ps2"), "");
	/* Who was just taking a step does no harm. */
	step(job);
	assert_int_equal(order_add(reg, "ps1", ORDER_MOVE_OUT, "web01", "ps2",
				   job, &(int64_t){0}, &e),
			 -PS_NO);
	assert_int_equal(move_cancel(reg, job, NULL, words, &e), -PS_NO);
	assert_int_equal(move_cancel(reg, job + 1, NULL, words, &e), -PS_NO);
	begin("ps1", "ps3", false, 0);
}

/* The old server was asked to let go: only it can say that it has not. */
static void cancelled(void **state)
{
	char words[1024];
	struct err e = {0};
	int64_t job;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	step(job);
	does("ps1", ORDER_RUNNING, "3 segments");
	assert_int_equal(move_cancel(reg, job, "too busy", words, &e), 0);
	assert_non_null(strstr(words, "ps1 is asked to keep web01"));
	assert_string_equal(open_orders("ps1"), "");
	step(job);
	assert_string_equal(open_orders("ps1"), "stay web01 ps2 open;");
	assert_int_equal(move_cancel(reg, job, NULL, words, &e),
			 0); /* once more */
	assert_false(look(job).ended);
	does("ps1", ORDER_DONE, "it stays");
	assert_true(step(job).ended);
	assert_string_equal(look(job).note, "web01 stays at ps1; too busy");
	assert_string_equal(server_of_web01(), "ps1");
}

/* It had let go, and could not say so before. */
static void cancelled_late(void **state)
{
	char words[1024];
	struct err e = {0};
	int64_t job;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	step(job);
	does("ps2", ORDER_DONE, "");
	step(job);
	assert_int_equal(move_cancel(reg, job, NULL, words, &e), 0);
	step(job);
	does("ps1", ORDER_FAILED, "has moved to ps2 already");
	step(job);
	assert_string_equal(open_orders("ps1"), "move-out web01 ps2 open;");
	does("ps1", ORDER_DONE, "all of it is stored");
	assert_int_equal(move_cancel(reg, job, NULL, words, &e), -PS_NO);
	assert_non_null(strstr(e.msg, "ps1 has let go already"));
	step(job);
	assert_string_equal(server_of_web01(), "ps2");
	/* It belongs to ps2: only the waiting ends. */
	assert_int_equal(move_cancel(reg, job, NULL, words, &e), 0);
	assert_non_null(strstr(words, "belongs to ps2 already"));
	assert_true(look(job).ended);
	assert_string_equal(open_orders("ps2"), "");
	assert_string_equal(server_of_web01(), "ps2");
}

/* ---- who drives them ---- */

static bool drive(void)
{
	struct err e = {0};
	bool more;

	if (moves_drive(reg, &more, &e) < 0)
		fail_msg("%s", e.msg);
	return more;
}

static int count(void *ctx, const struct order *o, struct err *e)
{
	(void)o;
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

static unsigned orders_of(const char *whose)
{
	unsigned n = 0;

	assert_int_equal(order_each(reg, whose, count, &n, NULL), 0);
	return n;
}

/* A plan is begun as a whole or not at all; so many are on the way at once. */
static void driven(void **state)
{
	struct reg_machine m = {.server = "ps1"};
	struct reg_move list[MOVES_AT_ONCE + 5] = {{0}};
	struct err e = {0};
	unsigned i;

	(void)state;
	add_fleet();
	for (i = 0; i < MOVES_AT_ONCE + 5; i++) {
		snprintf(m.name, sizeof(m.name), "m%u", i);
		if (i < MOVES_AT_ONCE + 3)
			assert_int_equal(machine_add(reg, &m, NULL), 0);
		snprintf(list[i].machine, NAME_SIZE, "m%u", i);
		snprintf(list[i].from, NAME_SIZE, "ps1");
		snprintf(list[i].to, NAME_SIZE, "ps2");
	}
	assert_int_equal(moves_begin(reg, list, i, &e), -PS_NO);
	assert_non_null(strstr(e.msg, "there is none"));
	drive();
	assert_int_equal(orders_of("ps2"), 0);
	assert_int_equal(moves_begin(reg, list, i - 2, &e), 0);
	/* To another one there is another queue. */
	begin("ps1", "ps3", false, 0);
	drive();
	drive();
	assert_int_equal(orders_of("ps2"), MOVES_AT_ONCE);
	assert_int_equal(orders_of("ps3"), 1);
	assert_false(look(list[MOVES_AT_ONCE].job).begun);
	/* One that the registry has named is not on the way any more. */
	does("ps2", ORDER_DONE, "");
	drive();
	does("ps1", ORDER_DONE, "");
	drive();
	drive();
	assert_true(look(list[MOVES_AT_ONCE].job).begun);
	assert_false(look(list[MOVES_AT_ONCE + 1].job).begun);
}

/* What was cut off between a report and what follows from it goes on. */
static void goes_on(void **state)
{
	int64_t job, id = 0;

	(void)state;
	add_fleet();
	job = begin("ps1", "ps2", false, 0);
	drive();
	does("ps2", ORDER_DONE, "");
	drive();
	assert_string_equal(open_orders("ps1"), "move-out web01 ps2 open;");
	/* A report is acted on at once. */
	assert_int_equal(order_each(reg, "ps1", first_id, &id, NULL), 0);
	does("ps1", ORDER_DONE, "");
	assert_int_equal(move_heard(reg, id, NULL), 0);
	assert_string_equal(server_of_web01(), "ps2");
	assert_int_equal(move_heard(reg, id + 99, NULL), 0);
	does("ps2", ORDER_DONE, "root has segment 7");
	drive();
	assert_true(look(job).done);
}

static bool no = false, yes = true;

#define ON_SQLITE(f)                                                           \
	{                                                                      \
		"sqlite: " #f, f, setup, teardown, &no                         \
	}
#define ON_MARIADB(f)                                                          \
	{                                                                      \
		"mariadb: " #f, f, setup, teardown, &yes                       \
	}
#define ALL(ON)                                                                \
	ON(given_until_done), ON(given_once), ON(reports), ON(words),          \
	    ON(migrates), ON(planned), ON(taken_back), ON(given_up),           \
	    ON(by_hand), ON(unprotected), ON(cancelled_early), ON(cancelled),  \
	    ON(cancelled_late), ON(driven), ON(goes_on)

int main(void)
{
	const struct CMUnitTest sqlite[] = {ALL(ON_SQLITE)};
	const struct CMUnitTest both[] = {ALL(ON_SQLITE), ALL(ON_MARIADB)};
	int rc;

	if (!server_installed())
		return cmocka_run_group_tests(sqlite, NULL, NULL);
	rc = cmocka_run_group_tests(both, NULL, NULL);
	server_remove();
	return rc;
}
