/*
 * ps-balance move, switch, apply and resume: a list of moves is made, shown,
 * begun in the registry, and watched there. The configuration server does them
 * (config/moves.h), whether somebody watches or not.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/machines.h"
#include "config/moves.h"
#include "config/servers.h"
#include "print-json.h"
#include "ps-balance.h"

#define LOOK_NS (NS_PER_S / 4)
/* The first move of all is begun within a second or two. */
#define NOBODY_NS (15 * NS_PER_S)

/* What stands on the terminal while it goes on: one that wraps stays there. */
#define LINE_SIZE 80

/* One machine of the list. */
struct one {
	struct reg_move m;
	bool ended, done; /* ended: nothing more comes of it */
	struct move_at at;
	char why[1024]; /* how it ended */
};

struct work {
	struct reg *r;
	struct one *list;
	json_t *servers, *last; /* what they told, for --json */
	size_t n, cap, done, failed;
	int64_t revision; /* of the registry when it was looked at; -1: never */
	char line[LINE_SIZE]; /* that stands on the terminal; "": none */
	bool warned;
};

/* ---- the list ---- */

static int add(void *ctx, const struct reg_move *m, struct err *e)
{
	struct work *w = ctx;
	struct one *grown;
	size_t cap = w->cap == 0 ? 16 : 2 * w->cap;

	if (w->n == w->cap) {
		grown = realloc(w->list, cap * sizeof(*grown));
		if (grown == NULL)
			return err_sys(e, PS_TEMPFAIL, "list of moves");
		w->list = grown;
		w->cap = cap;
	}
	w->list[w->n++] = (struct one){.m = *m};
	return 0;
}

static int add_names(struct work *w, const char *machine, const char *from,
		     const char *to, struct err *e)
{
	struct reg_move m = {.dead = ask.dead};
	int rc = reg_name_check("machine", machine, e);

	if (rc == 0 && *from != '\0')
		rc = reg_name_check("server", from, e);
	if (rc == 0)
		rc = reg_name_check("server", to, e);
	if (rc < 0)
		return rc;
	snprintf(m.machine, sizeof(m.machine), "%s", machine);
	snprintf(m.from, sizeof(m.from), "%s", from);
	snprintf(m.to, sizeof(m.to), "%s", to);
	return add(w, &m, e);
}

/* ---- before anything is done ---- */

/* Could it be begun as things are? It is there already: that is no fault. */
static int check_one(struct work *w, struct one *o, struct err *e)
{
	struct reg_machine m;
	int rc = machine_get(w->r, o->m.machine, &m, e);

	if (rc < 0)
		return rc;
	if (strcmp(m.server, o->m.to) == 0) {
		o->ended = o->done = true;
		snprintf(o->why, sizeof(o->why), "is there already");
		return 0;
	}
	if (strcmp(m.server, o->m.from) == 0)
		return 0;
	rc = err_set(e, PS_NO, "machine '%s': belongs to %s, not to %s",
		     o->m.machine, m.server[0] != '\0' ? m.server : "no server",
		     o->m.from[0] != '\0' ? o->m.from : "no server");
	err_hint(e, "nothing was changed; plan again");
	return rc;
}

static int check_server(struct work *w, const char *name, bool gives,
			struct err *e)
{
	struct reg_server s;
	int rc = server_get(w->r, name, &s, e);
	const char *state;

	if (rc == -PS_NO && gives && ask.dead)
		return 0; /* it was unregistered */
	if (rc < 0)
		return rc;
	state = server_state(&s, time_now_ns());
	if (strcmp(state, "ok") != 0 && !(gives && ask.dead)) {
		rc = err_set(e, PS_NO, "server '%s': %s", name,
			     s.contact == 0
				 ? "was never heard"
				 : "was not heard for 15 minutes or more");
		if (gives)
			err_hint(e, "wait for it, or give it up with --dead: "
				    "what only its cache holds is lost then");
		return rc;
	}
	if (gives && ask.dead && strcmp(state, "ok") == 0)
		tool_warn("%s was heard within 15 minutes: what it still "
			  "stores is refused once %s has stored more",
			  name, "the new server");
	return 0;
}

