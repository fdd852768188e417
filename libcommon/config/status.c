#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "base/version.h"
#include "config/ca.h"
#include "config/contacts.h"
#include "config/desk.h"
#include "config/forms.h"
#include "config/status.h"

#define CLOCK_WARN_S 300
#define CLOCK_MAX_S 900 /* as at registration */
#define WHAT_SIZE 200

struct looking {
	int64_t now;
	json_t *certs;	  /* subject -> state */
	json_t *policies; /* name -> RPO in seconds */
	json_t *words;	  /* server -> what it says of its machines */
	json_t *states;	  /* server -> "ok", "silent", "never" */
	json_t *servers, *machines, *authority;
	int level; /* the worst: 0 ok, 1 warning, 2 critical */
};

static const char *const levels[] = {STATUS_OK, STATUS_WARNING,
				     STATUS_CRITICAL};

static int no_memory(struct err *e)
{
	return err_set(e, PS_TEMPFAIL, "no memory for the status");
}

/* ---- what it is made from ---- */

static int add_cert(void *ctx, const struct reg_cert *c, struct err *e)
{
	const struct looking *l = ctx;

	return json_object_set_new(l->certs, c->subject,
				   json_string(cert_state(c, l->now))) < 0
		   ? no_memory(e)
		   : 0;
}

static int add_policy(void *ctx, const struct reg_policy *p, struct err *e)
{
	const struct looking *l = ctx;

	return json_object_set_new(l->policies, p->name,
				   json_integer(p->rpo_s)) < 0
		   ? no_memory(e)
		   : 0;
}

/*
 * The authority's own certificate is renewed long before its end, unless
 * nobody runs ps-config serve; all others end with it.
 */
static int add_authority(struct reg *r, struct looking *l, struct err *e)
{
	struct reg_cert c;
	const char *state;
	int rc = ca_look(r, &c, e), level = 0;

	if (rc == -PS_NO) { /* that is no fault here */
		l->authority = json_null();
		if (e != NULL)
			*e = (struct err){0};
		return 0;
	}
	if (rc < 0)
		return rc;
	state = cert_state(&c, l->now);
	if (strcmp(state, "ok") != 0)
		level = strcmp(state, "expired") == 0 ? 2 : 1;
	if (level > l->level)
		l->level = level;
	l->authority = json_pack("{s:s, s:s, s:o}", "level", levels[level],
				 "state", state, "ends", json_when(c.ends));
	return l->authority != NULL ? 0 : no_memory(e);
}

/* ---- servers ---- */

static json_t *parse(const char *text)
{
	return *text != '\0' ? json_loads(text, 0, NULL) : NULL;
}

/* The first of the alerts of ps-health, which is the worst. */
static int health_level(const json_t *health, char what[WHAT_SIZE])
{
	const char *level = json_string_value(json_object_get(health, "level"));
	const json_t *alert =
	    json_array_get(json_object_get(health, "alerts"), 0);
	const char *words = json_string_value(json_object_get(alert, "what"));

	if (level == NULL || strcmp(level, "ok") == 0)
		return 0;
	reg_text_clean(what, WHAT_SIZE, words != NULL ? words : level);
	return strcmp(level, STATUS_CRITICAL) == 0 ? 2 : 1;
}

static int clock_level(int64_t off, char what[WHAT_SIZE])
{
	int64_t s = off < 0 ? -off : off;

	if (s <= CLOCK_WARN_S)
		return 0;
	snprintf(what, WHAT_SIZE, "its clock is %" PRId64 " s %s", s,
		 off < 0 ? "behind" : "ahead");
	return s >= CLOCK_MAX_S ? 2 : 1;
}

/* It registered with a version that fits; it may have been upgraded since. */
static bool version_fits(const char *text, char what[WHAT_SIZE])
{
	struct version theirs, ours;

	if (!version_parse(text, &theirs) ||
	    !version_parse(version_ours(), &ours) ||
	    version_in_reach(&theirs, &ours))
		return true;
	snprintf(what, WHAT_SIZE, "its version %.40s is %s", text,
		 version_compare(&theirs, &ours) > 0
		     ? "newer than that of the configuration server"
		     : "more than four releases old");
	return false;
}

