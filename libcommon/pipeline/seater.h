/*
 * Seats disks: tells the cache from what sequence a disk goes on, by asking
 * the vault (ps-vault head | ps-cache seat). It looks at the cache now and
 * then and seats one disk at a time, each with its own back-off.
 */
#ifndef PS_PIPELINE_SEATER_H
#define PS_PIPELINE_SEATER_H

#include <stdint.h>

#include "pipeline/chain.h"

enum seat_policy {
	/*
	 * Disks without a head: this server knows nothing of them, so nothing
	 * can be lost. A hold waits for somebody to look.
	 */
	SEAT_MANUAL,
	/* Disks on hold too, each at most every SEATER_HOLD_S. */
	SEAT_AUTO,
};

/* Two servers that both take one disk must not drop each other's segments
 * in a fast circle. */
#define SEATER_HOLD_S 600

typedef void seater_say_fn(void *ctx, const char *words);

struct seater_disk;

struct seater {
	const struct plan_input *in;
	enum seat_policy policy;
	seater_say_fn *say;
	void *ctx;
	struct seater_disk *disks; /* those that wait for another try */
	size_t n, current;
	struct chain chain;
	struct plan plan;
	int64_t look, deadline; /* mono_now_ns */
};

void seater_init(struct seater *s, const struct plan_input *in,
		 enum seat_policy policy, seater_say_fn *say, void *ctx);
/* Does what is due now; returns when to call again (mono_now_ns). */
int64_t seater_step(struct seater *s, int64_t now);
/* A child ended: true when it was one of ours. */
bool seater_reaped(struct seater *s, pid_t pid, int status);
/* Ends what runs (the caller reaps it) and frees the rest. */
void seater_stop(struct seater *s);

#endif
