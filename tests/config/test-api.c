/*
 * What requests to the configuration server mean, on SQLite and on MariaDB:
 * who may register, what a heartbeat brings and takes, who sees what.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "config/api.h"
#include "config/contacts.h"
#include "config/machines.h"
#include "config/orders.h"
#include "config/policies.h"
#include "config/status.h"
#include "config/x509.h"
#include "database.h"

static struct place place;
static struct reg *reg;
static char csr[CA_PEM_SIZE];

static int setup(void **state)
{
	struct err e = {0};
	EVP_PKEY *key = EVP_EC_gen("P-256");

	place_make(&place, *(const bool *)*state);
	reg = place.reg;
	assert_int_equal(ca_init(reg, &e), 0);
	assert_int_equal(x509_new_request(key, "ps1", csr, &e), 0);
	EVP_PKEY_free(key);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_remove(&place);
	return 0;
}

static json_t *answer; /* of the last request */

static unsigned ask(enum desk_what what, const char *login, const char *name,
		    json_t *body)
{
	char *text = body != NULL ? json_dumps(body, 0) : strdup("");
	const struct api_ask q = {.what = what,
				  .login = login,
				  .generation = 3,
				  .name = name,
				  .body = text,
				  .len = strlen(text),
				  .version = "2.7.0",
				  .pin = "sha256//x",
				  .interval = 60,
				  .cert_s = 1000 * 86400};
	struct api_answer a;

	json_decref(answer);
	json_decref(body);
	(void)api_answer(reg, &q, &a);
	free(text);
	answer = a.body;
	return a.held ? 0 : a.status;
}

static const char *said(const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text != NULL ? text : "";
}

static json_t *joining(const char *name, const char *id, const char *version,
		       int64_t ahead_s)
{
	char now[TIME_TEXT];

	format_time(time_now_ns() + ahead_s * NS_PER_S, now);
	return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "name",
			 name, "role", "ps", "address", "192.0.2.1", "port",
			 9443, "version", version, "machine_id", id, "csr", csr,
			 "time", now);
}

/* A master target comes behind all process servers. */
static unsigned join_target(const char *version)
{
	json_t *body = joining("mt1", "id-3", version, 0);

	json_object_set_new(body, "role", json_string("mt"));
	return ask(DESK_REGISTER, "mt1", "", body);
}

static unsigned join(const char *name, const char *id, const char *version,
		     int64_t ahead_s)
{
	return ask(DESK_REGISTER, name, "",
		   joining(name, id, version, ahead_s));
}

static unsigned join_as(const char *name, const char *alt)
{
	json_t *body = joining(name, strcmp(name, "ps1") == 0 ? "id-1" : "id-2",
			       "2.7.0", 0);

	json_object_set_new(body, "alt", json_string(alt));
	json_object_set_new(body, "address", json_string("host"));
	return ask(DESK_REGISTER, name, "", body);
}

/* ---- register ---- */

