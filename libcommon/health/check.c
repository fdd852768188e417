#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "health/check.h"
#include "health/churn.h"
#include "health/roles.h"

/* Older than that the newest sample says nothing about now. */
#define STALE_S 600
/* So much of a disk, not stored, is a large pending upload. */
#define SPIKE_PENDING (1024 * 1024 * 1024ULL)

struct alert *health_add(struct health *h, const char *code, enum level level,
			 int64_t since)
{
	struct alert *more = realloc(h->alerts, (h->n + 1) * sizeof(*more));
	struct alert *a;

	if (more == NULL)
		return NULL;
	h->alerts = more;
	a = &h->alerts[h->n++];
	*a = (struct alert){.level = level, .since = since, .next = ""};
	snprintf(a->code, sizeof(a->code), "%s", code);
	snprintf(a->key, sizeof(a->key), "%s", code);
	return a;
}

static int by_weight(const void *x, const void *y)
{
	const struct alert *a = x, *b = y;

	if (a->level != b->level)
		return a->level < b->level ? 1 : -1;
	if (a->since != b->since)
		return a->since < b->since ? -1 : 1;
	return strcmp(a->key, b->key);
}

void health_settle(struct health *h)
{
	size_t i;

	if (h->n > 0)
		qsort(h->alerts, h->n, sizeof(*h->alerts), by_weight);
	h->level = LEVEL_OK;
	for (i = 0; i < h->n; i++)
		if (h->alerts[i].acked_until <= h->now &&
		    h->alerts[i].level > h->level)
			h->level = h->alerts[i].level;
}

void health_free(struct health *h)
{
	free(h->alerts);
	h->alerts = NULL;
	h->n = 0;
}

static int no_memory(struct err *e)
{
	return err_sys(e, PS_TEMPFAIL, "health");
}

/* ---- the server ---- */

static void headline(const struct rule *rule, int64_t value, struct alert *a)
{
	const char *gap = strstr(rule->what, "%s");
	char text[48];

	a->next = rule->next;
	if (rule->metric == METRIC_CERT_DAYS && value < 0) {
		rule_value(rule, -value, text, sizeof(text));
		snprintf(a->what, sizeof(a->what),
			 "the certificate expired %s ago", text);
		return;
	}
	rule_value(rule, value, text, sizeof(text));
	snprintf(a->what, sizeof(a->what), "%.*s%s%s", (int)(gap - rule->what),
		 rule->what, text, gap + 2);
}

/* Those of the newest sample, by name. */
static void name_services(const struct rules *r, const struct sample *newest,
			  struct alert *a)
{
	int64_t down = newest->values[METRIC_RAW_DOWN];
	size_t n = strlen(a->evidence);
	char names[80];

	if (down == METRIC_UNKNOWN)
		return;
	services_names((unsigned)down & r->services, names, sizeof(names));
	snprintf(a->evidence + n, sizeof(a->evidence) - n, ": %s", names);
}

static void evidence(const struct rules *r, const struct rule *rule,
		     const struct judgement *j, struct alert *a)
{
	char text[48];

	rule_value(rule, rule_limit(rule, a->level), text, sizeof(text));
	if (rule->kind == RULE_NEWEST)
		snprintf(a->evidence, sizeof(a->evidence), "%s: %lld, limit %s",
			 metric_name(rule->metric), (long long)j->value, text);
	else
		snprintf(a->evidence, sizeof(a->evidence),
			 "%s %s %s in %s %u samples of %lld min",
			 rule->kind == RULE_TO_DRAIN
			     ? "time to store"
			     : metric_name(rule->metric),
			 rule->below ? "under" : "over", text,
			 r->mean ? "the mean of" : "all", j->samples,
			 (long long)r->minutes);
}

static int judge_server(struct health *h, const struct rules *rules,
			const struct sample *samples, size_t n, struct err *e)
{
	struct judgement j;
	struct alert *a;
	unsigned i;

	for (i = 0; i < rules->n; i++) {
		const struct rule *rule = &rules->items[i];

		if (rule->kind == RULE_DISK)
			continue;
		rules_judge(rules, rule, samples, n, h->now, &j);
		if (!j.known || j.level == LEVEL_OK)
			continue;
		a = health_add(h, rule->code, j.level, j.since);
		if (a == NULL)
			return no_memory(e);
		headline(rule, j.value, a);
		evidence(rules, rule, &j, a);
		if (rule->metric == METRIC_SERVICES_DOWN)
			name_services(rules, &samples[n - 1], a);
	}
	return 0;
}