static int server_level(const struct looking *l, const struct reg_server *s,
			const struct contact_word *w, const json_t *health,
			char what[WHAT_SIZE])
{
	const char *state = server_state(s, l->now);
	const char *cert =
	    json_string_value(json_object_get(l->certs, s->name));
	char since[32];
	int64_t heard;
	int level;

	what[0] = '\0';
	if (strcmp(state, "silent") == 0) {
		heard = s->contact != 0 ? s->contact : s->registered;
		format_duration((double)(l->now - heard) / NS_PER_S, since,
				sizeof(since));
		snprintf(what, WHAT_SIZE, "806: no heartbeat %sfor %s",
			 s->contact == 0 ? "since it registered, " : "", since);
		return 2;
	}
	if (strcmp(state, "never") == 0) {
		snprintf(what, WHAT_SIZE, "no heartbeat yet");
		return 1;
	}
	level = health_level(health, what);
	if (level < 2 && clock_level(w->clock_s, what) == 2)
		level = 2;
	else if (level == 0)
		level = clock_level(w->clock_s, what);
	if (level == 0 && cert != NULL && strcmp(cert, "ok") != 0) {
		snprintf(what, WHAT_SIZE, "its certificate: %s", cert);
		level = 1;
	}
	if (level == 0)
		level = version_fits(s->version, what) ? 0 : 1;
	return level;
}

static int add_server(void *ctx, const struct reg_server *s,
		      const struct contact_word *w, struct err *e)
{
	struct looking *l = ctx;
	json_t *health = parse(w->health), *machines = parse(w->machines);
	const json_t *cert = json_object_get(l->certs, s->name);
	char what[WHAT_SIZE];
	int level = server_level(l, s, w, health, what), rc;

	if (level > l->level)
		l->level = level;
	rc = json_array_append_new(
	    l->servers,
	    json_pack(
		"{s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:I, s:O?, s:I, "
		"s:O?}",
		"name", s->name, "role", s->role, "level", levels[level],
		"what", json_word(what), "state", server_state(s, l->now),
		"contact", json_when(s->contact), "silent_s",
		s->contact != 0 ? json_integer((l->now - s->contact) / NS_PER_S)
				: json_null(),
		"version", json_word(s->version), "machines",
		(json_int_t)s->machines, "health",
		json_object_get(health, "status"), "clock_s",
		(json_int_t)w->clock_s, "certificate", cert));
	json_decref(health);
	if (rc == 0)
		rc = json_object_set_new(l->states, s->name,
					 json_string(server_state(s, l->now)));
	if (rc == 0)
		rc = json_object_set_new(l->words, s->name,
					 machines != NULL ? machines
							  : json_array());
	else
		json_decref(machines);
	return rc < 0 ? no_memory(e) : 0;
}

/* ---- machines ---- */

/* What its server says of it; NULL: nothing. */
static const json_t *word_of(const struct looking *l,
			     const struct reg_machine *m)
{
	const json_t *list = json_object_get(l->words, m->server), *one;
	const char *name;
	size_t i;

	json_array_foreach(list, i, one)
	{
		name = json_string_value(json_object_get(one, "machine"));
		if (name != NULL && strcmp(name, m->name) == 0)
			return one;
	}
	return NULL;
}

struct found {
	int64_t stored; /* ns; 0: none */
	int64_t behind_s, lag_s, rpo_s;
	const char *state; /* as the server says, or NULL */
	const char *point; /* its consistency, or NULL */
	int level;
	char what[WHAT_SIZE];
};

