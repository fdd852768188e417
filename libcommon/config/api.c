#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "config/api-body.h"
#include "config/api.h"
#include "config/ca.h"
#include "config/contacts.h"
#include "config/forms.h"
#include "config/leaving.h"
#include "config/moves.h"
#include "config/orders.h"
#include "config/status.h"
#include "config/x509.h"

#define RETRY_AWAY_S 5	/* the database */
#define RETRY_FULL_S 30 /* its disk */
#define API_JOBS 1000	/* the newest */

/* ---- answers ---- */

void api_refuse(struct api_answer *a, unsigned status, const char *word,
		const struct err *e)
{
	a->status = status;
	a->body = json_pack("{s:s, s:s, s:o}", "error", word, "text", e->msg,
			    "hint", json_word(e->hint));
}

/* What a failure of the registry means; true: it is the database's. */
static bool failed(struct api_answer *a, const struct err *e)
{
	bool full = e->sys == ENOSPC || e->sys == EDQUOT;

	switch (e->code) {
	case PS_USAGE:
	case PS_DATA:
		api_refuse(a, 400, "request", e);
		return false;
	case PS_NO:
		api_refuse(a, 404, "unknown", e);
		return false;
	case PS_NOPERM:
		api_refuse(a, 403, "name", e);
		return false;
	case PS_TEMPFAIL:
		api_refuse(a, full ? 507 : 503, full ? "disk-full" : "database",
			   e);
		a->retry_s = full ? RETRY_FULL_S : RETRY_AWAY_S;
		snprintf(a->cause, sizeof(a->cause), "%s",
			 full ? "disk-full" : "database");
		return !full;
	default:
		api_refuse(a, 500, "registry", e);
		return false;
	}
}

static bool good(struct api_answer *a, json_t *body)
{
	a->status = 200;
	a->body = body;
	return false;
}

/* ---- register ---- */

static int check_request(const char *csr, struct err *e)
{
	EVP_PKEY *key = NULL;
	int rc = x509_request_key(&key, csr, e);

	EVP_PKEY_free(key);
	return rc;
}

/* A server as it says of itself, and the certificate that it asks for. */
struct entry {
	struct reg_server server;
	struct ca_request cert;
	char *pem;
};

/* One change: none is listed that has no certificate. */
static int enter_server(struct reg *r, void *ctx, struct err *e)
{
	struct entry *n = ctx;
	int rc = ca_check_names(r, &n->server, n->cert.alt, e);

	if (rc == 0)
		rc = server_register(r, &n->server, e);
	return rc < 0 ? rc : ca_issue(r, &n->cert, n->pem, e);
}

static int enter(struct reg *r, const struct api_ask *q, const json_t *o,
		 char pem[CA_PEM_SIZE], struct err *e)
{
	struct entry n = {.server.generation = q->generation,
			  .cert = {.server = q->login,
				   .csr = body_text(o, "csr"),
				   .valid_s = q->cert_s,
				   .passphrase_generation = q->generation,
				   .logged_in = true,
				   .keep = true},
			  .pem = pem};
	struct reg_server *s = &n.server;
	const char *alt = body_text(o, "alt");
	int rc;

	snprintf(s->name, sizeof(s->name), "%s", q->login);
	snprintf(s->role, sizeof(s->role), "%s", body_text(o, "role"));
	snprintf(s->address, sizeof(s->address), "%s", body_text(o, "address"));
	snprintf(s->version, sizeof(s->version), "%s", body_text(o, "version"));
	snprintf(s->machine_id, sizeof(s->machine_id), "%s",
		 body_text(o, "machine_id"));
	s->port = json_integer_value(json_object_get(o, "port"));
	n.cert.alt = *alt != '\0' ? alt : NULL;
	rc = server_check(s, e);
	return rc < 0 ? rc : reg_change(r, enter_server, &n, e);
}

/* What upgrades come behind what. */
static int check_versions(struct reg *r, const struct api_ask *q,
			  const json_t *o, struct err *e)
{
	struct reg_server s = {.name = ""};
	int rc = body_check_version(q, body_text(o, "version"), e);

	snprintf(s.role, sizeof(s.role), "%s", body_text(o, "role"));
	snprintf(s.version, sizeof(s.version), "%s", body_text(o, "version"));
	return rc < 0 ? rc : server_check_order(r, &s, e);
}

