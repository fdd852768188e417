#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "cache/mapfile.h"
#include "net/session.h"

#define RETRY_ASKED_S 5 /* it is being made */
#define RETRY_SEAT_S 30 /* somebody has to seat it */
#define COPY_SIZE (64 * 1024u)

/* Sends the file behind the head of the answer. */
static int send_map(void *ctx, struct conn *conn, struct err *e)
{
	const struct mapfile *m = ctx;
	uint8_t *buf = malloc(COPY_SIZE);
	uint64_t at = 0;
	int rc = 0;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "digest map");
	while (rc == 0 && at < m->bytes) {
		size_t n = m->bytes - at < COPY_SIZE ? (size_t)(m->bytes - at)
						     : COPY_SIZE;

		if (io_pread_full(m->fd, buf, n, at) != (ssize_t)n)
			rc = err_sys(e, PS_IOERR, "digest map");
		else
			rc = conn_write(conn, buf, n, e);
		at += n;
	}
	free(buf);
	return rc;
}

static void later(struct session *s, unsigned status, const char *cause,
		  unsigned retry_s, const char *line, size_t n)
{
	session_answer(s,
		       &(struct answer){status, line, n, cause, retry_s, NULL});
}

#define LATER(s, status, cause, retry_s, line)                                 \
	later(s, status, cause, retry_s, line, sizeof(line) - 1)

static void answer(struct session *s, struct mapfile *m)
{
	switch (m->answer) {
	case MAPFILE_READY:
		session_stream(s, m->bytes, send_map, m);
		close(m->fd);
		break;
	case MAPFILE_ASKED:
		LATER(s, 202, "making-map", RETRY_ASKED_S,
		      "the digest map is being made\n");
		break;
	case MAPFILE_NOBODY:
		session_say(s, 404, "nobody makes digest maps here");
		break;
	case MAPFILE_REFUSED:
		session_say(s, 404, "no digest map: %s", m->why);
		break;
	case MAPFILE_NONE:
		session_say(s, 404, "nothing was taken of this disk yet");
		break;
	case MAPFILE_HELD:
		if (m->head.held)
			LATER(s, 423, "held", RETRY_SEAT_S,
			      "the disk is on hold\n");
		else
			LATER(s, 503, "unseated", RETRY_SEAT_S,
			      "the disk has to be seated\n");
		break;
	}
}

/*
 * What stands in a map would confirm a guess of what stands on the disk: it
 * is for the machine itself, not for an operator.
 */
void session_map(struct session *s)
{
	const char *machine = s->part[2], *disk = s->part[4];
	struct err e = {0};
	struct mapfile m;
	int rc;

	if (!session_may(s, machine, true)) {
		session_say(s, 403, "not for the login '%s'", s->machine);
		return;
	}
	session_take_time(s);
	rc = cache_map_ask(s->cache, machine, disk, &m, &e);
	/* Whoever seats disks has to see that this one is asked for. */
	if (rc == 0 && m.answer == MAPFILE_HELD && !m.head.seated)
		rc = cache_want(s->cache, machine, disk, &e);
	if (rc == 0) {
		answer(s, &m);
	} else {
		netlog_err(&s->srv->log, s->peer, netlog_kind(&e), "%s", e.msg);
		session_say(s, 500, "%s", e.msg);
	}
}
