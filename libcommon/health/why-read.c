/* What ps-pipeline and ps-upload tell in the folder of the cache. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/io.h"
#include "base/units.h"
#include "cache/follower.h"
#include "health/why.h"

#define STAGES ".stages"
#define UPLOAD ".upload"
#define FILE_MAX 65536
#define FRESH_S 10 /* both are written each second */
#define CLOCK_S 600
#define CLOCK_MAX_S (1LL << 40)

/* A file as JSON; NULL when there is none, or it is none. */
static json_t *load(int dirfd, const char *name)
{
	char text[FILE_MAX];
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd >= 0 ? io_read_full(fd, text, sizeof(text)) : -1;
	json_t *o =
	    n > 0 ? json_loadb(text, (size_t)n, JSON_DISABLE_EOF_CHECK, NULL)
		  : NULL;

	if (fd >= 0)
		close(fd);
	if (o != NULL && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static void text_of(const json_t *o, const char *key, char *out, size_t size)
{
	const char *t = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", t != NULL ? t : "");
}

static double number_of(const json_t *o, const char *key)
{
	double v = json_number_value(json_object_get(o, key));

	return v > 0 && v < 1e18 ? v : 0;
}

/* Does the process that wrote it live? Its number may be another's by now. */
static bool lives(const json_t *o, const char *program)
{
	int64_t pid = json_integer_value(json_object_get(o, "pid"));
	char path[64], name[32];
	ssize_t n;
	int fd;

	if (pid <= 0 || pid > INT_MAX)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno != ENOENT && kill((pid_t)pid, 0) == 0;
	n = io_read_full(fd, name, sizeof(name) - 1);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, program) == 0;
}

/* A full disk keeps the file as it was: then it tells of another time. */
static bool told_since(const json_t *o, int64_t now, int64_t seconds)
{
	const char *text = json_string_value(json_object_get(o, "updated"));
	int64_t at;

	return text != NULL && parse_time(text, &at) &&
	       llabs(now - at / NS_PER_S) <= seconds;
}

static bool fresh(const json_t *o, int64_t now)
{
	return told_since(o, now, FRESH_S);
}

static void take_stages(const json_t *o, const char *program, int64_t now,
			struct why_follower *f)
{
	const char *since = json_string_value(json_object_get(o, "since"));
	const json_t *list = json_object_get(o, "stages"), *s;
	int64_t at;
	size_t i;

	f->supervised = lives(o, program);
	f->running =
	    f->supervised && json_is_true(json_object_get(o, "running"));
	if (!f->running || !fresh(o, now))
		return;
	if (since != NULL && parse_time(since, &at))
		f->since = at / NS_PER_S;
	json_array_foreach((json_t *)(uintptr_t)list, i, s)
	{
		struct why_stage *st = &f->stages[f->n];

		if (f->n == WHY_STAGES)
			break;
		text_of(s, "stage", st->name, sizeof(st->name));
		st->cpu = number_of(s, "cpu");
		st->limits = number_of(s, "limits");
		st->starved = number_of(s, "starved");
		st->blocked = number_of(s, "blocked");
		st->samples = (unsigned)number_of(s, "samples");
		st->queue = (uint64_t)number_of(s, "queue");
		st->queue_size = (uint64_t)number_of(s, "queue_size");
		st->pid = (pid_t)number_of(s, "pid");
		f->n++;
	}
}

void why_read_stages(int dirfd, const char *file, const char *program,
		     int64_t now, struct why_follower *f)
{
	json_t *o = load(dirfd, file);

	take_stages(o, program, now, f);
	json_decref(o);
}

static void take_upload(const json_t *o, int64_t now, struct why_follower *f)
{
	text_of(o, "state", f->state, sizeof(f->state));
	text_of(o, "cause", f->cause, sizeof(f->cause));
	text_of(o, "error", f->error, sizeof(f->error));
	f->rate = (uint64_t)number_of(o, "rate");
	f->limit = (uint64_t)number_of(o, "limit_rate");
	f->latency_ms = number_of(o, "latency_ms");
	/* Also of one that has ended: it is the clock that may be why. */
	f->clock_told = told_since(o, now, CLOCK_S) &&
			json_is_integer(json_object_get(o, "clock_ahead_s"));
	f->ahead = json_integer_value(json_object_get(o, "clock_ahead_s"));
	if (llabs(f->ahead / 2) > CLOCK_MAX_S) /* no clock */
		f->clock_told = false;
	f->single_writer = json_is_true(json_object_get(o, "single_writer"));
	f->uploading = lives(o, "ps-upload") && fresh(o, now);
}

/* ".stages" or ".stages.NAME": the name; NULL when it is no such file. */
static const char *follower_of(const char *file, const char *stem)
{
	size_t n = strlen(stem);

	if (strncmp(file, stem, n) != 0)
		return NULL;
	if (file[n] == '\0')
		return FOLLOWER_DEFAULT;
	return file[n] == '.' && name_ok(file + n + 1) ? file + n + 1 : NULL;
}

static void take_file(int dirfd, const char *file, struct why *w)
{
	const char *name = follower_of(file, STAGES);
	size_t len = strlen(file);
	struct why_follower *f;
	char upload[NAME_MAX + 1];
	json_t *o;

	if (name == NULL || w->nfollowers == WHY_FOLLOWERS ||
	    (len > 4 && strcmp(file + len - 4, ".tmp") == 0))
		return;
	f = &w->followers[w->nfollowers++];
	*f = (struct why_follower){0};
	snprintf(f->name, sizeof(f->name), "%s", name);
	why_read_stages(dirfd, file, "ps-pipeline", w->now, f);
	snprintf(upload, sizeof(upload), UPLOAD "%s", file + strlen(STAGES));
	o = load(dirfd, upload);
	take_upload(o, w->now, f);
	json_decref(o);
}

void why_read_followers(const char *cache, struct why *w)
{
	DIR *d = opendir(cache);
	const struct dirent *entry;

	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL)
		take_file(dirfd(d), entry->d_name, w);
	closedir(d);
}
