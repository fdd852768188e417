/* What a process server does for a machine: its worker (server.h). */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "cache/move.h"
#include "net/channel.h"
#include "net/sandbox.h"
#include "net/session.h"

#define LIST_MAX (16 * 1024 * 1024u)

unsigned session_room_s(struct session *s, uint64_t bytes)
{
	struct drain *d = &s->srv->drain;
	int64_t now = mono_now_ns();
	uint64_t drained;

	if (s->cache == NULL)
		return DRAIN_MAX_S;
	drained = cache_drained(s->cache);
	drain_see(d, now, drained);
	return drain_wait_s(d, now, drained, bytes);
}

void session_fail(struct session *s, const struct err *e)
{
	bool gone = s->conn.broken || s->conn.eof;
	enum netlog_kind kind = netlog_kind(e);

	if (gone && kind == NETLOG_SEGMENT) /* the rest of it is missing */
		kind = NETLOG_LINE;
	netlog_err(&s->srv->log, s->peer, kind, "%s", e->msg);
	if (gone) {
		s->end = true;
	} else if (e->sys == ENOSPC || e->sys == EDQUOT) {
		session_later(s, 507, "cache-full",
			      session_room_s(s, SEG_DATA_DEFAULT), e->msg);
	} else if (e->sys == EFBIG) { /* whatever leaves the cache */
		session_later(s, 507, "too-large", DRAIN_MAX_S, e->msg);
	} else if (e->code == PS_TEMPFAIL) {
		session_later(s, 503, "busy", SESSION_RETRY_BUSY_S, e->msg);
	} else {
		s->end = true;
		session_say(
		    s, e->code == PS_DATA || e->code == PS_PROTOCOL ? 400 : 500,
		    "%s", e->msg);
	}
}

bool session_may(const struct session *s, const char *machine, bool write)
{
	if (strcmp(s->machine, LOGIN_OPERATOR) == 0)
		return !write;
	return strcmp(s->machine, machine) == 0;
}

/* ---- heads ---- */

static void put_line(FILE *f, struct ack *a, enum ack_level level, uint64_t seq,
		     const uint8_t digest[SHA256_LEN])
{
	char line[ACK_LINE_SIZE];

	a->level = level;
	a->seq = seq;
	memcpy(a->digest, digest, SHA256_LEN);
	ack_format(a, line);
	fputs(line, f);
}

static int print_head(void *ctx, const char *machine, const char *disk,
		      const struct cache_head *h, struct err *e)
{
	static const uint8_t none[SHA256_LEN];
	struct ack a = {0};
	FILE *f = ctx;

	snprintf(a.machine, sizeof(a.machine), "%s", machine);
	snprintf(a.disk, sizeof(a.disk), "%s", disk);
	if (h->seated) {
		a.head = true;
		put_line(f, &a, ACK_DURABLE, h->seq, h->digest);
		put_line(f, &a, ACK_STORED, h->stored_seq, h->stored_digest);
		a.head = false;
	} else {
		snprintf(a.reason, sizeof(a.reason), "unseated");
		put_line(f, &a, ACK_REFUSED, 0, none);
	}
	if (h->held) { /* sequence 0 would say that it is not seated */
		snprintf(a.reason, sizeof(a.reason), "held: %.240s", h->reason);
		put_line(f, &a, ACK_REFUSED, h->seq > 0 ? h->seq : 1,
			 h->digest);
	}
	if (ferror(f) || ftell(f) > (long)LIST_MAX)
		return err_set(e, PS_TEMPFAIL, "list of heads too long");
	return 0;
}

static void answer_text(struct session *s, FILE *f, char **text, size_t *len,
			int rc, const struct err *e)
{
	if (fclose(f) != 0 && rc == 0)
		rc = -PS_TEMPFAIL;
	if (rc == 0) {
		session_answer(
		    s, &(struct answer){200, *text, *len, NULL, 0, NULL});
	} else {
		session_fail(s, e);
	}
	free(*text);
}

/*
 * A machine that has gone to another server is told so. Asked before its disk
 * is looked for: that would make it one that waits for a seat here.
 */
static bool answer_moved(struct session *s, const char *machine)
{
	char words[ACK_REASON_SIZE];
	struct move_mark m;
	struct err e = {0};

	if (cache_move_mark(s->cache, machine, &m, &e) < 0) {
		session_fail(s, &e);
		return true;
	}
	if (m.state == MOVE_NONE)
		return false;
	cache_move_words(&m, words);
	session_later(s, 503,
		      m.state == MOVE_LEAVING ? SESSION_MOVING : SESSION_MOVED,
		      SESSION_RETRY_MOVE_S, words);
	return true;
}

void session_head(struct session *s)
{
	const char *machine = s->part[2], *disk = s->part[4];
	struct cache_head h;
	struct err e = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f;
	int rc = 0;

	/*
	 * For the machine itself the answer is final: nothing that an older
	 * connection has not put yet comes later. Whoever seats disks sees by
	 * the same that this one is asked for.
	 */
	if (session_may(s, machine, true)) {
		rc = cache_fence(s->cache, machine, disk, &e);
		if (rc == 0 && answer_moved(s, machine)) { /* just now */
			cache_move_sweep(s->cache, machine, disk);
			return;
		}
	}
	f = open_memstream(&text, &len);
	if (f == NULL) {
		session_say(s, 500, "out of memory");
		return;
	}
	if (rc == 0)
		rc = cache_head(s->cache, machine, disk, &h, &e);
	if (rc == 0)
		rc = print_head(f, machine, disk, &h, &e);
	answer_text(s, f, &text, &len, rc, &e);
}

