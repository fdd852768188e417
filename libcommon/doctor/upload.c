/* What ps-upload tells of itself: ps-pipeline lets it write that. */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "doctor/steps.h"
#include "pipeline/gauge.h"

#define REPORT_MAX 65536u

static void text_of(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

static uint64_t number_of(const json_t *o, const char *key)
{
	double n = json_number_value(json_object_get(o, key));

	return n > 0 && n < 1e18 ? (uint64_t)n : 0;
}

void upload_read(const struct doctor *d, struct upload *ret)
{
	char path[PATH_MAX], *text;
	json_t *o;

	*ret = (struct upload){0};
	if (d->cache == NULL)
		return;
	gauge_file(d->cache, ".upload",
		   d->vault_name != NULL ? d->vault_name : PLAN_DEFAULT, path,
		   sizeof(path));
	text = doctor_read(path, REPORT_MAX, NULL);
	o = text != NULL ? json_loads(text, 0, NULL) : NULL;
	ret->told = json_is_object(o);
	if (ret->told) {
		text_of(o, "state", ret->state, sizeof(ret->state));
		text_of(o, "cause", ret->cause, sizeof(ret->cause));
		text_of(o, "error", ret->error, sizeof(ret->error));
		ret->segments = number_of(o, "segments");
		ret->bytes = number_of(o, "bytes");
		ret->rate = number_of(o, "rate");
		ret->limit = number_of(o, "limit_rate");
	}
	json_decref(o);
	free(text);
}
