#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cache/spool.h"
#include "cache/watch.h"

void watch_open(struct watch *w)
{
	*w = (struct watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
	w->lacking = w->fd < 0;
}

void watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->owner);
	*w = (struct watch){.fd = -1};
}

static bool remember(struct watch *w, int wd, void *owner)
{
	if ((size_t)wd >= w->nowners) {
		size_t n = (size_t)wd + 64;
		void **grown = realloc(w->owner, n * sizeof(*grown));

		if (grown == NULL)
			return false;
		memset(grown + w->nowners, 0,
		       (n - w->nowners) * sizeof(*grown));
		w->owner = grown;
		w->nowners = n;
	}
	w->owner[wd] = owner;
	return true;
}

void watch_add(struct watch *w, const char *path, void *owner)
{
	/* A put links its file; a head is renamed over the old one. */
	int wd = w->fd < 0
		     ? -1
		     : inotify_add_watch(w->fd, path,
					 IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);

	if (wd < 0 || !remember(w, wd, owner))
		w->lacking = true;
}

/* Is it an event that matters, and to whom? */
static void one(struct watch *w, const struct inotify_event *ev, watch_fn *fn,
		void *ctx)
{
	void *owner = NULL;
	uint64_t seq;

	if ((ev->mask & IN_IGNORED) != 0)
		return;
	if ((ev->mask & IN_Q_OVERFLOW) == 0 && (size_t)ev->wd < w->nowners)
		owner = w->owner[ev->wd];
	if (owner != NULL && (ev->len == 0 || (!spool_seq(ev->name, &seq) &&
					       strcmp(ev->name, "head") != 0)))
		return; /* a temporary name */
	fn(ctx, owner);
}

void watch_read(struct watch *w, watch_fn *fn, void *ctx)
{
	char buf[16 * 1024]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t got, at;

	while ((got = read(w->fd, buf, sizeof(buf))) > 0)
		for (at = 0; at < got;) {
			const struct inotify_event *ev = (void *)(buf + at);

			one(w, ev, fn, ctx);
			at += (ssize_t)(sizeof(*ev) + ev->len);
		}
}
