#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rate.h"
#include "base/units.h"
#include "health/rules.h"

#define NEVER RULE_NONE
/* Breaches with a hole of at most so many minutes are one row. */
#define GAP_MIN 5
/* What cannot be drained at all: a year. */
#define FOREVER_S (365 * 86400LL)
#define MIB (1024 * 1024)

/*
 * Thresholds: "Monitor the process server" of the Azure Site Recovery
 * documentation (processor, memory, cache, achievable RPO, services,
 * heartbeat; certificate: "Manage the configuration server"). Notice from
 * 70 %: its best practices. Churn: the replication limits of its capacity
 * planning, of the largest class of disks (20 MB/s) and of a machine (54 MB/s).
 * Points: the RPO threshold of a new replication policy, and twice the longest
 * time between app-consistent points that one can have (12 h).
 */
static const struct rule published[] = {
    {"cpu", "cpu", METRIC_CPU, RULE_WINDOW, false, 70, 80, 95,
     "processors are %s busy", "%",
     "ps-health why; move machines to another server, or give it processors"},
    {"memory", "memory", METRIC_MEMORY, RULE_WINDOW, false, 70, 80, 95,
     "memory is %s used", "%",
     "look for what uses it; move machines to another server"},
    {"cache-free", "cache-free", METRIC_CACHE_FREE, RULE_WINDOW, true, NEVER,
     30, 25, "only %s of the cache are free", "%",
     "see what waits: ps-cache stat; sources are throttled under 20 %"},
    {"to-drain", "rpo", METRIC_PENDING_BYTES, RULE_TO_DRAIN, false, NEVER,
     30 * 60, 45 * 60, "storing what is pending takes %s", "s",
     "ps-cache stat; is ps-pipeline running, is the vault reachable?"},
    {"services", "services", METRIC_SERVICES_DOWN, RULE_WINDOW, false, NEVER, 0,
     NEVER, "%s services do not run", "",
     "start them: systemctl start UNIT, or ps-doctor --fix"},
    {"boot", "services-boot", METRIC_SERVICES_UNBOOT, RULE_NEWEST, false, NEVER,
     0, NEVER, "%s services do not start at boot", "",
     "systemctl enable them; see which: ps-doctor services"},
    {"heartbeat", "806", METRIC_HEARTBEAT_AGE, RULE_NEWEST, false, NEVER, NEVER,
     15 * 60, "no heartbeat for %s", "s",
     "see what it says: journalctl -u ps-heartbeat; then the way to the "
     "configuration server, and its state"},
    {"certificate", "certificate", METRIC_CERT_DAYS, RULE_NEWEST, true, NEVER,
     60, 7, "the certificate expires in %s", "days",
     "registered: journalctl -u ps-heartbeat, which renews it; else "
     "ps-receive --new-cert; then ps-service restart receive"},
    {"clock", "clock", METRIC_CLOCK_UNSYNCED, RULE_WINDOW, false, NEVER, 0,
     NEVER, "nothing keeps the clock right (%s)", "",
     "run chrony or systemd-timesyncd: stores refuse at 15 minutes"},
    {"clock-offset", "clock-offset", METRIC_CLOCK_OFFSET, RULE_NEWEST, false,
     NEVER, 5 * 60, 15 * 60, "the clock is %s from the store's", "s",
     "set it, and run chrony or systemd-timesyncd: stores refuse at 15 "
     "minutes"},
    {"cache-failed", "cache-failed", METRIC_CACHE_FAILED, RULE_NEWEST, false,
     NEVER, NEVER, 0, "stable storage of the cache has failed (%s)", "",
     "look at the disk, then ps-cache verify, then remove CACHE/failed"},
    {"single-writer", "single-writer", METRIC_SINGLE_WRITER, RULE_NEWEST, false,
     0, NEVER, NEVER, "%s vaults refuse no second writer", "",
     "let no other ps-upload write there, or use a store with conditional "
     "writes: ps-vault stat"},
    {"prune", "job-prune", METRIC_JOB_PRUNE, RULE_NEWEST, false, NEVER,
     2 * 86400, NEVER, "the vault was not pruned for %s", "s",
     "run it and read what it says: ps-vault prune"},
    {"verify", "job-verify", METRIC_JOB_VERIFY, RULE_NEWEST, false, NEVER,
     8 * 86400, NEVER, "the vault was not verified for %s", "s",
     "run it and read what it says: ps-vault verify"},
    {"drill", "job-drill", METRIC_JOB_DRILL, RULE_NEWEST, false, NEVER,
     35 * 86400, NEVER, "no restore was tried for %s", "s",
     "try one: ps-restore --verify-only"},
    {"key-kit", "job-key-kit", METRIC_JOB_KEY_KIT, RULE_NEWEST, false, NEVER,
     366 * 86400, NEVER, "the key kit was not checked for %s", "s",
     "see that the printed key still opens the vault"},
    {"renew", "job-renew", METRIC_JOB_RENEW, RULE_NEWEST, false, NEVER,
     2 * 86400, NEVER, "renewed certificates were not looked for in %s", "s",
     "run it and read what it says: ps-service run renew"},
    {"no-kit", "no-kit", METRIC_KEY_NO_KIT, RULE_NEWEST, false, NEVER, 0, NEVER,
     "the newest key has no recovery kit since %s", "s",
     "make and print one: ps-vault kit -k KEYFILE -o kit.html"},
    {"disk-lag", "78186", METRIC_PENDING_AGE, RULE_DISK, false, NEVER, 15 * 60,
     30 * 60, "no recovery point stored for %s", "s",
     "is the source sending? is ps-pipeline storing?"},
    {"churn", "78188", METRIC_INGEST_RATE, RULE_DISK, false, NEVER, 20 * MIB,
     NEVER, "the disk changes by %s", "B/s",
     "on the source: see what writes; move it to a disk of its own"},
    {"churn-machine", "78188", METRIC_INGEST_RATE, RULE_DISK, false, NEVER,
     54 * MIB, NEVER, "the disks of the machine change by %s", "B/s",
     "on the source: see what writes; leave out disks that need no copy"},
    {"churn-spike", "78188", METRIC_INGEST_RATE, RULE_DISK, false, NEVER, 300,
     NEVER, "the disk changes at %s of what is usual", "%",
     "ps-health why: it will tell when this is caught up; on the source: see "
     "what writes"},
    {"crash-point", "crash-point", METRIC_PENDING_AGE, RULE_DISK, false, NEVER,
     3600, NEVER, "no crash-consistent recovery point for %s", "s",
     "on the source: ps-agent status; how often, and how, are points made?"},
    {"app-point", "78144", METRIC_PENDING_AGE, RULE_DISK, false, NEVER,
     24 * 3600, NEVER, "no app-consistent recovery point for %s", "s",
     "on the source: ps-agent status; do the hooks succeed?"},
};

