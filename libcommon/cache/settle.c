#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "cache/follower.h"
#include "cache/settle.h"

/* Lines that are worked on together: what one read of a pipe may give. */
#define BATCH_BYTES (64 * 1024)
#define BATCH_MAX 256

struct batch {
	struct ack acks[BATCH_MAX];
	bool done[BATCH_MAX];
	unsigned n;
};

struct settling {
	struct cache *c;
	const struct cache_settle *opt;
	struct batch b;
	struct follower_list all; /* when the lock of the disk was taken */
	bool held;		  /* a disk was put on hold */
	unsigned mistaken;	  /* lines that named another content */
	size_t used;
	char buf[BATCH_BYTES];
};

__attribute__((format(printf, 2, 3))) static void say(const struct settling *s,
						      const char *fmt, ...)
{
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	s->opt->say(s->opt->ctx, words);
}

/* ---- one line ---- */

static int hold(struct settling *s, struct folder_state *st,
		const struct ack *a, const char *reason, struct err *e)
{
	const char *who = s->opt->follower;

	if (head_left_out(&st->head, who) == NULL)
		say(s, "%s/%s: on hold%s%s at segment %llu: %s", a->machine,
		    a->disk, s->all.n > 1 ? " for " : "",
		    s->all.n > 1 ? who : "", (unsigned long long)a->seq,
		    reason);
	s->held = true;
	return follower_refuse(&st->head, &s->all, who, a->seq, reason, e);
}

static void ignored(const struct settling *s, const struct ack *a,
		    const char *why)
{
	say(s, "%s/%s: '%s' of segment %llu ignored: %s", a->machine, a->disk,
	    ack_level_name(a->level), (unsigned long long)a->seq, why);
}

/* How the digest of a line stands to what this cache knows. */
enum fit { FITS, DIFFERS, UNKNOWN };

static int compare(struct folder *f, const struct folder_state *st,
		   const struct ack *a, enum fit *ret, struct err *e)
{
	uint8_t digest[SHA256_LEN];
	int rc = folder_digest_at(f, st, a->seq, digest, e);

	if (rc < 0)
		return rc;
	*ret = rc == 0					    ? UNKNOWN
	       : memcmp(digest, a->digest, SHA256_LEN) == 0 ? FITS
							    : DIFFERS;
	return 0;
}

/* Only what is said about our own segments holds a disk. */
static int refused(struct settling *s, struct folder_state *st,
		   const struct ack *a, enum fit fit, struct err *e)
{
	char reason[ACK_REASON_SIZE + 32];

	if (fit != FITS && !bytes_all_zero(a->digest, SHA256_LEN)) {
		ignored(s, a, "it is not about a segment of this chain");
		return 0;
	}
	snprintf(reason, sizeof(reason), "refused: %s",
		 a->reason[0] != '\0' ? a->reason : "no reason given");
	return hold(s, st, a, reason, e);
}

static int counted(struct settling *s, struct folder_state *st,
		   const struct ack *a, enum fit fit, struct err *e)
{
	const char *who = s->opt->follower;
	const struct mark *at = head_position(&st->head, who);
	struct mark m = {.seq = a->seq};

	if (fit == DIFFERS) {
		s->mistaken++;
		return hold(s, st, a,
			    "acknowledged with another content than here", e);
	}
	if (at != NULL && a->seq <= at->seq)
		return 0; /* sent and stored twice */
	if (fit == UNKNOWN) {
		ignored(s, a, "no such segment is here");
		return 0;
	}
	memcpy(m.digest, a->digest, SHA256_LEN);
	return head_set_position(&st->head, who, &m, e);
}

static int one_line(struct settling *s, struct folder *f,
		    struct folder_state *st, const struct ack *a, struct err *e)
{
	enum fit fit;
	int rc;

	if (a->level == ACK_DURABLE && s->opt->level != ACK_DURABLE)
		return 0;
	if (!st->seated || a->seq == 0) {
		ignored(s, a,
			a->seq == 0 ? "it names no segment"
				    : "the disk is not seated");
		return 0;
	}
	rc = compare(f, st, a, &fit, e);
	if (rc < 0)
		return rc;
	if (a->level != ACK_REFUSED)
		return counted(s, st, a, fit, e);
	return refused(s, st, a, fit, e);
}

/* ---- one disk ---- */

/* All lines of the batch about the disk of line `i`. */
static int lines_of_disk(struct settling *s, unsigned i, struct folder *f,
			 struct folder_state *st, struct err *e)
{
	const struct ack *first = &s->b.acks[i];
	int rc = 0;

	for (; i < s->b.n && rc == 0; i++) {
		const struct ack *a = &s->b.acks[i];

		if (s->b.done[i] || strcmp(a->disk, first->disk) != 0 ||
		    strcmp(a->machine, first->machine) != 0)
			continue;
		s->b.done[i] = true;
		/* Without a folder the state is empty and says so. */
		rc = one_line(s, f, st, a, e);
	}
	return rc;
}

static bool same_head(const struct head *a, const struct head *b)
{
	char x[HEAD_TEXT_MAX], y[HEAD_TEXT_MAX];
	size_t n = head_format(a, x);

	return head_format(b, y) == n && memcmp(x, y, n) == 0;
}

