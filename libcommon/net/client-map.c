#include "config.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/progress.h"
#include "disk/digestmap.h"
#include "net/client.h"

/* What comes is checked on its way to where it goes. */
struct fetch {
	struct http_body body;
	int fd;
	uint64_t done;
};

static ssize_t fetch_read(void *ctx, void *buf, size_t n, struct err *e)
{
	struct fetch *f = ctx;
	ssize_t got = http_body_read(&f->body, buf, n, e);

	if (got > 0 && io_write_full(f->fd, buf, (size_t)got) < 0)
		return err_sys(e, 0, "digest map");
	if (got > 0)
		progress_at(f->done += (uint64_t)got);
	return got;
}

static int check(const struct digestmap_head *h, const char *machine,
		 const char *disk, struct err *e)
{
	if (strcmp(h->machine, machine) == 0 && strcmp(h->disk, disk) == 0)
		return 0;
	return err_set(e, PS_PROTOCOL,
		       "the server sent the digest map of %s/%s", h->machine,
		       h->disk);
}

static int receive(struct client *c, const char *machine, const char *disk,
		   int fd, struct err *e)
{
	const struct digestmap_sink nobody = {0};
	struct digestmap_head h;
	struct fetch f = {.fd = fd};
	struct io_in in = {0};
	int rc = io_in_open(&in, fetch_read, &f, "digest map", e);

	if (rc < 0)
		return rc;
	http_body_begin(&f.body, &c->in, &c->head, UINT64_MAX);
	progress_begin("map", c->head.length);
	rc = digestmap_read(&in, &nobody, &h, e);
	progress_end();
	io_in_close(&in);
	return rc < 0 ? rc : check(&h, machine, disk, e);
}

/* Into a file that is there whole or not at all. */
static int receive_file(struct client *c, const char *machine, const char *disk,
			const char *path, struct err *e)
{
	struct durable d = {.fd = -1};
	char *dir = strdup(path), *base = strdup(path);
	int dirfd = -1, rc = 0;

	if (dir == NULL || base == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "%s", path);
	if (rc == 0)
		dirfd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && dirfd < 0)
		rc = err_sys(e, 0, "%s", path);
	if (rc == 0)
		rc = durable_begin(&d, dirfd, basename(base), 0600, e);
	if (rc == 0)
		rc = receive(c, machine, disk, d.fd, e);
	if (rc == 0)
		rc = durable_commit(&d, DURABLE_REPLACE, e);
	durable_abort(&d);
	if (dirfd >= 0)
		close(dirfd);
	free(dir);
	free(base);
	return rc;
}

/* 200 has the map as its body; all others are words. */
static int judge(struct client *c, struct err *e)
{
	struct client_answer a;
	int rc = client_answer_body(c, &a, e);

	if (rc < 0)
		return rc;
	rc = client_judge(c, &a, e);
	if (a.status == 404)
		rc = err_set(e, PS_NO, "%s: %.*s", c->peer,
			     (int)strcspn(a.body, "\r\n"), a.body);
	else if (rc == 0)
		rc = err_set(e, PS_TEMPFAIL,
			     "%s: the digest map is being made (try again in "
			     "%u s)",
			     c->peer, a.retry_s);
	if (a.status == 404)
		err_hint(e, "begin a new base: ps-scan --commit --restart");
	client_answer_free(&a);
	return rc;
}

int client_map(struct client *c, const char *machine, const char *disk,
	       const char *path, struct err *e)
{
	char target[256];
	int rc;

	snprintf(target, sizeof(target), "/v1/machines/%s/disks/%s/map",
		 machine, disk);
	rc = client_send(c, "GET", target, NULL, 0, e);
	if (rc == 0)
		rc = client_answer_head(c, e);
	if (rc < 0)
		return rc;
	if (c->head.status != 200)
		return judge(c, e);
	return path == NULL ? receive(c, machine, disk, STDOUT_FILENO, e)
			    : receive_file(c, machine, disk, path, e);
}