const char *level_name(enum level l)
{
	static const char *const names[] = {"ok", "notice", "warning",
					    "critical"};

	return names[l];
}

void rules_default(struct rules *r)
{
	*r = (struct rules){.minutes = RULES_WINDOW_MIN, .services = ~0u};
	r->n = sizeof(published) / sizeof(published[0]);
	memcpy(r->items, published, sizeof(published));
}

const struct rule *rules_find(const struct rules *r, const char *name)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->items[i].name, name) == 0)
			return &r->items[i];
	return NULL;
}

bool rules_is_set(const struct rules *r, const char *name)
{
	return r->set[rules_find(r, name) - r->items];
}

/* ---- ps.yaml ---- */

static bool parse_threshold(const struct rule *rule, const char *text,
			    int64_t *ret)
{
	uint64_t v;
	bool ok;

	if (strcmp(text, "off") == 0) {
		*ret = NEVER;
		return true;
	}
	if (strcmp(rule->unit, "s") == 0)
		ok = parse_duration(text, &v);
	else if (strcmp(rule->unit, "B/s") == 0)
		ok = parse_rate(text, &v) && v <= INT64_MAX;
	else
		ok = parse_u64(text, 1000000, &v);
	if (ok)
		*ret = (int64_t)v;
	return ok;
}

static int64_t *threshold_of(struct rule *rule, const char *which)
{
	if (strcmp(which, "notice") == 0)
		return &rule->notice;
	if (strcmp(which, "warning") == 0)
		return &rule->warning;
	return strcmp(which, "critical") == 0 ? &rule->critical : NULL;
}

/* "cpu.warning": 0 when it is no threshold at all, else 1, or -CODE. */
static int read_key(struct rules *r, const struct conf *c, const char *key,
		    const char *rest, struct err *e)
{
	const char *dot = strchr(rest, '.');
	int64_t *to = NULL;
	unsigned i;

	if (dot == NULL)
		return 0;
	for (i = 0; i < r->n && to == NULL; i++)
		if (strlen(r->items[i].name) == (size_t)(dot - rest) &&
		    strncmp(r->items[i].name, rest, (size_t)(dot - rest)) == 0)
			to = threshold_of(&r->items[i], dot + 1);
	if (to == NULL)
		return err_set(e, PS_CONFIG, "%s: line %u: no threshold '%s'",
			       conf_path(c), conf_line(c, key), key);
	if (!parse_threshold(&r->items[i - 1], conf_get(c, key), to))
		return err_set(e, PS_CONFIG,
			       "%s: line %u: %s: '%s' is neither a threshold "
			       "nor 'off'",
			       conf_path(c), conf_line(c, key), key,
			       conf_get(c, key));
	r->set[i - 1] = true;
	return 1;
}

int rules_read(struct rules *r, const struct conf *c, struct err *e)
{
	static const char prefix[] = "health.limits.";
	const char *key;
	size_t i;
	int rc = 0;

	for (i = 0; rc >= 0 && (key = conf_key(c, i)) != NULL; i++)
		if (strncmp(key, prefix, sizeof(prefix) - 1) == 0)
			rc = read_key(r, c, key, key + sizeof(prefix) - 1, e);
	return rc < 0 ? rc : 0;
}

