/* When the scheduled jobs were last done. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/units.h"
#include "health/gather.h"
#include "segment/keyring.h"

#define ID_TEXT (2 * SEG_KEY_ID_LEN + 1)

#define FILE_SIZE 32

/* Their files; a name is what stands behind the dot, if any. */
static const char *const files[GATHER_JOBS + 1] = {"job.prune", "job.verify",
						   "job.drill", "job.key-kit",
						   "job.renew", "heartbeat"};

const char *gather_job_name(int job)
{
	const char *dot = strchr(files[job], '.');

	return dot != NULL ? dot + 1 : files[job];
}

int gather_job(const char *name)
{
	int i;

	for (i = 0; i <= GATHER_JOBS; i++)
		if (strcmp(gather_job_name(i), name) == 0)
			return i;
	return -1;
}

static void failed_file(int job, char out[FILE_SIZE])
{
	snprintf(out, FILE_SIZE, "%s.failed", files[job]);
}

int gather_stamp(int dirfd, int job, struct err *e)
{
	const char *name = files[job];
	char failed[FILE_SIZE];
	int fd, rc;

	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0644);
	if (fd < 0)
		return err_sys(e, 0, "%s", name);
	rc = futimens(fd, NULL) < 0 ? err_sys(e, 0, "%s", name) : 0;
	close(fd);
	failed_file(job, failed);
	if (rc == 0 && unlinkat(dirfd, failed, 0) < 0 && errno != ENOENT)
		rc = err_sys(e, 0, "%s", failed);
	return rc;
}

int gather_fail(int dirfd, int job, const char *why, struct err *e)
{
	char name[FILE_SIZE], line[GATHER_WHY + 1];
	int n, rc;

	failed_file(job, name);
	n = snprintf(line, sizeof(line), "%.*s\n", GATHER_WHY - 1, why);
	rc = durable_write(dirfd, name, line, (size_t)n, 0644, DURABLE_CREATE,
			   e);
	return rc == -PS_NO ? 0 : rc;
}

int64_t gather_failed(int dirfd, int job, char why[GATHER_WHY])
{
	char name[FILE_SIZE];
	struct stat st;
	int64_t since = 0;
	ssize_t n;
	int fd;

	failed_file(job, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	n = read(fd, why, GATHER_WHY - 1);
	why[n > 0 ? n : 0] = '\0';
	why[strcspn(why, "\n")] = '\0';
	if (fstat(fd, &st) == 0)
		since = st.st_mtime;
	close(fd);
	return since;
}

int gather_stamp_kit(int dirfd, const char *id, struct err *e)
{
	char line[ID_TEXT + 1];
	int n = snprintf(line, sizeof(line), "%s\n", id);

	return durable_write(dirfd, "job.key-kit", line, (size_t)n, 0644,
			     DURABLE_REPLACE, e);
}

/* The id of the key that the last kit was stamped with; empty: none. */
static void kit_id(const char *state, char out[ID_TEXT])
{
	char path[PATH_MAX];
	FILE *f;

	out[0] = '\0';
	snprintf(path, sizeof(path), "%s/job.key-kit", state);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	if (fgets(out, ID_TEXT, f) == NULL)
		out[0] = '\0';
	fclose(f);
}

void gather_kit(const struct gather *g, int64_t now, struct sample *ret)
{
	char have[ID_TEXT], want[ID_TEXT];
	const struct key *newest;
	struct keyring *keys;
	int64_t age;

	if (g->key == NULL || keyring_load(&keys, g->key, NULL) < 0)
		return;
	newest = &keys->keys[keys->n - 1];
	age = now - newest->created_ns / NS_PER_S;
	hex_encode(newest->id, SEG_KEY_ID_LEN, want);
	kit_id(g->state, have);
	if (newest->machine[0] == '\0')
		ret->values[METRIC_KEY_NO_KIT] = strcmp(have, want) == 0 ? 0
						 : age > 0		 ? age
									 : 1;
	keyring_free(keys);
}

/* ---- what is expected ---- */

static void since_file(int job, char out[FILE_SIZE])
{
	snprintf(out, FILE_SIZE, "%s.since", files[job]);
}

int gather_expect(int dirfd, int job, bool expected, struct err *e)
{
	char name[FILE_SIZE];
	int fd;

	since_file(job, name);
	if (!expected) {
		if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
			return err_sys(e, 0, "%s", name);
		return 0;
	}
	fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", name);
	if (fd >= 0) {
		(void)futimens(fd, NULL);
		close(fd);
	}
	return 0;
}

/* Is it one of the words of "receive,verify"? */
static bool is_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list != NULL && *list != '\0') {
		list += strspn(list, ", ");
		if (strncmp(list, word, n) == 0 &&
		    strchr(", ", list[n]) != NULL)
			return true;
		list += strcspn(list, ", ");
	}
	return false;
}

static bool was_expected(int dirfd, int job)
{
	char name[FILE_SIZE];

	since_file(job, name);
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Nobody runs it any more, so nobody could stamp it well again. */
static int drop_failure(int dirfd, int job, struct err *e)
{
	char name[FILE_SIZE];

	failed_file(job, name);
	return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT
		   ? err_sys(e, 0, "%s", name)
		   : 0;
}

int gather_expect_jobs(int dirfd, const char *names, struct err *e)
{
	int i, rc = 0;

	for (i = 0; rc == 0 && i < GATHER_JOBS; i++) {
		bool expected = is_word(names, gather_job_name(i));

		if (!expected && was_expected(dirfd, i))
			rc = drop_failure(dirfd, i, e);
		if (rc == 0)
			rc = gather_expect(dirfd, i, expected, e);
	}
	return rc;
}

static int64_t changed(const char *state, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", state, name);
	return stat(path, &st) == 0 ? st.st_mtime : 0;
}

/* Since the last success, or since one is expected. */
static int64_t age(const char *state, int job, int64_t now)
{
	int64_t at = changed(state, files[job]), since;
	char name[FILE_SIZE];

	since_file(job, name);
	since = changed(state, name);
	at = at > since ? at : since;
	if (at == 0)
		return METRIC_UNKNOWN;
	return now > at ? now - at : 0;
}

int64_t gather_heartbeat_age(const char *state, int64_t now)
{
	return age(state, GATHER_HEARTBEAT, now);
}

void gather_job_ages(const struct gather *g, int64_t now, struct sample *ret)
{
	int i;

	for (i = 0; i < GATHER_JOBS; i++)
		ret->values[METRIC_JOB_PRUNE + i] = age(g->state, i, now);
}