static void test_register(void **state)
{
	struct reg_server s;
	struct err e = {0};
	char *first;

	(void)state;
	assert_int_equal(join("ps1", "id-1", "2.7.1", 0), 200);
	first = strdup(said("certificate"));
	assert_non_null(strstr(first, "BEGIN CERTIFICATE"));
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(answer, "pins"), 0)),
			    "sha256//x");
	/* The same again, or replayed: the same identity, nothing new. */
	assert_int_equal(join("ps1", "id-1", "2.7.1", 0), 200);
	assert_string_equal(said("certificate"), first);
	free(first);
	assert_int_equal(server_get(reg, "ps1", &s, &e), 0);
	assert_int_equal(s.generation, 3);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *id, *version;
		int64_t ahead_s;
		unsigned status;
		const char *word;
	} cases[] = {
	    {"ps_1", "id-2", "2.7.0", 0, 400, "name"},
	    {"ps2", "id-2", "2.8.0", 0, 409, "version"},
	    {"ps2", "id-2", "3.0.0", 0, 409, "version"},
	    {"ps2", "id-2", "2.2.9", 0, 409, "version"},
	    {"ps2", "id-2", "1.7.0", 0, 409, "version"},
	    {"ps2", "id-2", "new", 0, 400, "request"},
	    {"ps2", "id-2", "2.7.0", 905, 409, "clock"},
	    {"ps2", "id-2", "2.7.0", -901, 409, "clock"},
	    {"ps1", "id-2", "2.7.0", 0, 409, "duplicate"},
	    {"ps2", "id-1", "2.7.0", 0, 409, "clone"},
	    {"web01", "id-2", "2.7.0", 0, 409, "duplicate"},
	};
	const struct reg_machine web01 = {.name = "web01"},
				 ps1 = {.name = "ps1"};
	int64_t revision, now;
	struct err e = {0};
	struct reg_server s;
	size_t i;

	(void)state;
	assert_int_equal(join("ps1", "id-1", "2.7.0", 0), 200);
	/* A protected machine makes no server of itself, nor the reverse. */
	assert_int_equal(machine_add(reg, &web01, &e), 0);
	assert_int_equal(machine_add(reg, &ps1, &e), -PS_NO);
	assert_int_equal(reg_revision(reg, &revision, &e), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(join(cases[i].name, cases[i].id,
				      cases[i].version, cases[i].ahead_s),
				 cases[i].status);
		assert_string_equal(said("error"), cases[i].word);
		assert_string_not_equal(said("text"), "");
	}
	/* Not with the login of another, nor without a key of its own. */
	assert_int_equal(
	    ask(DESK_REGISTER, "ps1", "", joining("ps2", "id-2", "2.7.0", 0)),
	    403);
	csr[100] ^= 1;
	assert_int_equal(join("ps2", "id-2", "2.7.0", 0), 400);
	assert_int_equal(ask(DESK_REGISTER, "ps1", "", json_array()), 400);
	assert_int_equal(reg_revision(reg, &now, &e), 0);
	assert_int_equal(now, revision);
	csr[100] ^= 1;
	/* Names of others, or what is none, are not certified. */
	assert_int_equal(join_as("ps2", "DNS:PS1"), 409);
	assert_int_equal(join_as("ps2", "email:x"), 400);
	assert_int_equal(server_get(reg, "ps2", &s, &e), -PS_NO);
	assert_int_equal(join_as("ps2", "DNS:ps2-lan"), 200);
	/* N-4 is the oldest that may. */
	assert_int_equal(join("ps2", "id-2", "2.3.0", 890), 200);
	assert_int_equal(join_target("2.4.0"), 409);
	assert_string_equal(said("error"), "version");
	assert_non_null(strstr(said("hint"), "ps2"));
	assert_int_equal(join_target("2.3.1"), 200);
}

/* Without a certificate there is no server: both come, or neither. */
static void test_whole(void **state)
{
	int64_t revision, now, lines = 0;
	struct reg_server s;
	struct err e = {0};

	(void)state;
	assert_int_equal(join("ps1", "id-1", "2.7.0", 0), 200);
	assert_int_equal(reg_revision(reg, &revision, &e), 0);
	/* The authority's key cannot be read any more. */
	assert_int_equal(
	    sql_run(reg->db, "UPDATE authorities SET sealed = ?",
		    SQL_ARGS(sql_blob("damaged", strlen("damaged"))), &e),
	    1);
	assert_in_range(join("ps2", "id-2", "2.7.0", 0), 400, 599);
	assert_int_equal(server_get(reg, "ps2", &s, &e), -PS_NO);
	/* Nor is it changed without the one that its new names need. */
	assert_in_range(join_as("ps1", "DNS:new"), 400, 599);
	assert_int_equal(server_get(reg, "ps1", &s, &e), 0);
	assert_string_equal(s.address, "192.0.2.1");
	assert_int_equal(sql_number(reg->db,
				    "SELECT COUNT(*) FROM audit WHERE what <> "
				    "'certificate' AND object LIKE 'ps%'",
				    SQL_NO_ARGS, 0, &lines, &e),
			 0);
	assert_int_equal(lines, 1);
	assert_int_equal(reg_revision(reg, &now, &e), 0);
	assert_int_equal(now, revision);
}

