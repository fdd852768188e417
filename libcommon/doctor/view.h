/* What the doctor has found, for people and for scripts. */
#ifndef PS_DOCTOR_VIEW_H
#define PS_DOCTOR_VIEW_H

#include <stdio.h>

#include "doctor/doctor.h"

struct doctor_view {
	FILE *f; /* NULL: steps are not printed */
	bool colour;
	bool quiet;	/* only what is not well */
	bool verbose;	/* evidence of what is well, too */
	bool advise;	/* what to do behind each failure, not at the end */
	unsigned width; /* of a line */
};

/* Standard output, as it is a terminal or not; `quiet`, `verbose` as given. */
struct doctor_view doctor_view_here(void);

/*
 * A step as doctor_run() tells it: on a terminal what is looked at now, which
 * goes when it is over; then what it has found.
 */
void doctor_view_tell(const struct doctor_view *v, const struct doctor_step *s,
		      const struct finding *f);
/* The last lines: the cause and what to do. `cause` as from doctor_run(). */
void doctor_view_end(const struct doctor_view *v, const struct doctor *d,
		     int cause);

/* One object: role, result, cause, steps. For free(3); NULL: no memory. */
char *doctor_json(const struct doctor *d, int cause, double seconds);

/* The array "steps" of it alone, of those that are over. */
struct json_t *doctor_json_steps(const struct doctor *d);

/* "passed", "warning", "failed", "skipped" */
const char *doctor_verdict_name(enum doctor_verdict v);

#endif
