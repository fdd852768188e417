#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "cache/follower.h"
#include "cache/move.h"

#define MARK_FILE ".moved"
#define MARK_HEAD "ps-cache-moved 1\n"
#define MARK_MAX 200
#define TAKE_TRIES 5 /* younger connections that are in the way */

static const char *const state_words[] = {
    [MOVE_LEAVING] = "leaving", [MOVE_MOVED] = "moved", [MOVE_LEFT] = "left"};
#define STATES (sizeof(state_words) / sizeof(state_words[0]))

/* ---- the mark ---- */

static int parse_mark(const char *text, struct move_mark *ret)
{
	const char *p = text + strlen(MARK_HEAD), *end;
	size_t i, n;

	if (strncmp(text, MARK_HEAD, strlen(MARK_HEAD)) != 0)
		return -1;
	for (i = MOVE_LEAVING; i < STATES; i++) {
		n = strlen(state_words[i]);
		if (strncmp(p, state_words[i], n) == 0 && p[n] == ' ')
			break;
	}
	if (i == STATES)
		return -1;
	p += n + 1;
	end = strchr(p, '\n');
	if (end == NULL || end[1] != '\0' || !name_ok_n(p, (size_t)(end - p)))
		return -1;
	*ret = (struct move_mark){.state = (enum move_state)i};
	memcpy(ret->to, p, (size_t)(end - p));
	return 0;
}

int cache_move_mark(struct cache *c, const char *machine, struct move_mark *ret,
		    struct err *e)
{
	char path[NAME_SIZE + sizeof(MARK_FILE) + 1], text[MARK_MAX + 1];
	ssize_t n;
	int fd;

	*ret = (struct move_mark){.state = MOVE_NONE};
	if (!cache_machine_ok(machine))
		return err_set(e, PS_USAGE, "'%.80s' cannot be a machine here",
			       machine);
	snprintf(path, sizeof(path), "%s/" MARK_FILE, machine);
	fd = openat(c->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, 0, "%s", path);
	n = io_read_full(fd, text, MARK_MAX);
	close(fd);
	if (n < 0)
		return err_sys(e, 0, "%s", path);
	text[n] = '\0';
	if (parse_mark(text, ret) < 0)
		return err_set(e, PS_DATA, "cache %s: %s: damaged", c->path,
			       path);
	return 0;
}

void cache_move_words(const struct move_mark *m, char out[ACK_REASON_SIZE])
{
	if (m->state == MOVE_LEAVING)
		snprintf(out, ACK_REASON_SIZE,
			 "the machine moves to %s: what is here is being "
			 "stored",
			 m->to);
	else
		snprintf(out, ACK_REASON_SIZE,
			 "the machine has moved to %s: ask the configuration "
			 "server",
			 m->to);
}

static int write_mark(struct cache *c, const char *machine,
		      enum move_state state, const char *to, struct err *e)
{
	char text[MARK_MAX];
	int dirfd, rc,
	    n = snprintf(text, sizeof(text), MARK_HEAD "%s %s\n",
			 state_words[state], to);

	dirfd = cache_folder(c, machine, e);
	if (dirfd < 0)
		return dirfd;
	durable_sweep_dead(dirfd);
	rc = durable_write(dirfd, MARK_FILE, text, (size_t)n, 0600,
			   DURABLE_REPLACE, e);
	if (rc == 0)
		rc = durable_sync(c->dirfd, c->path, e);
	close(dirfd);
	return cache_note_failure(c, rc, e);
}

static int remove_mark(struct cache *c, const char *machine, struct err *e)
{
	int dirfd = cache_folder(c, machine, e), rc = 0;

	if (dirfd < 0)
		return dirfd;
	if (unlinkat(dirfd, MARK_FILE, 0) < 0 && errno != ENOENT)
		rc = err_sys(e, 0, "%s/" MARK_FILE, machine);
	if (rc == 0)
		rc = durable_sync(dirfd, machine, e);
	close(dirfd);
	return cache_note_failure(c, rc, e);
}

/* ---- what is here ---- */