static int check_all(struct work *w, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < w->n && rc == 0; i++) {
		const struct reg_move *m = &w->list[i].m,
				      *before = i > 0 ? &w->list[i - 1].m : m;

		if (i == 0 || strcmp(m->to, before->to) != 0)
			rc = check_server(w, m->to, false, e);
		if (rc == 0 && m->from[0] != '\0' &&
		    (i == 0 || strcmp(m->from, before->from) != 0))
			rc = check_server(w, m->from, true, e);
		if (rc == 0)
			rc = check_one(w, &w->list[i], e);
	}
	return rc;
}

/* ---- beginning ---- */

/* All or none: what is there already is passed over. */
static int begin(struct work *w, struct err *e)
{
	struct reg_move *list = calloc(w->n + 1, sizeof(*list));
	size_t i, n = 0;
	int rc;

	if (list == NULL)
		return err_sys(e, PS_TEMPFAIL, "list of moves");
	for (i = 0; i < w->n; i++)
		if (!w->list[i].ended)
			list[n++] = w->list[i].m;
	rc = moves_begin(w->r, list, n, e);
	if (rc == -PS_NO && e->hint[0] == '\0')
		err_hint(e, "nothing was changed; plan again");
	for (i = 0, n = 0; i < w->n && rc == 0; i++)
		if (!w->list[i].ended)
			w->list[i].m.job = list[n++].job;
	free(list);
	return rc;
}

/* ---- watching ---- */

/* Before anything else is said. */
static void clear_line(struct work *w)
{
	if (w->line[0] != '\0')
		fputs("\r\033[K", stderr);
	w->line[0] = '\0';
}

static void show_line(struct work *w, size_t open)
{
	const struct one *o = NULL;
	char all[1600], line[LINE_SIZE];
	size_t i;
	int n;

	if (opt_quiet || !isatty(STDERR_FILENO))
		return;
	for (i = 0; i < w->n && o == NULL; i++)
		if (w->list[i].at.begun && !w->list[i].ended)
			o = &w->list[i];
	n = snprintf(all, sizeof(all), "%zu of %zu moved, %zu left", w->done,
		     w->n, open);
	if (o != NULL)
		snprintf(all + n, sizeof(all) - (size_t)n, "; %s: %s%s%s",
			 o->m.machine, o->at.what,
			 o->at.note[0] != '\0' ? ": " : "", o->at.note);
	snprintf(line, sizeof(line), "%.*s", LINE_SIZE - 1, all);
	if (strcmp(line, w->line) == 0)
		return;
	clear_line(w);
	fputs(line, stderr);
	fflush(stderr);
	memcpy(w->line, line, sizeof(line));
}

static void end_one(struct work *w, struct one *o, bool done, const char *why)
{
	o->ended = true;
	o->done = done;
	snprintf(o->why, sizeof(o->why), "%s", why);
	w->done += done;
	w->failed += !done;
	if (ask.json)
		return;
	clear_line(w);
	if (done)
		printf("%s: %s -> %s%s%s\n", o->m.machine,
		       o->m.from[0] != '\0' ? o->m.from : "-", o->m.to,
		       *why != '\0' ? ": " : "", why);
	else
		tool_warn("%s was not moved to %s: %s", o->m.machine, o->m.to,
			  why);
	fflush(stdout);
}

/* What has changed since it was looked at before, for people. */
static void tell(struct work *w, const struct one *o, const struct move_at *was)
{
	if (!o->at.begun || (was->begun && was->step == o->at.step &&
			     strcmp(was->note, o->at.note) == 0))
		return;
	clear_line(w);
	tool_note("%s: %u/%u %s%s%s", o->m.machine, o->at.step, o->at.steps,
		  o->at.what, o->at.note[0] != '\0' ? ": " : "", o->at.note);
}

static int look_one(struct work *w, struct one *o, struct err *e)
{
	struct move_at was = o->at;
	int rc;

	if (o->m.job == 0) {
		end_one(w, o, true, "is there already");
		return 0;
	}
	rc = move_look(w->r, o->m.job, &o->at, e);
	if (rc < 0)
		return rc;
	if (o->at.ended)
		end_one(w, o, o->at.done, o->at.note);
	else
		tell(w, o, &was);
	return 0;
}

