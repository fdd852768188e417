/*
 * Seats disks: tells the cache from what sequence a disk goes on, by asking
 * the vault (ps-vault head | ps-cache seat).
 */
#ifndef PS_PIPELINE_SEATER_H
#define PS_PIPELINE_SEATER_H

#include "pipeline/errand.h"

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

void seater_init(struct errands *r, const struct plan_input *in,
		 enum seat_policy policy, errand_say_fn *say, void *ctx);

#endif