/* ---- judging ---- */

static bool breaches(const struct rule *rule, int64_t threshold, int64_t value)
{
	if (threshold == NEVER)
		return false;
	return rule->below ? value < threshold : value > threshold;
}

enum level rule_level(const struct rule *rule, int64_t value)
{
	if (breaches(rule, rule->critical, value))
		return LEVEL_CRITICAL;
	if (breaches(rule, rule->warning, value))
		return LEVEL_WARNING;
	return breaches(rule, rule->notice, value) ? LEVEL_NOTICE : LEVEL_OK;
}

int64_t rule_limit(const struct rule *rule, enum level l)
{
	return l == LEVEL_CRITICAL  ? rule->critical
	       : l == LEVEL_WARNING ? rule->warning
				    : rule->notice;
}

void rule_value(const struct rule *rule, int64_t value, char *out, size_t size)
{
	char bytes[32];

	if (strcmp(rule->unit, "B/s") == 0) {
		format_size((uint64_t)value, bytes, sizeof(bytes));
		snprintf(out, size, "%s/s", bytes);
	} else if (strcmp(rule->unit, "s") != 0)
		snprintf(out, size, "%lld%s%s", (long long)value,
			 rule->unit[0] != '\0' ? " " : "", rule->unit);
	else if (value >= FOREVER_S)
		snprintf(out, size, "for ever");
	else
		format_duration((double)value, out, size);
}

/* Bytes per second into the vault, over the window. */
static double store_rate(const struct sample *s, size_t n)
{
	double sum = 0;
	unsigned known = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (s[i].values[METRIC_STORE_RATE] == METRIC_UNKNOWN)
			continue;
		sum += (double)s[i].values[METRIC_STORE_RATE];
		known++;
	}
	return known > 0 ? sum / known : 0;
}

static int64_t to_drain(const struct sample *s, double rate)
{
	int64_t pending = s->values[METRIC_PENDING_BYTES];
	double seconds;

	if (pending == METRIC_UNKNOWN || pending == 0)
		return pending;
	seconds = rate > 0 ? (double)pending / rate : (double)FOREVER_S;
	return seconds > (double)FOREVER_S ? FOREVER_S : (int64_t)seconds;
}

struct judging {
	const struct rule *rule;
	const struct sample *samples;
	double rate; /* RULE_TO_DRAIN */
};

static int64_t value_of(const struct judging *j, size_t i)
{
	if (j->rule->kind == RULE_TO_DRAIN)
		return to_drain(&j->samples[i], j->rate);
	return j->samples[i].values[j->rule->metric];
}

/* Of a and b the one that is further from the threshold. */
static int64_t milder(const struct rule *rule, int64_t a, int64_t b)
{
	if (rule->below)
		return a > b ? a : b;
	return a < b ? a : b;
}

/* The value by which a window is judged. */
static bool decide(const struct judging *j, size_t from, size_t to, bool mean,
		   int64_t *ret, unsigned *ret_n)
{
	double sum = 0;
	unsigned n = 0;
	int64_t v, mildest = 0;
	size_t i;

	for (i = from; i < to; i++) {
		v = value_of(j, i);
		if (v == METRIC_UNKNOWN)
			continue;
		mildest = n == 0 ? v : milder(j->rule, mildest, v);
		sum += (double)v;
		n++;
	}
	*ret_n = n;
	if (n == 0)
		return false;
	*ret = mean ? (int64_t)(sum / n + (sum >= 0 ? 0.5 : -0.5)) : mildest;
	return true;
}

/* The first of the unbroken row of samples that are at least at this level. */
static int64_t since(const struct judging *j, size_t n, enum level level)
{
	int64_t first = j->samples[n - 1].time;
	size_t i;

	for (i = n; i > 0; i--) {
		int64_t v = value_of(j, i - 1);

		if (first - j->samples[i - 1].time > GAP_MIN * 60)
			break;
		if (v == METRIC_UNKNOWN)
			continue;
		if (rule_level(j->rule, v) < level)
			break;
		first = j->samples[i - 1].time;
	}
	return first;
}

void rules_judge(const struct rules *r, const struct rule *rule,
		 const struct sample *samples, size_t n, int64_t now,
		 struct judgement *ret)
{
	struct judging j = {.rule = rule, .samples = samples};
	size_t from = n;
	bool newest = rule->kind == RULE_NEWEST;

	*ret = (struct judgement){0};
	while (from > 0 && samples[from - 1].time > now - r->minutes * 60)
		from--;
	if (newest && from < n)
		from = n - 1;
	j.rate = store_rate(samples + from, n - from);
	if (!decide(&j, from, n, r->mean, &ret->value, &ret->samples))
		return;
	if (!newest && (int64_t)ret->samples * 3 < r->minutes * 2)
		return;
	ret->known = true;
	ret->level = rule_level(rule, ret->value);
	if (ret->level != LEVEL_OK)
		ret->since = since(&j, n, ret->level);
}