/* Reads what has changed; *ret_open: how many have not ended. */
static int look_all(struct work *w, size_t *ret_open, struct err *e)
{
	int64_t revision;
	size_t i;
	int rc = reg_revision(w->r, &revision, e);

	if (rc == 0 && revision != w->revision) {
		for (i = 0; i < w->n && rc == 0; i++)
			if (!w->list[i].ended)
				rc = look_one(w, &w->list[i], e);
		w->revision = revision;
	}
	*ret_open = 0;
	for (i = 0; i < w->n; i++)
		*ret_open += !w->list[i].ended;
	return rc;
}

static int take_first(void *ctx, const struct reg_move *m, struct err *e)
{
	int64_t *job = ctx;

	(void)e;
	if (*job == 0)
		*job = m->job;
	return 0;
}

/* The configuration server would have begun with the oldest one. */
static int warn_of_nobody(struct work *w, struct err *e)
{
	struct move_at at = {.begun = true};
	int64_t job = 0;
	int rc = move_each(w->r, take_first, &job, e);

	if (rc == 0 && job != 0)
		rc = move_look(w->r, job, &at, e);
	clear_line(w);
	if (rc == 0 && !at.begun)
		tool_warn("no configuration server begins: does ps-config "
			  "serve run?");
	w->warned = true;
	return rc;
}

/* Until all have ended: 0 or PS_NO; -PS_TEMPFAIL when the time is over. */
static int watch(struct work *w, struct err *e)
{
	int64_t begun = mono_now_ns();
	int64_t end = begun + (int64_t)ask.wait_s * NS_PER_S;
	const struct timespec pause = {0, LOOK_NS};
	size_t open;
	int rc;

	for (;;) {
		rc = look_all(w, &open, e);
		if (rc < 0 || open == 0 || mono_now_ns() >= end)
			break;
		if (!w->warned && mono_now_ns() >= begun + NOBODY_NS)
			rc = warn_of_nobody(w, e);
		if (rc < 0)
			break;
		show_line(w, open);
		nanosleep(&pause, NULL);
	}
	clear_line(w);
	if (rc == 0 && open == 0)
		return w->failed > 0 ? PS_NO : PS_OK;
	if (rc == 0)
		rc =
		    err_set(e, PS_TEMPFAIL,
			    "%zu of %zu moves are under way still", open, w->n);
	if (e->hint[0] == '\0')
		err_hint(e, "the configuration server goes on with what was "
			    "begun: ps-balance resume watches it");
	return rc;
}

/* ---- what is shown ---- */

static json_t *json_one(const struct one *o)
{
	return json_pack(
	    "{s:s, s:s?, s:s, s:b, s:I, s:s, s:I, s:I, s:s, s:s}", "machine",
	    o->m.machine, "from", o->m.from[0] != '\0' ? o->m.from : NULL, "to",
	    o->m.to, "dead", (int)o->m.dead, "job", (json_int_t)o->m.job,
	    "state",
	    !o->ended ? o->at.begun ? "running" : "waiting"
	    : o->done ? "done"
		      : "failed",
	    "step", (json_int_t)o->at.step, "steps", (json_int_t)o->at.steps,
	    "what", o->at.what, "note", o->ended ? o->why : o->at.note);
}

static int show_json(const struct work *w, struct err *e)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < w->n; i++)
		json_array_append_new(list, json_one(&w->list[i]));
	return print_json(json_pack("{s:O, s:O, s:o, s:I, s:I, s:I}", "servers",
				    w->servers, "last_word", w->last, "moves",
				    list, "done", (json_int_t)w->done, "failed",
				    (json_int_t)w->failed, "open",
				    (json_int_t)(w->n - w->done - w->failed)),
			  e);
}

static void show_plan(const struct work *w)
{
	size_t i;

	printf("%-20s %-16s %-16s\n", "MACHINE", "FROM", "TO");
	for (i = 0; i < w->n; i++)
		printf("%-20s %-16s %-16s%s\n", w->list[i].m.machine,
		       w->list[i].m.from[0] != '\0' ? w->list[i].m.from : "-",
		       w->list[i].m.to,
		       w->list[i].ended ? " is there already" : "");
}

static bool is_server(void *ctx, const char *name)
{
	const struct work *w = ctx;
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strcmp(w->list[i].m.from, name) == 0 ||
		    strcmp(w->list[i].m.to, name) == 0)
			return true;
	return false;
}

