#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/units.h"
#include "push/state.h"

#define SUFFIX ".json"

int push_state_open(struct push_state *s, const char *path, struct err *e)
{
	s->dirfd = -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	s->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return s->dirfd < 0 ? err_sys(e, 0, "%s", path) : 0;
}

void push_state_close(struct push_state *s)
{
	if (s->dirfd >= 0)
		close(s->dirfd);
	s->dirfd = -1;
}

/* "web01_2222.json": addresses have ':' and '%', which stay legible. */
static void file_name(const struct push_host *h, const char *suffix,
		      char out[HOST_SIZE + 8])
{
	snprintf(out, HOST_SIZE + 8, "%.240s%s", h->text, suffix);
	for (; *out != '\0'; out++)
		if (strchr("/:%[]", *out) != NULL)
			*out = '_';
}

int push_state_lock(const struct push_state *s, const struct push_host *h,
		    struct err *e)
{
	char name[HOST_SIZE + 8];
	int fd;

	file_name(h, ".lock", name);
	fd = openat(s->dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	close(fd);
	return err_set(e, PS_NO, "%s: another push is under way", h->text);
}

static json_t *reason_json(enum push_reason why)
{
	const struct push_reason_text *t = &push_reasons[why];

	return json_pack("{s:s, s:o, s:s, s:s}", "reason", t->word, "code",
			 t->code != 0 ? json_integer(t->code) : json_null(),
			 "means", t->means, "hint", t->hint);
}

static json_t *text_or_null(const char *text)
{
	return *text != '\0' ? json_string(text) : json_null();
}

json_t *push_result_json(const struct push_host *h, const struct push_result *r)
{
	json_t *warnings = json_array(), *o;

	for (unsigned i = 0; i < r->nwarnings; i++)
		json_array_append_new(warnings, reason_json(r->warnings[i]));
	o = json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:f}",
		      "host", h->text, "user", text_or_null(h->user), "machine",
		      text_or_null(h->name), "result", push_end_names[r->end],
		      "version", text_or_null(r->version), "before",
		      text_or_null(r->was), "arch", text_or_null(r->arch),
		      "words", text_or_null(r->words), "warnings", warnings,
		      "seconds", r->seconds);
	if (o != NULL && r->reason != REASON_NONE)
		json_object_set_new(o, "failure", reason_json(r->reason));
	return o;
}

int push_state_keep(const struct push_state *s, const struct push_host *h,
		    const struct push_result *r, struct err *e)
{
	char name[HOST_SIZE + 8], when[TIME_TEXT], *text;
	json_t *o = push_result_json(h, r);
	int rc;

	format_time(time_now_ns(), when);
	json_object_set_new(o, "time", json_string(when));
	text = json_dumps(o, JSON_INDENT(2));
	json_decref(o);
	if (text == NULL)
		return err_set(e, PS_TEMPFAIL, "%s: no memory", h->text);
	file_name(h, SUFFIX, name);
	rc = durable_write(s->dirfd, name, text, strlen(text), 0600,
			   DURABLE_REPLACE, e);
	free(text);
	return rc;
}

/* "[USER@]HOST[=NAME]" again; false: it did not fail. */
static bool failed_host(const json_t *o, char *out, size_t size)
{
	const char *host = json_string_value(json_object_get(o, "host"));
	const char *result = json_string_value(json_object_get(o, "result"));
	const char *user = json_string_value(json_object_get(o, "user"));
	const char *name = json_string_value(json_object_get(o, "machine"));

	if (host == NULL || result == NULL ||
	    strcmp(result, push_end_names[PUSH_FAILED]) != 0)
		return false;
	return (size_t)snprintf(
		   out, size, "%s%s%s%s%s", user != NULL ? user : "",
		   user != NULL ? "@" : "", host, name != NULL ? "=" : "",
		   name != NULL ? name : "") < size;
}

static int take_file(int dirfd, const char *name, push_state_fn *fn, void *ctx,
		     struct err *e)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc = 0;
	char text[2 * HOST_SIZE];
	json_t *o;

	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	o = json_loadfd(fd, 0, NULL);
	close(fd);
	if (o == NULL)
		return err_set(e, PS_DATA, "%s: is damaged: remove it", name);
	if (failed_host(o, text, sizeof(text)))
		rc = fn(ctx, text, e);
	json_decref(o);
	return rc;
}

int push_state_failed(const struct push_state *s, push_state_fn *fn, void *ctx,
		      struct err *e)
{
	int fd = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *f;
	int rc = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return err_sys(e, 0, "state");
	}
	while (rc == 0 && (f = readdir(d)) != NULL) {
		size_t n = strlen(f->d_name), tail = strlen(SUFFIX);

		if (f->d_name[0] != '.' && n > tail &&
		    strcmp(f->d_name + n - tail, SUFFIX) == 0)
			rc = take_file(s->dirfd, f->d_name, fn, ctx, e);
	}
	closedir(d);
	return rc;
}
