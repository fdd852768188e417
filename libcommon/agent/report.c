#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "agent/report.h"

static void text_of(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

static uint64_t number_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	double n = json_number_value(v);

	return n > 0 && n < 1e18 ? (uint64_t)n : 0;
}

bool report_read(int dirfd, const char *path, struct report *ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	json_t *o = fd >= 0 ? json_loadfd(fd, 0, NULL) : NULL;

	*ret = (struct report){0};
	if (fd >= 0)
		close(fd);
	if (!json_is_object(o)) {
		json_decref(o);
		return false;
	}
	text_of(o, "state", ret->state, sizeof(ret->state));
	text_of(o, "cause", ret->cause, sizeof(ret->cause));
	text_of(o, "error", ret->error, sizeof(ret->error));
	ret->retry_after = number_of(o, "retry_after");
	ret->bytes = number_of(o, "bytes");
	ret->rate = number_of(o, "rate");
	ret->server = -1;
	if (json_is_real(json_object_get(o, "server_share")))
		ret->server =
		    json_real_value(json_object_get(o, "server_share"));
	json_decref(o);
	return true;
}

bool scan_status_parse(const char *text, struct scan_status *ret)
{
	json_t *o = json_loads(text, 0, NULL);

	if (!json_is_object(o)) {
		json_decref(o);
		return false;
	}
	ret->size = (uint64_t)json_integer_value(json_object_get(o, "size"));
	ret->seq = (uint64_t)json_integer_value(json_object_get(o, "seq"));
	ret->dirty_bytes =
	    (uint64_t)json_integer_value(json_object_get(o, "dirty_bytes"));
	ret->scrub_found =
	    (uint64_t)json_integer_value(json_object_get(o, "scrub_found"));
	ret->point = json_is_true(json_object_get(o, "point"));
	ret->new_base = json_is_true(json_object_get(o, "new_base"));
	json_decref(o);
	return true;
}