/* ---- heartbeat ---- */

static unsigned beat(const char *name, const char *id, const char *machines,
		     json_t *orders)
{
	char now[TIME_TEXT];

	format_time(time_now_ns(), now);
	return ask(
	    DESK_HEARTBEAT, name, "",
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o?, s:o}", "name", name,
		      "version", PACKAGE_VERSION, "machine_id", id, "time", now,
		      "machines", json_loads(machines, 0, NULL), "orders",
		      orders, "health",
		      json_pack("{s:s, s:s}", "status", "OK", "level", "ok")));
}

static void test_heartbeat(void **state)
{
	struct order o;
	struct err e = {0};
	int64_t id;
	const json_t *given;

	(void)state;
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 404);
	assert_string_equal(said("error"), "unregistered");
	assert_int_equal(join("ps1", "id-1", "2.7.0", 0), 200);
	assert_int_equal(beat("ps1", "id-2", "[]", NULL), 409);
	assert_string_equal(said("error"), "clone");
	assert_int_equal(ask(DESK_NEWS, "ps1", "", NULL), 0); /* held */
	assert_int_equal(contact_want(reg, NULL, &e), 0);
	assert_int_equal(ask(DESK_NEWS, "ps1", "", NULL), 0); /* never heard */
	assert_int_equal(contact_want(reg, "ps1", &e), 0);
	assert_int_equal(ask(DESK_NEWS, "ps1", "", NULL), 200);
	assert_true(json_is_true(json_object_get(answer, "refresh")));
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 200);
	assert_int_equal(
	    json_integer_value(json_object_get(answer, "interval")), 60);
	assert_int_equal(ask(DESK_NEWS, "ps1", "", NULL), 0);
	/* An order goes out, and what came of it comes back. */
	assert_int_equal(
	    order_add(reg, "ps1", ORDER_MOVE_OUT, "web01", "ps2", 0, &id, &e),
	    0);
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 200);
	given = json_array_get(json_object_get(answer, "orders"), 0);
	assert_int_equal(json_integer_value(json_object_get(given, "id")), id);
	assert_string_equal(
	    json_string_value(json_object_get(given, "machine")), "web01");
	assert_int_equal(
	    beat("ps1", "id-1", "[]",
		 json_pack("[{s:I, s:s, s:s}, {s:i, s:s, s:s}]", "id",
			   (json_int_t)id, "state", "done", "note", "7 MB",
			   "id", 9999, "state", "done", "note", "not mine")),
	    200);
	assert_int_equal(json_array_size(json_object_get(answer, "orders")), 0);
	assert_int_equal(order_get(reg, id, &o, &e), 0);
	assert_string_equal(o.state, "done");
	assert_string_equal(o.note, "7 MB");
	/* It leaves when it was asked to. */
	assert_int_equal(contact_leave(reg, "ps1", true, &e), 0);
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 200);
	assert_true(json_is_true(json_object_get(answer, "leave")));
	assert_int_equal(
	    ask(DESK_LEAVE, "ps1", "", json_pack("{s:s}", "name", "ps1")), 200);
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 404);
}

/* ---- who sees what ---- */

static void protect(const char *name)
{
	const struct reg_disk d = {"root", 1 << 30};
	struct reg_machine m = {.name = ""};
	struct err e = {0};

	snprintf(m.name, sizeof(m.name), "%s", name);
	snprintf(m.policy, sizeof(m.policy), "gold");
	snprintf(m.server, sizeof(m.server), "ps1");
	snprintf(m.vault, sizeof(m.vault), "s3://b/v");
	assert_int_equal(machine_add(reg, &m, &e), 0);
	assert_int_equal(machine_disk_put(reg, name, &d, &e), 0);
	assert_int_equal(machine_enable(reg, name, &e), 0);
}

