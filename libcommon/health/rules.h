/*
 * The thresholds, and the rule by which the samples of a window breach them.
 *
 * A rule says "critical" when every sample of the window breaches its
 * critical threshold, else "warning" by the same token, else "notice"; with
 * RULE_MEAN the mean of the samples has to. The published documentation says
 * "over the last 15 minutes" and leaves open which. A window of which less
 * than two thirds of the minutes have a sample says nothing.
 */
#ifndef PS_HEALTH_RULES_H
#define PS_HEALTH_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "health/metric.h"

enum level { LEVEL_OK, LEVEL_NOTICE, LEVEL_WARNING, LEVEL_CRITICAL };

/* "ok", "notice", "warning", "critical" */
const char *level_name(enum level l);

#define RULE_NONE INT64_MIN /* a threshold that is not there */

enum rule_kind {
	RULE_WINDOW,   /* by the samples of the window */
	RULE_NEWEST,   /* by the newest sample: it speaks for itself */
	RULE_TO_DRAIN, /* seconds to store what is pending, by the window */
	RULE_DISK,     /* of each disk by itself; not by rules_judge() */
};

struct rule {
	const char *name; /* also in ps.yaml: health.limits.NAME.warning */
	const char *code; /* as people search for it */
	enum metric metric;
	enum rule_kind kind;
	bool below; /* a value under the threshold breaches */
	int64_t notice, warning, critical;
	const char *what; /* the headline, with one %s for the value */
	const char *unit; /* "%", "s" (a duration), "B/s", "days", "" */
	const char *next; /* what to do */
};

#define RULES_MAX 32

struct rules {
	struct rule items[RULES_MAX];
	bool set[RULES_MAX]; /* ps.yaml says something of this one */
	unsigned n;
	bool mean;	 /* RULE_MEAN */
	int64_t minutes; /* of the window */
	/* That must run, of those that the samples looked at: bits of enum
	 * service. All of them by default. */
	unsigned services;
};

#define RULES_WINDOW_MIN 15

/* The published thresholds. */
void rules_default(struct rules *r);
/*
 * Those of ps.yaml over them: health.limits.NAME.notice, .warning, .critical,
 * each a number, a duration or a rate where the unit is one, or "off".
 * -PS_CONFIG with the line of a value that is none, or of a key that names no
 * rule.
 */
int rules_read(struct rules *r, const struct conf *c, struct err *e);

const struct rule *rules_find(const struct rules *r, const char *name);

/* ps.yaml says something of it. */
bool rules_is_set(const struct rules *r, const char *name);

struct judgement {
	bool known; /* false: too few samples, or the metric is unknown */
	enum level level;
	int64_t value; /* that decided: the one nearest to the threshold */
	int64_t since; /* of the first sample of the unbroken row of breaches */
	unsigned samples; /* in the window */
};

/*
 * Judges by samples, oldest first, that end at `now` (seconds) and may reach
 * further back than the window; those tell since when.
 */
void rules_judge(const struct rules *r, const struct rule *rule,
		 const struct sample *samples, size_t n, int64_t now,
		 struct judgement *ret);

/* The level of a single value. */
enum level rule_level(const struct rule *rule, int64_t value);

/* The threshold of a level above LEVEL_OK. */
int64_t rule_limit(const struct rule *rule, enum level l);

/* A value with its unit, for people. */
void rule_value(const struct rule *rule, int64_t value, char *out, size_t size);

#endif