/* How the recovery point that it has compares with what was asked for. */
static void judge_point(struct found *f, const char *server_says)
{
	char behind[32], rpo[32];
	bool silent = server_says == NULL || strcmp(server_says, "ok") != 0;

	format_duration((double)f->behind_s, behind, sizeof(behind));
	format_duration((double)f->rpo_s, rpo, sizeof(rpo));
	if (f->stored == 0) {
		char state[WHAT_SIZE] = "";

		f->level = 2;
		if (f->state != NULL)
			reg_text_clean(state, WHAT_SIZE, f->state);
		if (f->state == NULL)
			snprintf(f->what, WHAT_SIZE,
				 "no recovery point known: its server tells "
				 "nothing of it (ps-health sample)");
		else
			snprintf(f->what, WHAT_SIZE,
				 "no recovery point stored by its server yet: "
				 "%.100s",
				 state);
	} else if (f->state != NULL && (strcmp(f->state, "held") == 0 ||
					strcmp(f->state, "unseated") == 0)) {
		f->level = 2;
		snprintf(f->what, WHAT_SIZE, "%s: the last point is %s old",
			 f->state, behind);
	} else if (f->behind_s < -CLOCK_MAX_S) {
		f->level = 1;
		snprintf(f->what, WHAT_SIZE,
			 "its point is of the future: see the clocks");
	} else if (f->rpo_s > 0 && f->behind_s > f->rpo_s) {
		f->level = 1;
		snprintf(f->what, WHAT_SIZE, "%s behind, wanted are %s", behind,
			 rpo);
	} else if (f->point != NULL && strcmp(f->point, "none") == 0) {
		snprintf(f->what, WHAT_SIZE,
			 "its points are not crash-consistent");
	}
	if (silent && f->level < 2) {
		f->level = 2;
		snprintf(f->what, WHAT_SIZE, "its server is silent");
	}
}

static void look(const struct looking *l, const struct reg_machine *m,
		 struct found *f)
{
	const json_t *w = word_of(l, m);
	const char *stored = json_string_value(json_object_get(w, "stored"));

	*f = (struct found){
	    .rpo_s =
		json_integer_value(json_object_get(l->policies, m->policy)),
	    .lag_s = json_integer_value(json_object_get(w, "lag_s")),
	    .state = json_string_value(json_object_get(w, "state")),
	    .point = json_string_value(json_object_get(w, "point"))};
	if (stored != NULL && parse_time(stored, &f->stored))
		f->behind_s = (l->now - f->stored) / NS_PER_S;
	else
		f->stored = 0;
	if (strcmp(m->state, MACHINE_ENABLED) != 0)
		return;
	if (m->server[0] == '\0') {
		f->level = 2;
		snprintf(f->what, WHAT_SIZE, "it has no process server");
		return;
	}
	judge_point(f,
		    json_string_value(json_object_get(l->states, m->server)));
}

static int add_machine(void *ctx, const struct reg_machine *m, struct err *e)
{
	struct looking *l = ctx;
	struct found f;

	look(l, m, &f);
	if (f.level > l->level)
		l->level = f.level;
	if (json_array_append_new(
		l->machines,
		json_pack("{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:s?, s:o, s:I, "
			  "s:o}",
			  "machine", m->name, "level", levels[f.level], "what",
			  json_word(f.what), "state", m->state, "server",
			  json_word(m->server), "policy", json_word(m->policy),
			  "stored", json_when(f.stored), "point",
			  f.stored != 0 ? f.point : NULL, "behind_s",
			  f.stored == 0	   ? json_null()
			  : f.behind_s > 0 ? json_integer(f.behind_s)
					   : json_integer(0),
			  "lag_s", (json_int_t)f.lag_s, "rpo_s",
			  f.rpo_s != 0 ? json_integer(f.rpo_s) : json_null())) <
	    0)
		return no_memory(e);
	return 0;
}

/* ---- all of it ---- */

int status_make(struct reg *r, int64_t now_ns, json_t **ret, struct err *e)
{
	struct looking l = {.now = now_ns,
			    .certs = json_object(),
			    .policies = json_object(),
			    .words = json_object(),
			    .states = json_object(),
			    .servers = json_array(),
			    .machines = json_array()};
	json_t *all = NULL;
	int rc = cert_each(r, true, add_cert, &l, e);

	if (rc == 0)
		rc = add_authority(r, &l, e);
	if (rc == 0)
		rc = policy_each(r, add_policy, &l, e);
	if (rc == 0)
		rc = contact_each(r, add_server, &l, e);
	if (rc == 0)
		rc = machine_each(r, add_machine, &l, e);
	if (rc == 0) {
		all = json_pack("{s:o, s:s, s:O, s:O, s:O}", "time",
				json_when(now_ns), "level", levels[l.level],
				"authority", l.authority, "servers", l.servers,
				"machines", l.machines);
		rc = all != NULL ? 0 : no_memory(e);
	}
	json_decref(l.authority);
	json_decref(l.certs);
	json_decref(l.policies);
	json_decref(l.words);
	json_decref(l.states);
	json_decref(l.servers);
	json_decref(l.machines);
	if (rc == 0)
		*ret = all;
	return rc;
}