static int in_folder(struct settling *s, unsigned i, struct folder *f,
		     struct err *e)
{
	struct folder_state st;
	struct head before;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	/* Behind the lock: one that was registered before keeps its own. */
	rc = follower_list(s->c, &s->all, e);
	if (rc == 0)
		rc = folder_state(f, &st, e);
	if (rc == 0) {
		before = st.head;
		rc = lines_of_disk(s, i, f, &st, e);
		if (rc == 0 && !same_head(&before, &st.head))
			rc = follower_retire(f, &st, &s->all, e);
		folder_state_free(&st);
	}
	folder_unlock(f);
	return rc;
}

static int disk_of(struct settling *s, unsigned i, struct err *e)
{
	const struct ack *a = &s->b.acks[i];
	struct folder_state none = {0};
	struct folder f;
	int rc;

	if (!cache_machine_ok(a->machine))
		return lines_of_disk(s, i, NULL, &none, e);
	rc = folder_open(&f, s->c, a->machine, a->disk, false, e);
	if (rc == 0)
		return lines_of_disk(s, i, NULL, &none, e);
	if (rc < 0)
		return rc;
	rc = in_folder(s, i, &f, e);
	folder_close(&f);
	return rc;
}

/* ---- the stream ---- */

static int pass_on(struct settling *s, struct err *e)
{
	char line[ACK_LINE_SIZE];
	struct io_out out;
	unsigned i;
	int rc = io_out_open_fd(&out, s->opt->out, "standard output", e);

	for (i = 0; i < s->b.n && rc == 0; i++) {
		ack_format(&s->b.acks[i], line);
		rc = io_out_write(&out, line, strlen(line), e);
	}
	if (rc == 0)
		rc = io_out_flush(&out, e);
	io_out_close(&out);
	return rc;
}

/* Works on what was gathered. */
static int flush(struct settling *s, struct err *e)
{
	unsigned i;
	int rc = s->b.n > 0 ? cache_check_failed(s->c, e) : 0;

	for (i = 0; i < s->b.n && rc == 0; i++)
		if (!s->b.done[i])
			rc = disk_of(s, i, e);
	if (rc == 0 && s->b.n > 0)
		rc = pass_on(s, e);
	memset(s->b.done, 0, sizeof(s->b.done));
	s->b.n = 0;
	return rc;
}

static int add_line(struct settling *s, const char *line, struct err *e)
{
	int rc = 0;

	if (s->b.n == BATCH_MAX)
		rc = flush(s, e);
	if (rc == 0)
		rc = ack_parse(&s->b.acks[s->b.n], line, e);
	if (rc == 0)
		s->b.n++;
	return rc;
}

/* Takes whole lines off the buffer; keeps the beginning of the next one. */
static int take_lines(struct settling *s, struct err *e)
{
	char *line = s->buf, *end;
	size_t left = s->used;
	int rc = 0;

	while (rc == 0 && (end = memchr(line, '\n', left)) != NULL) {
		*end = '\0';
		rc = add_line(s, line, e);
		left -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	memmove(s->buf, line, left);
	s->used = left;
	if (rc == 0 && left >= ACK_LINE_SIZE)
		rc = err_set(e, PS_DATA, "acknowledgement line too long");
	return rc;
}

static int read_all(struct settling *s, struct err *e)
{
	int rc, last;

	for (;;) {
		ssize_t got = read(s->opt->in, s->buf + s->used,
				   sizeof(s->buf) - s->used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, 0, "acknowledgement input");
		if (got == 0)
			break;
		s->used += (size_t)got;
		rc = take_lines(s, e);
		/* What came before a bad line counts. */
		last = flush(s, rc < 0 ? NULL : e);
		if (rc < 0 || last < 0)
			return rc < 0 ? rc : last;
	}
	return s->used == 0 ? 0
			    : err_set(e, PS_DATA,
				      "the last acknowledgement is cut short");
}

int cache_ack(struct cache *c, const struct cache_settle *opt, struct err *e)
{
	struct settling *s;
	int rc =
	    follower_set_relay(c, opt->follower, opt->level == ACK_DURABLE, e);

	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_sys(e, 0, "acknowledgements");
	s->c = c;
	s->opt = opt;
	rc = read_all(s, e);
	if (rc == 0 && s->mistaken > 0)
		rc = err_set(e, PS_DATA,
			     "%u acknowledgements named another content than "
			     "what is in the cache",
			     s->mistaken);
	else if (rc == 0)
		rc = s->held ? 1 : 0;
	free(s);
	return rc;
}

int cache_hold(struct cache *c, const char *machine, const char *disk,
	       const char *reason, struct err *e)
{
	struct folder_state s;
	struct folder f;
	int rc = folder_open(&f, c, machine, disk, false, e);

	if (rc == 0)
		return err_set(e, PS_NOINPUT, "cache %s: no disk %s/%s",
			       c->path, machine, disk);
	if (rc < 0)
		return rc;
	rc = folder_lock(&f, true, e);
	if (rc == 0)
		rc = folder_state(&f, &s, e);
	if (rc == 0) {
		if (!s.head.held) {
			head_hold(&s.head, 0, reason);
			s.head.accepted = s.last;
			s.head.initial = s.initial;
			rc = head_write(f.dirfd, &s.head, e);
		}
		folder_state_free(&s);
	}
	folder_close(&f);
	return cache_note_failure(c, rc, e);
}