static bool is_machine(void *ctx, const char *name)
{
	const struct work *w = ctx;
	size_t i;

	for (i = 0; i < w->n; i++)
		if (strcmp(w->list[i].m.machine, name) == 0)
			return true;
	return false;
}

/* Before anything is changed. */
static int show_before(struct work *w, struct err *e)
{
	int rc;

	if (ask.json) {
		w->servers = json_array();
		w->last = json_array();
	}
	if (w->n == 0 || (opt_quiet && !ask.json))
		return 0;
	rc = show_servers(w->r, is_server, w, w->servers, e);
	if (rc == 0 && w->list[0].m.dead)
		rc = show_last_word(w->r, w->list[0].m.from, is_machine, w,
				    w->last, e);
	return rc;
}

/* ---- the commands ---- */

static int work_on(struct work *w, bool is_new, struct err *e)
{
	struct err shown = {0};
	int rc = is_new ? check_all(w, e) : 0, told = 0;
	size_t i;

	if (rc == 0)
		rc = show_before(w, e);
	if (rc < 0)
		return rc;
	for (i = 0; i < w->n; i++)
		w->done += w->list[i].ended;
	if (w->done == w->n && !ask.dry_run && !ask.json)
		puts("Nothing has to move.");
	if (ask.dry_run && !ask.json)
		show_plan(w);
	if (!ask.dry_run && is_new)
		rc = begin(w, e);
	if (rc < 0)
		return rc;
	if (!ask.dry_run)
		rc = watch(w, e);
	if (ask.json)
		told = show_json(w, &shown);
	if (rc >= 0 && told < 0) {
		*e = shown;
		rc = told;
	}
	return rc;
}

static int open_registry(struct work *w, struct err *e)
{
	const char *user = getenv("SUDO_USER");

	return reg_open(&w->r, &ask.where, user != NULL ? user : "ps-balance",
			e);
}

static int finish(struct work *w, int rc)
{
	reg_close(w->r);
	json_decref(w->servers);
	json_decref(w->last);
	free(w->list);
	return rc;
}

int run_move(int n, char **words, struct err *e)
{
	struct work w = {.revision = -1};
	int i, rc;

	if (n < 3)
		opt_misuse("move FROM TO MACHINE...");
	rc = open_registry(&w, e);
	for (i = 2; i < n && rc == 0; i++)
		rc = add_names(&w, words[i], words[0], words[1], e);
	if (rc == 0)
		rc = work_on(&w, true, e);
	return finish(&w, rc);
}

struct switching {
	struct work *w;
	const char *from, *to;
};

static int add_its(void *ctx, const struct reg_machine *m, struct err *e)
{
	const struct switching *s = ctx;

	if (strcmp(m->server, s->from) != 0)
		return 0;
	return add_names(s->w, m->name, s->from, s->to, e);
}

int run_switch(int n, char **words, struct err *e)
{
	struct work w = {.revision = -1};
	struct switching s = {&w, words[0], words[1]};
	int rc;

	if (n != 2)
		opt_misuse("switch FROM TO");
	rc = open_registry(&w, e);
	if (rc == 0)
		rc = check_server(&w, s.from, true, e);
	if (rc == 0)
		rc = check_server(&w, s.to, false, e);
	if (rc == 0)
		rc = machine_each(w.r, add_its, &s, e);
	if (rc == 0)
		rc = work_on(&w, true, e);
	return finish(&w, rc);
}

static int add_planned(void *ctx, const char *machine, const char *from,
		       const char *to, struct err *e)
{
	return add_names(ctx, machine, from, to, e);
}

int run_apply(int n, char **words, struct err *e)
{
	struct work w = {.revision = -1};
	int rc;

	if (n > 1)
		opt_misuse("one plan at a time");
	rc = plan_read(n == 1 ? words[0] : "-", add_planned, &w, e);
	if (rc == 0)
		rc = open_registry(&w, e);
	if (rc == 0)
		rc = work_on(&w, true, e);
	return finish(&w, rc);
}

int run_resume(int n, char **words, struct err *e)
{
	struct work w = {.revision = -1};
	int rc;

	(void)words;
	if (n != 0)
		opt_misuse("resume takes no operands");
	rc = open_registry(&w, e);
	if (rc == 0)
		rc = move_each(w.r, add, &w, e);
	if (rc == 0)
		rc = work_on(&w, false, e);
	return finish(&w, rc);
}
