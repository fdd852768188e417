#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/io.h"
#include "trace/tracer.h"

#define PROBE 4096u /* bytes; a multiple of every sector size in use */
#define CUT_TRIES 5 /* for a moment in which nothing is lost */

static void on_event(void *ctx, const struct page_event *ev)
{
	struct tracer *t = ctx;
	const struct target *d = &t->target;
	uint64_t from = ev->sector, to = ev->sector + ev->sectors;

	if (strncmp(ev->comm, t->comm, TASK_COMM_SIZE) == 0) {
		if (ev->sector == d->start && ev->sectors == PROBE / SECTOR)
			t->probed = true;
		return;
	}
	t->events++;
	if (to <= d->start || from >= d->start + d->sectors)
		return;
	if (from < d->start)
		from = d->start;
	writebook_mark(&t->book, (from - d->start) * SECTOR,
		       (to - d->start) * SECTOR);
}

static void lost(struct tracer *t, const char *why)
{
	t->times_lost++;
	snprintf(t->why, sizeof(t->why), "%.199s", why);
	writebook_forget(&t->book);
}

void tracer_drain(struct tracer *t)
{
	struct err e = {0};
	int rc = instance_drain(&t->instance, on_event, t, &e);

	if (rc < 0)
		lost(t, e.msg);
	else if (rc > 0)
		lost(t, "the kernel's buffer was full, events were lost");
}

/* A read past the cache, which has to be seen like any write. */
static int probe(struct tracer *t, struct err *e)
{
	int fd = open(t->path, O_RDONLY | O_DIRECT | O_CLOEXEC), rc = 0;
	void *buf = NULL;

	if (fd < 0)
		return err_sys(e, PS_UNAVAILABLE, "%s", t->path);
	if (posix_memalign(&buf, PROBE, PROBE) != 0)
		rc = err_set(e, PS_TEMPFAIL, "out of memory");
	else if (io_pread_full(fd, buf, PROBE, 0) != (ssize_t)PROBE)
		rc = err_sys(e, PS_UNAVAILABLE, "%s cannot be read", t->path);
	free(buf);
	close(fd);
	return rc;
}

/*
 * Everything until now is in the book, or the book forgets. Losses are looked
 * at before and after: none may fall between the events and their count.
 */
static int settle(struct tracer *t, struct err *e)
{
	uint64_t before, after;
	int i, rc;

	for (i = 0; i < CUT_TRIES; i++) {
		t->probed = false;
		rc = instance_losses(&t->instance, &before, e);
		if (rc == 0)
			rc = probe(t, e);
		if (rc < 0)
			return rc;
		tracer_drain(t);
		rc = instance_losses(&t->instance, &after, e);
		if (rc < 0)
			return rc;
		if (after != t->losses)
			lost(t, "the kernel's buffer was full, events were "
				"lost");
		t->losses = after;
		if (after == before && t->probed)
			return 0;
	}
	return err_set(e, PS_UNAVAILABLE,
		       t->probed ? "%s: events are lost all the time"
				 : "%s: its reads do not show in the trace",
		       t->path);
}

/* 15 letters that no other task is likely to have. */
static int name_ourselves(struct tracer *t, struct err *e)
{
	uint32_t r;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_sys(e, PS_SOFTWARE, "getrandom");
	snprintf(t->comm, sizeof(t->comm), "pstrc-%08x", r);
	if (prctl(PR_SET_NAME, t->comm) < 0)
		return err_sys(e, PS_SOFTWARE, "prctl");
	return 0;
}

int tracer_open(struct tracer *t, const char *path, const char *name,
		uint64_t buffer, struct err *e)
{
	int rc;

	*t = (struct tracer){.path = path};
	t->instance = (struct instance){.folder = -1, .dir = -1};
	rc = target_find(&t->target, path, e);
	if (rc == 0)
		rc = name_ourselves(t, e);
	if (rc == 0)
		rc = writebook_open(&t->book, t->target.sectors * SECTOR, e);
	if (rc == 0)
		rc = instance_open(&t->instance, name, &t->target, t->comm,
				   buffer, e);
	if (rc == 0)
		rc = settle(t, e);
	if (rc < 0)
		tracer_close(t);
	t->times_lost = 0;
	t->why[0] = '\0';
	return rc;
}

void tracer_close(struct tracer *t)
{
	instance_close(&t->instance);
	writebook_close(&t->book);
}

int tracer_cut(struct tracer *t, const char *to, const char *base,
	       struct ranges *ret, const char **why, struct err *e)
{
	struct target now;
	int rc;

	if (target_find(&now, t->path, e) < 0)
		return -PS_UNAVAILABLE;
	if (!target_same(&t->target, &now))
		return err_set(e, PS_UNAVAILABLE,
			       "%s is not the disk any more that was traced",
			       t->path);
	rc = settle(t, e);
	if (rc < 0)
		return rc;
	rc = writebook_cut(&t->book, to, base, ret, e);
	*why = "";
	if (rc == 1)
		*why = base[0] == '\0'	   ? "no base was named"
		       : t->why[0] != '\0' ? t->why
					   : "this base was not traced";
	return rc;
}
