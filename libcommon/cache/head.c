#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "cache/head.h"

#define HEAD_FILE "head"
#define FIRST_LINE "ps-cache-head 1"

bool mark_equal(const struct mark *a, const struct mark *b)
{
	return a->seq == b->seq &&
	       memcmp(a->digest, b->digest, SHA256_LEN) == 0;
}

/* ---- text ---- */

struct text {
	char *buf;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, HEAD_TEXT_MAX - t->len, fmt, ap);
	va_end(ap);
	/* HEAD_TEXT_MAX has room for the longest head there can be. */
	t->len += (size_t)n;
}

static void add_mark(struct text *t, const char *key, const struct mark *m,
		     const char *word)
{
	char hex[SHA256_HEX];

	hex_encode(m->digest, SHA256_LEN, hex);
	add(t, "%s %llu %s%s%s\n", key, (unsigned long long)m->seq, hex,
	    word != NULL ? " " : "", word != NULL ? word : "");
}

size_t head_format(const struct head *h, char out[HEAD_TEXT_MAX])
{
	struct text t = {.buf = out};
	char key[16 + NAME_SIZE];
	unsigned i;

	add(&t, FIRST_LINE "\nepoch %llu\n", (unsigned long long)h->epoch);
	if (h->unseated)
		add(&t, "unseated\n");
	add_mark(&t, "accepted", &h->accepted,
		 h->initial ? "initial" : "point");
	add_mark(&t, "stored", &h->stored, NULL);
	for (i = 0; i < h->nfollowers; i++) {
		snprintf(key, sizeof(key), "follower %s", h->followers[i].name);
		add_mark(&t, key, &h->followers[i].at, NULL);
	}
	for (i = 0; i < h->nrecent; i++)
		add_mark(&t, "recent", &h->recent[i], NULL);
	if (h->held)
		add(&t, "hold %llu %s\n", (unsigned long long)h->held_seq,
		    h->reason);
	for (i = 0; i < h->nrefusals; i++)
		add(&t, "hold-for %s %llu %s\n", h->refusals[i].name,
		    (unsigned long long)h->refusals[i].seq,
		    h->refusals[i].reason);
	add(&t, "crc %08x\n", crc32c(0, out, t.len));
	return t.len;
}

/* Takes the next word of a line off *p; NULL when there is none. */
static char *word(char **p)
{
	char *w = *p;

	if (w == NULL)
		return NULL;
	*p = strchr(w, ' ');
	if (*p != NULL)
		*(*p)++ = '\0';
	return w;
}

static bool parse_mark(char **p, struct mark *ret)
{
	const char *seq = word(p), *hex = word(p);

	return seq != NULL && hex != NULL &&
	       parse_u64(seq, UINT64_MAX, &ret->seq) &&
	       hex_decode(hex, ret->digest, SHA256_LEN);
}

static bool parse_follower(struct head *h, char **p)
{
	struct head_follower *f = &h->followers[h->nfollowers];
	const char *name = word(p);

	if (h->nfollowers == HEAD_FOLLOWERS_MAX || name == NULL ||
	    !name_ok(name) || !parse_mark(p, &f->at))
		return false;
	memcpy(f->name, name, strlen(name) + 1);
	h->nfollowers++;
	return true;
}

/* "SEQ REASON" */
static bool parse_hold(char **p, uint64_t *seq, char reason[ACK_REASON_SIZE])
{
	const char *w = word(p);

	if (w == NULL || *p == NULL || strlen(*p) >= ACK_REASON_SIZE ||
	    !parse_u64(w, UINT64_MAX, seq))
		return false;
	memcpy(reason, *p, strlen(*p) + 1);
	return true;
}

static bool parse_refusal(struct head *h, char **p)
{
	struct head_refusal *r = &h->refusals[h->nrefusals];
	const char *name = word(p);

	if (h->nrefusals == HEAD_FOLLOWERS_MAX || name == NULL ||
	    !name_ok(name) || !parse_hold(p, &r->seq, r->reason))
		return false;
	memcpy(r->name, name, strlen(name) + 1);
	h->nrefusals++;
	return true;
}

static bool parse_line(struct head *h, char *line)
{
	char *p = line;
	const char *key = word(&p);

	if (strcmp(key, "epoch") == 0)
		return p != NULL && parse_u64(p, UINT64_MAX, &h->epoch);
	if (strcmp(key, "unseated") == 0)
		return h->unseated = p == NULL;
	if (strcmp(key, "stored") == 0)
		return parse_mark(&p, &h->stored) && p == NULL;
	if (strcmp(key, "follower") == 0)
		return parse_follower(h, &p) && p == NULL;
	if (strcmp(key, "accepted") == 0) {
		if (!parse_mark(&p, &h->accepted) || p == NULL)
			return false;
		h->initial = strcmp(p, "initial") == 0;
		return h->initial || strcmp(p, "point") == 0;
	}
	if (strcmp(key, "recent") == 0)
		return h->nrecent < HEAD_RECENT_MAX &&
		       parse_mark(&p, &h->recent[h->nrecent++]) && p == NULL;
	if (strcmp(key, "hold") == 0)
		return h->held = parse_hold(&p, &h->held_seq, h->reason);
	if (strcmp(key, "hold-for") == 0)
		return parse_refusal(h, &p);
	return false;
}

/* The last line is the CRC of all before it. */
static bool crc_fits(const char *text, size_t n, size_t *ret_body)
{
	char line[16];
	size_t len = strlen("crc 12345678\n");

	if (n < len)
		return false;
	snprintf(line, sizeof(line), "crc %08x\n", crc32c(0, text, n - len));
	*ret_body = n - len;
	return memcmp(text + n - len, line, len) == 0;
}