static bool do_register(struct reg *r, const struct api_ask *q, const json_t *o,
			struct api_answer *a, struct err *e)
{
	char pem[CA_PEM_SIZE], authority[CA_PEM_SIZE];
	int64_t off;
	int rc = body_check_clock(o, &off, e);

	if (rc < 0) {
		api_refuse(a, rc == -PS_DATA ? 400 : 409,
			   rc == -PS_DATA ? "request" : "clock", e);
		return false;
	}
	rc = check_versions(r, q, o, e);
	if (rc == -PS_DATA || rc == -PS_CONFIG) {
		api_refuse(a, rc == -PS_DATA ? 400 : 409,
			   rc == -PS_DATA ? "request" : "version", e);
		return false;
	}
	if (rc == 0)
		rc = check_request(body_text(o, "csr"), e);
	if (rc == 0)
		rc = ca_certificate(r, authority, e);
	if (rc == 0)
		rc = enter(r, q, o, pem, e);
	if (rc == -PS_NO) {
		api_refuse(a, 409,
			   strstr(e->msg, "machine id") != NULL ? "clone"
								: "duplicate",
			   e);
		return false;
	}
	if (rc < 0)
		return failed(a, e);
	return good(a, json_pack("{s:s, s:s, s:[s], s:I}", "certificate", pem,
				 "authority", authority, "pins", q->pin,
				 "generation", (json_int_t)q->generation));
}

/* ---- heartbeat ---- */

/* As text again, in one line; what is not known is "". */
static char *dump(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return json_is_object(v) || json_is_array(v)
		   ? json_dumps(v, JSON_COMPACT | JSON_ENSURE_ASCII)
		   : strdup("");
}

/* Is it still the machine that registered? */
static int check_machine(const struct reg_server *s, const json_t *o,
			 struct err *e)
{
	const char *id = body_text(o, "machine_id");
	int rc;

	if (*id == '\0' || s->machine_id[0] == '\0' ||
	    strcmp(id, s->machine_id) == 0)
		return 0;
	rc = err_set(e, PS_NO,
		     "server '%s': another machine registered under this name",
		     s->name);
	err_hint(e, "is this a clone of it? then give it another name: "
		    "ps-config register --name");
	return rc;
}

static int hear(struct reg *r, const struct api_ask *q, const json_t *o,
		struct contact_wish *wish, struct err *e)
{
	struct contact_word w = {.generation = q->generation,
				 .version = body_text(o, "version")};
	char *health = dump(o, "health"), *machines = dump(o, "machines");
	int rc = body_check_clock(o, &w.clock_s, e);

	if (rc == -PS_CONFIG) /* told in the status */
		rc = 0;
	if (rc == 0)
		rc = reg_text_check("the version", w.version, REG_TEXT_SIZE, e);
	if (rc == 0 && (health == NULL || machines == NULL))
		rc = err_set(e, PS_TEMPFAIL, "no memory");
	if (rc == 0) {
		w.health = health;
		w.machines = machines;
		rc = contact_heard(r, q->login, &w, wish, e);
	}
	free(health);
	free(machines);
	return rc;
}

/*
 * What it says of its orders, and what follows from that; one that is not (any
 * more) its is passed over.
 */
static int hear_orders(struct reg *r, const struct api_ask *q, const json_t *o,
		       struct api_answer *a, struct err *e)
{
	char note[ORDER_NOTE_SIZE];
	const json_t *one;
	size_t i;
	int rc = 0;

	json_array_foreach(json_object_get(o, "orders"), i, one)
	{
		int64_t id = json_integer_value(json_object_get(one, "id"));

		reg_text_clean(note, sizeof(note), body_text(one, "note"));
		rc = order_report(r, id, q->login, body_text(one, "state"),
				  note, e);
		if (rc == 0)
			rc = move_heard(r, id, e);
		if (rc < 0 && rc != -PS_NO)
			return rc;
		a->moves = true;
	}
	return 0;
}

