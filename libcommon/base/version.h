/*
 * Versions of the toolkit, "MAJOR.MINOR[.PATCH]", and which may work together.
 * Only major and minor count: a patch changes no format and no protocol.
 */
#ifndef PS_BASE_VERSION_H
#define PS_BASE_VERSION_H

#include <stdbool.h>

/* As published (N-4): a release is reached from the four before it, and works
 * with servers of those. */
#define VERSIONS_BACK 4

/* Of this program: "0.1.0". */
const char *version_ours(void);

struct version {
	unsigned long major, minor, patch;
};

/* "1.2", "1.2.3"; what is behind that does not count. False: it is none. */
bool version_parse(const char *text, struct version *ret);

/* < 0: `a` is the older one; 0: the same but for patches. */
int version_compare(const struct version *a, const struct version *b);
/* The same with patches. */
int version_compare_all(const struct version *a, const struct version *b);

/* Is `old` the same as `now`, or at most VERSIONS_BACK before it? */
bool version_in_reach(const struct version *old, const struct version *now);

#endif
