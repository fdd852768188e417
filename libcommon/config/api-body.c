/* The bodies of requests. */
#include "config.h"

#include <string.h>

#include "base/units.h"
#include "base/version.h"
#include "config/api-body.h"

const char *body_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

/* What is there must not be passed over as if it were not. */
static bool types_ok(const json_t *o, struct err *e)
{
	static const struct {
		const char *key;
		json_type type;
		const char *word;
	} all[] = {
	    {"name", JSON_STRING, "text"},
	    {"role", JSON_STRING, "text"},
	    {"address", JSON_STRING, "text"},
	    {"port", JSON_INTEGER, "a number"},
	    {"version", JSON_STRING, "text"},
	    {"machine_id", JSON_STRING, "text"},
	    {"csr", JSON_STRING, "text"},
	    {"alt", JSON_STRING, "text"},
	    {"time", JSON_STRING, "text"},
	    {"health", JSON_OBJECT, "an object"},
	    {"machines", JSON_ARRAY, "a list"},
	    {"orders", JSON_ARRAY, "a list"},
	};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const json_t *v = json_object_get(o, all[i].key);

		if (v == NULL || json_is_null(v) ||
		    json_typeof(v) == all[i].type)
			continue;
		err_set(e, PS_DATA, "\"%s\" is not %s", all[i].key,
			all[i].word);
		return false;
	}
	return true;
}

json_t *body_read(const struct api_ask *q, struct err *e)
{
	json_error_t why;
	json_t *o = json_loadb(q->body, q->len, JSON_REJECT_DUPLICATES, &why);

	if (json_is_object(o) && types_ok(o, e))
		return o;
	if (!json_is_object(o))
		err_set(e, PS_DATA, "the body is no JSON object: %.120s",
			o == NULL ? why.text : "something else");
	json_decref(o);
	return NULL;
}

int body_check_name(const struct api_ask *q, const json_t *o, struct err *e)
{
	const char *name = body_text(o, "name");
	int rc = reg_name_check("server", name, e);

	if (rc < 0 || strcmp(name, q->login) == 0)
		return rc;
	return err_set(e, PS_NOPERM, "the login '%s' is not '%s'", q->login,
		       name);
}

int body_check_clock(const json_t *o, int64_t *ret_s, struct err *e)
{
	int64_t theirs, off;
	int rc;

	*ret_s = 0;
	if (!parse_time(body_text(o, "time"), &theirs))
		return err_set(e, PS_DATA, "\"time\" is no time");
	off = (theirs - time_now_ns()) / NS_PER_S;
	*ret_s = off;
	if (off < API_CLOCK_MAX_S && off > -API_CLOCK_MAX_S)
		return 0;
	rc = err_set(e, PS_CONFIG,
		     "its clock is %lld s %s that of the configuration server",
		     (long long)(off < 0 ? -off : off),
		     off < 0 ? "behind" : "ahead of");
	err_hint(e, "set both clocks by NTP: less than 15 minutes are allowed");
	return rc;
}

int body_check_version(const struct api_ask *q, const char *text, struct err *e)
{
	struct version ours, theirs;
	bool newer;
	int rc;

	if (!version_parse(text, &theirs) || !version_parse(q->version, &ours))
		return err_set(e, PS_DATA, "'%.40s' is no version", text);
	newer = version_compare(&theirs, &ours) > 0;
	if (version_in_reach(&theirs, &ours))
		return 0;
	rc = err_set(e, PS_CONFIG,
		     "its version %.40s is too %s: the configuration server "
		     "has %s",
		     text, newer ? "new" : "old", q->version);
	err_hint(e, newer ? "upgrade the configuration server first"
			  : "upgrade this server");
	return rc;
}
