/*
 * Makes the digest maps that sources ask for (ps-vault map | ps-cache
 * put-map), and removes those that are of no use any more.
 */
#ifndef PS_PIPELINE_MAPPER_H
#define PS_PIPELINE_MAPPER_H

#include "pipeline/errand.h"

void mapper_init(struct errands *r, const struct plan_input *in,
		 errand_say_fn *say, void *ctx);

#endif
