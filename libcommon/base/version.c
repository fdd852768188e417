#include "config.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/version.h"

const char *version_ours(void)
{
	return PACKAGE_VERSION;
}

static bool take(const char **at, unsigned long *ret)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	*ret = strtoul(*at, &end, 10);
	*at = end;
	return true;
}

bool version_parse(const char *text, struct version *ret)
{
	*ret = (struct version){0};
	if (!take(&text, &ret->major) || *text++ != '.' ||
	    !take(&text, &ret->minor))
		return false;
	if (*text++ == '.')
		(void)take(&text, &ret->patch);
	return true;
}

static int order(unsigned long a, unsigned long b)
{
	return a < b ? -1 : a > b;
}

int version_compare(const struct version *a, const struct version *b)
{
	return a->major != b->major ? order(a->major, b->major)
				    : order(a->minor, b->minor);
}

int version_compare_all(const struct version *a, const struct version *b)
{
	int rc = version_compare(a, b);

	return rc != 0 ? rc : order(a->patch, b->patch);
}

bool version_in_reach(const struct version *old, const struct version *now)
{
	return version_compare(old, now) <= 0 && old->major == now->major &&
	       now->minor - old->minor <= VERSIONS_BACK;
}
