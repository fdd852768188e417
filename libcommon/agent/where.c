#include "config.h"

#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "agent/where.h"
#include "base/units.h"

#define NO_SERVER                                                              \
	"the configuration server names no process server for this machine "   \
	"yet"
#define LIMIT_S 60 /* of one question */
#define APP_MAX_S (365 * 86400u)
#define DOUBT_NS (5 * NS_PER_S) /* between two that are not regular */

static bool asks(const struct agent *a)
{
	return a->conf->config_host != NULL;
}

/* What agent.yaml says, when nothing was learned. */
static void take_conf(struct agent *a)
{
	const struct agent_conf *c = a->conf;
	struct agent_place *p = &a->state->place;

	if (!asks(a))
		a->state->place_error[0] = '\0';
	if (asks(a) && p->host[0] != '\0')
		return;
	*p = (struct agent_place){.name = ""};
	if (c->host == NULL)
		return;
	snprintf(p->host, sizeof(p->host), "%s", c->host);
	snprintf(p->port, sizeof(p->port), "%u", (unsigned)c->port);
}

void where_begin(struct agent *a)
{
	take_conf(a);
	snprintf(a->where.port, sizeof(a->where.port), "%u",
		 (unsigned)a->conf->config_port);
	a->where.next = asks(a) ? mono_now_ns() : INT64_MAX;
}

/* ---- the answer ---- */

/*
 * "server NAME ADDRESS PORT", with tabs; "-" for all three: none yet; "app
 * SECONDS"; and "disabled".
 */
static void on_line(void *ctx, const char *line)
{
	struct where *w = &((struct agent *)ctx)->where;
	struct agent_place p = {.name = ""};
	uint64_t port;
	char extra;

	if (strcmp(line, "disabled") == 0) {
		w->off = true;
		return;
	}
	if (strncmp(line, "app\t", 4) == 0) {
		(void)parse_u64(line + 4, APP_MAX_S, &w->app_s);
		return;
	}
	if (strcmp(line, "server\t-\t-\t-") == 0) {
		w->nobody = true;
		return;
	}
	if (sscanf(line, "server\t%63[^\t]\t%255[^\t]\t%5[0-9]%c", p.name,
		   p.host, p.port, &extra) != 3 ||
	    !name_ok(p.name) || !parse_u64(p.port, 65535, &port) || port == 0)
		return;
	w->answer = p;
	w->answered = true;
}

static void go_there(struct agent *a)
{
	struct agent_place *now = &a->state->place;
	const struct agent_place *p = &a->where.answer;
	bool same =
	    strcmp(now->host, p->host) == 0 && strcmp(now->port, p->port) == 0;
	unsigned i;

	if (same && strcmp(now->name, p->name) == 0)
		return;
	snprintf(now->name, sizeof(now->name), "%s", p->name);
	snprintf(now->host, sizeof(now->host), "%s", p->host);
	snprintf(now->port, sizeof(now->port), "%s", p->port);
	agent_save(a);
	if (same)
		return;
	agent_say(a, NULL, "the process server is %s, %s port %s", p->name,
		  p->host, p->port);
	/* What was put off because of the old one is due now. */
	backoff_clear(&a->server);
	backoff_clear(&a->heads_wait);
	for (i = 0; i < a->ndisks; i++)
		backoff_clear(&a->disks[i].wait);
}

/* For status; `words` empty: it is known. */
static void note_error(struct agent *a, const char *words)
{
	struct agent_state *s = a->state;

	if (strncmp(s->place_error, words, sizeof(s->place_error) - 1) == 0)
		return;
	snprintf(s->place_error, sizeof(s->place_error), "%s", words);
	agent_save(a);
}

/*
 * Rests, or goes on; what is under way ends by itself. Who asks once is told
 * each time.
 */
static void rest(struct agent *a, bool off)
{
	struct agent_place *now = &a->state->place;
	bool was = now->off;

	now->off = off;
	if (was != off)
		agent_save(a);
	if (off && (!was || a->once))
		agent_say(a, NULL, "%s", WHERE_DISABLED);
	else if (was && !off)
		agent_say(a, NULL, "the machine is enabled again");
}

/* Of use to hooks only, and where agent.yaml does not say it. */
static void obey_policy(struct agent *a, uint64_t app_s)
{
	char every[32];

	if (a->state->place.app_s == app_s)
		return;
	a->state->place.app_s = app_s;
	agent_save(a);
	format_duration((double)app_s, every, sizeof(every));
	if (a->conf->pre != NULL && a->conf->app_s == 0)
		agent_say(a, NULL,
			  app_s != 0 ? "application-consistent bookmarks each "
				       "%s, as the policy says"
				     : "no application-consistent bookmarks: "
				       "the policy has none",
			  every);
}

uint64_t where_app_s(const struct agent *a)
{
	const struct agent_conf *c = a->conf;

	if (c->pre == NULL || c->app_s != 0 || !asks(a))
		return c->app_s;
	return a->state->place.app_s;
}

static void on_done(void *ctx, const struct task_result *r)
{
	struct agent *a = ctx;
	struct where *w = &a->where;

	w->tried = true;
	if (r->interrupted)
		return;
	if (r->code == 0 && w->nobody && a->state->place.host[0] == '\0') {
		agent_say(a, NULL, "%s", NO_SERVER);
		note_error(a, NO_SERVER);
	} else if (r->code == 0 && (w->answered || w->nobody)) {
		note_error(a, "");
	} else {
		note_error(a, r->code != 0 ? r->words : "not understood");
	}
	if (r->code == 0 && (w->answered || w->nobody)) {
		if (!w->off)
			backoff_clear(&w->wait);
		w->next =
		    w->asked + (int64_t)a->conf->config_interval_s * NS_PER_S;
		if (w->answered)
			go_there(a);
		obey_policy(a, w->app_s);
		rest(a, w->off);
	} else {
		agent_say(a, NULL, "the configuration server: %s",
			  r->code != 0 ? r->words : "not understood");
		backoff_fail(&w->wait, 0, a->conf->max_wait_s);
		w->next = w->wait.next;
	}
	/* Nothing can be sent to nobody, and nothing of who rests. */
	if (a->state->place.host[0] == '\0' || a->state->place.off) {
		agent_count(a, r->code != 0 ? r->code : PS_TEMPFAIL);
		backoff_fail(&w->wait, 0, a->conf->max_wait_s);
		w->next = w->wait.next;
	}
}

static void ask(struct agent *a)
{
	struct task *t = &a->where.task;

	a->where.asked = mono_now_ns();
	a->where.answered = a->where.nobody = a->where.off = false;
	a->where.app_s = 0;
	command_where(a, &t->plan);
	t->limit_s = LIMIT_S;
	t->line = on_line;
	t->done = on_done;
	t->ctx = a;
	task_start(&a->loop, t);
}

/* ---- when ---- */

int64_t where_step(struct agent *a, int64_t now)
{
	struct where *w = &a->where;

	if (w->task.running)
		return INT64_MAX;
	if (now < w->next)
		return a->once && w->tried ? INT64_MAX : w->next;
	if (a->once && w->tried)
		return INT64_MAX;
	ask(a);
	return INT64_MAX;
}

bool where_ready(const struct agent *a)
{
	/* Once: the first pass is the last one, it goes where it belongs. */
	return a->state->place.host[0] != '\0' && !a->state->place.off &&
	       (!asks(a) || !a->once || a->where.tried);
}

void where_doubt(struct agent *a)
{
	struct where *w = &a->where;
	int64_t at = w->asked + DOUBT_NS;

	if (asks(a) && at < w->next)
		w->next = at;
}