static void make_fleet(void)
{
	const struct reg_policy p = {
	    .name = "gold", .rpo_s = 900, .retention_s = 86400};
	struct err e = {0};

	assert_int_equal(join("ps1", "id-1", "2.7.0", 0), 200);
	assert_int_equal(join("ps2", "id-2", "2.7.0", 0), 200);
	assert_int_equal(policy_add(reg, &p, &e), 0);
	protect("web01");
	protect("web02");
}

/* What has another type is not taken for what is not there. */
static void test_types(void **state)
{
	static const char *const keys[] = {
	    "name",	  "role", "address", "port",   "version",  "csr",
	    "machine_id", "alt",  "time",    "health", "machines", "orders"};
	struct reg_server s;
	struct err e = {0};
	json_t *body;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		body = joining("ps1", "id-1", "2.7.0", 0);
		json_object_set_new(body, keys[i], json_true());
		assert_int_equal(ask(DESK_REGISTER, "ps1", "", body), 400);
		assert_string_equal(said("error"), "request");
		assert_non_null(strstr(said("text"), keys[i]));
	}
	body = joining("ps1", "id-1", "2.7.0", 0);
	json_object_del(body, "address");
	assert_int_equal(ask(DESK_REGISTER, "ps1", "", body), 400);
	assert_non_null(strstr(said("text"), "is no address of a host"));
	/* Who was upgraded says so with the next heartbeat. */
	assert_int_equal(join("ps1", "id-1", "2.6.0", 0), 200);
	body = joining("ps1", "id-1", "2.7.0", 0);
	assert_int_equal(ask(DESK_HEARTBEAT, "ps1", "", body), 200);
	assert_int_equal(server_get(reg, "ps1", &s, &e), 0);
	assert_string_equal(s.version, "2.7.0");
	/* With machines it cannot become something else. */
	make_fleet();
	body = joining("ps1", "id-1", "2.7.0", 0);
	json_object_set_new(body, "role", json_string("mt"));
	assert_int_equal(ask(DESK_REGISTER, "ps1", "", body), 409);
	assert_non_null(strstr(said("text"), "2 machines use it"));
}

static unsigned leave(const char *name)
{
	return ask(DESK_LEAVE, name, "", json_pack("{s:s}", "name", name));
}

/* Unasked only when that harms nobody. */
static void test_leaving(void **state)
{
	struct err e = {0};

	(void)state;
	make_fleet();
	assert_int_equal(leave("ps1"), 409);
	assert_string_equal(said("error"), "leave");
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 200);
	assert_int_equal(leave("ps2"), 200);
	assert_int_equal(leave("ps2"), 404);
	assert_int_equal(contact_leave(reg, "ps1", true, &e), 0);
	assert_int_equal(leave("ps1"), 200);
	assert_int_equal(beat("ps1", "id-1", "[]", NULL), 404);
}

static void test_who_sees(void **state)
{
	(void)state;
	make_fleet();
	assert_int_equal(ask(DESK_MACHINE, "web01", "web01", NULL), 200);
	assert_string_equal(json_string_value(json_object_get(
				json_object_get(answer, "server"), "address")),
			    "192.0.2.1");
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(answer, "policy"), "rpo_seconds")),
			 900);
	assert_int_equal(ask(DESK_MACHINE, "web01", "web02", NULL), 403);
	assert_int_equal(ask(DESK_MACHINE, "web01", "web99", NULL), 403);
	assert_int_equal(ask(DESK_MACHINE, "ps1", "web02", NULL), 200);
	assert_int_equal(ask(DESK_MACHINE, "ps2", "web02", NULL), 403);
	assert_int_equal(ask(DESK_MACHINE, "*", "web99", NULL), 404);
	assert_int_equal(ask(DESK_SERVERS, "ps2", "", NULL), 200);
	assert_int_equal(json_array_size(answer), 1);
	assert_int_equal(ask(DESK_SERVERS, "*", "", NULL), 200);
	assert_int_equal(json_array_size(answer), 2);
	assert_int_equal(ask(DESK_STATUS, "web01", "", NULL), 403);
	assert_int_equal(ask(DESK_JOBS, "ps1", "", NULL), 403);
	assert_int_equal(ask(DESK_JOBS, "*", "", NULL), 200);
}

