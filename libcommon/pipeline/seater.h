/*
 * Seats disks: tells the cache from what sequence a disk goes on, by asking
 * the vaults (ps-vault head, then ps-cache seat for each that answered, the
 * furthest first). Also lifts the hold of a single vault that has been filled.
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

/*
 * A vault that does not answer may have more than those that do. So it is
 * waited for, `wait_s` seconds; then those that answer decide, if they are so
 * many that all that was ever told as stored is in one of them.
 */
int seater_init(struct errands *r, const struct plan_input *in,
		enum seat_policy policy, uint64_t wait_s, errand_say_fn *say,
		void *ctx, struct err *e);

#endif
