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
#include "config/orders.h"
#include "config/schema.h"
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
	assert_int_equal(
	    sql_make(reg->db, "DROP TABLE orders; DROP TABLE moves", &e), 0);
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
	    ON(migrates)

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