int head_parse(struct head *ret, const char *text, size_t n, struct err *e)
{
	char copy[HEAD_TEXT_MAX], again[HEAD_TEXT_MAX], *line, *rest;
	struct head h = {0};
	size_t body;

	if (n >= sizeof(copy) || memchr(text, '\0', n) != NULL ||
	    !crc_fits(text, n, &body))
		return err_set(e, PS_DATA, "head: damaged");
	memcpy(copy, text, body);
	copy[body] = '\0';
	rest = copy;
	line = strsep(&rest, "\n");
	if (strcmp(line, FIRST_LINE) != 0)
		return err_set(e, PS_DATA, "head: not of this version");
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0')
		if (!parse_line(&h, line))
			return err_set(e, PS_DATA, "head: cannot be read");
	/* One text for one head: nothing twice, nothing left out. */
	if (head_format(&h, again) != n || memcmp(again, text, n) != 0)
		return err_set(e, PS_DATA, "head: cannot be read");
	*ret = h;
	return 0;
}

/* ---- file ---- */

static void damaged_head(struct head *h, const char *why)
{
	/* The count of seatings is lost: take one that was never used. */
	*h = (struct head){.epoch = (uint64_t)time_now_ns(),
			   .unseated = true,
			   .held = true,
			   .damaged = true};
	snprintf(h->reason, sizeof(h->reason), "%.200s: seat the disk", why);
}

int head_read(int dirfd, struct head *ret, struct err *e)
{
	int fd = openat(dirfd, HEAD_FILE, O_RDONLY | O_CLOEXEC);
	char text[HEAD_TEXT_MAX];
	struct err why = {0};
	int rc = 1;
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, 0, HEAD_FILE);
	n = io_read_full(fd, text, sizeof(text));
	if (n < 0)
		rc = err_sys(e, 0, HEAD_FILE);
	close(fd);
	if (n >= 0 && head_parse(ret, text, (size_t)n, &why) < 0)
		damaged_head(ret, why.msg);
	return rc;
}

int head_write(int dirfd, const struct head *h, struct err *e)
{
	char text[HEAD_TEXT_MAX];
	size_t n = head_format(h, text);

	return durable_write(dirfd, HEAD_FILE, text, n, 0600, DURABLE_REPLACE,
			     e);
}

/* ---- parts ---- */

static int find(const struct head *h, const char *follower)
{
	unsigned i;

	for (i = 0; i < h->nfollowers; i++)
		if (strcmp(h->followers[i].name, follower) == 0)
			return (int)i;
	return -1;
}

const struct mark *head_position(const struct head *h, const char *follower)
{
	int i = find(h, follower);

	return i < 0 ? NULL : &h->followers[i].at;
}

int head_set_position(struct head *h, const char *follower,
		      const struct mark *at, struct err *e)
{
	int i = find(h, follower);

	if (i < 0) {
		if (h->nfollowers == HEAD_FOLLOWERS_MAX)
			return err_set(e, PS_CONFIG,
				       "more than %d followers of one disk",
				       HEAD_FOLLOWERS_MAX);
		i = (int)h->nfollowers++;
		snprintf(h->followers[i].name, NAME_SIZE, "%s", follower);
	}
	h->followers[i].at = *at;
	return 0;
}

void head_drop_follower(struct head *h, const char *follower)
{
	int i = find(h, follower);

	if (i >= 0)
		h->followers[i] = h->followers[--h->nfollowers];
	head_lift(h, follower);
}

void head_remember(struct head *h, const struct mark *m)
{
	unsigned keep =
	    h->nrecent < HEAD_RECENT_MAX ? h->nrecent : HEAD_RECENT_MAX - 1;

	memmove(&h->recent[1], &h->recent[0], keep * sizeof(*m));
	h->recent[0] = *m;
	h->nrecent = keep + 1;
}

static void take_reason(char out[ACK_REASON_SIZE], const char *reason)
{
	char *p;

	snprintf(out, ACK_REASON_SIZE, "%s",
		 *reason != '\0' ? reason : "no reason given");
	for (p = out; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p))
			*p = ' ';
}

void head_hold(struct head *h, uint64_t seq, const char *reason)
{
	if (h->held)
		return;
	h->held = true;
	h->held_seq = seq;
	take_reason(h->reason, reason);
}

const struct head_refusal *head_refusal(const struct head *h,
					const char *follower)
{
	unsigned i;

	for (i = 0; i < h->nrefusals; i++)
		if (strcmp(h->refusals[i].name, follower) == 0)
			return &h->refusals[i];
	return NULL;
}

int head_refuse(struct head *h, const char *follower, uint64_t seq,
		const char *reason, struct err *e)
{
	struct head_refusal *r = &h->refusals[h->nrefusals];

	if (head_refusal(h, follower) != NULL)
		return 0;
	if (h->nrefusals == HEAD_FOLLOWERS_MAX)
		return err_set(e, PS_CONFIG, "more than %d followers",
			       HEAD_FOLLOWERS_MAX);
	h->nrefusals++;
	snprintf(r->name, sizeof(r->name), "%s", follower);
	r->seq = seq;
	take_reason(r->reason, reason);
	return 0;
}

void head_lift(struct head *h, const char *follower)
{
	const struct head_refusal *r = head_refusal(h, follower);

	if (r != NULL)
		h->refusals[r - h->refusals] = h->refusals[--h->nrefusals];
}

const char *head_left_out(const struct head *h, const char *follower)
{
	const struct head_refusal *r = head_refusal(h, follower);

	if (h->held)
		return h->reason;
	if (h->unseated)
		return "not seated";
	return r != NULL ? r->reason : NULL;
}
