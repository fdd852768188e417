/*
 * Errands: work for single disks beside the chain, found by looking at the
 * cache now and then. One runs at a time, as programs joined by pipes; each
 * disk has its own back-off. What there is to find, to run and to say is the
 * matter of an errand_kind (seater.c, mapper.c).
 */
#ifndef PS_PIPELINE_ERRAND_H
#define PS_PIPELINE_ERRAND_H

#include <stdint.h>

#include "cache/cache.h"
#include "pipeline/chain.h"

typedef void errand_say_fn(void *ctx, const char *words);

/* A disk that waits for its turn, or for another try. */
struct errand {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	bool held;	 /* for the kind to remember */
	uint64_t seq;	 /* the same */
	unsigned vaults; /* the same: which of them, one bit each */
	unsigned tries;	 /* that failed */
	int64_t since;	 /* it was found first, mono_now_ns */
	int64_t next;	 /* not before, mono_now_ns */
	unsigned wait_s;
};

struct errands;

struct errand_kind {
	unsigned look_s;     /* between two looks at the cache */
	unsigned deadline_s; /* of one errand */
	const char *failed;  /* "could not be seated" */
	/*
	 * Looks at the cache; calls errand_due() for what it finds. Also while
	 * one runs: requests see that somebody is there.
	 */
	void (*find)(struct errands *r, struct cache *c);
	/* Also sets r->input and r->output where they matter. */
	void (*plan)(struct errands *r, const struct errand *d,
		     struct plan *ret);
	/*
	 * All programs have ended, well or not. Returns the seconds after
	 * which the disk may have its next turn (0: forgotten until it is
	 * found again), -1: it failed, try again with back-off, or
	 * ERRAND_STEP: the same errand goes on with another plan.
	 */
	int (*ended)(struct errands *r, const struct errand *d, bool well);
};

#define ERRAND_STEP (-2)

struct errands {
	const struct errand_kind *kind;
	const struct plan_input *in;
	bool fresh;	   /* for plan: the first one of an errand */
	bool holds;	   /* seater: disks on hold too */
	uint64_t wait_s;   /* seater: for vaults that cannot be reached */
	void *state;	   /* of the kind; freed with the rest */
	int input, output; /* descriptors of the programs; -1: none */
	errand_say_fn *say;
	void *ctx;
	struct errand *disks; /* those that wait for another try */
	size_t n, current;
	struct chain chain;
	struct plan plan;
	int64_t look, deadline, now; /* mono_now_ns */
	bool found;		     /* while looking */
};

void errands_init(struct errands *r, const struct errand_kind *kind,
		  const struct plan_input *in, errand_say_fn *say, void *ctx);
/*
 * For kind->find: this disk needs an errand. The first one that is due is
 * taken; returns it then, else NULL.
 */
struct errand *errand_due(struct errands *r, const char *machine,
			  const char *disk);
/* "M/D: words" to whoever listens. */
void errand_say(struct errands *r, const struct errand *d, const char *words);

/* Does what is due now; returns when to call again (mono_now_ns). */
int64_t errands_step(struct errands *r, int64_t now);
/* A child ended: true when it was one of ours. */
bool errands_reaped(struct errands *r, pid_t pid, int status);
/* Ends what runs (the caller reaps it) and frees the rest. */
void errands_stop(struct errands *r);

#endif
