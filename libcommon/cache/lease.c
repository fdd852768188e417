#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/units.h"
#include "cache/folder.h"

#define LEASE_FILE ".lease"
#define TERM_WAIT_S 5	  /* a holder may finish what is in flight */
#define KILL_WAIT_S 10	  /* then it is gone, or stuck in the kernel */
#define OWN_LEASES_MAX 64 /* that one cache_put stream keeps open */

struct cache_lease *lease_find(struct cache *c, const char *machine,
			       const char *disk)
{
	struct cache_lease **p, *l;

	for (p = &c->leases; (l = *p) != NULL; p = &l->next)
		if (strcmp(l->f.disk, disk) == 0 &&
		    strcmp(l->f.machine, machine) == 0) {
			*p = l->next;
			l->next = c->leases;
			return c->leases = l;
		}
	return NULL;
}

/* The process that has the lock: its id, 0 when nobody has it, -CODE. */
static pid_t holder(int fd, struct err *e)
{
	struct flock who = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &who) < 0)
		return err_sys(e, 0, "lease");
	if (who.l_type == F_UNLCK)
		return 0;
	/* Seen from another pid namespace it has no number for us. */
	return who.l_pid > 0 ? who.l_pid
			     : err_set(e, PS_TEMPFAIL,
				       "held by a process that cannot be seen");
}

struct ending {
	pid_t pid; /* who has been asked to end */
	bool killed;
	int64_t until; /* how long to wait for that */
};

static int signal_holder(struct cache_lease *l, pid_t pid, int sig,
			 struct err *e)
{
	const struct cache_help *help = &l->f.c->help;

	if (help->end_holder != NULL)
		return help->end_holder(help->ctx, l->f.disk, sig == SIGKILL,
					e);
	if (kill(pid, sig) < 0 && errno != ESRCH)
		return err_sys(e, PS_TEMPFAIL, "cannot end process %ld",
			       (long)pid);
	return 0;
}

/* Asks the holder, then forces it. */
static int end_holder(struct cache_lease *l, struct ending *w, pid_t pid,
		      struct err *e)
{
	bool asked = w->pid == pid;
	int sig = asked ? SIGKILL : SIGTERM, rc;

	if (asked && mono_now_ns() < w->until)
		return 0;
	if (asked && w->killed)
		return err_set(e, PS_TEMPFAIL, "process %ld does not end",
			       (long)pid);
	rc = signal_holder(l, pid, sig, e);
	if (rc < 0)
		return rc;
	w->pid = pid;
	w->killed = sig == SIGKILL;
	w->until =
	    mono_now_ns() + (w->killed ? KILL_WAIT_S : TERM_WAIT_S) * NS_PER_S;
	return 0;
}

static int lock_lease(struct cache_lease *l, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int64_t end = mono_now_ns() + 60 * NS_PER_S; /* many rivals in a row */
	struct timespec pause = {0, 1000000};
	struct ending w = {0};
	int fd = l->fd;

	while (fcntl(fd, F_SETLK, &lock) < 0) {
		pid_t pid;
		int rc;

		if (errno != EACCES && errno != EAGAIN && errno != EINTR)
			return err_sys(e, 0, "lease");
		pid = holder(fd, e);
		if (pid < 0)
			return (int)pid;
		if (pid == 0)
			continue;
		rc = mono_now_ns() < end
			 ? end_holder(l, &w, pid, e)
			 : err_set(e, PS_TEMPFAIL, "taken again and again");
		if (rc < 0)
			return rc;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int cache_end_holder(struct cache *c, const char *machine, const char *disk,
		     bool force, pid_t except, struct err *e)
{
	struct folder f;
	int fd, rc = folder_open(&f, c, machine, disk, false, e);
	pid_t pid = 0;

	if (rc <= 0)
		return rc;
	rc = 0;
	fd = openat(f.dirfd, LEASE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		pid = holder(fd, e);
		close(fd);
	} else if (errno != ENOENT) {
		rc = err_sys(e, 0, "lease");
	}
	folder_close(&f);
	if (pid < 0)
		return (int)pid;
	if (pid > 0 && pid != except &&
	    kill(pid, force ? SIGKILL : SIGTERM) < 0 && errno != ESRCH)
		rc = err_sys(e, PS_TEMPFAIL, "cannot end process %ld",
			     (long)pid);
	return rc;
}

int lease_refresh(struct cache_lease *l, struct err *e)
{
	struct folder_state s;
	int rc = folder_lock(&l->f, true, e);

	if (rc < 0)
		return rc;
	durable_sweep_dead(l->f.dirfd); /* a digest map may be on its way */
	rc = folder_state(&l->f, &s, e);
	folder_unlock(&l->f);
	if (rc < 0)
		return rc;
	rc = folder_bytes(&l->f, &s.list, &l->bytes, e);
	l->known = s.known;
	l->last = s.last;
	l->initial = s.initial;
	folder_state_free(&s);
	return rc;
}

static int take(struct cache_lease *l, struct err *e)
{
	int rc;

	l->fd =
	    openat(l->f.dirfd, LEASE_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (l->fd < 0)
		return err_sys(e, 0, "lease");
	rc = lock_lease(l, e);
	if (rc == 0)
		rc = folder_sync_path(&l->f, e);
	if (rc == 0)
		rc = lease_refresh(l, e);
	/* The last one may have been killed before it could do this. */
	if (rc == 0)
		rc = durable_sync(l->f.dirfd, "segments", e);
	return cache_note_failure(l->f.c, rc, e);
}

int cache_take(struct cache *c, const char *machine, const char *disk,
	       struct cache_lease **ret, struct err *e)
{
	struct cache_lease *l;
	int rc;

	/* A second descriptor, closed, would give the lock of the first up. */
	if (lease_find(c, machine, disk) != NULL)
		return err_set(e, PS_SOFTWARE, "%s/%s: taken twice", machine,
			       disk);
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return err_sys(e, 0, "lease");
	rc = folder_open(&l->f, c, machine, disk, true, e);
	if (rc < 0) {
		free(l);
		return rc;
	}
	rc = take(l, e);
	if (rc < 0) {
		err_prefix(e, "%s/%s", machine, disk);
		if (l->fd >= 0)
			close(l->fd);
		folder_close(&l->f);
		free(l);
		return rc;
	}
	l->next = c->leases;
	c->leases = l;
	*ret = l;
	return 0;
}

void cache_release(struct cache_lease *l)
{
	struct cache_lease **p;

	if (l == NULL)
		return;
	for (p = &l->f.c->leases; *p != NULL; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	close(l->fd);
	folder_close(&l->f);
	free(l);
}

/* Releases the one of ours that was longest unused, over the limit. */
static void bound_own(struct cache *c)
{
	struct cache_lease *l, *last = NULL;
	unsigned n = 0;

	for (l = c->leases; l != NULL; l = l->next)
		if (l->own) {
			n++;
			last = l;
		}
	if (n >= OWN_LEASES_MAX)
		cache_release(last);
}

int lease_get(struct cache *c, const char *machine, const char *disk,
	      struct cache_lease **ret, struct err *e)
{
	struct cache_lease *l = lease_find(c, machine, disk);
	int rc = 0;

	if (l == NULL) {
		bound_own(c);
		rc = cache_take(c, machine, disk, &l, e);
		if (rc == 0)
			l->own = true;
	}
	if (rc == 0)
		*ret = l;
	return rc;
}
