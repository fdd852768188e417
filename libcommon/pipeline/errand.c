#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/units.h"
#include "pipeline/errand.h"

#define WAIT_FIRST_S 15 /* after one that failed; doubles */
#define WAIT_MAX_S 600

void errands_init(struct errands *r, const struct errand_kind *kind,
		  const struct plan_input *in, errand_say_fn *say, void *ctx)
{
	*r = (struct errands){.kind = kind,
			      .in = in,
			      .say = say,
			      .ctx = ctx,
			      .input = -1,
			      .output = -1};
}

void errand_say(struct errands *r, const struct errand *d, const char *words)
{
	char line[512];

	snprintf(line, sizeof(line), "%s/%s: %s", d->machine, d->disk, words);
	r->say(r->ctx, line);
}

/* The entry of a disk, made when it is new; NULL without memory. */
static struct errand *entry(struct errands *r, const char *machine,
			    const char *disk)
{
	struct errand *grown;
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->disks[i].machine, machine) == 0 &&
		    strcmp(r->disks[i].disk, disk) == 0)
			return &r->disks[i];
	grown = realloc(r->disks, (r->n + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	r->disks = grown;
	grown += r->n++;
	/* A disk that is seen for the first time may just be sending a base. */
	*grown = (struct errand){.wait_s = WAIT_FIRST_S,
				 .since = r->now,
				 .next = r->now + r->kind->look_s * NS_PER_S};
	snprintf(grown->machine, sizeof(grown->machine), "%s", machine);
	snprintf(grown->disk, sizeof(grown->disk), "%s", disk);
	return grown;
}

struct errand *errand_due(struct errands *r, const char *machine,
			  const char *disk)
{
	struct errand *d;

	if (r->found)
		return NULL;
	d = entry(r, machine, disk);
	if (d == NULL || d->next > r->now)
		return NULL;
	r->current = (size_t)(d - r->disks);
	r->found = true;
	return d;
}

/* A cache that cannot be read is what the chain itself will complain about. */
static bool look(struct errands *r, int64_t now)
{
	bool busy = r->chain.n > 0;
	struct cache *c;

	r->look = now + r->kind->look_s * NS_PER_S;
	if (cache_open(&c, r->in->cache, NULL) < 0)
		return false;
	r->now = now;
	r->found = busy;
	r->kind->find(r, c);
	cache_close(c);
	return r->found && !busy;
}

static void later(struct errands *r, int64_t now, const char *why)
{
	struct errand *d = &r->disks[r->current];
	char words[300];

	snprintf(words, sizeof(words), "%s: %s; again in %u s", r->kind->failed,
		 why, d->wait_s);
	errand_say(r, d, words);
	d->tries++;
	d->next = now + d->wait_s * NS_PER_S;
	d->wait_s = d->wait_s < WAIT_MAX_S / 2 ? 2 * d->wait_s : WAIT_MAX_S;
}

static void begin(struct errands *r, int64_t now)
{
	struct chain_io io = {.err = -1};
	struct err e = {0};

	r->input = r->output = -1;
	r->kind->plan(r, &r->disks[r->current], &r->plan);
	io.in = r->input;
	io.out = r->output;
	r->deadline = now + r->kind->deadline_s * NS_PER_S;
	if (chain_start(&r->chain, &r->plan, &io, &e) < 0)
		later(r, now, e.msg);
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

static void finish(struct errands *r, int64_t now)
{
	struct errand *d = &r->disks[r->current];
	int rest = r->kind->ended(r, d, ended_well(&r->chain));

	r->chain = (struct chain){0};
	if (rest == ERRAND_STEP) {
		r->fresh = false;
		begin(r, now);
	} else if (rest < 0) {
		later(r, now, "see the message before");
	} else if (rest > 0) {
		d->next = d->since = now + rest * NS_PER_S;
		d->wait_s = WAIT_FIRST_S;
		d->tries = 0;
	} else {
		*d = r->disks[--r->n];
	}
}

int64_t errands_step(struct errands *r, int64_t now)
{
	if (r->chain.n > 0) {
		if (r->chain.alive > 0 && now < r->deadline) {
			if (now >= r->look)
				(void)look(r, now);
			return r->look < r->deadline ? r->look : r->deadline;
		}
		if (r->chain.alive > 0) {
			chain_signal(&r->chain, SIGKILL);
			return now + NS_PER_S;
		}
		finish(r, now);
		if (r->chain.n > 0)
			return now;
		r->look = now; /* there may be another one */
	}
	if (now < r->look)
		return r->look;
	if (look(r, now)) {
		r->fresh = true;
		begin(r, now);
	}
	return r->look;
}

bool errands_reaped(struct errands *r, pid_t pid, int status)
{
	return chain_reaped(&r->chain, pid, status);
}

void errands_stop(struct errands *r)
{
	chain_signal(&r->chain, SIGTERM);
	free(r->disks);
	free(r->state);
	r->disks = NULL;
	r->state = NULL;
	r->n = 0;
}