static int give_order(void *ctx, const struct order *o, struct err *e)
{
	if (json_array_append_new(ctx,
				  json_pack("{s:I, s:s, s:s, s:s, s:I}", "id",
					    (json_int_t)o->id, "what", o->what,
					    "machine", o->machine, "to", o->to,
					    "job", (json_int_t)o->job)) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory");
	return 0;
}

static bool do_heartbeat(struct reg *r, const struct api_ask *q,
			 const json_t *o, struct api_answer *a, struct err *e)
{
	struct contact_wish wish;
	struct reg_cert c;
	struct reg_server s;
	char pem[CA_PEM_SIZE];
	json_t *orders = NULL;
	int renew = 0;
	int rc = server_get(r, q->login, &s, e);

	if (rc == -PS_NO) {
		err_hint(e, "ps-config register");
		api_refuse(a, 404, "unregistered", e);
		return false;
	}
	if (rc == 0 && check_machine(&s, o, e) < 0) {
		api_refuse(a, 409, "clone", e);
		return false;
	}
	if (rc == 0)
		rc = hear(r, q, o, &wish, e);
	if (rc == 0)
		rc = hear_orders(r, q, o, a, e);
	if (rc == 0)
		rc = ca_latest(r, q->login, &c, pem, e);
	if (rc == 0 && c.serial[0] != '\0')
		rc = renew = ca_outdated(r, &c, e);
	orders = json_array();
	if (rc >= 0)
		rc = order_each(r, q->login, give_order, orders, e);
	if (rc < 0) {
		json_decref(orders);
		return failed(a, e);
	}
	return good(a, json_pack("{s:o, s:I, s:b, s:b, s:b, s:o}", "time",
				 json_when(time_now_ns()), "interval",
				 (json_int_t)q->interval, "refresh", 0, "renew",
				 renew, "leave", wish.leave, "orders", orders));
}

/*
 * What an administrator has asked for (ps-config unregister), or what harms
 * nobody: no machine uses it.
 */
static bool do_leave(struct reg *r, const struct api_ask *q,
		     struct api_answer *a, struct err *e)
{
	struct contact_wish wish;
	int64_t machines = 0;
	struct reg_server s;
	int rc = server_get(r, q->login, &s, e);

	if (rc == 0)
		rc = contact_wish(r, q->login, &wish, e);
	if (rc < 0)
		return failed(a, e);
	rc = wish.leave ? leave_take(r, q->login, &machines, e)
			: server_delete(r, q->login, false, &machines, e);
	if (rc == -PS_NO) {
		api_refuse(a, 409, "leave", e);
		return false;
	}
	if (rc < 0)
		return failed(a, e);
	return good(a, json_pack("{s:I}", "machines", (json_int_t)machines));
}

void api_news(struct api_answer *a, bool refresh)
{
	(void)good(a, json_pack("{s:b}", "refresh", refresh));
}

static bool do_news(struct reg *r, const struct api_ask *q,
		    struct api_answer *a, struct err *e)
{
	struct contact_wish wish;
	struct reg_server s;
	int rc = server_get(r, q->login, &s, e);

	if (rc == 0)
		rc = contact_wish(r, q->login, &wish, e);
	if (rc < 0)
		return failed(a, e);
	if (wish.refresh)
		api_news(a, true);
	else
		a->held = true;
	return false;
}

/* ---- questions ---- */

static bool is_operator(const struct api_ask *q)
{
	return strcmp(q->login, LOGIN_OPERATOR) == 0;
}

/* {"name", "address", "port", "pin", "version"} or null */
static int place_of(struct reg *r, const char *name, json_t **ret,
		    struct err *e)
{
	char pem[CA_PEM_SIZE];
	struct reg_server s;
	struct reg_cert c;
	int rc;

	*ret = json_null();
	if (*name == '\0')
		return 0;
	rc = server_get(r, name, &s, e);
	if (rc == 0)
		rc = ca_latest(r, name, &c, pem, e);
	if (rc == 0)
		*ret = json_pack("{s:s, s:s, s:I, s:o, s:o}", "name", s.name,
				 "address", s.address, "port",
				 (json_int_t)s.port, "pin", json_word(c.pin),
				 "version", json_word(s.version));
	return rc;
}

static int policy_of(struct reg *r, const char *name, json_t **ret,
		     struct err *e)
{
	struct reg_policy p;
	int rc;

	*ret = json_null();
	if (*name == '\0')
		return 0;
	rc = policy_get(r, name, &p, e);
	if (rc == 0)
		*ret = form_policy(&p);
	return rc;
}

static bool do_machine(struct reg *r, const struct api_ask *q,
		       struct api_answer *a, struct err *e)
{
	json_t *server = NULL, *target = NULL, *policy = NULL, *disks = NULL;
	struct reg_machine m;
	int64_t revision = 0;
	bool may = is_operator(q) || strcmp(q->login, q->name) == 0;
	int rc = machine_get(r, q->name, &m, e);

	/* Who may not see it does not hear whether it is there. */
	if ((rc == 0 || rc == -PS_NO) && !may &&
	    (rc != 0 || (strcmp(m.server, q->login) != 0 &&
			 strcmp(m.target, q->login) != 0))) {
		err_set(e, PS_NOPERM, "not for the login '%s'", q->login);
		api_refuse(a, 403, "name", e);
		return false;
	}
	if (rc == 0)
		rc = place_of(r, m.server, &server, e);
	if (rc == 0)
		rc = place_of(r, m.target, &target, e);
	if (rc == 0)
		rc = policy_of(r, m.policy, &policy, e);
	if (rc == 0)
		rc = form_disks(r, m.name, &disks, e);
	if (rc == 0)
		rc = reg_revision(r, &revision, e);
	if (rc == 0)
		return good(a, json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, "
					 "s:I}",
					 "machine", m.name, "state", m.state,
					 "server", server, "target", target,
					 "policy", policy, "vault",
					 json_word(m.vault), "disks", disks,
					 "revision", (json_int_t)revision));
	json_decref(server);
	json_decref(target);
	json_decref(policy);
	json_decref(disks);
	return failed(a, e);
}