/* ---- the disks ---- */

struct looking {
	struct health *h;
	const struct rules *rules;
	unsigned minutes;	    /* of the window, of which disks are kept */
	struct disk_record machine; /* no disk: of those before this one */
	struct churn sum;	    /* of its disks */
};

/* Since when the flag has been there, as far back as is known. */
static int64_t flag_since(const struct disk_record *r, int64_t minute,
			  uint8_t flag)
{
	struct disk_minute m;
	int64_t first = minute, i;

	for (i = minute; i > minute - DISK_MINUTES; i--) {
		if (!disk_minute(r, i, &m))
			continue;
		if ((m.flags & flag) == 0)
			break;
		first = i;
	}
	return first * 60;
}

static int add_disk(struct looking *l, const struct disk_record *r,
		    const char *code, enum level level, int64_t since,
		    struct alert **ret, struct err *e)
{
	struct alert *a = health_add(l->h, code, level, since);

	if (a == NULL)
		return no_memory(e);
	snprintf(a->machine, sizeof(a->machine), "%s", r->machine);
	snprintf(a->disk, sizeof(a->disk), "%s", r->disk);
	snprintf(a->key, sizeof(a->key), "%s:%s%s%s", code, r->machine,
		 r->disk[0] != '\0' ? "/" : "", r->disk);
	*ret = a;
	return 0;
}

static int add_state(struct looking *l, const struct disk_record *r,
		     const struct disk_minute *m, struct err *e)
{
	bool held = (m->flags & DISK_HELD) != 0;
	int64_t since =
	    flag_since(r, m->minute, held ? DISK_HELD : DISK_UNSEATED);
	struct alert *a;
	int rc = add_disk(l, r, held ? "held" : "unseated",
			  held ? LEVEL_CRITICAL : LEVEL_WARNING, since, &a, e);

	if (rc < 0)
		return rc;
	snprintf(a->what, sizeof(a->what), "%s",
		 held ? "the disk is on hold: nothing of it is taken"
		      : "the disk waits to be seated");
	snprintf(a->evidence, sizeof(a->evidence),
		 "accepted up to %llu, stored up to %llu",
		 (unsigned long long)r->accepted,
		 (unsigned long long)r->stored);
	a->next = held ? "see why: ps-cache stat; then ps-vault head | "
			 "ps-cache seat"
		       : "ps-pipeline seats it when the vault can be reached";
	return 0;
}

static int add_lag(struct looking *l, const struct disk_record *r,
		   const struct disk_minute *m, struct err *e)
{
	const struct rule *rule = rules_find(l->rules, "disk-lag");
	enum level level = rule_level(rule, m->lag);
	bool silent = m->pending == 0;
	struct alert *a;
	char pending[32];
	int rc;

	if (level == LEVEL_OK)
		return 0;
	/* 78186: the source does not reach us; 78028: what it sends does not
	 * get on. */
	rc = add_disk(l, r, silent ? "78186" : "78028", level,
		      m->minute * 60 - m->lag, &a, e);
	if (rc < 0)
		return rc;
	headline(rule, m->lag, a);
	format_size(m->pending, pending, sizeof(pending));
	snprintf(a->evidence, sizeof(a->evidence),
		 silent ? "nothing accepted since, nothing pending"
			: "%s pending in the cache",
		 pending);
	a->next = silent ? "on the source: ps-agent status, cxpsclient"
			 : "ps-cache stat; is ps-pipeline storing?";
	return 0;
}

/* The newest point of this kind is too old; `point` 0: there was none. */
static int add_point(struct looking *l, const struct rule *rule,
		     const struct disk_record *r, int64_t point, struct err *e)
{
	int64_t from = point != 0 ? point : r->first;
	enum level level = rule_level(rule, r->seen - from);
	char text[TIME_TEXT];
	struct alert *a;
	int rc;

	if (level == LEVEL_OK)
		return 0;
	rc = add_disk(l, r, rule->code, level, from, &a, e);
	if (rc < 0)
		return rc;
	headline(rule, r->seen - from, a);
	format_time(from * NS_PER_S, text);
	snprintf(a->evidence, sizeof(a->evidence), "%s %s",
		 point != 0 ? "the newest is of" : "none yet, looked at since",
		 text);
	return 0;
}