static void add_words(char *out, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void add_words(char *out, size_t size, const char *fmt, ...)
{
	size_t n = strlen(out);
	va_list ap;

	if (n > 0 && n + 3 < size)
		n += (size_t)snprintf(out + n, size - n, "; ");
	va_start(ap, fmt);
	vsnprintf(out + n, size - n, fmt, ap);
	va_end(ap);
}

static int count_left(struct folder *f, const struct folder_state *s,
		      struct move_left *left, struct err *e)
{
	uint64_t bytes = 0;
	int rc = folder_bytes(f, &s->list, &bytes, e);

	if (rc < 0 || s->list.n == 0)
		return rc;
	left->disks++;
	left->segments += s->list.n;
	left->bytes += bytes;
	add_words(left->words, sizeof(left->words),
		  "%s: %zu segments, %llu to %llu", f->disk, s->list.n,
		  (unsigned long long)s->list.seqs[0],
		  (unsigned long long)s->list.seqs[s->list.n - 1]);
	if (s->head.held && left->held[0] == '\0')
		snprintf(left->held, sizeof(left->held), "%s: %s", f->disk,
			 s->head.reason);
	return 0;
}

/* What is done with each disk, with its lock. */
typedef int state_fn(void *ctx, struct folder *f, struct folder_state *s,
		     struct err *e);
struct with_state {
	state_fn *fn;
	void *ctx;
};

static int with_state(void *ctx, struct folder *f, struct err *e)
{
	const struct with_state *w = ctx;
	struct folder_state s;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	if (rc == 0) {
		rc = w->fn(w->ctx, f, &s, e);
		folder_state_free(&s);
	}
	folder_unlock(f);
	return rc;
}

static int each_state(struct cache *c, const char *machine, state_fn *fn,
		      void *ctx, struct err *e)
{
	struct with_state w = {fn, ctx};

	return folder_each(c, machine, with_state, &w, e);
}

static int look_left(void *ctx, struct folder *f, struct folder_state *s,
		     struct err *e)
{
	return count_left(f, s, ctx, e);
}

static int find_left(struct cache *c, const char *machine,
		     struct move_left *left, struct err *e)
{
	struct follower_list all = {0};
	int rc = follower_list(c, &all, e);

	*left = (struct move_left){.followers = all.n};
	return rc < 0 ? rc : each_state(c, machine, look_left, left, e);
}

/* ---- who is sending ---- */

/*
 * Whoever adds to this disk is ended, and the next one sees the mark. We count
 * as opened now: a connection that came before the mark is older than that.
 */
static int end_writer(void *ctx, struct folder *f, struct err *e)
{
	struct cache_lease *l;
	int rc = 0, i;

	(void)ctx;
	for (i = 0; i < TAKE_TRIES; i++) {
		f->c->opened_ns = mono_now_ns();
		rc = cache_take(f->c, f->machine, f->disk, &l, e);
		if (rc != -PS_TEMPFAIL)
			break;
	}
	if (rc == 0)
		cache_release(l);
	return rc;
}

/* ---- forgetting ---- */

static int only_files(const struct dirent *ent)
{
	return strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0;
}

/* All files of the folder; the head is the first to go. */
static int empty_folder(struct folder *f, struct err *e)
{
	struct dirent **names;
	int n, rc = 0;

	if (unlinkat(f->dirfd, "head", 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s/%s/head", f->machine, f->disk);
	n = scandirat(f->dirfd, ".", &names, only_files, NULL);
	if (n < 0)
		return err_sys(e, 0, "%s/%s", f->machine, f->disk);
	while (n-- > 0) {
		if (unlinkat(f->dirfd, names[n]->d_name, 0) < 0 &&
		    errno != ENOENT && rc == 0)
			rc = err_sys(e, 0, "%s/%s/%s", f->machine, f->disk,
				     names[n]->d_name);
		free(names[n]);
	}
	free(names);
	return rc;
}

struct forgetting {
	bool drop; /* also what was never stored */
};

/*
 * Its lock and lease go with it: who has them open holds files that are
 * nobody's any more, and finds no folder to write to.
 */
static int forget_disk(void *ctx, struct folder *f, struct folder_state *s,
		       struct err *e)
{
	const struct forgetting *how = ctx;
	int at, i, rc = 0;

	if (s->list.n > 0 && !how->drop)
		return 0;
	at = openat(f->c->dirfd, f->machine,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (at < 0)
		return err_sys(e, 0, "folder %s", f->machine);
	/* Somebody may just have come to see that it has gone. */
	for (i = 0; i < TAKE_TRIES && rc == 0; i++) {
		rc = empty_folder(f, e);
		if (rc < 0 || unlinkat(at, f->disk, AT_REMOVEDIR) == 0 ||
		    errno == ENOENT)
			break;
		if (errno != ENOTEMPTY)
			rc = err_sys(e, 0, "folder %s/%s", f->machine, f->disk);
	}
	if (rc == 0)
		rc = durable_sync(at, f->machine, e);
	close(at);
	return rc;
}

static int forget(struct cache *c, const char *machine, bool drop,
		  struct err *e)
{
	struct forgetting how = {drop};

	return cache_note_failure(
	    c, each_state(c, machine, forget_disk, &how, e), e);
}

/* The mark is looked at with the lock: the machine may have come back. */
static int sweep_disk(void *ctx, struct folder *f, struct folder_state *s,
		      struct err *e)
{
	struct move_mark m;
	int rc = cache_move_mark(f->c, f->machine, &m, e);

	if (rc < 0 || (m.state != MOVE_MOVED && m.state != MOVE_LEFT))
		return rc;
	return forget_disk(ctx, f, s, e);
}

void cache_move_sweep(struct cache *c, const char *machine, const char *disk)
{
	struct cache_lease *l = lease_find(c, machine, disk);
	struct forgetting how = {false};
	struct with_state w = {sweep_disk, &how};

	if (l == NULL)
		return;
	/* What fails here only leaves an empty folder behind. */
	(void)with_state(&w, &l->f, NULL);
	cache_release(l);
}

/* ---- the old server ---- */

static int say_held(const char *machine, const struct move_left *left,
		    struct err *e)
{
	int rc = err_set(e, PS_NO,
			 "%s/%s: on hold: what is here of it is not "
			 "stored",
			 machine, left->held);

	err_hint(e,
		 "seat it first (ps-cache(1), seat), or let the "
		 "machine stay: ps-cache move-stay %s",
		 machine);
	return rc;
}

/*
 * What another cache has is not in the vault yet, and TO begins where the
 * vault is: it would take the numbers of segments that are still to come. So
 * where there are relays, a follower that stores must have had the last one.
 */
struct storing {
	struct follower_list who;
	unsigned relays;
	char unknown[NAME_SIZE]; /* a disk of which none has; or empty */
};

static int find_storing(struct cache *c, struct storing *s, struct err *e)
{
	struct follower_list all;
	int rc = follower_list(c, &all, e);
	unsigned i;

	*s = (struct storing){.relays = 0};
	for (i = 0; rc >= 0 && i < all.n; i++) {
		rc = follower_is_relay(c, all.names[i], e);
		if (rc > 0)
			s->relays++;
		else if (rc == 0)
			memcpy(s->who.names[s->who.n++], all.names[i],
			       NAME_SIZE);
	}
	return rc < 0 ? rc : 0;
}

static int look_stored(void *ctx, struct folder *f, struct folder_state *st,
		       struct err *e)
{
	struct storing *s = ctx;
	const struct mark *at;
	unsigned i;

	(void)e;
	if (!st->seated || st->last.seq == 0)
		return 0;
	for (i = 0; i < s->who.n; i++) {
		at = head_position(&st->head, s->who.names[i]);
		if (at != NULL && at->seq >= st->last.seq)
			return 0;
	}
	memcpy(s->unknown, f->disk, NAME_SIZE);
	return 0;
}

/* `at_first`: what is here may still be stored, if anybody does that. */
static int check_relays(struct cache *c, const char *machine, bool at_first,
			struct err *e)
{
	struct storing s;
	int rc = find_storing(c, &s, e);

	if (rc < 0 || s.relays == 0 || (at_first && s.who.n > 0))
		return rc;
	rc = each_state(c, machine, look_stored, &s, e);
	if (rc < 0 || s.unknown[0] == '\0')
		return rc;
	rc = err_set(e, PS_NO,
		     "%s/%s: only a relay took it: whether the vault has it is "
		     "not known here",
		     machine, s.unknown);
	err_hint(e, "let a follower store from here, too (ps-cache(1), "
		    "follow), and move it when that has stored its next "
		    "segment");
	return rc;
}

int cache_move_out(struct cache *c, const char *machine, const char *to,
		   struct move_left *left, struct err *e)
{
	struct move_mark m;
	int rc = name_check("server", to, PS_USAGE, e);

	*left = (struct move_left){0};
	if (rc == 0)
		rc = cache_move_mark(c, machine, &m, e);
	if (rc == 0 && m.state != MOVE_MOVED)
		rc = check_relays(c, machine, true, e);
	if (rc == 0 && m.state != MOVE_MOVED &&
	    (m.state != MOVE_LEAVING || strcmp(m.to, to) != 0))
		rc = write_mark(c, machine, MOVE_LEAVING, to, e);
	if (rc == 0)
		rc = folder_each(c, machine, end_writer, NULL, e);
	if (rc == 0)
		rc = find_left(c, machine, left, e);
	if (rc < 0)
		return rc;
	if (left->held[0] != '\0')
		return say_held(machine, left, e);
	if (left->segments > 0)
		return 1;
	if (m.state != MOVE_MOVED)
		rc = check_relays(c, machine, false, e);
	if (rc == 0)
		rc = write_mark(c, machine, MOVE_MOVED, to, e);
	return rc < 0 ? rc : forget(c, machine, false, e);
}

/* What was never stored may not be stored any more: it is another's turn. */
static int hold_left(void *ctx, struct folder *f, struct folder_state *s,
		     struct err *e)
{
	char words[ACK_REASON_SIZE];
	const char *to = ctx;

	if (s->list.n == 0 || s->head.held)
		return 0;
	snprintf(words, sizeof(words),
		 "moved to %s while this server was away; these were never "
		 "stored",
		 to);
	head_hold(&s->head, 0, words);
	s->head.accepted = s->last;
	s->head.initial = s->initial;
	return cache_note_failure(f->c, head_write(f->dirfd, &s->head, e), e);
}

int cache_move_left(struct cache *c, const char *machine, const char *to,
		    struct move_left *left, struct err *e)
{
	int rc = name_check("server", to, PS_USAGE, e);

	*left = (struct move_left){0};
	if (rc == 0)
		rc = write_mark(c, machine, MOVE_LEFT, to, e);
	if (rc == 0)
		rc = folder_each(c, machine, end_writer, NULL, e);
	if (rc == 0)
		rc = each_state(c, machine, hold_left, (void *)to, e);
	if (rc == 0)
		rc = find_left(c, machine, left, e);
	return rc < 0 ? rc : forget(c, machine, false, e);
}

int cache_move_stay(struct cache *c, const char *machine, struct err *e)
{
	struct move_mark m;
	int rc = cache_move_mark(c, machine, &m, e);

	if (rc < 0 || m.state == MOVE_NONE)
		return rc;
	if (m.state != MOVE_LEAVING)
		return err_set(e, PS_NO, "%s: has moved to %s already", machine,
			       m.to);
	return remove_mark(c, machine, e);
}

/* ---- the new server ---- */

int cache_move_in(struct cache *c, const char *machine, bool drop,
		  struct move_left *left, struct err *e)
{
	struct move_mark m;
	int rc = cache_move_mark(c, machine, &m, e);

	*left = (struct move_left){0};
	if (rc < 0 || m.state == MOVE_NONE)
		return rc; /* it is at home here */
	if (m.state == MOVE_LEAVING)
		return err_set(e, PS_NO, "%s: is leaving for %s", machine,
			       m.to);
	rc = find_left(c, machine, left, e);
	if (rc == 0 && left->segments > 0 && !drop) {
		rc = err_set(e, PS_NO,
			     "%s: segments are here that were never stored "
			     "(%s)",
			     machine, left->words);
		err_hint(e,
			 "when nobody needs them: ps-cache move-in %s "
			 "--drop",
			 machine);
	}
	/* Heads of before would not be true any more. */
	if (rc == 0)
		rc = forget(c, machine, drop, e);
	return rc < 0 ? rc : remove_mark(c, machine, e);
}

static int look_seat(void *ctx, struct folder *f, struct folder_state *s,
		     struct err *e)
{
	struct move_seats *seats = ctx;

	(void)e;
	if (!s->seated) {
		seats->waiting++;
		return 0;
	}
	seats->seated++;
	add_words(seats->words, sizeof(seats->words), "%s has segment %llu",
		  f->disk, (unsigned long long)s->last.seq);
	return 0;
}

int cache_move_seats(struct cache *c, const char *machine,
		     struct move_seats *ret, struct err *e)
{
	*ret = (struct move_seats){0};
	return each_state(c, machine, look_seat, ret, e);
}
