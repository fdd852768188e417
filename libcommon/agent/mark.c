#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "agent/agent.h"
#include "agent/agent-check.h"
#include "base/text.h"
#include "base/units.h"

#define HOOKS LIBEXECDIR "/ps-toolkit/hooks/"

struct mark *mark_new(struct agent *a, bool group)
{
	struct mark *m = calloc(1, sizeof(*m));
	struct tm tm;
	uint32_t r = 0;
	time_t now;

	if (m == NULL)
		return NULL;
	m->agent = a;
	m->group = group;
	m->time_ns = time_now_ns();
	now = (time_t)(m->time_ns / NS_PER_S);
	(void)getrandom(&r, sizeof(r), 0);
	gmtime_r(&now, &tm);
	snprintf(m->id, sizeof(m->id), "%04d%02d%02dT%02d%02d%02dZ-%08x",
		 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		 tm.tm_min, tm.tm_sec, r);
	m->next = a->marks;
	a->marks = m;
	return m;
}

void mark_free(struct mark *m)
{
	free(m->members);
	free(m);
}

/* ---- its disks ---- */

static unsigned count(const struct mark *m, enum disk_phase phase)
{
	const struct agent *a = m->agent;
	unsigned i, n = 0;

	for (i = 0; i < a->ndisks; i++)
		n += a->disks[i].mark == m && a->disks[i].phase == phase;
	return n;
}

static unsigned disks(const struct mark *m)
{
	const struct agent *a = m->agent;
	unsigned i, n = 0;

	for (i = 0; i < a->ndisks; i++)
		n += a->disks[i].mark == m;
	return n;
}

static void for_each(struct mark *m, enum disk_phase phase,
		     void (*what)(struct disk *d))
{
	struct agent *a = m->agent;
	unsigned i;

	for (i = 0; i < a->ndisks; i++)
		if (a->disks[i].mark == m && a->disks[i].phase == phase)
			what(&a->disks[i]);
}

/* ---- hooks ---- */

static void hook_failed(struct mark *m, const char *which,
			const struct task_result *r)
{
	struct agent *a = m->agent;
	unsigned i;

	m->app_failed = true;
	agent_complain(a, NULL,
		       "hook %s: %s: the bookmark is crash-consistent only",
		       which, r->words);
	for (i = 0; i < a->ndisks; i++) {
		struct disk_state *st = a->disks[i].st;

		if (a->disks[i].mark != m)
			continue;
		snprintf(st->error, sizeof(st->error),
			 "hook %s: %.300s: no application-consistent bookmark",
			 which, r->words);
		text_tame(st->error);
		st->error_ns = time_now_ns();
	}
	a->changed = true;
}

static void pre_done(void *ctx, const struct task_result *r)
{
	struct mark *m = ctx;

	if (r->code != 0)
		hook_failed(m, "pre", r);
}

static void post_done(void *ctx, const struct task_result *r)
{
	struct mark *m = ctx;

	if (r->code != 0)
		hook_failed(m, "post", r);
	m->agent->state->frozen = false;
	agent_save(m->agent);
}

void mark_hook_path(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s%s", strchr(name, '/') == NULL ? HOOKS : "",
		 name);
}

static void run_hook(struct mark *m, const char *name, const char *word,
		     task_done_fn *done)
{
	const struct agent_conf *c = m->agent->conf;
	struct task *t = &m->hook;

	memset(t, 0, sizeof(*t));
	mark_hook_path(name, m->program, sizeof(m->program));
	plan_stage(&t->plan, NULL, m->program, word, NULL);
	snprintf(m->env_machine, sizeof(m->env_machine), "PS_MACHINE=%s",
		 c->machine);
	snprintf(m->env_bookmark, sizeof(m->env_bookmark), "PS_BOOKMARK=%s",
		 m->id);
	snprintf(m->env_limit, sizeof(m->env_limit), "PS_TIMEOUT=%llu",
		 (unsigned long long)c->hook_timeout_s);
	m->env[0] = m->env_machine;
	m->env[1] = m->env_bookmark;
	m->env[2] = m->env_limit;
	t->env = m->env;
	t->limit_s = c->hook_timeout_s;
	t->who = "hook";
	t->done = done;
	t->ctx = m;
	task_start(&m->agent->loop, t);
}

