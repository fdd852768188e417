/*
 * One page for people who have no shell: state, alerts, why it is behind, the
 * disks, and the curves of the last 24 and 72 hours. All in one file, well
 * formed as XML, without anything from elsewhere.
 */
#ifndef PS_HEALTH_PAGE_H
#define PS_HEALTH_PAGE_H

#include <stdio.h>

#include "health/check.h"
#include "health/why.h"

int page_write(struct ring *ring, const struct disks *disks,
	       const struct rules *rules, const struct why *w, FILE *f,
	       struct err *e);

#endif