/* ---- the status ---- */

static const json_t *find(const char *list, const char *key, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(answer, list), i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, key)),
			   name) == 0)
			return one;
	}
	fail_msg("%s is not in it", name);
	return NULL;
}

static void is(const json_t *o, const char *level, const char *what)
{
	const char *words = json_string_value(json_object_get(o, "what"));

	assert_string_equal(json_string_value(json_object_get(o, "level")),
			    level);
	assert_non_null(strstr(words != NULL ? words : "-", what));
}

static void look(int64_t later_s)
{
	struct err e = {0};

	json_decref(answer);
	answer = NULL;
	assert_int_equal(
	    status_make(reg, time_now_ns() + later_s * NS_PER_S, &answer, &e),
	    0);
}

static void test_status(void **state)
{
	char now[TIME_TEXT], words[512];

	(void)state;
	make_fleet();
	format_time(time_now_ns(), now);
	snprintf(words, sizeof(words),
		 "[{\"machine\": \"web01\", \"state\": \"protected\", "
		 "\"lag_s\": 3, \"stored\": \"%s\", \"point\": \"crash\"}, "
		 "{\"machine\": \"web02\", \"state\": \"a\\u001b[2J\"}]",
		 now);
	assert_int_equal(
	    ask(DESK_HEARTBEAT, "ps1", "", joining("ps1", "id-1", "2.7.0", 0)),
	    200);
	look(60);
	is(find("servers", "name", "ps1"), "warning",
	   "its version 2.7.0 is newer than that of the configuration server");
	assert_int_equal(beat("ps1", "id-1", words, NULL), 200);
	look(60);
	is(find("servers", "name", "ps1"), "ok", "-");
	is(find("servers", "name", "ps2"), "warning", "no heartbeat yet");
	is(find("machines", "machine", "web01"), "ok", "-");
	is(find("machines", "machine", "web02"), "critical",
	   "no recovery point");
	/* What steers a terminal does not come through. */
	is(find("machines", "machine", "web02"), "critical", "a?[2J");
	/* Whose clock is ahead by an hour has no better points. */
	look(-3600);
	is(find("machines", "machine", "web01"), "warning", "of the future");
	look(899);
	is(find("servers", "name", "ps1"), "ok", "-");
	look(901);
	is(find("servers", "name", "ps1"), "critical", "806");
	is(find("machines", "machine", "web01"), "critical", "silent");
	assert_string_equal(said("level"), "critical");
}

static bool on_sqlite = false, on_mariadb = true;

#define ONE(test, where)                                                       \
	cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, where)
#define MAIN_ONES(where)                                                       \
	ONE(test_register, where), ONE(test_whole, where),                     \
	    ONE(test_heartbeat, where), ONE(test_status, where)
#define ALL                                                                    \
	MAIN_ONES(&on_sqlite), ONE(test_refused, &on_sqlite),                  \
	    ONE(test_leaving, &on_sqlite), ONE(test_types, &on_sqlite),        \
	    ONE(test_who_sees, &on_sqlite)

int main(void)
{
	const struct CMUnitTest sqlite[] = {ALL};
	const struct CMUnitTest both[] = {ALL, MAIN_ONES(&on_mariadb)};
	int rc;

	if (server_installed()) {
		rc = cmocka_run_group_tests(both, NULL, NULL);
		server_remove();
	} else {
		rc = cmocka_run_group_tests(sqlite, NULL, NULL);
	}
	json_decref(answer);
	return rc;
}
