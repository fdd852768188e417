#include "config.h"

#include <jansson.h>

#include "base/units.h"
#include "health/churn.h"
#include "health/view.h"
#include "segment/format.h"

static json_t *json_time(int64_t seconds)
{
	char text[TIME_TEXT];

	if (seconds == 0)
		return json_null();
	format_time(seconds * NS_PER_S, text);
	return json_string(text);
}

static json_t *json_alert(const struct health *h, const struct alert *a)
{
	bool acked = a->acked_until > h->now;

	return json_pack(
	    "{s:s, s:s, s:s, s:s?, s:s?, s:s, s:s, s:s, s:o, "
	    "s:I, s:b, s:o}",
	    "key", a->key, "code", a->code, "level", level_name(a->level),
	    "machine", a->machine[0] != '\0' ? a->machine : NULL, "disk",
	    a->disk[0] != '\0' ? a->disk : NULL, "what", a->what, "evidence",
	    a->evidence, "next", a->next, "since", json_time(a->since),
	    "seconds", (json_int_t)(h->now - a->since), "acknowledged",
	    (int)acked, "acknowledged_until",
	    json_time(acked ? a->acked_until : 0));
}

/* By the longest time that is known: null when that is under a quarter hour. */
static json_t *json_churn(const struct disk_record *r)
{
	static const unsigned minutes[] = {DISK_MINUTES, 60, 15};
	struct churn c;
	int64_t rate;
	size_t i;

	churn_clear(&c, r->seen / 60);
	churn_add(&c, r);
	for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
		if (churn_rate(&c, 0, minutes[i], &rate))
			return json_integer(rate * 86400);
	return json_null();
}

static const char *stored_word(const struct disk_record *r)
{
	return r->stored_point != 0
		   ? seg_consistency_name(r->stored_consistency)
		   : NULL;
}

static int add_disk(void *ctx, const struct disk_record *r, struct err *e)
{
	json_t *list = ctx;
	struct disk_minute m;

	if (!disk_minute(r, r->seen / 60, &m))
		return 0;
	if (json_array_append_new(
		list,
		json_pack(
		    "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, "
		    "s:s?, s:b, s:b, s:b}",
		    "machine", r->machine, "disk", r->disk, "accepted",
		    (json_int_t)r->accepted, "stored", (json_int_t)r->stored,
		    "pending_bytes", (json_int_t)m.pending, "lag_seconds",
		    (json_int_t)m.lag, "changed_bytes", (json_int_t)r->changed,
		    "churn_bytes_per_day", json_churn(r), "crash_point",
		    json_time(r->crash_point), "app_point",
		    json_time(r->app_point), "stored_point",
		    json_time(r->stored_point), "stored_consistency",
		    stored_word(r), "held", (m.flags & DISK_HELD) != 0,
		    "unseated", (m.flags & DISK_UNSEATED) != 0, "initial",
		    (m.flags & DISK_INITIAL) != 0)) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

static json_t *json_figures(const struct sample *s)
{
	json_t *o = json_object();
	int m;

	for (m = 0; m < METRICS_SHOWN; m++)
		json_object_set_new(o, metric_name(m),
				    s->values[m] == METRIC_UNKNOWN
					? json_null()
					: json_integer(s->values[m]));
	return o;
}

int view_json(const struct health *h, const struct disks *disks, FILE *f,
	      struct err *e)
{
	json_t *alerts = json_array(), *list = json_array(), *root;
	size_t i;
	int rc = 0;

	for (i = 0; i < h->n; i++)
		if (json_array_append_new(alerts, json_alert(h, &h->alerts[i])))
			rc =
			    err_set(e, PS_TEMPFAIL, "no memory for the answer");
	if (rc == 0 && disks != NULL && h->newest.time != 0)
		rc = disks_each(disks, h->newest.time - DISK_GONE_S, add_disk,
				list, e);
	root = json_pack("{s:s, s:s, s:o, s:i, s:o, s:o, s:o}", "status",
			 view_status(h), "level", level_name(h->level),
			 "sampled", json_time(h->newest.time), "samples",
			 (int)h->samples, "figures", json_figures(&h->newest),
			 "alerts", alerts, "disks", list);
	if (rc == 0 && root == NULL)
		rc = err_set(e, PS_TEMPFAIL, "no memory for the answer");
	if (rc == 0 && json_dumpf(root, f, JSON_INDENT(2)) < 0)
		rc = err_sys(e, PS_IOERR, "standard output");
	json_decref(root);
	fputc('\n', f);
	return rc;
}
