#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "push/host.h"

const char *const push_end_names[] = {
    [PUSH_FAILED] = "failed",	    [PUSH_READY] = "ready",
    [PUSH_SKIPPED] = "skipped",	    [PUSH_REGISTERED] = "registered",
    [PUSH_INSTALLED] = "installed", [PUSH_UPGRADED] = "upgraded",
};

bool push_word_ok(const char *text)
{
	return *text != '\0' && *text != '-' &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789._:/+%-")] == '\0';
}

static int bad(const char *text, const char *why, struct err *e)
{
	return err_set(e, PS_USAGE, "'%s': %s ([USER@]HOST[:PORT][=NAME])",
		       text, why);
}

/* Cuts "HOST:PORT", "[HOST]:PORT", or an address alone. */
static bool cut_port(char *text, char **ret_host, const char **ret_port)
{
	char *colon = strrchr(text, ':'), *end;

	*ret_host = text;
	*ret_port = "";
	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		*ret_host = text + 1;
		if (end[1] == ':')
			*ret_port = end + 2;
		*end = '\0';
		return end[1] == '\0' || **ret_port != '\0';
	}
	if (colon == NULL || strchr(text, ':') != colon)
		return true; /* none, or an IPv6 address */
	*colon = '\0';
	*ret_port = colon + 1;
	return **ret_port != '\0';
}

int push_host_read(struct push_host *ret, const char *text, struct err *e)
{
	char copy[HOST_SIZE], *name, *at, *host;
	const char *port;
	bool brackets;
	uint64_t n;

	memset(ret, 0, sizeof(*ret));
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return bad(text, "too long", e);
	name = strchr(copy, '=');
	if (name != NULL) {
		*name++ = '\0';
		if (!name_ok(name))
			return bad(text, "no name for a machine", e);
		snprintf(ret->name, sizeof(ret->name), "%s", name);
	}
	at = strchr(copy, '@');
	if (at != NULL) {
		*at++ = '\0';
		if (!push_word_ok(copy) ||
		    (size_t)snprintf(ret->user, sizeof(ret->user), "%s",
				     copy) >= sizeof(ret->user))
			return bad(text, "no user", e);
	}
	if (!cut_port(at != NULL ? at : copy, &host, &port) ||
	    !push_word_ok(host) || strpbrk(host, "/+") != NULL)
		return bad(text, "no host", e);
	if (*port != '\0' && (!parse_u64(port, 65535, &n) || n == 0))
		return bad(text, "no port", e);
	snprintf(ret->address, sizeof(ret->address), "%s", host);
	snprintf(ret->port, sizeof(ret->port), "%.5s", port);
	brackets = strchr(host, ':') != NULL && *port != '\0';
	snprintf(ret->text, sizeof(ret->text), "%s%.200s%s%s%.5s",
		 brackets ? "[" : "", host, brackets ? "]" : "",
		 *port != '\0' ? ":" : "", port);
	return 0;
}
