/* Steps of a machine that is protected: what its agent says of its disks. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "agent/status.h"
#include "base/units.h"
#include "doctor/steps.h"

#define WATCH_S 8
#define BEHIND_S (15 * 60)

/* What `ps-agent status --json` prints; NULL: the reason is in `e`. */
static json_t *status(const struct doctor *d, struct err *e)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	json_t *o = NULL;
	int rc;

	if (f == NULL) {
		err_sys(e, PS_TEMPFAIL, "status");
		return NULL;
	}
	rc = status_print(d->agent, true, f, e);
	if (fclose(f) == 0 && rc == 0) {
		o = json_loads(text, 0, NULL);
		if (!json_is_object(o))
			err_set(e, PS_SOFTWARE, "status: no JSON");
	}
	free(text);
	return o;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

static bool no_state(const struct err *e, struct finding *f)
{
	if (e->code != PS_NOINPUT)
		return false;
	find_skipped(f, "no agent has run here yet");
	find_next(f, "ps-agent check, then ps-agent once");
	return true;
}

static bool bad_word(const char *word)
{
	static const char *const words[] = {"stalled", "disconnected",
					    "throttled", "held", "backlog"};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

void source_alerts(const struct doctor *d, struct finding *f)
{
	struct err e = {0};
	json_t *o = status(d, &e), *it;
	unsigned bad = 0, n = 0;
	size_t i;

	if (o == NULL) {
		if (!no_state(&e, f))
			find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	json_array_foreach(json_object_get(o, "disks"), i, it)
	{
		const char *word = text_of(it, "state");

		n++;
		if (!bad_word(word))
			continue;
		bad++;
		find_shows(f, "%s is %s%s%s%s%s", text_of(it, "disk"), word,
			   *text_of(it, "cause") != '\0' ? ", " : "",
			   text_of(it, "cause"),
			   *text_of(it, "error") != '\0' ? ": " : "",
			   text_of(it, "error"));
	}
	if (*text_of(o, "limits") != '\0')
		find_shows(f, "%s", text_of(o, "limits"));
	if (bad > 0) {
		find_failed(f, DOCTOR_SIGN, "%u of %u disks: see below", bad,
			    n);
		find_next(f, "ps-agent status");
	} else {
		find_passed(f, "%u disk%s, no error", n, n == 1 ? "" : "s");
	}
	json_decref(o);
}

/* ---- one disk behind the others ---- */

struct pace {
	double slow, fast; /* seconds of lag; negative: none yet */
	char name[NAME_SIZE];
	unsigned n, held, paused;
	char first_held[NAME_SIZE];
};

static void take_disk(const json_t *it, struct pace *p, struct finding *f)
{
	const json_t *lag = json_object_get(it, "lag_seconds");
	const char *word = text_of(it, "state"), *name = text_of(it, "disk");
	double v = json_number_value(lag);

	if (strcmp(word, "held") == 0) {
		if (p->held++ == 0)
			snprintf(p->first_held, sizeof(p->first_held), "%s",
				 name);
		find_shows(f, "%s is on hold on the server: %s", name,
			   text_of(it, "error"));
	}
	if (strcmp(word, "paused") == 0) {
		p->paused++;
		find_shows(f, "%s is paused", name);
		return;
	}
	if (!json_is_number(lag))
		return;
	if (p->n == 0 || v > p->slow) {
		p->slow = v;
		snprintf(p->name, sizeof(p->name), "%s", name);
	}
	if (p->n == 0 || v < p->fast)
		p->fast = v;
	p->n++;
}

void source_disks(const struct doctor *d, struct finding *f)
{
	struct err e = {0};
	json_t *o = status(d, &e), *it;
	struct pace p = {0};
	char slow[32], fast[32];
	size_t i;

	if (o == NULL) {
		if (!no_state(&e, f))
			find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	json_array_foreach(json_object_get(o, "disks"), i, it)
	    take_disk(it, &p, f);
	format_duration(p.slow, slow, sizeof(slow));
	format_duration(p.fast, fast, sizeof(fast));
	if (p.held > 0) {
		find_failed(f, DOCTOR_CAUSE, "on hold on the server: %s",
			    p.first_held);
		find_next(f, "on the process server: ps-cache stat shows the "
			     "reason, ps-doctor what to do");
	} else if (p.n > 1 && p.slow - p.fast > BEHIND_S) {
		find_failed(f, DOCTOR_CAUSE,
			    "one slow disk holds the points back: %s, %s old; "
			    "the newest of the others: %s",
			    p.name, slow, fast);
		find_next(f, "ps-agent status: its error, its backlog; is the "
			     "disk slow, or its read-rate limited?");
	} else if (p.paused > 0) {
		find_warned(f, "%u paused", p.paused);
		find_next(f, "ps-agent resume");
	} else {
		find_passed(f, "none on hold, none behind the others");
	}
	json_decref(o);
}

/* ---- does anything get on? ---- */

struct now {
	json_int_t acked;   /* sum of sequences */
	json_int_t bytes;   /* of what is sent now */
	json_int_t waiting; /* disks with something to send */
	double lag;	    /* the greatest */
	char error[200];
};

static void count(const json_t *o, struct now *ret)
{
	json_t *it;
	size_t i;

	*ret = (struct now){0};
	json_array_foreach(json_object_get(o, "disks"), i, it)
	{
		const json_t *sending = json_object_get(it, "sending");
		double lag =
		    json_number_value(json_object_get(it, "lag_seconds"));

		ret->acked +=
		    json_integer_value(json_object_get(it, "acknowledged_seq"));
		ret->bytes +=
		    json_integer_value(json_object_get(sending, "bytes"));
		ret->waiting += bad_word(text_of(it, "state"));
		if (lag > ret->lag)
			ret->lag = lag;
		if (ret->error[0] == '\0')
			snprintf(ret->error, sizeof(ret->error), "%s",
				 text_of(it, "error"));
	}
}

static bool moves(const struct doctor *d, const struct now *before)
{
	const struct timespec nap = {.tv_nsec = 250 * 1000 * 1000};
	int64_t until = mono_now_ns() + WATCH_S * NS_PER_S;
	struct now after;
	json_t *o;

	while (mono_now_ns() < until) {
		nanosleep(&nap, NULL);
		o = status(d, NULL);
		if (o == NULL)
			continue;
		count(o, &after);
		json_decref(o);
		if (after.acked > before->acked ||
		    after.bytes > before->bytes || after.waiting == 0)
			return true;
	}
	return false;
}

void source_pushing(const struct doctor *d, struct finding *f)
{
	struct err e = {0};
	json_t *o = status(d, &e);
	struct now now;
	char lag[32];

	if (o == NULL) {
		if (!no_state(&e, f))
			find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	count(o, &now);
	json_decref(o);
	format_duration(now.lag, lag, sizeof(lag));
	if (now.waiting == 0) {
		find_passed(f, "the oldest disk's newest point is %s old", lag);
	} else if (moves(d, &now)) {
		find_passed(f, "data go to the process server");
	} else {
		find_failed(f, DOCTOR_SIGN,
			    "nothing was taken by the process server for %d s",
			    WATCH_S);
		if (now.error[0] != '\0')
			find_shows(f, "%s", now.error);
		find_next(f, "ps-doctor on the process server says what holds "
			     "it there");
	}
}
