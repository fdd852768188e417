#include "config.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/interface.h"

/* TEST-NET-1 (RFC 5737): it is nowhere, so its way is the default route. */
#define NOWHERE "192.0.2.1"

/* The bytes of an address; NULL: of another family. */
static const void *raw_of(const struct sockaddr *a, size_t *ret_n)
{
	if (a == NULL)
		return NULL;
	if (a->sa_family == AF_INET) {
		*ret_n = sizeof(struct in_addr);
		return &((const struct sockaddr_in *)(const void *)a)->sin_addr;
	}
	if (a->sa_family != AF_INET6)
		return NULL;
	*ret_n = sizeof(struct in6_addr);
	return &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
}

static bool same(const struct sockaddr *a, const struct sockaddr *b)
{
	size_t n = 0, m = 0;
	const void *x = raw_of(a, &n), *y = raw_of(b, &m);

	return x != NULL && y != NULL && n == m && memcmp(x, y, n) == 0;
}

/* A numeric address; NULL: it is none. For freeaddrinfo(). */
static struct addrinfo *number(const char *host)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_DGRAM};
	struct addrinfo *a = NULL;

	/* The port is never used: nothing is sent. */
	return getaddrinfo(host, "9", &hints, &a) == 0 ? a : NULL;
}

/* The name of the interface with that address; false: it is not ours. */
static bool owner(const struct sockaddr *a, char out[IFNAMSIZ])
{
	struct ifaddrs *list, *it;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (it = list; it != NULL && !found; it = it->ifa_next)
		if (same(it->ifa_addr, a)) {
			snprintf(out, IFNAMSIZ, "%s", it->ifa_name);
			found = true;
		}
	freeifaddrs(list);
	return found;
}

bool interface_has(const char *host)
{
	struct addrinfo *a = number(host);
	char name[IFNAMSIZ];
	bool has = a != NULL && owner(a->ai_addr, name);

	if (a != NULL)
		freeaddrinfo(a);
	return has;
}

/* A datagram socket that is connected has chosen its way: connect(2). */
static bool way_to(const struct addrinfo *a, struct sockaddr_storage *ret)
{
	int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(*ret);
	bool ok;

	if (fd < 0)
		return false;
	ok = connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	     getsockname(fd, (struct sockaddr *)ret, &n) == 0;
	close(fd);
	return ok;
}

static bool source(const char *host, struct sockaddr_storage *ret)
{
	struct addrinfo *a = number(host);
	bool ok;

	if (a == NULL)
		a = number(NOWHERE);
	ok = a != NULL && way_to(a, ret);
	if (a != NULL)
		freeaddrinfo(a);
	return ok;
}

void interface_source(const char *host, char *out, unsigned size)
{
	struct sockaddr_storage s;

	if (!source(host, &s) ||
	    getnameinfo((struct sockaddr *)&s, sizeof(s), out, size, NULL, 0,
			NI_NUMERICHOST) != 0)
		out[0] = '\0';
}

/* The only one that is up beside the loopback one. */
static void only_one(char out[IFNAMSIZ])
{
	struct ifaddrs *list, *it;
	bool several = false;

	out[0] = '\0';
	if (getifaddrs(&list) < 0)
		return;
	for (it = list; it != NULL; it = it->ifa_next) {
		if ((it->ifa_flags & IFF_LOOPBACK) != 0 ||
		    (it->ifa_flags & IFF_UP) == 0)
			continue;
		several |= out[0] != '\0' && strcmp(out, it->ifa_name) != 0;
		snprintf(out, IFNAMSIZ, "%s", it->ifa_name);
	}
	freeifaddrs(list);
	if (several)
		out[0] = '\0';
}

void interface_of(const char *host, char out[IFNAMSIZ])
{
	struct addrinfo *a = number(host);
	struct sockaddr_storage s;
	bool known = a != NULL && owner(a->ai_addr, out);

	if (!known || strcmp(out, "lo") == 0)
		known = source(known ? NOWHERE : host, &s) &&
			owner((struct sockaddr *)&s, out);
	if (!known || strcmp(out, "lo") == 0)
		only_one(out);
	if (a != NULL)
		freeaddrinfo(a);
}