struct gather {
	const struct api_ask *q;
	json_t *list;
};

static int add_server(void *ctx, const struct reg_server *s, struct err *e)
{
	const struct gather *g = ctx;

	if (!is_operator(g->q) && strcmp(g->q->login, s->name) != 0)
		return 0;
	if (json_array_append_new(g->list, form_server(s)) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory");
	return 0;
}

static int add_job(void *ctx, const struct reg_job *j, struct err *e)
{
	const struct gather *g = ctx;

	if (json_array_append_new(g->list,
				  form_job(j, json_integer(j->steps))) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory");
	return 0;
}

static bool do_list(struct reg *r, const struct api_ask *q,
		    struct api_answer *a, struct err *e)
{
	struct gather g = {q, json_array()};
	int rc;

	if (q->what == DESK_SERVERS)
		rc = server_each(r, add_server, &g, e);
	else if (!is_operator(q))
		rc = err_set(e, PS_NOPERM, "not for the login '%s'", q->login);
	else
		rc = job_each(r, false, API_JOBS, add_job, &g, e);
	if (rc == 0)
		return good(a, g.list);
	json_decref(g.list);
	return failed(a, e);
}

static bool do_status(struct reg *r, const struct api_ask *q,
		      struct api_answer *a, struct err *e)
{
	json_t *all = NULL;
	int rc = is_operator(q) ? 0
				: err_set(e, PS_NOPERM,
					  "not for the login '%s'", q->login);

	if (rc == 0)
		rc = status_make(r, time_now_ns(), &all, e);
	return rc < 0 ? failed(a, e) : good(a, all);
}

/* ---- all of them ---- */

/* Requests that have a body, of the server itself. */
static bool with_body(struct reg *r, const struct api_ask *q,
		      struct api_answer *a, struct err *e)
{
	json_t *o = body_read(q, e);
	bool database = false;
	int rc;

	if (o == NULL) {
		api_refuse(a, 400, "request", e);
		return false;
	}
	rc = body_check_name(q, o, e);
	if (rc < 0)
		api_refuse(a, rc == -PS_NOPERM ? 403 : 400, "name", e);
	else if (q->what == DESK_REGISTER)
		database = do_register(r, q, o, a, e);
	else if (q->what == DESK_LEAVE)
		database = do_leave(r, q, a, e);
	else
		database = do_heartbeat(r, q, o, a, e);
	json_decref(o);
	return database;
}

bool api_answer(struct reg *r, const struct api_ask *q, struct api_answer *a)
{
	struct err e = {0};

	*a = (struct api_answer){.status = 500};
	snprintf(r->who, sizeof(r->who), "server %s", q->login);
	switch (q->what) {
	case DESK_REGISTER:
	case DESK_HEARTBEAT:
	case DESK_LEAVE:
		return with_body(r, q, a, &e);
	case DESK_NEWS:
		return do_news(r, q, a, &e);
	case DESK_MACHINE:
		return do_machine(r, q, a, &e);
	case DESK_STATUS:
		return do_status(r, q, a, &e);
	default:
		return do_list(r, q, a, &e);
	}
}
