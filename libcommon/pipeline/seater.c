#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/units.h"
#include "cache/cache.h"
#include "pipeline/seater.h"

#define LOOK_S 2	/* between two looks at the cache */
#define DEADLINE_S 300	/* of one seating: a vault may be far away */
#define WAIT_FIRST_S 15 /* after a seating that failed; doubles */
#define WAIT_MAX_S 600

struct seater_disk {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	bool held;
	int64_t next; /* not before */
	unsigned wait_s;
};

void seater_init(struct seater *s, const struct plan_input *in,
		 enum seat_policy policy, seater_say_fn *say, void *ctx)
{
	*s =
	    (struct seater){.in = in, .policy = policy, .say = say, .ctx = ctx};
}

static void say(struct seater *s, const struct seater_disk *d,
		const char *words)
{
	char line[512];

	snprintf(line, sizeof(line), "%s/%s: %s", d->machine, d->disk, words);
	s->say(s->ctx, line);
}

/* The entry of a disk, made when it is new; NULL without memory. */
static struct seater_disk *entry(struct seater *s, const char *machine,
				 const char *disk, int64_t now)
{
	struct seater_disk *grown;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->disks[i].machine, machine) == 0 &&
		    strcmp(s->disks[i].disk, disk) == 0)
			return &s->disks[i];
	grown = realloc(s->disks, (s->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	s->disks = grown;
	grown += s->n++;
	/* A disk that is seen for the first time may just be sending a base. */
	*grown = (struct seater_disk){.wait_s = WAIT_FIRST_S,
				      .next = now + LOOK_S * NS_PER_S};
	snprintf(grown->machine, sizeof(grown->machine), "%s", machine);
	snprintf(grown->disk, sizeof(grown->disk), "%s", disk);
	return grown;
}

struct look {
	struct seater *s;
	int64_t now;
	bool found;
};

/* One disk of the cache: the first that is due is taken. */
static int consider(void *ctx, const char *machine, const char *disk,
		    const struct cache_head *h, struct err *e)
{
	struct look *l = ctx;
	struct seater_disk *d;

	(void)e;
	if (l->found || (h->seated && !h->held) ||
	    (h->held && l->s->policy != SEAT_AUTO))
		return 0;
	d = entry(l->s, machine, disk, l->now);
	if (d == NULL || d->next > l->now)
		return 0;
	d->held = h->held;
	l->s->current = (size_t)(d - l->s->disks);
	l->found = true;
	return 0;
}

/* A cache that cannot be read is what the chain itself will complain about. */
static bool look_for_one(struct seater *s, int64_t now)
{
	struct look l = {.s = s, .now = now};
	struct cache *c;

	if (cache_open(&c, s->in->cache, NULL) < 0)
		return false;
	(void)cache_disks(c, NULL, consider, &l, NULL);
	cache_close(c);
	return l.found;
}

static void later(struct seater *s, int64_t now, const char *why)
{
	struct seater_disk *d = &s->disks[s->current];
	char words[300];

	snprintf(words, sizeof(words), "could not be seated: %s; again in %u s",
		 why, d->wait_s);
	say(s, d, words);
	d->next = now + d->wait_s * NS_PER_S;
	d->wait_s = d->wait_s < WAIT_MAX_S / 2 ? 2 * d->wait_s : WAIT_MAX_S;
}

static void begin(struct seater *s, int64_t now)
{
	struct seater_disk *d = &s->disks[s->current];
	struct chain_io io = {.in = -1, .out = -1, .err = -1};
	struct err e = {0};

	plan_seat(s->in, d->machine, d->disk, &s->plan);
	s->deadline = now + DEADLINE_S * NS_PER_S;
	if (chain_start(&s->chain, &s->plan, &io, &e) < 0)
		later(s, now, e.msg);
}

static bool ended_well(const struct chain *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!WIFEXITED(c->stages[i].status) ||
		    WEXITSTATUS(c->stages[i].status) != 0)
			return false;
	return true;
}

static void finish(struct seater *s, int64_t now)
{
	struct seater_disk *d = &s->disks[s->current];
	bool well = ended_well(&s->chain);

	s->chain = (struct chain){0};
	if (!well) {
		later(s, now, "see the message before");
		return;
	}
	say(s, d,
	    d->held ? "hold lifted, goes on from the vault's head"
		    : "seated at the vault's head");
	if (d->held) {
		d->next = now + SEATER_HOLD_S * NS_PER_S;
		d->wait_s = WAIT_FIRST_S;
	} else {
		*d = s->disks[--s->n];
	}
}

int64_t seater_step(struct seater *s, int64_t now)
{
	if (s->chain.n > 0) {
		if (s->chain.alive > 0 && now < s->deadline)
			return s->deadline;
		if (s->chain.alive > 0) {
			chain_signal(&s->chain, SIGKILL);
			return now + NS_PER_S;
		}
		finish(s, now);
		s->look = now; /* there may be another one */
	}
	if (now < s->look)
		return s->look;
	s->look = now + LOOK_S * NS_PER_S;
	if (look_for_one(s, now))
		begin(s, now);
	return s->chain.n > 0 ? s->deadline : s->look;
}

bool seater_reaped(struct seater *s, pid_t pid, int status)
{
	return chain_reaped(&s->chain, pid, status);
}

void seater_stop(struct seater *s)
{
	chain_signal(&s->chain, SIGTERM);
	free(s->disks);
	s->disks = NULL;
	s->n = 0;
}
