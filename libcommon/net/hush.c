#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "net/hush.h"

#define PEERS 1024
#define ALL_STRANGERS "strangers"

struct talker {
	char who[HUSH_NAME]; /* empty: free */
	int64_t since;
	bool mute; /* a stranger whose line was one too many of all */
	unsigned said;
	uint64_t left_out;
	uint32_t seen[HUSH_MACHINE]; /* what was said */
};

struct hush {
	hush_fn *fn;
	void *ctx;
	int64_t next; /* look for minutes that are over */
	struct talker strangers;
	struct talker peers[PEERS];
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

static void tell(struct hush *h, struct talker *t)
{
	/* A line for each of a crowd would be a flood of its own. */
	if (t->mute)
		h->strangers.left_out += t->left_out;
	else if (t->left_out > 0)
		h->fn(h->ctx, t->who, t->left_out);
	t->left_out = 0;
	t->said = 0;
}

void hush_close(struct hush *h)
{
	unsigned i;

	if (h == NULL)
		return;
	for (i = 0; i < PEERS; i++)
		tell(h, &h->peers[i]);
	tell(h, &h->strangers);
	free(h);
}

void hush_tick(struct hush *h, int64_t now)
{
	unsigned i;

	if (now < h->next)
		return;
	h->next = now + HUSH_NS / 60;
	for (i = 0; i < PEERS; i++) {
		struct talker *t = &h->peers[i];

		if (t->who[0] != '\0' && now - t->since >= HUSH_NS) {
			tell(h, t);
			t->who[0] = '\0';
		}
	}
	if (now - h->strangers.since >= HUSH_NS) {
		tell(h, &h->strangers);
		h->strangers.since = now;
	}
}

/* NULL when all places are taken by others. */
static struct talker *find(struct hush *h, const char *who, int64_t now)
{
	struct talker *room = NULL;
	unsigned i;

	for (i = 0; i < PEERS; i++) {
		struct talker *t = &h->peers[i];

		if (strncmp(t->who, who, HUSH_NAME - 1) == 0)
			return t;
		if (t->who[0] == '\0' && room == NULL)
			room = t;
	}
	if (room != NULL) {
		*room = (struct talker){.since = now};
		snprintf(room->who, sizeof(room->who), "%s", who);
	}
	return room;
}

static bool take(struct talker *t, unsigned most, const char *words)
{
	uint32_t mark = crc32c(0, words, strlen(words));
	unsigned i;

	for (i = 0; i < t->said && i < HUSH_MACHINE; i++)
		if (t->seen[i] == mark && most <= HUSH_MACHINE)
			break;
	if (t->said >= most || (most <= HUSH_MACHINE && i < t->said)) {
		t->left_out++;
		return false;
	}
	if (t->said < HUSH_MACHINE)
		t->seen[t->said] = mark;
	t->said++;
	return true;
}

bool hush_may(struct hush *h, const char *who, bool stranger, const char *words,
	      int64_t now)
{
	struct talker *t;

	hush_tick(h, now);
	t = find(h, who, now);
	if (t == NULL) { /* more than a thousand talk: count them together */
		h->strangers.left_out++;
		return false;
	}
	if (!take(t, stranger ? HUSH_STRANGER : HUSH_MACHINE, words))
		return false;
	t->mute = stranger && !take(&h->strangers, HUSH_STRANGERS, words);
	return !t->mute;
}