/*
 * Points, not segments: passes may come that make none of this kind. While
 * nothing comes or goes at all, that is what is told.
 */
static int look_at_points(struct looking *l, const struct disk_record *r,
			  const struct disk_minute *m, struct err *e)
{
	const struct rule *lag = rules_find(l->rules, "disk-lag");
	const struct rule *crash = rules_find(l->rules, "crash-point");
	const struct rule *app = rules_find(l->rules, "app-point");
	bool wanted = rules_is_set(l->rules, "app-point") &&
		      (m->flags & DISK_INITIAL) == 0;
	int rc = 0;

	if (r->crash_point != 0 && rule_level(lag, m->lag) == LEVEL_OK)
		rc = add_point(l, crash, r, r->crash_point, e);
	/* Many disks need none: who wants them says so, or has had one. */
	if (rc == 0 && (r->app_point != 0 || wanted))
		rc = add_point(l, app, r, r->app_point, e);
	return rc;
}

/* A disk or a machine that changes more than can be replicated: 1, 0. */
static int add_churn(struct looking *l, const char *name,
		     const struct disk_record *r, const struct churn *c,
		     struct err *e)
{
	const struct rule *rule = rules_find(l->rules, name);
	char limit[48];
	enum level level;
	struct alert *a;
	int64_t rate, over;
	int rc;

	if (!churn_rate(c, 0, l->minutes, &rate))
		return 0;
	level = rule_level(rule, rate);
	if (level == LEVEL_OK)
		return 0;
	over = rule_limit(rule, level);
	rc = add_disk(l, r, rule->code, level, churn_since(c, l->minutes, over),
		      &a, e);
	if (rc < 0)
		return rc;
	headline(rule, rate, a);
	rule_value(rule, over, limit, sizeof(limit));
	snprintf(a->evidence, sizeof(a->evidence),
		 "changed bytes accepted in %u min, limit %s", l->minutes,
		 limit);
	return 1;
}

/* Far more than usual, and much of it waits. */
static int add_spike(struct looking *l, const struct disk_record *r,
		     const struct disk_minute *m, const struct churn *c,
		     struct err *e)
{
	const struct rule *rule = rules_find(l->rules, "churn-spike");
	char usual[32], pending[32];
	int64_t percent, before;
	struct alert *a;
	int rc;

	if (m->pending < SPIKE_PENDING ||
	    !churn_spike(c, l->minutes, &percent, &before) ||
	    rule_level(rule, percent) == LEVEL_OK)
		return 0;
	rc = add_disk(l, r, rule->code, rule_level(rule, percent),
		      (m->minute - l->minutes + 1) * 60, &a, e);
	if (rc < 0)
		return rc;
	headline(rule, percent, a);
	format_size((uint64_t)before, usual, sizeof(usual));
	format_size(m->pending, pending, sizeof(pending));
	snprintf(a->evidence, sizeof(a->evidence),
		 "%s/s before the last %u min; %s pending in the cache", usual,
		 l->minutes, pending);
	return 0;
}

/* The machine whose disks have all been seen. */
static int end_machine(struct looking *l, struct err *e)
{
	int rc = l->machine.machine[0] == '\0'
		     ? 0
		     : add_churn(l, "churn-machine", &l->machine, &l->sum, e);

	return rc < 0 ? rc : 0;
}

static int look_at_churn(struct looking *l, const struct disk_record *r,
			 const struct disk_minute *m, struct err *e)
{
	struct churn c;
	int rc = 0;

	if (strcmp(l->machine.machine, r->machine) != 0) {
		rc = end_machine(l, e);
		memcpy(l->machine.machine, r->machine, NAME_SIZE);
		churn_clear(&l->sum, l->h->now / 60);
	}
	if (rc < 0)
		return rc;
	churn_clear(&c, l->h->now / 60);
	churn_add(&c, r);
	churn_join(&l->sum, &c);
	rc = add_churn(l, "churn", r, &c, e);
	if (rc == 0)
		rc = add_spike(l, r, m, &c, e);
	return rc < 0 ? rc : 0;
}

