/*
 * Everything about a machine that would stand in the way of an installation,
 * looked at before anything is changed. The steps are run as the doctor's
 * (doctor/doctor.h), some of them are the doctor's.
 */
#ifndef PS_SETUP_PREFLIGHT_H
#define PS_SETUP_PREFLIGHT_H

#include "doctor/doctor.h"
#include "doctor/view.h"
#include "setup/choices.h"

/* The hard minimum of the cache's volume, and what is recommended ("install
 * location" page of Unified Setup). */
#define PREFLIGHT_SPACE_MIN (5ULL << 30)
#define PREFLIGHT_SPACE_GOOD (600ULL << 30)

struct preflight {
	const struct choices *c;
	struct doctor d;
	unsigned n[4]; /* by enum doctor_verdict */
	double seconds;
};

/*
 * Finds the address of the data when none was given: that from which the
 * configuration server is reached, or the only one of this machine. Then
 * choices.address is set; it stays empty when there is no such one.
 */
void preflight_address(struct choices *c);

/*
 * Runs all checks, or those whose names `only` lists (it ends with NULL);
 * `tell` as in doctor_run. Returns 0, also when some failed
 * (p->n says so). preflight_free() in any case.
 */
int preflight_run(struct preflight *p, const struct choices *c,
		  const char *const *only,
		  void (*tell)(void *ctx, unsigned i, const struct finding *f),
		  void *ctx, struct err *e);
void preflight_free(struct preflight *p);

const struct doctor_step *preflight_steps(unsigned *ret_n);

/* The last lines for people. */
void preflight_view_end(const struct preflight *p, FILE *f);
/* One object, for free(3); NULL: no memory. */
char *preflight_json(const struct preflight *p);

#endif
