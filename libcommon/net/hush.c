#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "net/hush.h"

#define PEERS 1024
#define ALL_STRANGERS "strangers"
#define LAST_SIZE 160
#define WORDS_SIZE 512

struct talker {
	char who[HUSH_NAME]; /* empty: free */
	bool stranger, own;
	int64_t since;
	unsigned said;
	uint64_t left_out[NETLOG_KINDS];
	char last[LAST_SIZE];	 /* that was left out */
	uint32_t seen[HUSH_OWN]; /* what was said of our own errors */
};

struct hush {
	hush_fn *fn;
	void *ctx;
	int64_t next; /* look for minutes that are over */
	struct talker strangers;
	struct talker peers[PEERS];
};

/* What is counted, behind its number. */
static const char *const kind_names[NETLOG_KINDS] = {
    [NETLOG_OWN] = "errors of the server",
    [NETLOG_LINE] = "cut or timed out",
    [NETLOG_TALK] = "bad requests",
    [NETLOG_LOGIN] = "logins refused",
    [NETLOG_PLACE] = "places refused",
    [NETLOG_SEGMENT] = "segments refused",
    [NETLOG_BUSY] = "told to come again",
    [NETLOG_CROWD] = "connections too many",
};

int hush_open(struct hush **ret, hush_fn *fn, void *ctx, struct err *e)
{
	struct hush *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return err_sys(e, PS_TEMPFAIL, "table of peers");
	h->fn = fn;
	h->ctx = ctx;
	snprintf(h->strangers.who, HUSH_NAME, ALL_STRANGERS);
	*ret = h;
	return 0;
}

/* ---- counting ---- */

static void leave_out(struct talker *t, enum netlog_kind kind,
		      const char *words)
{
	t->left_out[kind]++;
	snprintf(t->last, sizeof(t->last), "%s", words);
}

static uint64_t all_left_out(const struct talker *t)
{
	uint64_t sum = 0;
	unsigned k;

	for (k = 0; k < NETLOG_KINDS; k++)
		sum += t->left_out[k];
	return sum;
}

/* A line for each of a crowd would be a flood of its own. */
static void join_strangers(struct hush *h, const struct talker *t)
{
	unsigned k;

	if (all_left_out(t) == 0)
		return;
	for (k = 0; k < NETLOG_KINDS; k++)
		h->strangers.left_out[k] += t->left_out[k];
	memcpy(h->strangers.last, t->last, sizeof(t->last));
}

static void tell(struct hush *h, struct talker *t)
{
	char words[WORDS_SIZE];
	const char *before = ":";
	size_t n;
	unsigned k;

	n = (size_t)snprintf(words, sizeof(words),
			     "%" PRIu64 " more within a minute",
			     all_left_out(t));
	for (k = 0; k < NETLOG_KINDS; k++) {
		if (t->left_out[k] == 0)
			continue;
		n += (size_t)snprintf(words + n, sizeof(words) - n,
				      "%s %" PRIu64 " %s", before,
				      t->left_out[k], kind_names[k]);
		before = ",";
	}
	snprintf(words + n, sizeof(words) - n, "; the last: %s", t->last);
	h->fn(h->ctx, t->who, words);
	memset(t->left_out, 0, sizeof(t->left_out));
	t->said = 1;
}

/* ---- the end of a minute ---- */

/* A count is the line of the minute that begins with it. */
static void end_minute(struct hush *h, struct talker *t, int64_t now)
{
	bool stays = false;

	t->since = now;
	t->said = 0;
	if (t->stranger && h->strangers.said >= HUSH_STRANGERS) {
		join_strangers(h, t);
	} else if (all_left_out(t) > 0) {
		tell(h, t);
		h->strangers.said += t->stranger;
		/* Our own errors are said again in full. */
		stays = !t->own;
	}
	if (!stays)
		t->who[0] = '\0';
}

void hush_tick(struct hush *h, int64_t now)
{
	unsigned i;

	if (now < h->next)
		return;
	h->next = now + HUSH_NS / 60;
	for (i = 0; i < PEERS; i++) {
		struct talker *t = &h->peers[i];

		if (t->who[0] != '\0' && now - t->since >= HUSH_NS)
			end_minute(h, t, now);
	}
	if (now - h->strangers.since >= HUSH_NS) {
		h->strangers.since = now;
		h->strangers.said = 0;
		if (all_left_out(&h->strangers) > 0)
			tell(h, &h->strangers);
	}
}

void hush_close(struct hush *h)
{
	unsigned i;

	if (h == NULL)
		return;
	for (i = 0; i < PEERS; i++)
		if (h->peers[i].who[0] != '\0')
			end_minute(h, &h->peers[i], 0);
	if (all_left_out(&h->strangers) > 0)
		tell(h, &h->strangers);
	free(h);
}

/* ---- lines ---- */

/* NULL when all places are taken by others. */
static struct talker *find(struct hush *h, const char *who, bool stranger,
			   bool own, int64_t now)
{
	struct talker *room = NULL, *other = NULL;
	unsigned i;

	for (i = 0; i < PEERS; i++) {
		struct talker *t = &h->peers[i];

		if (t->who[0] == '\0')
			room = room != NULL ? room : t;
		else if (t->own == own &&
			 strncmp(t->who, who, HUSH_NAME - 1) == 0)
			return t;
		else if (t->stranger)
			other = t;
	}
	/* Strangers are as many as they like: machines come first. */
	if (room == NULL && !stranger && other != NULL) {
		join_strangers(h, other);
		room = other;
	}
	if (room != NULL) {
		*room = (struct talker){
		    .stranger = stranger, .own = own, .since = now};
		snprintf(room->who, sizeof(room->who), "%s", who);
	}
	return room;
}

static bool take(struct talker *t, enum netlog_kind kind, const char *words)
{
	unsigned most = t->own && !t->stranger ? HUSH_OWN : 1, i;
	uint32_t mark = crc32c(0, words, strlen(words));

	for (i = 0; i < t->said && i < most && t->seen[i] != mark; i++)
		;
	if (t->said >= most || i < t->said) {
		leave_out(t, kind, words);
		return false;
	}
	t->seen[t->said++] = mark;
	return true;
}

bool hush_may(struct hush *h, const char *who, bool stranger,
	      enum netlog_kind kind, const char *words, int64_t now)
{
	struct talker *t;

	hush_tick(h, now);
	t = find(h, who, stranger, kind == NETLOG_OWN, now);
	if (t != NULL && !take(t, kind, words))
		return false;
	if (t != NULL && !stranger)
		return true;
	/* More than a thousand talk, or a crowd: counted together. */
	if (h->strangers.said >= HUSH_STRANGERS) {
		leave_out(&h->strangers, kind, words);
		return false;
	}
	h->strangers.said++;
	return true;
}
