/* What the files of ps-plan share. */
#ifndef PS_PLAN_H
#define PS_PLAN_H

#include "fleet/sizing.h"

/* For people. */
void plan_text(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o);
/* For programs: one object, documented in ps-plan(1). */
void plan_json(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o);

#endif