void session_list(struct session *s, const char *machine)
{
	struct err e = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (f == NULL) {
		session_say(s, 500, "out of memory");
		return;
	}
	rc = cache_disks(s->cache, machine, print_head, f, &e);
	answer_text(s, f, &text, &len, rc, &e);
}

/* ---- the way to each of them ---- */

static bool is_part(const struct session *s, int i, const char *word)
{
	return i < s->nparts && strcmp(s->part[i], word) == 0;
}

/* Somebody with a login tries what none of ours would. */
static void refuse(struct session *s, unsigned status, const char *words)
{
	netlog_err(&s->srv->log, s->peer, NETLOG_PLACE,
		   "the login '%s' is answered %u: %s; cxps.xfer has the path",
		   s->machine, status, words);
	session_say(s, status, "%s", words);
}

static void machines(struct session *s)
{
	bool get = strcmp(s->head.method, "GET") == 0;
	bool put = strcmp(s->head.method, "PUT") == 0;
	const char *machine = s->nparts > 2 ? s->part[2] : NULL;
	bool all = strcmp(s->machine, LOGIN_OPERATOR) == 0;

	if (machine != NULL && !name_ok(machine))
		refuse(s, 400, "not the name of a machine");
	else if (machine != NULL && !session_may(s, machine, put))
		refuse(s, 403, "not for this login");
	else if (s->nparts <= 3 && get)
		session_list(s, machine != NULL ? machine
				: all		? NULL
						: s->machine);
	else if (machine == NULL || s->nparts < 5 || !is_part(s, 3, "disks"))
		session_say(s, 404, "no such place");
	else if (!name_ok(s->part[4]))
		refuse(s, 400, "not the name of a disk");
	else if (get && !all && answer_moved(s, machine))
		return;
	else if (s->nparts == 5 && get)
		session_head(s);
	else if (s->nparts == 6 && is_part(s, 5, "map") && get)
		session_map(s);
	else if (s->nparts == 7 && is_part(s, 5, "segments") && put)
		session_put(s);
	else
		session_say(s, s->nparts == 5 || s->nparts == 7 ? 405 : 404,
			    "no such place or method");
}

static void dispatch(struct session *s)
{
	char now[TIME_TEXT];

	if (s->cache == NULL) {
		s->end = true;
		session_say(s, 500, "%s", s->why.msg);
	} else if (s->nparts < 1) { /* what a browser asks for */
		session_say(s, 400, "Bad Request");
	} else if (!is_part(s, 0, "v1")) {
		session_say(s, 404, "no such place");
	} else if (is_part(s, 1, "machines")) {
		machines(s);
	} else if (is_part(s, 1, "probe")) {
		session_probe(s);
	} else if (is_part(s, 1, "time") && s->nparts == 2 &&
		   strcmp(s->head.method, "GET") == 0) {
		format_time(time_now_ns(), now);
		session_say(s, 200, "time\t%s", now);
	} else {
		session_say(s, 404, "no such place");
	}
}

/* ---- begin and end ---- */

static int end_holder(void *ctx, const char *disk, bool force, struct err *e)
{
	const struct session *s = ctx;

	return channel_ask(s->srv->log.channel, CHANNEL_END_HOLDER, force, disk,
			   e);
}

static void storage_failed(void *ctx, const char *words)
{
	const struct session *s = ctx;

	(void)channel_ask(s->srv->log.channel, CHANNEL_FAILED, 0, words, NULL);
}

/* Opens what this login may see, and locks the door behind us. */
static int enter(struct session *s, struct err *e)
{
	bool all = strcmp(s->machine, LOGIN_OPERATOR) == 0;
	enum sandbox_role role = all ? SANDBOX_OPERATOR : SANDBOX_WORKER;
	int dirfd = -1, rc;

	if (cache_open(&s->cache, s->srv->cache, &s->why) < 0) {
		netlog_err(&s->srv->log, s->peer, NETLOG_OWN, "%s", s->why.msg);
		s->cache = NULL;
	} else {
		cache_help(s->cache,
			   &(struct cache_help){s, end_holder, storage_failed});
		dirfd = cache_folder(s->cache, all ? NULL : s->machine, NULL);
	}
	/* A name that no machine can have here has no folder. */
	rc = sandbox_enter(dirfd >= 0 ? role : SANDBOX_GATE, dirfd, e);
	if (dirfd >= 0)
		close(dirfd);
	return rc;
}

static void leave(struct session *s)
{
	if (s->cache != NULL)
		cache_close(s->cache);
	probes_free(&s->probes);
}

int session_cache_run(struct server *srv, int fd, int lent,
		      const struct keeper_notice *who, const char *peer)
{
	static const struct session_work work = {enter, dispatch, leave, NULL};

	(void)lent;
	return session_run(srv, fd, who->machine, peer, &work);
}