static int look_at_disk(void *ctx, const struct disk_record *r, struct err *e)
{
	struct looking *l = ctx;
	struct disk_minute m;
	int rc = 0;

	if (!disk_minute(r, r->seen / 60, &m))
		return 0;
	if ((m.flags & (DISK_HELD | DISK_UNSEATED)) != 0)
		rc = add_state(l, r, &m, e);
	/* One that never had a segment has nothing to be late with. */
	if (rc == 0 && r->accepted > 0)
		rc = add_lag(l, r, &m, e);
	if (rc == 0 && r->accepted > 0)
		rc = look_at_points(l, r, &m, e);
	return rc < 0 ? rc : look_at_churn(l, r, &m, e);
}

/* ---- all of it ---- */

static int add_stale(struct health *h, struct err *e)
{
	struct alert *a;
	char age[32];

	if (h->known && h->now - h->newest.time <= STALE_S)
		return 0;
	a = health_add(h, "no-samples", LEVEL_WARNING,
		       h->newest.time != 0 ? h->newest.time : h->now);
	if (a == NULL)
		return no_memory(e);
	snprintf(a->what, sizeof(a->what), "too few samples to judge by");
	if (h->newest.time != 0)
		format_duration((double)(h->now - h->newest.time), age,
				sizeof(age));
	else
		snprintf(age, sizeof(age), "never");
	snprintf(a->evidence, sizeof(a->evidence),
		 "%u in the window; the newest: %s%s", h->samples, age,
		 h->newest.time != 0 ? " ago" : "");
	a->next = "run 'ps-health sample' each minute, by cron or a timer";
	return 0;
}

static unsigned in_window(const struct rules *rules,
			  const struct sample *samples, size_t n, int64_t now)
{
	unsigned count = 0;

	while (n > 0 && samples[n - 1].time > now - rules->minutes * 60) {
		count++;
		n--;
	}
	return count;
}

/* Only what has to run here counts. */
static void count_services(const struct rules *rules, struct sample *samples,
			   size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		int64_t *v = samples[i].values;

		if (v[METRIC_RAW_DOWN] != METRIC_UNKNOWN)
			v[METRIC_SERVICES_DOWN] = __builtin_popcount(
			    (unsigned)v[METRIC_RAW_DOWN] & rules->services);
	}
}

static int judge(struct health *h, const struct disks *disks,
		 const struct rules *rules, const struct sample *samples,
		 size_t n, struct err *e)
{
	struct looking l = {.h = h,
			    .rules = rules,
			    .minutes = rules->minutes < DISK_MINUTES
					   ? (unsigned)rules->minutes
					   : DISK_MINUTES};
	int rc;

	h->samples = in_window(rules, samples, n, h->now);
	h->known = (int64_t)h->samples * 3 >= rules->minutes * 2;
	if (n > 0)
		h->newest = samples[n - 1];
	rc = add_stale(h, e);
	if (rc == 0)
		rc = judge_server(h, rules, samples, n, e);
	if (rc == 0 && disks != NULL && h->newest.time != 0)
		rc = disks_each(disks, h->newest.time - DISK_GONE_S,
				look_at_disk, &l, e);
	if (rc == 0)
		rc = end_machine(&l, e);
	health_settle(h);
	return rc;
}

int check_run(struct ring *ring, const struct disks *disks,
	      const struct rules *rules, int64_t now, struct health *ret,
	      struct err *e)
{
	struct sample *samples = calloc(RING_MINUTES, sizeof(*samples));
	int rc = 0;

	*ret = (struct health){.now = now};
	sample_clear(&ret->newest);
	if (samples == NULL)
		return no_memory(e);
	if (ring != NULL)
		rc = ring_window(ring, now / 60 - RING_MINUTES + 1, now / 60,
				 samples, e);
	if (rc >= 0)
		count_services(rules, samples, (size_t)rc);
	if (rc >= 0)
		rc = judge(ret, disks, rules, samples, (size_t)rc, e);
	free(samples);
	if (rc < 0)
		health_free(ret);
	return rc;
}
