/*
 * What somebody needs who helps from afar, in one file (tar, gzip): the
 * doctor's answer, configuration, versions, states, samples, alerts and logs,
 * without secrets (redact.h).
 */
#ifndef PS_DOCTOR_BUNDLE_H
#define PS_DOCTOR_BUNDLE_H

#include "doctor/doctor.h"

struct bundle_to {
	const char *path;   /* replaced as a whole; mode 0600 */
	const char *answer; /* JSON of the doctor */
	uint64_t log_bytes; /* at most so much of all logs together */
};

/* What cannot be read is left out, and listed in the bundle. */
int bundle_write(const struct doctor *d, const struct bundle_to *to,
		 struct err *e);

#endif