static void thaw_done(void *ctx, const struct task_result *r)
{
	struct agent *a = ctx;

	if (r->code != 0)
		agent_say(a, NULL, "hook post: %s", r->words);
	a->state->frozen = false;
	agent_save(a);
}

void mark_thaw(struct agent *a)
{
	static char program[512];
	struct task *t = &a->thaw;

	if (!a->state->frozen)
		return;
	if (a->conf->post == NULL) {
		a->state->frozen = false;
		return;
	}
	agent_say(a, NULL, "an agent ended between the hooks: post is run");
	mark_hook_path(a->conf->post, program, sizeof(program));
	plan_stage(&t->plan, NULL, program, "thaw", NULL);
	t->limit_s = a->conf->hook_timeout_s;
	t->who = "hook";
	t->done = thaw_done;
	t->ctx = a;
	task_start(&a->loop, t);
}

/* ---- its phases ---- */

static void begin_snapshots(struct mark *m)
{
	m->phase = MARK_CREATE;
	m->thaw_at =
	    mono_now_ns() + (int64_t)m->agent->conf->hook_timeout_s * NS_PER_S;
	m->time_ns = time_now_ns();
	if (!m->agent->stopping)
		for_each(m, DISK_READY, disk_create);
}

/* A disk that had failed before asked for this bookmark: is it there now? */
static bool worth_it(const struct mark *m)
{
	const struct agent *a = m->agent;
	unsigned i;

	if (!m->retry || mono_now_ns() >= a->group_next)
		return true;
	for (i = 0; i < a->ndisks; i++)
		if (a->disks[i].mark == m && a->disks[i].missed)
			return true;
	return false;
}

/* A clock that was in the future once must not put it off until then. */
static bool app_due(const struct mark *m)
{
	const struct agent *a = m->agent;
	int64_t since = m->time_ns - a->state->app_ns;
	int64_t every = (int64_t)where_app_s(a) * NS_PER_S;

	return m->group && every > 0 && (since < 0 || since >= every);
}

/* Both, before the first: what is held has to be let go. */
static bool hooks_ok(struct mark *m)
{
	const struct agent_conf *c = m->agent->conf;
	const char *const names[] = {c->pre, c->post};
	char path[sizeof(m->program)];
	struct err e = {0};
	unsigned i;

	for (i = 0; i < 2; i++) {
		struct task_result r = {.code = PS_CONFIG};

		mark_hook_path(names[i], path, sizeof(path));
		if (agent_program_ok(path, &e) == 0)
			continue;
		snprintf(r.words, sizeof(r.words), "%.398s", e.msg);
		hook_failed(m, i == 0 ? "pre" : "post", &r);
		return false;
	}
	return true;
}

static bool gather(struct mark *m)
{
	struct agent *a = m->agent;

	if (count(m, DISK_READY) < disks(m))
		return false;
	if (a->stopping || disks(m) == 0 || !worth_it(m)) {
		for_each(m, DISK_READY, disk_release);
		m->phase = MARK_SEND;
		return true;
	}
	m->app = app_due(m) && hooks_ok(m);
	if (!m->app) {
		begin_snapshots(m);
		return true;
	}
	m->phase = MARK_PRE;
	a->state->frozen = true;
	agent_save(a);
	run_hook(m, a->conf->pre, "freeze", pre_done);
	return true;
}

/*
 * Has it come through to here? READY: asked to end before its snapshot.
 * Others have failed and are still busy with cleaning up.
 */
static bool holds(const struct mark *m, const struct disk *d)
{
	return d->mark == m &&
	       (d->phase == DISK_CREATED || d->phase == DISK_READY);
}

/* M/D,... of the disks that have a snapshot now. */
static char *members_of(const struct mark *m)
{
	const struct agent *a = m->agent;
	size_t size = a->ndisks * (2 * (size_t)NAME_SIZE + 2) + 1, at = 0;
	char *text = m->group ? malloc(size) : NULL;
	unsigned i;

	for (i = 0; text != NULL && i < a->ndisks; i++)
		if (holds(m, &a->disks[i]))
			at += (size_t)snprintf(
			    text + at, size - at, "%s%s/%s", at > 0 ? "," : "",
			    a->conf->machine, a->disks[i].conf->name);
	return text;
}

/* Every snapshot is there and nobody is held by us: who is in it is final. */
static void begin_sending(struct mark *m)
{
	struct agent *a = m->agent;
	unsigned i;

	m->phase = MARK_SEND;
	if (m->app && !m->app_failed)
		a->state->app_ns = m->time_ns;
	if (m->group)
		a->state->bookmark_ns = m->time_ns;
	m->members = members_of(m);
	for (i = 0; i < a->ndisks; i++) {
		struct disk *d = &a->disks[i];

		if (!holds(m, d))
			continue;
		if (m->app && !m->app_failed && d->reached == CONS_CRASH)
			d->reached = CONS_APP;
		d->st->pending = (struct agent_point){
		    .time_ns = m->time_ns, .consistency = d->reached};
		snprintf(d->st->pending.bookmark,
			 sizeof(d->st->pending.bookmark), "%s", m->id);
		d->phase = DISK_QUEUED;
	}
	agent_save(a);
	if (a->stopping)
		for_each(m, DISK_QUEUED, disk_release);
}

static unsigned sending(const struct agent *a, bool complete)
{
	unsigned i, n = 0;

	for (i = 0; i < a->ndisks; i++)
		n += disk_sends(&a->disks[i]) &&
		     a->disks[i].st->complete == complete;
	return n;
}

/*
 * Where writers are held goes first. Initial replication has places of its
 * own: it must not keep the others waiting.
 */
static void feed(struct mark *m)
{
	struct agent *a = m->agent;
	unsigned i, round;

	for (round = 0; round < 2; round++)
		for (i = 0; i < a->ndisks; i++) {
			struct disk *d = &a->disks[i];

			if (d->mark == m && d->phase == DISK_QUEUED &&
			    (round == 1 || d->window_s > 0) &&
			    (d->window_s > 0 ||
			     sending(a, d->st->complete) < a->conf->passes))
				disk_send(d);
		}
}

/* Snapshots take longer than an application may be held. */
static void let_go(struct mark *m)
{
	struct task_result late = {.code = PS_TEMPFAIL};

	m->let_go = true;
	snprintf(late.words, sizeof(late.words),
		 "run before the snapshots were there, after %llu s",
		 (unsigned long long)m->agent->conf->hook_timeout_s);
	hook_failed(m, "post", &late);
	run_hook(m, m->agent->conf->post, "thaw", post_done);
}

int64_t mark_due(const struct mark *m)
{
	return m->phase == MARK_CREATE && m->app && !m->let_go ? m->thaw_at
							       : INT64_MAX;
}

/* The snapshots are there, or will not come. */
static void created(struct mark *m)
{
	if (m->app && !m->let_go) {
		m->phase = MARK_POST;
		run_hook(m, m->agent->conf->post, "thaw", post_done);
	} else if (!m->hook.running) {
		begin_sending(m);
	}
}

bool mark_step(struct mark *m)
{
	if (m->phase == MARK_GATHER && !gather(m))
		return false;
	if (m->phase == MARK_PRE && !m->hook.running)
		begin_snapshots(m);
	if (m->phase == MARK_CREATE && count(m, DISK_CREATE) == 0)
		created(m);
	else if (mono_now_ns() >= mark_due(m))
		let_go(m);
	if (m->phase == MARK_POST && !m->hook.running)
		begin_sending(m);
	if (m->phase == MARK_SEND) {
		if (m->agent->stopping)
			for_each(m, DISK_QUEUED, disk_release);
		else
			feed(m);
	}
	return m->phase == MARK_SEND && disks(m) == 0;
}
